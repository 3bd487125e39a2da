/*
 * cost.c
 *	  The cost functions of imagined indexes.
 *
 * The core's functions for GIN and BRIN read figures from the index itself and
 * make up poor ones where there is none. IndexOptInfo.amcostestimate is ours to
 * fill in, so imagined indexes of these two have functions of their own, which
 * use what we have estimated. The others keep the core's, which look at
 * nothing but the IndexOptInfo.
 *
 * How the functions find their figures: the array opclassoptions is ours too,
 * and has one place more than the index has columns. The pointer there is
 * good wherever the IndexOptInfo is, whatever question is being asked then.
 * The figures live as long as the HoneIndex, which outlives the planner call.
 */
#include "postgres.h"

#include <math.h>

#include "access/brin.h"
#include "access/brin_page.h"
#include "catalog/pg_am.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "utils/index_selfuncs.h"
#include "utils/selfuncs.h"
#include "utils/spccache.h"

#include "base/compat.h"
#include "whatif/details.h"

const HoneIndexPlace *
hone_whatif_place_of(const IndexOptInfo *info)
{
	return (const HoneIndexPlace *) info->opclassoptions[info->ncolumns];
}

/*
 * The core's function takes a hypothetical index to have ranges of 128 pages.
 * So it is shown a table that has as many such ranges as ours has of its own
 * size; what then is wrong in the result is what it charges for a page of the
 * map and for a page of a range that matches.
 */
static void
brin_cost(PlannerInfo *root, IndexPath *path, double loop_count,
		  Cost *startup, Cost *total, Selectivity *selectivity,
		  double *correlation, double *index_pages)
{
	IndexOptInfo *info = path->indexinfo;
	const HoneIndexPlace *place = hone_whatif_place_of(info);
	RelOptInfo *rel = info->rel;
	BlockNumber pages = rel->pages;
	double		per_range = place->pages_per_range;
	double		ranges = Max(ceil(pages / per_range), 1);
	double		shown = Min(ranges * BRIN_DEFAULT_PAGES_PER_RANGE, (double) MaxBlockNumber);
	double		map_taken = floor(ranges / REVMAP_PAGE_MAXITEMS) + 1;
	double		map;
	Cost		random_page;
	Cost		seq_page;

	/* After an error there is no planner call left that would look at it. */
	rel->pages = (BlockNumber) shown;
	brincostestimate(root, path, loop_count, startup, total, selectivity,
					 correlation, index_pages);
	rel->pages = pages;

	/* A real index says how many pages its map has beside the first one. */
	map = Max(place->data_pages - 1, 0);
	get_tablespace_page_costs(info->reltablespace, &random_page, &seq_page);
	*startup += seq_page * (map - map_taken) * loop_count;
	*total += (seq_page - random_page) * (map - map_taken) * loop_count;
	*total += 0.1 * cpu_operator_cost * *selectivity * ranges *
		(per_range - BRIN_DEFAULT_PAGES_PER_RANGE);
}

void
hone_whatif_set_cost(IndexOptInfo *info, const HoneIndex *index,
					 const HoneIndexPlace *place)
{
	const HoneIndexDetails *details = index->details;

	info->opclassoptions = palloc0(sizeof(bytea *) * (index->ncolumns + 1));
	for (int i = 0; i < index->nkeycolumns; i++)
		info->opclassoptions[i] = details->parsed_options[i];
	info->opclassoptions[index->ncolumns] = (bytea *) unconstify(HoneIndexPlace *, place);

	if (index->amoid == BRIN_AM_OID)
		info->amcostestimate = brin_cost;
	else if (index->amoid == GIN_AM_OID)
		info->amcostestimate = hone_whatif_gin_cost;
	else
		info->amcostestimate = details->am->amcostestimate;
}
