/*
 * probe.h
 *	  The hooks that see every statement.
 */
#ifndef HONE_PROBE_H
#define HONE_PROBE_H

extern void hone_probe_init(void);

#endif							/* HONE_PROBE_H */
