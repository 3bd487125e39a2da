#ifndef HONE_WORKLOAD_H
#define HONE_WORKLOAD_H

extern void hone_workload_init(void);

#endif							/* HONE_WORKLOAD_H */
