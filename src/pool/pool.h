#ifndef HONE_POOL_H
#define HONE_POOL_H

extern void hone_pool_init(void);

#endif							/* HONE_POOL_H */
