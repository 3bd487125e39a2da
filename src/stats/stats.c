#include "postgres.h"

#include "stats/stats.h"

void
hone_stats_init(void)
{
}
