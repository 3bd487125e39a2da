"""What a set of indexes is worth, asked of the planner by someone who proposed
none of it. A set is a list of definitions (CREATE INDEX ...) and a list of
existing indexes to do without.

ByHypopg asks with hypothetical indexes: it cannot have GIN, GiST and BRIN, takes
descending a tree for free, and knows no deduplication. ByBuilding builds every
index that any method proposes, once, and keeps it marked as neither valid nor
ready, so that no plan sees it and no write maintains it; a set is judged by
marking its own as valid in a transaction that is rolled back. Statistics of
tables are never taken anew meanwhile (an ANALYZE for an index's expressions
leaves the columns out), so that figures differ by the indexes only.
"""
import json
import re
import time

import psycopg2

from base import write_charge
from peers import index_names

PARTS = re.compile(r'CREATE INDEX (?:\S+ )?ON (?:ONLY )?(?:public\.)?(\w+)(?: USING (\w+))? (.*)$', re.S)


def anonymous(definition):
    """The definition without the index's name: what makes it the same as another."""
    table, method, rest = PARTS.match(definition.strip().rstrip(';')).groups()
    return f"CREATE INDEX ON public.{table} USING {method or 'btree'} {rest}"


def described(session, workload, definition):
    """(table, access method, columns, share of the rows), for the price of writes."""
    table, method, rest = PARTS.match(definition).groups()
    split = re.split(r'\) WHERE ', rest)
    words = set(re.findall(r'\w+', re.sub(r"'[^']*'", '', rest)))
    columns = [c for c in workload.tables[table].columns if c in words]
    share = 1.0
    if len(split) == 2:
        rows = session.plan(f'SELECT FROM {table} WHERE {split[1]}')['Plan Rows']
        share = min(1.0, rows / max(workload.tables[table].tuples, 1))
    return table, method, columns, share


class Judge:
    def __init__(self, session, workload):
        self.session, self.workload = session, workload
        self.descriptions = {}
        self.base = None

    def charge(self, definitions):
        for definition in definitions:
            if definition not in self.descriptions:
                self.descriptions[definition] = described(self.session, self.workload, definition)
        return write_charge(self.workload, [self.descriptions[d] for d in definitions])

    def hide(self, oids):
        """Inside a transaction."""
        if oids:
            self.session.run('UPDATE pg_index SET indisvalid = false WHERE indexrelid = ANY (%s::oid[])', (list(oids),))

    def relative(self, definitions, dropped=()):
        """(cost relative to no added index, {statement: cost, index names used})"""
        if self.base is None:
            self.base = sum(s.weight * c for s, (c, used) in self.judge([], []).items())
        costs = self.judge(definitions, dropped)
        total = sum(s.weight * cost for s, (cost, used) in costs.items()) + self.charge(definitions)
        return total / self.base, costs

    def plans(self):
        return {s: (plan['Total Cost'], sorted(set(index_names(plan))))
                for s, plan in ((s, self.session.plan(s.text)) for s in self.workload.statements)}


class ByHypopg(Judge):
    def judge(self, definitions, dropped):
        """None where HypoPG cannot have one of the indexes."""
        self.session.run('BEGIN')
        try:
            self.hide(dropped)
            names = {}
            for definition in definitions:
                oid = self.session.value('SELECT indexrelid FROM hypopg_create_index(%s)', (definition,))
                names[f'<{oid}>'] = definition
            return {s: (cost, [names.get(name.split('>')[0] + '>', name) for name in used]) for s, (cost, used) in self.plans().items()}
        finally:
            self.session.run('ROLLBACK')
            self.session.run('SELECT hypopg_reset()')

    def relative(self, definitions, dropped=()):
        try:
            return super().relative(definitions, dropped)
        except psycopg2.Error:
            return None, None


def clean(session):
    """Drop what was built to be judged, now or by an earlier run."""
    for name, in session.rows("SELECT relname FROM pg_class WHERE relkind = 'i' AND relname ~ '^judged_[0-9]+$'"):
        session.run(f'DROP INDEX public.{name}')


class ByBuilding(Judge):
    def __init__(self, session, workload):
        super().__init__(session, workload)
        self.oids, self.sizes, self.names = {}, {}, {}
        self.seconds = 0.0

    def build(self, definitions):
        for definition in definitions:
            if definition in self.oids:
                continue
            started, run = time.monotonic(), self.session.run
            name = f'judged_{len(self.oids)}'
            table, method, rest = PARTS.match(definition).groups()
            run('BEGIN')
            run(f'CREATE INDEX {name} ON public.{table} USING {method} {rest}')
            oid = self.session.value(f"SELECT '{name}'::regclass::oid")
            if self.session.value('SELECT indexprs IS NOT NULL FROM pg_index WHERE indexrelid = %s', (oid,)):
                columns = self.workload.tables[table].columns
                for target in (0, -1):
                    run(f'ALTER TABLE {table} ' + ', '.join(f'ALTER {column} SET STATISTICS {target}' for column in columns))
                    if target == 0:
                        run(f'ANALYZE {table}')
            run('UPDATE pg_index SET indisvalid = false, indisready = false WHERE indexrelid = %s', (oid,))
            run('COMMIT')
            self.oids[definition], self.names[name] = oid, definition
            self.sizes[definition] = self.session.value('SELECT pg_relation_size(%s)', (oid,))
            self.seconds += time.monotonic() - started

    def show(self, definitions, dropped):
        """In a transaction."""
        self.hide(dropped)
        self.session.run('UPDATE pg_index SET indisvalid = true, indisready = true WHERE indexrelid = ANY (%s::oid[])',
                         ([self.oids[d] for d in definitions],))

    def judge(self, definitions, dropped):
        self.build(definitions)
        self.session.run('BEGIN')
        try:
            self.show(definitions, dropped)
            return {s: (cost, [self.names.get(name, name) for name in used]) for s, (cost, used) in self.plans().items()}
        finally:
            self.session.run('ROLLBACK')

    def size(self, definitions):
        self.build(definitions)
        return sum(self.sizes[d] for d in definitions)

    def execute(self, definitions, dropped, limit_ms=10000):
        """Run everything: (CPU seconds of the server process, weighted; blocks, weighted;
        {statement: CPU seconds of one execution}).
        Reads are run twice and the second counts; writes once each, rolled back.
        What runs into the limit counts as the limit."""
        self.build(definitions)
        cpu, blocks, each = 0.0, 0.0, {}
        self.session.run('BEGIN')
        try:
            self.show(definitions, dropped)
            self.session.run(f'SET LOCAL statement_timeout = {limit_ms}')
            self.session.run('SET LOCAL max_parallel_workers_per_gather = 0')
            for statement in self.workload.statements:
                self.session.run('SAVEPOINT s')
                for _ in range(1 if statement.writes else 2):
                    started = self.session.server_seconds()
                    try:
                        plan = self.session.value('EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) ' + statement.text)
                        plan = (plan if isinstance(plan, list) else json.loads(plan))[0]['Plan']
                        read = plan['Shared Hit Blocks'] + plan['Shared Read Blocks']
                    except psycopg2.errors.QueryCanceled:
                        self.session.run('ROLLBACK TO s')
                        read = 0
                        break
                    finally:
                        spent = self.session.server_seconds() - started
                self.session.run('ROLLBACK TO s')
                each[statement] = spent
                cpu += statement.weight * spent
                blocks += statement.weight * read
            return cpu, blocks, each
        finally:
            self.session.run('ROLLBACK')
