# pg_hone: built by PGXS against the pg_config found first in PATH
# (or PG_CONFIG=/path/to/pg_config).

# The README's two commands. They bring up servers of their own, so they need
# nothing of PGXS (whose own "check" would get in the way).
ifneq (,$(filter check demo,$(MAKECMDGOALS)))

.PHONY: check demo
check:
	test/run.sh
demo:
	test/demo/run.sh

else

EXTENSION = pg_hone
MODULE_big = pg_hone
EXTVERSION = 0.1
PGFILEDESC = "pg_hone - tunes queries and indexes from inside the server"

OBJS = $(patsubst %.c,%.o,$(sort $(wildcard src/*.c src/*/*.c)))

# Each room keeps its SQL beside its C. The install script is their
# concatenation, lower floors first, because views and functions refer down; a
# room's own <room>.sql before its others. Who may use what comes last.
SQL_ROOMS = base stats slowlog workload probe jobs whatif health pool advise apply recent watch
SQL_OF = $(wildcard src/$(1)/$(1).sql) $(sort $(filter-out src/$(1)/$(1).sql,$(wildcard src/$(1)/*.sql)))
SQL_PARTS = $(foreach room,$(SQL_ROOMS),$(call SQL_OF,$(room))) src/grants.sql
DATA_built = $(EXTENSION)--$(EXTVERSION).sql

REGRESS = $(sort $(patsubst sql/%.sql,%,$(wildcard sql/*.sql)))
REGRESS_OPTS = --inputdir=.

PG_CONFIG ?= pg_config
# -isystem: the server's own headers are not ours to keep free of warnings.
PG_CPPFLAGS = -isystem $(shell $(PG_CONFIG) --includedir-server) -Isrc -MMD -MP
EXTRA_CLEAN = $(OBJS:.o=.d) $(OBJS:.o=.bc) tmp_check

# Calls inside the library need no detour, and meet nobody else's functions.
SHLIB_LINK += -Wl,-Bsymbolic

# The loops over counters gain from it.
src/probe/frame.o src/stats/pending.o src/stats/store.o: CFLAGS += -O3
# Called by every statement, and calling nobody else's code: a frame pointer
# would tell a profiler nothing that the caller's does not.
src/probe/scans.o src/stats/pending.o src/workload/workload.o: CFLAGS += -fomit-frame-pointer

PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

# The server may have been built by gcc, with options clang does not know.
ifneq (,$(findstring clang,$(CC)))
override CFLAGS := $(filter-out -fexcess-precision=% -Wno-format-truncation \
	-Wno-stringop-truncation -Wimplicit-fallthrough=%,$(CFLAGS))
endif

$(DATA_built): $(SQL_PARTS) Makefile
	cat $(SQL_PARTS) > $@

-include $(OBJS:.o=.d)

endif
