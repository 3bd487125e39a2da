/*
 * probe.h
 *	  The hooks that see every statement.
 */
#ifndef HONE_PROBE_H
#define HONE_PROBE_H

extern void hone_probe_init(void);

/*
 * What the hooks take themselves, in nanoseconds, of the top level statements
 * of which it was measured (one in 1,024).
 */
extern void hone_probe_own_time(uint64 *statements, uint64 *ns);

#endif							/* HONE_PROBE_H */
