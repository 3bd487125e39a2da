#include "postgres.h"

#include "slowlog/slowlog.h"

uint64		hone_slow_query_ns = PG_UINT64_MAX;

void
hone_slowlog_init(void)
{
}

void
hone_slowlog_keep(const HoneExecution *execution pg_attribute_unused())
{
}
