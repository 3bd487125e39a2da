#include "postgres.h"

#include "slowlog/slowlog.h"

void
hone_slowlog_init(void)
{
}
