#include "postgres.h"

#include "jobs/jobs.h"

void
hone_jobs_init(void)
{
}

void
hone_jobs_mark_database(Oid dbid pg_attribute_unused())
{
}
