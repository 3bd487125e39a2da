#include "postgres.h"

#include "jobs/jobs.h"

void
hone_jobs_init(void)
{
}
