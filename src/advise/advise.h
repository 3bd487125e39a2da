#ifndef HONE_ADVISE_H
#define HONE_ADVISE_H

extern void hone_advise_init(void);

#endif							/* HONE_ADVISE_H */
