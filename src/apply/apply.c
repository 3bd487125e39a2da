#include "postgres.h"

#include "apply/apply.h"

void
hone_apply_init(void)
{
}
