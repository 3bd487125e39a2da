"""What everything else here needs: statements and tables of a workload, a
connection that knows what it costs, and candidate indexes as peers make them.

CPU is that of the server's process (schedstat, in nanoseconds) and, for peers,
of this one. Plans are only ever asked for with EXPLAIN (FORMAT JSON).
"""
import json
import re
import time
from collections import namedtuple

import psycopg2

# What an entry of an index costs a write, in planner units, by access method;
# the same convention for all methods. (One unit is about 5 to 10 us of CPU.)
ENTRY_COST = {'btree': 0.5, 'hash': 0.5, 'gist': 1.0, 'spgist': 1.0, 'gin': 3.0, 'brin': 0.02}


class Session:
    """A connection, and the CPU time its server process used."""

    def __init__(self, host, database, *settings):
        self.connection = psycopg2.connect(host=host, user='postgres', dbname=database)
        self.connection.autocommit = True
        self.cursor = self.connection.cursor()
        self.pid = self.connection.get_backend_pid()
        for setting in settings:
            self.run('SET ' + setting)

    def run(self, sql, arguments=None):
        self.cursor.execute(sql, arguments)

    def rows(self, sql, arguments=None):
        self.cursor.execute(sql, arguments)
        return self.cursor.fetchall()

    def value(self, sql, arguments=None):
        return self.rows(sql, arguments)[0][0]

    def server_seconds(self):
        with open(f'/proc/{self.pid}/schedstat') as file:
            return int(file.read().split()[0]) / 1e9

    def seconds(self):
        return self.server_seconds() + time.process_time()

    def plan(self, statement):
        plan = self.value('EXPLAIN (FORMAT JSON) ' + statement)
        return (plan if isinstance(plan, list) else json.loads(plan))[0]['Plan']

    def close(self):
        self.connection.close()


class Table:
    def __init__(self, name, tuples, size):
        self.name, self.tuples, self.bytes = name, tuples, size
        self.columns = []       # in order
        self.keys = set()       # those that a b-tree can have
        self.indexes = []       # (oid, columns in order) of those that exist


class Statement:
    def __init__(self, name, weight, heavy, text):
        self.name, self.weight, self.heavy, self.text = name, weight, heavy, text
        self.columns = {}       # table: set of columns mentioned
        self.writes = None      # (INSERT, UPDATE or DELETE, table, columns set, rows)


class Workload:
    def __init__(self, name, session, path, every):
        self.name = name
        self.tables = read_tables(session)
        self.bytes = sum(table.bytes for table in self.tables.values())
        self.statements = [s for s in read_statements(path) if every or not s.heavy]
        for statement in self.statements:
            look_at(statement, self.tables, session)


def read_tables(session):
    tables = {}
    for name, tuples, size in session.rows(
            "SELECT relname, reltuples, pg_table_size(oid) FROM pg_class"
            " WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY relname"):
        tables[name] = Table(name, tuples, size)
    for table, column, key in session.rows(
            "SELECT relname, attname, EXISTS (SELECT FROM pg_opclass JOIN pg_am m ON m.oid = opcmethod"
            " WHERE amname = 'btree' AND opcdefault AND opcintype IN (atttypid, CASE WHEN typelem <> 0 AND typlen = -1 THEN 'anyarray'::regtype"
            "   WHEN atttypid = 'varchar'::regtype THEN 'text'::regtype WHEN typtype = 'r' THEN 'anyrange'::regtype END))"
            " FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid JOIN pg_type t ON t.oid = atttypid"
            " WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND attnum > 0 AND NOT attisdropped ORDER BY attrelid, attnum"):
        tables[table].columns.append(column)
        if key:
            tables[table].keys.add(column)
    for table, oid, columns in session.rows(
            "SELECT c.relname, indexrelid, array(SELECT attname::text FROM unnest(indkey) WITH ORDINALITY k (n, i) JOIN pg_attribute ON attrelid = indrelid AND attnum = n ORDER BY i)"
            " FROM pg_index JOIN pg_class c ON c.oid = indrelid WHERE indisvalid AND relnamespace = 'public'::regnamespace"):
        tables[table].indexes.append((oid, tuple(columns)))
    return tables


def read_statements(path):
    """A file has statements, each below a line "-- NAME [weight N] [heavy]"."""
    with open(path) as file:
        for part in re.split(r'(?m)^-- (?=\w+(?: weight [\d.]+)?(?: heavy)?$)', file.read())[1:]:
            head, text = part.split('\n', 1)
            weight = re.search(r'weight ([\d.]+)', head)
            yield Statement(head.split()[0], float(weight.group(1)) if weight else 1.0, 'heavy' in head, text.strip().rstrip(';'))


def look_at(statement, tables, session):
    """Which columns a statement mentions: any word of it that is a column's name
    of any of its tables (all of them where it says *)."""
    bare = re.sub(r"'[^']*'", "''", statement.text)
    words = set(re.findall(r'[a-z_][a-z_0-9]*', bare.lower()))
    star = re.search(r'(select|,)\s+(\w+\.)?\*', bare, re.I)
    for name, table in tables.items():
        if name in words:
            statement.columns[name] = set(table.columns) if star and len(words & set(tables)) == 1 else words & set(table.columns)
    found = re.match(r'(INSERT) INTO (\w+)|(UPDATE) (\w+)|(DELETE) FROM (\w+)', statement.text)
    if found:
        kind, table = [group for group in found.groups() if group]
        plan = session.plan(statement.text)
        rows = plan['Plans'][0]['Plan Rows'] if 'Plans' in plan else 1
        changed = set(re.findall(r'(\w+) = ', re.split(r'\bWHERE\b', bare.split(' SET ', 1)[1])[0])) if kind == 'UPDATE' else set()
        statement.writes = (kind, table, changed, rows)


def exists(table, keys):
    """Is there an index with these leading keys? Then none is proposed with just
    them: HypoPG, whose trees have no height, would find a copy cheaper."""
    return any(columns[:len(keys)] == tuple(keys) for oid, columns in table.indexes)


class Index(namedtuple('Index', 'table keys include')):
    """A candidate of the peers: columns only, ascending."""

    __slots__ = ()

    @property
    def definition(self):
        include = f" INCLUDE ({', '.join(self.include)})" if self.include else ''
        return f"CREATE INDEX ON {self.table} ({', '.join(self.keys)}){include}"


def write_charge(workload, indexes):
    """What the workload's writes pay for added indexes, given as (table, access
    method, columns, share of the table's rows): entries for new rows, and for
    rows moved by an UPDATE of an indexed column, in the existing ones too."""
    charge = 0.0
    for statement in workload.statements:
        if not statement.writes:
            continue
        kind, name, changed, rows = statement.writes
        added = [(method, set(columns), share) for table, method, columns, share in indexes if table == name]
        if not added or kind == 'DELETE':
            continue
        entries = sum(ENTRY_COST.get(method, 1.0) * share for method, columns, share in added)
        if kind == 'UPDATE':
            existing = workload.tables[name].indexes
            if any(changed.intersection(columns) for oid, columns in existing):
                pass                        # not HOT in any case
            elif any(columns & changed for method, columns, share in added if method != 'brin'):
                entries += ENTRY_COST['btree'] * len(existing)
            else:
                continue
        charge += statement.weight * rows * entries
    return charge
