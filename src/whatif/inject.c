/*
 * inject.c
 *	  Showing the planner an index that does not exist.
 *
 * Called from get_relation_info_hook: makes the IndexOptInfo that
 * get_relation_info() itself would make for the real index, in the planner's
 * memory. "hypothetical" is what keeps the planner and the cost functions from
 * opening it. Takes no locks: everything was looked up when the HoneIndex was
 * made, and the planner holds a lock on the table.
 */
#include "postgres.h"

#include <math.h>

#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "rewrite/rewriteManip.h"
#include "utils/lsyscache.h"

#include "whatif/details.h"
#include "whatif/learning.h"

static Expr *
column_of(Oid relid, Index varno, int attno)
{
	Oid			type;
	int32		typmod;
	Oid			collation;

	get_atttypetypmodcoll(relid, attno, &type, &typmod, &collation);
	return (Expr *) makeVar(varno, attno, type, typmod, collation, 0);
}

/* The index's columns as expressions over range table entry varno. */
List *
hone_whatif_index_columns(const HoneIndexPlace *place, int ncolumns, Index varno)
{
	List	   *exprs = copyObject(place->exprs);
	List	   *columns = NIL;
	int			next = 0;

	if (exprs != NIL && varno != 1)
		ChangeVarNodes((Node *) exprs, 1, varno, 0);
	for (int i = 0; i < ncolumns; i++)
	{
		if (place->keys[i] != 0)
			columns = lappend(columns, column_of(place->relid, varno, place->keys[i]));
		else
			columns = lappend(columns, list_nth(exprs, next++));
	}
	return columns;
}

/*
 * One TargetEntry per column, and apart from it the list of expressions, both
 * made of the same nodes as in the core.
 */
static void
set_columns(IndexOptInfo *info, const HoneIndexPlace *place, Index varno)
{
	List	   *columns = hone_whatif_index_columns(place, info->ncolumns, varno);
	ListCell   *lc;
	int			i = 0;

	foreach(lc, columns)
	{
		if (place->keys[i] == 0)
			info->indexprs = lappend(info->indexprs, lfirst(lc));
		i++;
		info->indextlist = lappend(info->indextlist,
								   makeTargetEntry(lfirst(lc), i, NULL, false));
	}
}

static void *
copy_array(const void *from, Size size)
{
	return memcpy(palloc(size), from, size);
}

/* What only the access method says. */
static void
set_method(IndexOptInfo *info, const HoneIndex *index)
{
	const IndexAmRoutine *am = index->details->am;

	info->relam = index->amoid;
	info->amcanorderbyop = am->amcanorderbyop;
	info->amoptionalkey = am->amoptionalkey;
	info->amsearcharray = am->amsearcharray;
	info->amsearchnulls = am->amsearchnulls;
	info->amcanparallel = am->amcanparallel;
	info->amhasgettuple = am->amgettuple != NULL;
	info->amhasgetbitmap = am->amgetbitmap != NULL;
	info->amcanmarkpos = am->ammarkpos != NULL && am->amrestrpos != NULL;
	info->canreturn = memcpy(palloc(sizeof(bool) * index->ncolumns),
							 index->details->returnable,
							 sizeof(bool) * index->ncolumns);
}

/*
 * The planner may have another idea of the table's size than we had when we
 * estimated the index: keep the proportions.
 */
static void
set_size(IndexOptInfo *info, const HoneIndexPlace *place, double rel_tuples)
{
	double		scale = place->rel_tuples > 0 ? rel_tuples / place->rel_tuples : 1.0;
	double		pages = Min(ceil(place->pages * scale), (double) MaxBlockNumber);

	info->pages = (BlockNumber) Max(pages, 1.0);
	info->tuples = place->tuples * scale;
	info->tree_height = place->tree_height;
}

static IndexOptInfo *
make_info(RelOptInfo *rel, const HoneIndex *index, const HoneIndexPlace *place)
{
	const HoneIndexDetails *details = index->details;
	IndexOptInfo *info = makeNode(IndexOptInfo);
	Size		oids = sizeof(Oid) * index->nkeycolumns;
	Size		flags = sizeof(bool) * index->nkeycolumns;

	info->indexoid = index->fakeoid;
	info->reltablespace = details->tablespace;
	info->rel = rel;
	info->ncolumns = index->ncolumns;
	info->nkeycolumns = index->nkeycolumns;
	info->indexkeys = copy_array(place->keys, sizeof(int) * index->ncolumns);
	info->indexcollations = copy_array(details->collations, oids);
	info->opfamily = copy_array(details->opfamilies, oids);
	info->opcintype = copy_array(details->opcintypes, oids);
	set_method(info, index);
	hone_whatif_set_cost(info, index, place);

	if (details->am->amcanorder)
	{
		info->sortopfamily = info->opfamily;
		info->reverse_sort = copy_array(details->descending, flags);
		info->nulls_first = copy_array(details->nulls_first, flags);
	}

	set_columns(info, place, rel->relid);
	info->indpred = copyObject(place->predicate);
	if (info->indpred != NIL && rel->relid != 1)
		ChangeVarNodes((Node *) info->indpred, 1, rel->relid, 0);

	/* Never unique: whether the data is, nobody has checked. */
	info->immediate = true;
	info->hypothetical = true;
	set_size(info, place, rel->tuples);
	return info;
}

/* Add what the configuration creates on this table. */
void
hone_whatif_inject(Oid relid, RelOptInfo *rel, List *create)
{
	ListCell   *lc;

	foreach(lc, create)
	{
		HoneIndex  *index = lfirst(lc);
		ListCell   *place_cell;

		foreach(place_cell, index->details->places)
		{
			HoneIndexPlace *place = lfirst(place_cell);

			/*
			 * In front, as the core does with the newest index: it decides
			 * when two cost the same.
			 */
			if (place->relid == relid)
				rel->indexlist = lcons(make_info(rel, index, place), rel->indexlist);
		}
	}
}

/* The same for those of the list, without the plan seeing them. */
List *
hone_whatif_imagine(Oid relid, RelOptInfo *rel, List *indexes)
{
	List	   *infos = NIL;
	ListCell   *lc;
	ListCell   *place_cell;

	foreach(lc, indexes)
	{
		HoneIndex  *index = lfirst(lc);

		foreach(place_cell, index->details->places)
		{
			HoneIndexPlace *place = lfirst(place_cell);

			if (place->relid == relid)
				infos = lappend(infos, make_info(rel, index, place));
		}
	}
	return infos;
}

/* Take away what the configuration hides. */
void
hone_whatif_remove(RelOptInfo *rel, List *hide)
{
	ListCell   *lc;

	foreach(lc, rel->indexlist)
	{
		IndexOptInfo *info = lfirst_node(IndexOptInfo, lc);

		if (list_member_oid(hide, info->indexoid))
			rel->indexlist = foreach_delete_current(rel->indexlist, lc);
	}
}
