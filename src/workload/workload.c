#include "postgres.h"

#include "workload/workload.h"

void
hone_workload_init(void)
{
}

void
hone_workload_keep(const HoneExecution *execution pg_attribute_unused())
{
}
