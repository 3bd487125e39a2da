/*
 * internal.h
 *	  What the files of this room share; nobody else includes it.
 *
 * A run (run.c) goes through:
 *	load, measured	the statements, and for how many executions each stands
 *	statement, read, clause, predicate, fkey
 *					what each does with each of its tables
 *	family			candidates: btree, gin, brin, and with what cover and variant
 *					add; candidate (their identity), existing (what is there)
 *	harvest, merge	what the candidates do in the statements' plans, put into
 *					the pool; more candidates from those that help
 *	writes, write_cost
 *					what each would cost the writes
 *	search			which of them: reduce, solve, state and bound work on the
 *					pool's plans; price asks the planner, which has the last word
 *	drop, evidence	which existing ones are superfluous then
 *	ban				what was tried and taken back
 *	hint			what no index helps
 *	explain, why_not
 *					why, and why not
 *	store			into the tables
 * Everything of a run lives in run->memory and is freed with it.
 */
#ifndef HONE_ADVISE_INTERNAL_H
#define HONE_ADVISE_INTERNAL_H

#include "nodes/params.h"
#include "nodes/parsenodes.h"
#include "nodes/pathnodes.h"
#include "portability/instr_time.h"
#include "utils/array.h"
#include "base/owner.h"
#include "health/health.h"
#include "whatif/whatif.h"

#define HONE_MAX_KEYS		6	/* key columns of a candidate */
#define HONE_MAX_INCLUDED	10	/* columns in INCLUDE */
#define HONE_SMALL_PAGES	32	/* smaller tables rarely need an index */

typedef enum HoneUseKind
{
	HONE_USE_EQUAL,				/* = constant, parameter, or outer value */
	HONE_USE_IN,				/* = ANY, IN, IS NULL */
	HONE_USE_RANGE,				/* <, BETWEEN, LIKE 'x%' */
	HONE_USE_JOIN,				/* = a column of another relation */
	HONE_USE_ARM,				/* in one arm of an OR */
	HONE_USE_CONTAINS			/* an operator of another class than a btree's:
								 * GIN, GiST, SP-GiST, hash */
} HoneUseKind;

/* One use of a key by one relation of a statement. */
typedef struct HoneUse
{
	HoneUseKind kind;
	Node	   *expr;			/* with varno 1 */
	HoneKey		key;			/* key.sql is filled after the planner returned */
	double		selectivity;
	Oid			amoid;			/* InvalidOid: btree */
	bool		distance;		/* ORDER BY key <-> value */
	bool		literal;		/* constants in it stand in the text */
	const char *unusable;		/* no index serves it as it is written: why */
	Relids		partners;		/* joins: the relations at the other side */
	double		shared;			/* weight of all statements that use the key so */
} HoneUse;

/* An order the plan could profit from: list of HoneUse (keys with direction). */
typedef struct HoneOrder
{
	List	   *uses;
	bool		required;		/* ORDER BY, min/max; else GROUP BY, DISTINCT, ... */
} HoneOrder;

/* A restriction with constants only, that a partial index could have. */
typedef struct HonePredicate
{
	Node	   *clause;			/* with varno 1 */
	const char *sql;
	Bitmapset  *columns;		/* attribute numbers */
	Bitmapset  *fixed;			/* of those: no key, because the predicate says it */
	int			nclauses;		/* restrictions it is made of */
	double		selectivity;
	bool		literal;		/* constants stand in the text */
	bool		usable;			/* the same in (nearly) all samples */
	bool		firm;			/* must be literal to be usable */
} HonePredicate;

/* What one statement does with one occurrence of a table. */
typedef struct HoneRelUse
{
	Oid			relid;
	List	   *uses;
	List	   *orders;
	List	   *groups;			/* lists of HoneUse: ANDed in one arm of an OR */
	List	   *predicates;
	Bitmapset  *selected;		/* attributes needed above the scan, and ... */
	Bitmapset  *read;			/* attributes read, offset by
								 * FirstLowInvalidHeapAttributeNumber */
	bool		limited;		/* LIMIT above */
	bool		filtered_elsewhere; /* other relations of the join have filters */
	int			nfilters;
	BlockNumber pages;
	double		tuples;
	double		allvisfrac;
} HoneRelUse;

/* A query, with how often it ran and how long it took. */
typedef struct HoneQueryGroup
{
	int64		queryid;
	Oid			userid;
	const char *text;
	double		calls;
	double		mean_ms;		/* 0: not measured */
	double		ms_per_cost;	/* of its estimated cost; 0: not known */
	int			nsamples;
	double		mean_rows;		/* returned or changed per call; -1: not measured */
	double		generic_share;	/* of executions, that had a generic plan */
	int			nbuckets;		/* how long executions took, see measured.c */
	double	   *upto_ms;
	double	   *bucket_calls;
	int			nreads;
	struct HoneMeasuredRead *reads;
} HoneQueryGroup;

/* Rows that the executions of a query read of a table, filtered ones included. */
typedef struct HoneMeasuredRead
{
	Oid			relid;
	double		executions;
	double		rows;			/* of all of them */
} HoneMeasuredRead;

/* Rows written to a table. */
typedef struct HoneWrite
{
	Oid			relid;			/* as the statement names it: maybe partitioned */
	CmdType		command;		/* INSERT, UPDATE or DELETE */
	double		rows;
	double		calls;			/* executions that wrote them */
	double		share;			/* of the statement's row count that these rows
								 * are; 0: they are not in it */
	bool		known;			/* changed is */
	Bitmapset  *changed;		/* attributes that an UPDATE changes */
} HoneWrite;

/* A planner's answer. */
typedef struct HonePrice
{
	Bitmapset  *set;			/* candidates visible */
	Bitmapset  *used;			/* of those, used by the plan */
	double		planner_cost;
	double		cost;			/* with the risk of LIMIT guesses */
} HonePrice;

/* One statement to be planned: a sample of a query, with values. */
typedef struct HoneStatement
{
	int			id;
	HoneQueryGroup *group;
	int			position;		/* in the caller's array, from 1; 0: captured */
	const char *text;
	bool		has_values;
	int			nvalues;
	char	  **values;
	int			ntypes;
	Oid		   *types;
	bool		as_caller;
	Oid			userid;
	const char *search_path;
	int			nsettings;
	char	  **settings;		/* nsettings names, each followed by its value */
	double		calls;			/* executions it stands for */
	double		duration_ms;	/* of the sample; 0: not measured */
	bool		generic;		/* stands for executions with a generic plan */
	bool		check;			/* asked by the server itself, see fkey.c */
	bool		traced;			/* its relations are known from when it ran */
	List	   *traced_relids;

	const char *failure;		/* why it is out of the run, or NULL */
	double		weight;			/* calls, corrected by measured time */
	double		base_cost;
	double		generic_cost;	/* 0: has no parameters */
	List	   *rels;			/* of HoneRelUse */
	List	   *relids;			/* tables, with partitions and their parents */
	List	   *real;			/* existing indexes its plan uses */
	const char *base_plan;		/* a short summary */
	double		limit_rows;		/* of a LIMIT at the top; 0: none */

	CmdType		command;
	Oid			target;			/* of INSERT, UPDATE, DELETE, MERGE */
	Bitmapset  *changed;		/* attributes an UPDATE changes */
	double		rows_written;	/* per call, estimated */
	List	   *writes;			/* of HoneWrite, rows per call, estimated */

	Bitmapset  *relevant;		/* candidates worth planning with */
	List	   *prices;			/* of HonePrice: the planner's answers */
	List	   *tables;			/* this and the next: see pool.c */
	List	   *plans;
	bool		pool_changed;
	bool		taught;			/* the last planner call brought a new plan */
	bool		saw_expression; /* was planned with an index on an expression */
	bool		opaque;			/* parts of its plans cannot be taken apart */
	bool		teaches;		/* its plans can be taken apart */

	HonePrice  *final;			/* under the chosen set, if it touches it */
	const char *final_plan;
} HoneStatement;

typedef struct HoneCandidate
{
	int			id;				/* its bit */
	Oid			relid;
	Oid			amoid;
	int			nkeys;
	HoneKey		keys[HONE_MAX_KEYS];
	int			nincluded;
	AttrNumber	included[HONE_MAX_INCLUDED];
	HonePredicate *predicate;	/* NULL: none */
	int			pages_per_range;	/* BRIN */
	const char *body;			/* ON table USING ...; its identity */
	HoneIndex  *index;
	double		write_cost;
	double		best_gain;		/* of all it did alone, weighted */
	const char *rejection;		/* why it is out, or NULL */
	const struct HoneBan *ban;	/* it was built and taken back before; or NULL */
	bool		presumed;		/* by who proposed it, for one statement */
	HoneStatement *hurts;		/* which it made dearer, when it was taken out
								 * for that; and what became of its cost */
	double		hurts_ratio;
	bool		chosen;
	bool		lost;			/* its table is not what it was */
	bool		seeded;			/* made as a variant of another */
	bool		merged;			/* of two others */
} HoneCandidate;

typedef struct HoneRun
{
	MemoryContext memory;
	MemoryContext scratch;		/* reset before each statement */
	Oid			caller;
	bool		strict;			/* errors are the caller's */

	int64		budget;			/* -1: none */
	int			max_indexes;	/* -1: none */

	List	   *groups;
	int			nstatements;
	int			nread;			/* of them, not added by fkey.c */
	HoneStatement **statements;
	StringInfoData skipped;		/* members of a jsonb array */
	int			nskipped;
	int64		skipped_queryid;	/* the last one noted */
	Oid			skipped_userid;
	const char *skipped_last;
	instr_time	started;

	int			ncandidates;
	int			maxcandidates;
	int			nmerged;
	HoneCandidate **candidates;
	struct HTAB *bodies;		/* body -> candidate */
	struct HTAB *watched;		/* tables, see unchanged.c */
	bool		captured;		/* the statements are what was measured here */
	double		window_s;		/* over how long; 0: not known */
	List	   *new_indexes;	/* recommended and built in that time (oid list) */
	List	   *unplannable;	/* of HoneStatement: captured, without their values */
	List	   *measured;		/* of HoneMeasuredWrite, see writes.c */
	List	   *counted;		/* of HoneCountedWrites */
	List	   *writes;			/* of HoneWrite, rows over the window */
	bool		writes_read;
	List	   *index_use;		/* of HoneIndexUse, see evidence.c */
	List	   *existing;		/* of HoneExisting */
	List	   *existing_of;	/* tables read so far (oid list) */
	List	   *refused;		/* bodies (char *) dismissed or reverted before */
	List	   *bans;			/* of HoneBan: tried and taken back, see ban.c */

	int			nshown;			/* candidates in the planner call under way */
	int		   *shown;

	uint64		planner_calls;
	uint64		max_planner_calls;
	uint64		priced;

	double		cost_before;
	double		yardstick;		/* what it would cost with all indexes, see search.c */
	double		cost_after;
	double		objective;		/* costs of queries and of indexes, as chosen */
	double		lower_bound;	/* proven for the plans that are known */
	Bitmapset  *chosen;
	List	   *drops;			/* of HoneDrop */

	double		cpu_started_ms; /* of this process, when the run began */
	List	   *hints;			/* of HoneHint */

} HoneRun;

typedef struct HoneDrop
{
	HoneExisting *existing;
	HoneCandidate *new_cover;	/* the new index that does its work, or NULL */
	HoneExisting *old_cover;	/* the existing one */
	int			statements;		/* that used it and were replanned */
	double		cost_before;
	double		cost_after;
	double		write_saving;
	const struct HoneBan *ban;	/* it was tried before; or NULL */
	const char *evidence;		/* why it is of no use, when nothing covers it */
} HoneDrop;

/* What an index costs the writes of a run; hone_advise_write_cost sums it up. */
typedef struct HoneWriteCost
{
	double		entries;		/* made in it */
	double		hot_lost;		/* updates that are not HOT because of it */
	double		cpu;
	double		wal_bytes;
	double		pages_dirtied;
	double		vacuum;
	double		total;			/* in planner cost units */
} HoneWriteCost;

/* in advise.c */
extern int	hone_advise_time_limit;

/* in read.c */
typedef struct HoneReadState
{
	MemoryContext memory;
	List	   *found;
} HoneReadState;

extern void hone_advise_read_begin(MemoryContext memory);
extern List *hone_advise_read_end(void);
extern HoneReadState hone_advise_read_suspend(void);
extern void hone_advise_read_resume(HoneReadState state);
extern void hone_advise_name_uses(List *rels);

/* in statement.c */
extern void hone_advise_enter_plain(HoneScope *scope);
extern void hone_advise_start_clock(void);
extern bool hone_advise_stop_clock(void);
typedef void (*hone_statement_work) (HoneRun *run, HoneStatement *st,
									 List *queries, ParamListInfo params,
									 void *arg);
extern bool hone_advise_with_statement(HoneRun *run, HoneStatement *st,
									   hone_statement_work work, void *arg);
extern void hone_advise_read_statement(HoneRun *run, HoneStatement *st);
extern Bitmapset *hone_advise_changed_columns(Query *query, List *targetlist);
extern char *hone_advise_plan_summary(PlannedStmt *plan);

/* in unchanged.c */
extern void hone_advise_check_tables(HoneRun *run, HoneStatement *st, bool begin);
extern void hone_advise_hold_tables(HoneRun *run);

/* in existing.c */
extern void hone_advise_read_existing(HoneRun *run, Oid relid);
extern bool hone_advise_candidate_covers(const HoneCandidate *c, const HoneExisting *e);
extern HoneExisting *hone_advise_covered_by(HoneRun *run, const HoneCandidate *c);

/* in candidate.c */
extern HoneCandidate *hone_advise_propose(HoneRun *run, HoneCandidate *c);
extern HoneCandidate *hone_advise_propose_smaller(HoneRun *run, HoneCandidate *first,
												  HoneCandidate *other, double factor);
extern HoneCandidate *hone_advise_propose_keys(HoneRun *run, Oid relid,
											   const HoneKey *keys, int nkeys);
extern Bitmapset *hone_advise_candidate_columns(const HoneCandidate *c);
extern HoneKey hone_advise_column_key(Oid relid, AttrNumber attno);
extern char *hone_advise_index_name(HoneRun *run, const HoneCandidate *c, List *taken);

extern void hone_advise_note(HoneRun *run, HoneStatement *st, HoneCandidate *c);

/* in ban.c */
typedef struct HoneBan HoneBan;
extern void hone_advise_load_bans(HoneRun *run);
extern void hone_advise_examine_ban(HoneRun *run, HoneCandidate *c);
extern bool hone_advise_may_drop(HoneRun *run, const HoneExisting *e, const HoneBan **ban);
extern const char *hone_advise_ban_risk(const HoneBan *ban);

/* in opclass.c */
extern Oid	hone_advise_opclass_method(Oid opclass);
extern List *hone_advise_opclasses(Oid amoid, Oid type);
extern List *hone_advise_opclasses_with(Oid opno, Oid type, char purpose);
extern Oid	hone_advise_foreign_order(Oid opno, Oid type);
extern Oid	hone_advise_multi_minmax(Oid type);

/* in family.c: all candidates of one relation, except merged ones */
extern void hone_advise_families(HoneRun *run, HoneStatement *st, HoneRelUse *rel);

/* in brin.c, cover.c, merge.c, fkey.c */
extern void hone_advise_brin(HoneRun *run, HoneStatement *st, HoneRelUse *rel);
extern bool hone_advise_may_include(const HoneCandidate *c);
extern bool hone_advise_include(HoneRelUse *rel, HoneCandidate *c);
extern HoneCandidate *hone_advise_propose_covering(HoneRun *run, HoneCandidate *given);
extern void hone_advise_cover(HoneRun *run, HoneStatement *st, HoneRelUse *rel,
							  HoneCandidate *base);
extern void hone_advise_merge(HoneRun *run);
extern void hone_advise_add_key_checks(HoneRun *run);

/* in predicate.c */
extern void hone_advise_count_predicates(HoneRun *run);
extern List *hone_advise_partial_predicates(HoneRun *run, HoneRelUse *rel);

/* in btree.c, gin.c, variant.c */
extern void hone_advise_count_sharing(HoneRun *run);
extern void hone_advise_btree(HoneRun *run, HoneStatement *st, HoneRelUse *rel);
extern void hone_advise_gin(HoneRun *run, HoneStatement *st, HoneRelUse *rel);
extern void hone_advise_variants(HoneRun *run, HoneStatement *st,
								 HoneRelUse *rel, HoneCandidate *base);

/* in price.c */
#define HONE_BOUNDED_BONUS 0.9

extern bool hone_advise_is_spent(HoneRun *run);
extern HonePrice *hone_advise_learn(HoneRun *run, HoneStatement *st,
									Bitmapset *visible, Bitmapset *others);
extern bool hone_advise_prices(HoneRun *run, HoneStatement *st,
							   Bitmapset **sets, int nsets);
extern HonePrice *hone_advise_price(HoneRun *run, HoneStatement *st, Bitmapset *set);
extern HonePrice *hone_advise_final_price(HoneRun *run, HoneStatement *st,
										  Bitmapset *set, List *hide,
										  const char **summary);
extern HonePrice *hone_advise_confirmed_price(HoneRun *run, HoneStatement *st,
											  Bitmapset *set);
extern bool hone_advise_reads_all(const HoneStatement *st);
extern bool hone_advise_is_guess(HoneStatement *st, HoneCandidate *c);
extern bool hone_advise_is_bounded(HoneStatement *st, HoneCandidate *c);

/* in harvest.c */
extern void hone_advise_harvest(HoneRun *run);
extern void hone_advise_look_around(HoneRun *run, Bitmapset *set);

/* in search.c */
extern void hone_advise_search(HoneRun *run);

/* in write_cost.c */
extern double hone_advise_write_cost(HoneRun *run, const HoneCandidate *c);
extern double hone_advise_existing_write_cost(HoneRun *run, const HoneExisting *e);
extern HoneWriteCost hone_advise_existing_write_costs(HoneRun *run, const HoneExisting *e);
extern double hone_advise_write_cost_factor;

/* in writes.c */
extern List *hone_advise_writes(HoneRun *run);
extern double hone_advise_write_share(Oid written, Oid indexed);
extern Bitmapset *hone_advise_map_columns(Bitmapset *columns, Oid from, Oid to);
extern double hone_advise_rows_of(Oid relid);
extern Oid	hone_advise_root_of(Oid relid);

/* in measured.c */
extern void hone_advise_load_measured(HoneRun *run);
extern void hone_advise_weigh_samples(HoneRun *run);
extern double hone_advise_measured_read(const HoneQueryGroup *group, Oid relid);

/* in evidence.c */
extern void hone_advise_load_use(HoneRun *run);
extern bool hone_advise_is_unused(HoneRun *run, const HoneExisting *e);
extern bool hone_advise_needed_by_fkey(HoneRun *run, const HoneExisting *e, List *dropped);
extern char *hone_advise_evidence(HoneRun *run, const HoneExisting *e);

/* in drop.c */
extern void hone_advise_find_drops(HoneRun *run);
extern const char *hone_advise_cover_name(const HoneDrop *drop, const char **names);

/* in explain.c */
typedef struct HoneFigures
{
	double		cost_before;	/* of the queries whose plans use it */
	double		cost_after;
	double		improvement;
	int			helped;
	int			hurt;
} HoneFigures;

/* What an index does to one query: all its samples, by their weight. */
typedef struct HoneEffect
{
	HoneQueryGroup *group;
	double		weight;
	double		before;			/* weight * cost */
	double		after;
	double		write_cost;		/* what its calls pay for keeping the index */
	int			samples;
	int			using;			/* samples whose plan uses it */
	HoneStatement *example;		/* that gains most, or of those that pay */
} HoneEffect;

extern List *hone_advise_effects(HoneRun *run, HoneCandidate *c);
extern List *hone_advise_paying(HoneRun *run, HoneCandidate *c);
extern void hone_advise_figures(HoneRun *run, HoneCandidate *c, HoneFigures *figures);
extern double hone_advise_cost_without(HoneRun *run, HoneCandidate *c, int *calls);
extern List *hone_advise_key_roles(HoneRun *run, HoneCandidate *c);
extern List *hone_advise_risks(HoneRun *run, HoneCandidate *c);
extern char *hone_advise_reason(HoneRun *run, HoneCandidate *c);
extern char *hone_advise_drop_reason(HoneRun *run, HoneDrop *drop, const char *cover_name);
extern char *hone_advise_size_text(double bytes);
extern bool hone_advise_has_statistics(Oid relid);

/* in why_not.c */
typedef struct HoneRejected
{
	HoneCandidate *candidate;
	const char *reason;
} HoneRejected;

extern List *hone_advise_rejected(HoneRun *run, const char **names, int most);

/* in hint.c; see hint.h */
typedef struct HoneHint HoneHint;

extern void hone_advise_find_hints(HoneRun *run, bool all);

/* in load.c */
extern void hone_advise_load_workload(HoneRun *run);
extern void hone_advise_load_given(HoneRun *run, ArrayType *statements, ArrayType *weights);
extern void hone_advise_load_one(HoneRun *run, const char *statement, ArrayType *parameters);
extern HoneStatement *hone_advise_add_statement(HoneRun *run, HoneQueryGroup *group,
												const char *text, double calls);
extern void hone_advise_skip(HoneRun *run, int64 queryid, Oid userid, const char *why);
extern void hone_advise_load_refused(HoneRun *run);

/* in run.c */
extern HoneRun *hone_advise_run_create(int64 budget, int max_indexes);
extern void hone_advise_run(HoneRun *run);

/* in store.c */
extern const char **hone_advise_name_chosen(HoneRun *run);
extern char *hone_advise_drop_definition(HoneDrop *drop);
extern int64 hone_advise_store(HoneRun *run);
extern double hone_advise_cpu_ms(void);

#endif							/* HONE_ADVISE_INTERNAL_H */
