#include "postgres.h"

#include "recent/recent.h"

void
hone_recent_init(void)
{
}
