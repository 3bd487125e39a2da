"""The bar: the best set that can be put together of all indexes that any method
chose at any budget, all of them really built, found by a search that nobody would
pay for. Sizes are those of the built indexes; existing indexes stay.
"""
import heapq

from base import write_charge
from peers import index_names

SEARCH_SECONDS = 40         # of CPU, per budget


class Pool:
    """Costs of statements for sets of built indexes. A plan found with a set holds
    for each smaller one that still has the indexes it uses."""

    def __init__(self, judge):
        self.judge, self.workload, self.session = judge, judge.workload, judge.session
        self.known = {s.name: [] for s in self.workload.statements}     # (set, used, cost)
        self.shown = set()
        self.calls = 0
        for definition in judge.oids:
            judge.charge([definition])
        self.table = {d: judge.descriptions[d][0] for d in judge.oids}

    def cost(self, statement, chosen):
        near = frozenset(d for d in chosen if self.table[d] in statement.columns)
        for other, used, cost in self.known[statement.name]:
            if used <= near <= other:
                return cost
        self.show(near, statement)
        plan = self.session.plan(statement.text)
        self.calls += 1
        used = frozenset(self.judge.names[n] for n in index_names(plan) if n in self.judge.names)
        self.known[statement.name].append((near, used, plan['Total Cost']))
        return plan['Total Cost']

    def show(self, near, statement):
        there = {d for d in self.shown if self.table[d] in statement.columns}
        for wanted, moved in ((False, there - near), (True, near - there)):
            if moved:
                self.session.run('UPDATE pg_index SET indisvalid = %s WHERE indexrelid = ANY (%s::oid[])',
                                 (wanted, [self.judge.oids[d] for d in moved]))
        self.shown = (self.shown - there) | near

    def total(self, chosen):
        return sum(s.weight * self.cost(s, chosen) for s in self.workload.statements) + \
            write_charge(self.workload, [self.judge.descriptions[d] for d in chosen])


def choose(judge, answers, budget):
    limit = float("inf") if budget is None else budget
    if not hasattr(judge, 'pool'):
        judge.pool = Pool(judge)
    pool, sizes = judge.pool, judge.sizes
    started, calls = judge.session.seconds(), pool.calls
    judge.session.run('BEGIN')
    try:
        every, until = sorted(judge.oids), started + SEARCH_SECONDS
        starts = [sorted(set(a.definitions)) for a in answers if sum(sizes[d] for d in set(a.definitions)) <= limit]
        starts += [fill(pool, sizes, every, limit, power, until) for power in (1.0, 0.5)]
        best, now = [], float('inf')
        for start in sorted(starts, key=pool.total)[:3]:
            found, total = climb(pool, sizes, start, every, limit, until)
            if total < now:
                best, now = found, total
    finally:
        judge.session.run('ROLLBACK')
        pool.shown = set()
    return best, judge.session.seconds() - started, pool.calls - calls


def fill(pool, sizes, every, limit, power, until):
    """Greedily, by gain per byte to that power. What an index gained last time is
    taken for what it gains at most now: it is looked at again when its turn comes."""
    chosen, now, room = [], pool.total([]), limit
    queue = [(float('-inf'), d) for d in every]
    while queue and pool.session.seconds() < until:
        _, index = heapq.heappop(queue)
        if sizes[index] > room:
            continue
        total = pool.total(chosen + [index])
        value = -(now - total) / sizes[index] ** power
        if value >= 0:
            continue
        if queue and value > queue[0][0]:
            heapq.heappush(queue, (value, index))
            continue
        chosen, now, room = chosen + [index], total, room - sizes[index]
    return chosen


def climb(pool, sizes, start, every, limit, until):
    """Add, drop and replace one index at a time while that helps."""
    chosen, now = list(start), pool.total(start)
    better = True
    while better and pool.session.seconds() < until:
        better = False
        room = limit - sum(sizes[d] for d in chosen)
        moves = [(d, None) for d in chosen]
        moves += [(None, d) for d in every if d not in chosen and sizes[d] <= room]
        moves += [(old, d) for old in chosen for d in every if d not in chosen and sizes[d] - sizes[old] <= room
                  and (pool.table[d] == pool.table[old] or sizes[d] > room)]
        for old, new in moves:
            if old is not None and old not in chosen or new in chosen:
                continue
            after = [d for d in chosen if d != old] + ([new] if new else [])
            if sum(sizes[d] for d in after) > limit:
                continue
            total = pool.total(after)
            if total < now * (1 - 1e-6):
                chosen, now, better = after, total, True
            if pool.session.seconds() > until:
                break
    return chosen, now
