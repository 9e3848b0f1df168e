"""What must hold of a run: each invariant yields what violates it. All of them are pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate

from torture.batches import batch_of
from torture.history import Content, History, Stored
from torture.plan import Plan
from torture.testimony import Account, Attempt, Read, Refusal, StateSeen, Stop

WRITES = ("insert", "upsert", "delete")
SECOND = 1_000_000_000


def seqs_have_no_gaps(history: History) -> Iterator[str]:
    """Every seq from 1 to the last is there."""
    for seq in history.seqs_missing:
        yield f"the log has no entry {seq}"


def acknowledged_is_stored(attempts: Iterable[Attempt], history: History) -> Iterator[str]:
    """What was acknowledged is in the log, at the seq that was said, as it was meant."""
    for attempt in attempts:
        if attempt.kind not in WRITES or attempt.end is None or attempt.refused:
            continue
        stored = None if attempt.seq is None else history.ending_at(attempt.seq)
        if stored is None:
            yield f"{attempt} was acknowledged with seq {attempt.seq}, where no command ends"
        elif not _is(stored, attempt):
            yield f"{attempt} was acknowledged with seq {attempt.seq}, where something else is"


def _is(stored: Stored, attempt: Attempt) -> bool:
    assert attempt.batch is not None
    stamps = [attempt.stamp] * attempt.batch.size if attempt.kind != "delete" else []
    return (stored.kind, stored.collection, sorted(stored.pks), stored.stamps) == (
        attempt.kind,
        attempt.collection,
        attempt.batch.pks,
        stamps,
    )


def stored_is_attempted(attempts: Iterable[Attempt], history: History) -> Iterator[str]:
    """What is in the log was attempted, once, and was not refused."""
    meant: dict[object, list[Attempt]] = defaultdict(list)
    for attempt in attempts:
        if attempt.kind in WRITES:
            meant[_name_of(attempt)].append(attempt)
    for stored in history.commands:
        if stored.kind not in WRITES or stored.stamps[:1] == [0]:
            continue  # stamp 0: what was there before the run
        batch = batch_of(stored.pks[0])
        entry = f"entry {stored.last} ({stored.kind} {batch})"
        name = stored.stamps[0] if stored.stamps else (stored.collection, batch)
        candidates = meant.get(name, [])
        fits = [a for a in candidates if not a.refused and _is(stored, a)]
        exact = [a for a in fits if a.seq == stored.last]
        free = exact or [a for a in fits if a.seq is None]
        if free:
            candidates.remove(free[0])
        elif any(a.refused and _is(stored, a) for a in candidates):
            yield f"{entry} was refused, and is stored"
        else:
            yield f"{entry} was not attempted, or is there twice"


def _name_of(attempt: Attempt) -> object:
    return attempt.stamp or (attempt.collection, attempt.batch)


def reads_are_states(reads: Sequence[Read], history: History) -> Iterator[str]:
    """Every read gave what the log says for the seq that it carries: no row twice, no half batch,
    nothing lost, nothing that was not yet or no longer there."""
    by_seq: dict[int, list[Read]] = defaultdict(list)
    for read in reads:
        by_seq[read.seq].append(read)
    for seq, contents in history.contents(by_seq):
        cut = history.within_a_command(seq)
        for read in by_seq[seq]:
            if cut is not None:
                yield f"{read}: half of a command (entries {cut.first} to {cut.last}) was seen"
            elif seq > history.last_seq:
                yield f"{read}: the log ends with {history.last_seq}"
            else:
                yield from _differences(read, contents[read.collection])


def _differences(read: Read, content: Content) -> Iterator[str]:
    what, rows = read.what, content.rows
    if read.kind in ("all", "count") and what["n"] != len(rows):
        yield f"{read} gave {what['n']} rows, the log has {len(rows)}"
    elif read.kind == "all" and what["hash"] != content.hash:
        yield f"{read} gave other rows than the log has"
    pairs = [tuple(pair) for pair in what.get("pairs", [])]
    if len({pk for pk, _ in pairs}) != len(pairs):
        yield f"{read} gave a row twice: {pairs}"
    strange = [pair for pair in pairs if rows.get(pair[0]) != pair[1]]
    if strange:
        yield f"{read} gave rows that the log does not have then: {strange}"
    if read.kind == "search" and len(pairs) != min(what["limit"], len(rows)):
        yield f"{read} found {len(pairs)} rows of {len(rows)}, limit {what['limit']}"
    if read.kind == "get":
        owner, number, size = what["batch"]
        first = owner << 32 | number << 8 | size << 4
        there = sum(pk in rows for pk in range(first, first + size))
        if there != len(pairs):
            yield f"{read} gave {len(pairs)} rows of the batch, the log has {there}"


def reads_are_fresh(reads: Iterable[Read], attempts: Iterable[Attempt]) -> Iterator[str]:
    """What was acknowledged anywhere before a Strong read began is seen by it; before a Session
    read, what its own process wrote."""
    acks: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
    for attempt in attempts:
        if attempt.kind in WRITES and attempt.seq is not None and attempt.end is not None:
            for process in ("", attempt.process):
                acks[attempt.collection, process].append((attempt.end, attempt.seq))
    newest: dict[tuple[str, str], tuple[list[int], list[int]]] = {}
    for key, found in acks.items():
        found.sort()
        newest[key] = [t for t, _ in found], list(accumulate((s for _, s in found), max))
    for read in reads:
        if read.level not in ("Strong", "Session"):
            continue
        own = read.process if read.level == "Session" else ""
        times, seqs = newest.get((read.collection, own), ([], []))
        before = bisect_left(times, read.start)
        if before and seqs[before - 1] > read.seq:
            late = (read.start - times[bisect_left(seqs, read.seq + 1)]) / SECOND
            yield (
                f"{read} ({read.level}) did not see seq {seqs[before - 1]}, acknowledged "
                f"{late * 1000:.3f} ms and less before it began"
            )


def no_reader_goes_back(reads: Iterable[Read]) -> Iterator[str]:
    """The reads of a process never go back in seq."""
    newest: dict[tuple[str, str], Read] = {}
    for read in reads:
        before = newest.setdefault((read.process, read.collection), read)
        if read.seq < before.seq:
            yield f"{read} went back behind {before}"
        newest[read.process, read.collection] = read


class Moments:
    """Between which times the entry with a seq was committed, as far as was written down."""

    def __init__(self, account: Account) -> None:
        acked = [a for a in account.attempts if a.seq is not None and a.end is not None]
        begun = sorted((a.seq or 0, a.start) for a in acked)
        known = sorted(
            [(a.seq or 0, a.end or 0) for a in acked] + [(r.seq, r.end) for r in account.reads]
        )
        self._begun = [seq for seq, _ in begun]
        self._starts = list(accumulate((t for _, t in begun), max))
        self._known = [seq for seq, _ in known]
        self._ends = list(accumulate((t for _, t in reversed(known)), min))[::-1]

    def earliest(self, seq: int) -> int:
        """Not before any command that has this seq or a smaller one began."""
        place = bisect_right(self._begun, seq)
        return self._starts[place - 1] if place else 0

    def latest(self, seq: int) -> int:
        """Not after anybody knew of this seq or a greater one."""
        place = bisect_left(self._known, seq)
        return self._ends[place] if place < len(self._ends) else 1 << 63


def loads_hold_for_all(account: Account, history: History) -> Iterator[str]:
    """A read is answered only while the collection may have been loaded, and is refused for that
    only while it may have been released: a read sees the flag of some moment while it ran."""
    moments = Moments(account)
    spans: dict[tuple[str, bool], list[tuple[int, int]]] = defaultdict(list)
    begun: dict[str, tuple[bool, int]] = {}
    for stored in history.commands:
        created = stored.kind == "other" and stored.collection not in begun and stored.collection
        if stored.kind not in ("load", "release") and not created:
            continue
        loaded = stored.kind == "load"
        before = begun.get(stored.collection)
        if before is not None:
            span = (before[1], moments.latest(stored.last))
            spans[stored.collection, before[0]].append(span)
        begun[stored.collection] = (loaded, moments.earliest(stored.last))
    for name, (loaded, start) in begun.items():
        spans[name, loaded].append((start, 1 << 63))

    def possible(collection: str, loaded: bool, start: int, end: int) -> bool:
        return any(a <= end and start <= b for a, b in spans[collection, loaded])

    for read in account.reads:
        strong = read.level == "Strong"
        if strong and not possible(read.collection, True, read.start, read.end):
            yield f"{read} was answered, and the collection was released all the time"
    for refusal in account.refusals:
        if refusal.error == "CollectionNotLoadedException" and not possible(
            refusal.collection, False, refusal.start, refusal.end
        ):
            yield f"{refusal}, and the collection was loaded all the time"


def _covered(stops: Iterable[Stop], refusal: Refusal) -> int:
    """For how long of a refused command, ns, at least one of these processes stood still."""
    covered, until = 0, refusal.start
    for stop in sorted(stops, key=lambda s: s.start):
        end = min(stop.end, refusal.end)
        covered += max(0, end - max(stop.start, until))
        until = max(until, end)
    return covered


def timeouts_are_explained(
    refusals: Iterable[Refusal], stops: Sequence[Stop], plan: Plan
) -> Iterator[str]:
    """A wait for the writer lock runs out only while the process that it names stands still, and
    only if that one and others before it did for as long. Waiting for files may take longer."""
    enough = (plan.lock_timeout_s - plan.slack_s) * SECOND
    for refusal in refusals:
        if refusal.error == "TimeoutException" and refusal.kind != "wait":
            yield f"{refusal}: {refusal.text}"
        if refusal.error != "LockTimeoutException":
            continue
        within = [s for s in stops if s.start < refusal.end and refusal.start < s.end]
        named = [s for s in within if f"process {s.pid} " in refusal.text]
        own = max((min(s.end, refusal.end) - max(s.start, refusal.start) for s in named), default=0)
        if own < plan.slack_s * SECOND or _covered(within, refusal) < enough:
            yield f"{refusal}, and that process was not stopped: {refusal.text}"


def readers_go_on(account: Account, plan: Plan) -> Iterator[str]:
    """While a process stands still for long, every reader that does not reads all the same."""
    spans: dict[str, tuple[int, int]] = {}
    ends: dict[str, list[int]] = defaultdict(list)
    for read in account.reads:
        start, end = spans.get(read.process, (read.start, read.end))
        spans[read.process] = (min(start, read.start), max(end, read.end))
        ends[read.process].append(read.end)
    stopped: dict[str, list[Stop]] = defaultdict(list)
    for stop in account.stops:
        stopped[stop.process].append(stop)
    for stop in account.stops:
        if stop.end - stop.start < plan.lock_timeout_s * SECOND:
            continue
        for process, (start, end) in spans.items():
            role = process.split("-")[0]
            awake = start <= stop.start and stop.end <= end and process != stop.process
            still = any(s.start <= stop.end and stop.start <= s.end for s in stopped[process])
            if role not in ("reader", "observer") or not awake or still:
                continue
            place = bisect_left(ends[process], stop.start)
            if place == len(ends[process]) or ends[process][place] > stop.end:
                yield f"{process} read nothing while {stop.process} was stopped"


def digests_are_replayed(states: Iterable[StateSeen], replayed: Mapping[int, str]) -> Iterator[str]:
    """The digest that a process had at a seq is that of a replay from zero up to it."""
    for seen in states:
        wanted = replayed.get(seen.seq)
        if wanted is None:
            yield f"{seen.process} had a state at seq {seen.seq}, where no command ends"
        elif wanted != seen.digest:
            yield f"{seen.process} had digest {seen.digest} at seq {seen.seq}, not {wanted}"


def all_end_alike(states: Iterable[StateSeen], processes: Iterable[str]) -> Iterator[str]:
    """In the last round all processes told the same seq and digest."""
    rounds: dict[int, dict[str, StateSeen]] = defaultdict(dict)
    for seen in states:
        rounds[seen.round][seen.process] = seen
    last = rounds[max(rounds)] if rounds and max(rounds) else {}
    for process in processes:
        if process not in last:
            yield f"{process} did not tell its state in the end"
    if len({(seen.seq, seen.digest) for seen in last.values()}) > 1:
        told = ", ".join(f"{s.process} {s.seq} {s.digest}" for s in last.values())
        yield f"the processes end with different states: {told}"
