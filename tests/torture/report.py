"""The numbers of a run."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from torture.runner import SHOWN, Outcome


def lines(outcome: Outcome) -> Iterator[str]:
    """What a run did, a line for each fact; with its violations, if any."""
    plan, account = outcome.processes.plan, outcome.account
    kind = "calm, " if plan.calm else ""
    yield f"seed {plan.seed}, {kind}{outcome.seconds:.1f} s, folder {outcome.folder}"
    acked = [a for a in account.attempts if a.end is not None and not a.refused]
    yield "commands  " + _counted(Counter(a.kind for a in acked))
    yield "reads     " + _counted(Counter(r.kind for r in account.reads))
    yield "faults    " + _counted(outcome.processes.faults)
    yield "refused   " + _counted(Counter(r.error for r in account.refusals))
    lost = sum(a.end is None for a in account.attempts)
    yield f"in flight when killed  {lost}, processes  {len(outcome.processes.pids)}"
    if outcome.history is not None:
        history = outcome.history
        _, contents = next(history.contents([history.last_seq]))
        rows = sum(len(content.rows) for content in contents.values())
        yield f"log       {history.last_seq} seqs, {rows} rows, {len(account.states)} digests"
    yield from _throughput(outcome)
    yield from _slowest(outcome)
    if outcome.violations:
        yield f"VIOLATED  {len(outcome.violations)} times"
        yield from outcome.violations[:SHOWN]
    else:
        yield "held      everything"


def _counted(counter: Counter[str]) -> str:
    return ", ".join(f"{name} {n}" for name, n in sorted(counter.items())) or "none"


def _throughput(outcome: Outcome) -> Iterator[str]:
    """Commands or reads a second, by process; the fairness among writers."""
    done: Counter[str] = Counter()
    done.update(a.process for a in outcome.account.attempts if a.end and not a.refused)
    done.update(r.process for r in outcome.account.reads)
    rates: dict[str, list[float]] = defaultdict(list)
    counts: Counter[str] = Counter()
    seconds: dict[str, float] = defaultdict(float)
    lives = _lives(outcome)
    for process, count in done.items():
        role = process.split("-")[0]
        rates[role].append(count / lives[process])
        counts[role] += count
        seconds[role] += lives[process]
    for role, found in sorted(rates.items()):
        if outcome.processes.plan.calm:
            all_of_them = " ".join(f"{rate:.0f}" for rate in sorted(found))
            fair = min(found) / max(found)
            yield f"{role}s a second  {all_of_them}  (sum {sum(found):.0f}, min/max {fair:.2f})"
        else:
            each = counts[role] / seconds[role]
            yield f"{role}s a second  {each:.0f} each, {len(found)} processes"


def _lives(outcome: Outcome) -> dict[str, float]:
    """Seconds from the first to the last thing that each process did."""
    times: dict[str, list[int]] = defaultdict(list)
    for attempt in outcome.account.attempts:
        times[attempt.process] += [attempt.start, attempt.end or attempt.start]
    for read in outcome.account.reads:
        times[read.process] += [read.start, read.end]
    return {name: max((max(at) - min(at)) / 1e9, 1e-3) for name, at in times.items()}


def _slowest(outcome: Outcome) -> Iterator[str]:
    account = outcome.account
    writes = [(a.end - a.start) / 1e6 for a in account.attempts if a.end and a.kind != "wait"]
    reads = [(r.end - r.start) / 1e6 for r in account.reads]
    for name, found in (("write", sorted(writes)), ("read", sorted(reads))):
        if found:
            middle, last = found[len(found) // 2], found[int(len(found) * 0.999)]
            yield f"{name} ms  median {middle:.2f}, 99.9 % {last:.1f}, slowest {found[-1]:.0f}"
