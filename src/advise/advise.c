#include "postgres.h"

#include "advise/advise.h"

void
hone_advise_init(void)
{
}
