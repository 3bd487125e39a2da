#include "postgres.h"

#include "pool/pool.h"

void
hone_pool_init(void)
{
}
