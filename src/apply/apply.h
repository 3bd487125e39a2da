#ifndef HONE_APPLY_H
#define HONE_APPLY_H

extern void hone_apply_init(void);

#endif							/* HONE_APPLY_H */
