#include "postgres.h"

#include "workload/workload.h"

void
hone_workload_init(void)
{
}
