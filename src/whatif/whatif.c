#include "postgres.h"

#include "whatif/whatif.h"

void
hone_whatif_init(void)
{
}
