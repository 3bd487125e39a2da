"""One workload through all methods and budgets: see test/bench/advise.

For work on the advisor it may be run by itself, against any server that has
pg_hone preloaded, autovacuum off, and the workload loaded (random.sql and the
workload's load.sql, with -v scale=..., then VACUUM ANALYZE). With --peers FILE
what peers chose is kept in FILE, and not asked again:

	run.py --host DIRECTORY --database tpch --statements tpch/statements.sql --peers FILE --losses 5

Order matters: pg_hone is asked first, of a database that has nothing else in it,
then the peers with hypothetical indexes; only then is anything built.
"""
import argparse
import hashlib
import json
import os
import sys
import time

import peers
import together
from base import Session, Workload
from judge import ByBuilding, ByHypopg, anonymous, clean

MB = 1e6
STARTED = time.monotonic()


class Answer:
    """What a method chose at a budget, what that took, and how it was judged."""

    def __init__(self, method, budget, definitions, dropped=(), note='', size=0, gap=None, calls=0, cpu=0.0, wall=None):
        self.method, self.budget, self.definitions, self.dropped, self.note = method, budget, definitions, list(dropped), note
        self.size, self.gap, self.calls, self.cpu, self.wall = size, gap, calls, cpu, wall
        self.hypopg = self.built = self.costs = self.built_size = self.executed = None


def ask_hone(options, workload, budget):
    session = Session(options.host, options.database)
    session.run('CREATE EXTENSION IF NOT EXISTS pg_hone')
    session.run("SET pg_hone.advisor_time_limit = '10min'")
    texts, weights = [s.text for s in workload.statements], [s.weight for s in workload.statements]
    cpu, wall = session.server_seconds(), time.monotonic()
    found = session.rows('SELECT action, definition, size_bytes, undo_definition FROM hone.recommend_for(%s, %s, %s)', (texts, weights, budget))
    cpu, wall = session.server_seconds() - cpu, time.monotonic() - wall
    names = [row[0] for row in session.rows("SELECT attname FROM pg_attribute WHERE attrelid = 'hone.advisor_runs'::regclass AND attnum > 0")]
    run = dict(zip(names, session.rows('SELECT * FROM hone.advisor_runs ORDER BY run_id DESC LIMIT 1')[0]))
    for skipped in run['skipped']:
        print(f'pg_hone skipped a statement: {skipped}', file=sys.stderr)
    dropped = [session.value('SELECT %s::regclass::oid', (definition.split()[-1].rstrip(';'),))
               for action, definition, size, undo in found if action == 'drop']
    created = [row for row in found if row[0] == 'create']
    session.close()
    return Answer('pg_hone', budget, [anonymous(row[1]) for row in created], dropped, f'drops {len(dropped)}' if dropped else '',
                  sum(row[2] for row in created), run.get('gap'), run['planner_calls'], cpu, wall)


class Kept:
    """What peers chose before, in a file: the same question gets the same answer."""

    def __init__(self, path, workload):
        self.path, self.found = path, {}
        self.workload = hashlib.md5(repr([(s.text, s.weight) for s in workload.statements]).encode()).hexdigest()
        if path and os.path.exists(path):
            with open(path) as file:
                self.found = json.load(file)

    def key(self, *question):
        return ' '.join(map(str, (self.workload,) + question))

    def keep(self, key, answer):
        self.found[key] = answer
        if self.path:
            with open(self.path, 'w') as file:
                json.dump(self.found, file, indent=1)


def ask_peer(kept, whatif, name, method, budget, seconds):
    key = kept.key(name, budget, seconds)
    if key not in kept.found:
        whatif.begin(seconds)
        chosen, note = method(whatif, budget if budget is not None else float('inf'))
        kept.keep(key, [[anonymous(i.definition) for i in chosen], note, sum(whatif.size(i) for i in chosen), whatif.calls, whatif.seconds()])
        progress(f'{name} at {budget}')
    definitions, note, size, calls, cpu = kept.found[key]
    return Answer(name, budget, definitions, (), note, size, None, calls, cpu)


def progress(what):
    print(f'[{time.monotonic() - STARTED:5.0f} s] {what}', file=sys.stderr, flush=True)


def judge(answers, by_hypopg, by_building, execute):
    for answer in answers:
        if by_hypopg:
            answer.hypopg, answer.costs = by_hypopg.relative(answer.definitions, answer.dropped)
        if by_building:
            answer.built, answer.costs = by_building.relative(answer.definitions, answer.dropped)
            answer.built_size = by_building.size(answer.definitions)
            if execute:
                answer.executed = by_building.execute(answer.definitions, answer.dropped)


def figure(value, form):
    return '-' if value is None else form.format(value)


def print_table(workload, budget, answers, base_executed):
    executed = ' CPU run | blocks |' if base_executed else ''
    share = 'no limit' if budget is None else f'{100 * budget / workload.bytes:.0f} %, {budget / MB:.1f} MB'
    print(f'\n#### {workload.name}, budget {share}\n')
    print(f'| method | cost, HypoPG | cost, built |{executed} indexes | MB estimated | MB built | gap | planner calls | CPU s | wall s | |')
    print('| --- ' * (11 + 2 * bool(base_executed)) + '|')
    for a in answers:
        run = ''
        if base_executed:
            run = ' - | - |' if a.executed is None else f' {a.executed[0] / base_executed[0]:.4f} | {a.executed[1] / base_executed[1]:.4f} |'
        over = budget is not None and a.built_size is not None and a.built_size > budget * 1.02
        print(f"| {a.method} | {figure(a.hypopg, '{:.4f}')} | {figure(a.built, '{:.4f}')} |{run} {len(a.definitions)} | {a.size / MB:.1f} |"
              f" {figure(a.built_size and a.built_size / MB, '{:.1f}')}{' (over)' if over else ''} | {figure(a.gap, '{:.4f}')} | {a.calls} |"
              f" {a.cpu:.2f} | {figure(a.wall, '{:.2f}')} | {a.note} |")


def print_summary(workload, budgets, answers):
    """All budgets beside each other."""
    names = dict.fromkeys(a.method for budget in budgets for a in answers[budget])
    for title, cell in (('cost with the indexes built (by HypoPG)', lambda a: f"{figure(a.built, '{:.4f}')} ({figure(a.hypopg, '{:.4f}')})"),
                        ('indexes, MB built', lambda a: f"{len(a.definitions)}, {figure(a.built_size is not None and a.built_size / MB or None, '{:.1f}')}"),
                        ('planner calls, CPU seconds', lambda a: f'{a.calls:,}, {a.cpu:.1f}')):
        print(f'\n{workload.name}: {title}\n')
        print('| method | ' + ' | '.join('no limit' if b is None else f'{100 * b / workload.bytes:.0f} %' for b in budgets) + ' |')
        print('| --- ' * (1 + len(budgets)) + '|')
        for name in names:
            cells = [next((cell(a) for a in answers[budget] if a.method == name), '') for budget in budgets]
            print(f"| {name} | {' | '.join(cells)} |")


def print_slowest(workload, answers, base, limit):
    """What is left of the CPU time with pg_hone's indexes, when executed."""
    hone = next(a for a in answers if a.method == 'pg_hone')
    print(f'\nExecuted, {base[0]:.1f} s of CPU without added indexes, {hone.executed[0]:.1f} s with those of pg_hone, most of it in:')
    for s in sorted(workload.statements, key=lambda s: -s.weight * hone.executed[2][s])[:limit]:
        print(f"  {s.name}, weight {s.weight:g}: {1e3 * hone.executed[2][s]:.2f} ms (estimated {hone.costs[s][0]:.1f}), before {1e3 * base[2][s]:.2f} ms;"
              + ''.join(f" {a.method} {1e3 * a.executed[2][s]:.2f}" for a in answers if a is not hone)
              + f" ({'; '.join(name.replace('CREATE INDEX ON public.', '') for name in hone.costs[s][1]) or 'no index'})")


def print_losses(workload, budget, answers, every, limit):
    """Where another set is better than pg_hone's: on which statements, by which
    indexes. HypoPG takes b-trees for larger than they get, so peers leave much of a
    budget unused: their sets for larger budgets count too, where they fit when built."""
    hone = next(a for a in answers if a.method == 'pg_hone')
    others = [a for a in every if a.method != 'pg_hone' and a.built is not None
              and (a in answers or budget is None or a.method != 'together' and a.built_size <= budget)]
    if not others or hone.built is None:
        return
    for what, found in (('peer', [a for a in others if a.method != 'together']), ('set put together of all', [a for a in others if a.method == 'together'])):
        if found:
            best = min(found, key=lambda a: a.built)
            print(f"\nCost with pg_hone: {100 * (hone.built / best.built - 1):+.1f} % beside the best {what}"
                  + (f' ({best.method}, {best.built:.4f}, {best.built_size / MB:.1f} MB built).' if what == 'peer' else '.'))
    best = min(others, key=lambda a: a.built)
    if best.built >= hone.built:
        return
    differ = sorted(workload.statements, key=lambda s: s.weight * (best.costs[s][0] - hone.costs[s][0]))[:limit]
    for s in differ:
        if best.costs[s][0] >= hone.costs[s][0]:
            break
        print(f'\n{s.name}, weight {s.weight:g}: {hone.costs[s][0]:.1f} with pg_hone, {best.costs[s][0]:.1f} with {best.method}')
        for title, answer in (('pg_hone', hone), (best.method, best)):
            print(f"  {title}: {'; '.join(name.replace('CREATE INDEX ON public.', '') for name in answer.costs[s][1]) or 'no index'}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--host', required=True)
    parser.add_argument('--database', required=True)
    parser.add_argument('--statements', required=True)
    parser.add_argument('--budgets', default='5,10,25,50,100,none')
    parser.add_argument('--methods', default='pg_hone,extend,extend+include,db2advis,anytime,dexter,together')
    parser.add_argument('--peer-seconds', type=float, default=60)
    parser.add_argument('--peers', help='file of what peers chose')
    parser.add_argument('--all', action='store_true')
    parser.add_argument('--build', default='auto', choices=('auto', 'yes', 'no'))
    parser.add_argument('--execute', action='store_true')
    parser.add_argument('--losses', type=int, default=0)
    parser.add_argument('--show', action='store_true')
    options = parser.parse_args()
    methods = options.methods.split(',')

    session = Session(options.host, options.database, 'pg_hone.enabled = off', "maintenance_work_mem = '256MB'")
    clean(session)
    hypopg = session.value("SELECT count(*) FROM pg_available_extensions WHERE name = 'hypopg'")
    if hypopg:
        session.run('CREATE EXTENSION IF NOT EXISTS hypopg')
    else:
        print('HypoPG is not installed (package postgresql-15-hypopg): no peers, and indexes are judged by building them')
    workload = Workload(options.database, session, options.statements, options.all)
    budgets = [None if b == 'none' else int(workload.bytes * float(b) / 100) for b in options.budgets.split(',')]
    print(f'\n### {workload.name}: {len(workload.statements)} statements, tables of {workload.bytes / MB:.1f} MB', flush=True)

    answers = {budget: [] for budget in budgets}
    if 'pg_hone' in methods:
        for budget in budgets:
            answers[budget].append(ask_hone(options, workload, budget))
            progress(f'pg_hone at {budget}')
    if hypopg:
        whatif, kept = peers.WhatIf(session, workload), Kept(options.peers, workload)
        for name, method in peers.PEERS.items():
            for budget in budgets if name in methods else []:
                answers[budget].append(ask_peer(kept, whatif, name, method, budget, options.peer_seconds))
        if 'dexter' in methods and None in budgets:
            answers[None].append(ask_peer(kept, whatif, 'dexter', peers.dexter, None, options.peer_seconds))
        session.run('SELECT hypopg_reset()')
    build = options.build == 'yes' or options.build == 'auto' and workload.bytes < 2e9
    by_hypopg = ByHypopg(session, workload) if hypopg else None
    by_building = ByBuilding(session, workload) if build else None
    every = [a for found in answers.values() for a in found]
    progress('building')
    if build:
        by_building.build([d for a in every for d in a.definitions])
    if build and 'together' in methods:
        for budget in budgets:
            chosen, seconds, calls = together.choose(by_building, every, budget)
            progress(f'together at {budget}')
            answers[budget].append(Answer('together', budget, chosen, (), 'bar', by_building.size(chosen), None, calls, seconds))
            every.append(answers[budget][-1])       # a larger budget starts from it
    executed = by_building.execute([], []) if build and options.execute else None
    for budget in budgets:
        judge(answers[budget], by_hypopg, by_building, options.execute)
        progress(f'judged at {budget}')
    for budget in budgets:
        print_table(workload, budget, answers[budget], executed)
        if 'pg_hone' in methods and build:
            print_losses(workload, budget, answers[budget], every, options.losses)
            if executed and options.losses:
                print_slowest(workload, answers[budget], executed, options.losses)
        if options.show:
            for a in answers[budget]:
                print(f'\n{a.method}:')
                for definition in a.definitions:
                    print(f"  {definition.replace('CREATE INDEX ON public.', '')}" +
                          (f' -- {by_building.sizes[definition] / MB:.2f} MB' if build else ''))
        sys.stdout.flush()
    print_summary(workload, budgets, answers)
    if build:
        print(f'\n({len(by_building.oids)} indexes were built, in {by_building.seconds:.0f} s.)')
        clean(session)


main()
