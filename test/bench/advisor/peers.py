"""Other ways to choose indexes, written from their published descriptions, over
HypoPG and EXPLAIN as their authors run them. All know b-trees on columns only.

Answers of the planner are kept by statement and the indexes that matter to it,
for all methods together; a method still pays, once, the CPU that each answer it
asks for took, and one planner call.
"""
import itertools
import random
import time

from base import Index, exists, write_charge

MIN_STEP = 0.003            # Extend stops where a step gains less of the initial cost
MAX_WIDTH = 3           # of its indexes


class OutOfTime(Exception):
    pass


class WhatIf:
    def __init__(self, session, workload):
        self.session, self.workload = session, workload
        self.oids = {}          # index: of the hypothetical one, now there
        self.sizes = {}
        self.answers = {}       # (statement, indexes): cost, used, seconds
        self.matters = {}
        self.limit = None
        self.begin(None)

    def begin(self, limit):
        """A method starts here, and may use so many seconds of CPU."""
        self.limit = limit
        self.paid = set()
        self.calls = 0
        self.planned = 0.0      # seconds for the answers it asked for
        self.asked = 0.0        # seconds of ours that answers took just now
        self.started = time.process_time()

    def seconds(self):
        return time.process_time() - self.started - self.asked + self.planned

    def relevant(self, statement, index):
        key = (statement.name, index)
        known = self.matters.get(key)
        if known is None:
            columns = statement.columns.get(index.table)
            known = columns is not None and (index.keys[0] in columns or columns <= set(index.keys + index.include))
            self.matters[key] = known
        return known

    def create(self, index):
        oid = self.session.value('SELECT indexrelid FROM hypopg_create_index(%s)', (index.definition,))
        self.oids[index] = oid
        if index not in self.sizes:
            self.sizes[index] = self.session.value('SELECT hypopg_relation_size(%s)', (oid,))

    def drop(self, index):
        self.session.run('SELECT hypopg_drop_index(%s)', (self.oids.pop(index),))

    def size(self, index):
        if index not in self.sizes:
            self.create(index)
        return self.sizes[index]

    def ask(self, statement, indexes):
        """Cost with exactly these indexes, and those of them that the plan uses."""
        key = (statement.name, frozenset(i for i in indexes if self.relevant(statement, i)))
        if key not in self.answers:
            cpu, client = self.session.seconds(), time.process_time()
            for index in [i for i in self.oids if i.table in statement.columns and i not in key[1]]:
                self.drop(index)
            for index in key[1]:
                if index not in self.oids:
                    self.create(index)
            plan = self.session.plan(statement.text)
            names = {f'<{oid}>': index for index, oid in self.oids.items()}
            used = {names[name.split('>')[0] + '>'] for name in index_names(plan) if name.startswith('<')}
            self.answers[key] = plan['Total Cost'], used, self.session.seconds() - cpu
            self.asked += time.process_time() - client
        cost, used, seconds = self.answers[key]
        if key not in self.paid:
            self.paid.add(key)
            self.calls += 1
            self.planned += seconds
            if self.limit and self.seconds() > self.limit:
                raise OutOfTime
        return cost, used

    def charge(self, indexes):
        return write_charge(self.workload, [(i.table, 'btree', i.keys + i.include, 1.0) for i in indexes])

    def costs(self, indexes):
        return {s.name: s.weight * self.ask(s, indexes)[0] for s in self.workload.statements}

    def total(self, indexes):
        return sum(self.costs(indexes).values()) + self.charge(indexes)

    def changed(self, costs, before, after):
        """costs (those with "before") with "after" instead."""
        moved = set(before) ^ set(after)
        return {s.name: s.weight * self.ask(s, after)[0] if any(self.relevant(s, i) for i in moved) else costs[s.name]
                for s in self.workload.statements}


def index_names(plan):
    if 'Index Name' in plan:
        yield plan['Index Name']
    for child in plan.get('Plans', []):
        yield from index_names(child)


def attributes(workload):
    """Every (table, column) that a statement mentions and a b-tree can have."""
    return sorted({(table, column) for s in workload.statements for table, columns in s.columns.items()
                   for column in columns if column in workload.tables[table].keys})


def covering(workload, table, keys):
    """INCLUDE lists that make an index with these keys sufficient for a statement."""
    found = set()
    for statement in workload.statements:
        columns = statement.columns.get(table)
        if columns and keys[0] in columns and len(columns) <= 12:
            rest = tuple(c for c in workload.tables[table].columns if c in columns and c not in keys)
            if rest:
                found.add(rest)
    return found


def longer(workload, keys, table, every):
    """These keys and one more column that a statement mentions with the first."""
    return [Index(table, keys + (column,), ()) for other, column in every
            if other == table and column not in keys
            and any(keys[0] in s.columns.get(table, ()) and column in s.columns[table] for s in workload.statements)]


def extend(whatif, budget, include=False):
    """Add an index of one column (of two, where one of the first exists) or append
    a column to a chosen one, whichever gains most per byte; with include also a
    list that covers a statement."""
    workload, chosen = whatif.workload, []
    every = attributes(workload)
    first = []
    for table, column in every:
        first += longer(workload, (column,), table, every) if exists(workload.tables[table], (column,)) else [Index(table, (column,), ())]
    if include:
        first += [Index(table, (column,), rest) for table, column in every for rest in covering(workload, table, (column,))]
    costs = whatif.costs([])
    initial = now = sum(costs.values())
    try:
        while True:
            best = None
            used = sum(whatif.size(i) for i in chosen)
            moves = [(None, index) for index in first]
            for old in chosen:
                if len(old.keys) < MAX_WIDTH and not old.include:
                    moves += [(old, index) for index in longer(workload, old.keys, old.table, every)]
                if include and not old.include:
                    moves += [(old, Index(old.table, old.keys, rest)) for rest in covering(workload, old.table, old.keys)]
            for old, new in moves:
                if new in chosen:
                    continue
                more = max(whatif.size(new) - (whatif.size(old) if old else 0), 1)
                if used + more > budget:
                    continue
                after = [i for i in chosen if i != old] + [new]
                changed = whatif.changed(costs, chosen, after)
                total = sum(changed.values()) + whatif.charge(after)
                gain = now - total
                if gain >= initial * MIN_STEP and (not best or gain / more > best[0]):
                    best = gain / more, after, changed, total
            if not best:
                return chosen, ''
            _, chosen, costs, now = best
    except OutOfTime:
        return chosen, 'time'


def permutations(workload, statement, width):
    for table, columns in statement.columns.items():
        usable = sorted(c for c in columns if c in workload.tables[table].keys)
        if len(usable) > 12:
            continue
        for count in range(1, width + 1):
            for keys in itertools.permutations(usable, count):
                if not exists(workload.tables[table], keys):
                    yield Index(table, keys, ())


def db2advis(whatif, budget):
    """All candidates of a statement at once; each one that its plan uses is given
    the statement's whole gain; fill the budget by gain per byte; then swap at random."""
    workload, gains, note = whatif.workload, {}, ''
    best = []
    try:
        base = whatif.costs([])
        for statement in workload.statements:
            cost, used = whatif.ask(statement, list(permutations(workload, statement, 2)))
            for index in used:
                gains[index] = gains.get(index, 0) + base[statement.name] - statement.weight * cost
        for short in list(gains):       # a prefix of another: its gain goes there
            wider = [i for i in gains if i.table == short.table and i != short and i.keys[:len(short.keys)] == short.keys]
            if wider:
                gains[max(wider, key=gains.get)] += gains.pop(short)
        order = sorted((i for i in gains if gains[i] > whatif.charge([i])), key=lambda i: -gains[i] / whatif.size(i))
        used = 0
        for index in order:
            if used + whatif.size(index) <= budget:
                best.append(index)
                used += whatif.size(index)
        costs, drawn = whatif.costs(best), random.Random(1)
        now, until = sum(costs.values()) + whatif.charge(best), min(whatif.limit, whatif.seconds() + 3)
        others = [i for i in order if i not in best]
        while others and best and whatif.seconds() < until:
            gone, come = drawn.sample(best, drawn.randint(1, min(3, len(best)))), drawn.sample(others, drawn.randint(1, min(3, len(others))))
            after = [i for i in best if i not in gone] + come
            if sum(whatif.size(i) for i in after) > budget:
                continue
            changed = whatif.changed(costs, best, after)
            if sum(changed.values()) + whatif.charge(after) < now:
                best, costs = after, changed
                now = sum(changed.values()) + whatif.charge(after)
                others = [i for i in order if i not in best]
    except OutOfTime:
        note = 'time'
    return best, note


def greedy(whatif, budget, candidates, seed, best_yet):
    """By gain, from a seed on, until nothing that fits gains anything; best_yet is
    the best set of all so far and its cost."""
    chosen = list(seed)
    if sum(whatif.size(i) for i in chosen) > budget:
        return
    costs = whatif.changed(whatif.costs([]), [], chosen)
    now = sum(costs.values()) + whatif.charge(chosen)
    while True:
        best, room = None, budget - sum(whatif.size(i) for i in chosen)
        for index in candidates:
            if index in chosen or whatif.size(index) > room:
                continue
            changed = whatif.changed(costs, chosen, chosen + [index])
            total = sum(changed.values()) + whatif.charge(chosen + [index])
            if total < now * 0.9999 and (not best or total < best[0]):
                best = total, index, changed
        if now < best_yet[1]:
            best_yet[:] = chosen, now
        if not best:
            return
        now, index, costs = best
        chosen = chosen + [index]


def anytime(whatif, budget):
    """Per statement the best pair of indexes, of one column and then of two; all
    these are candidates; then greedily from nothing and from each of them while
    there is time (as AutoAdmin and the Database Tuning Advisor do)."""
    workload, candidates, best = whatif.workload, set(), [[], float('inf')]
    try:
        for statement in workload.statements:
            found = [i for i in permutations(workload, statement, 1)]
            for width in (1, 2):
                chosen, now = [], whatif.ask(statement, [])[0]
                for _ in range(2):
                    step = min(((whatif.ask(statement, chosen + [i])[0], i) for i in found if i not in chosen), default=(now, None))
                    if step[0] >= now * 0.99:
                        break
                    now, chosen = step[0], chosen + [step[1]]
                candidates.update(chosen)
                found = chosen + [Index(i.table, i.keys + (column,), ()) for i in chosen for column in sorted(statement.columns[i.table])
                                  if column not in i.keys and column in workload.tables[i.table].keys]
        ordered = sorted(candidates)
        base = whatif.costs([])
        for seed in [[]] + [[i] for i in sorted(ordered, key=lambda i: sum(whatif.changed(base, [], [i]).values()))]:
            greedy(whatif, budget, ordered, seed, best)
    except OutOfTime:
        return best[0], 'time'
    return best[0], ''


def dexter(whatif, budget):
    """Per statement at most one index, of one or two columns, if it saves half of
    its cost; there is no budget."""
    workload, chosen = whatif.workload, set()
    try:
        for statement in workload.statements:
            base = whatif.ask(statement, [])[0]
            used = set()
            for width in (1, 2):
                used |= whatif.ask(statement, list(permutations(workload, statement, width)))[1]
            best = min(((whatif.ask(statement, [i])[0], i) for i in used), default=None)
            if best and base > 100 and best[0] < base * 0.5:
                chosen.add(best[1])
    except OutOfTime:
        return list(chosen), 'time'
    return list(chosen), ''


PEERS = {
    'extend': extend,
    'extend+include': lambda whatif, budget: extend(whatif, budget, True),
    'db2advis': db2advis,
    'anytime': anytime,
}
