#include "postgres.h"

#include "probe/probe.h"

void
hone_probe_init(void)
{
}
