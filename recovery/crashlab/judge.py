"""The oracle: is what is found in a folder after a crash what the store has promised?

With acknowledged operations 1..a and operations 1..t begun, the state found must be that after
k operations for one k from a to t: acknowledged <= stored <= attempted, in order, with no hole
and nothing half there, each with its content. Then: the store's own check finds nothing; a
further operation works; and opened again it holds the same.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from walvec.crashlab.adapter import Adapter, Op

logger = logging.getLogger(__name__)
MAX_TEXT = 2000


class Expectation(NamedTuple):
    """What a run had got to: its operations, how many were acknowledged, how many begun.

    `may_lose` acknowledged ones may be missing. `fingerprints` are what the run saw."""

    ops: tuple[Op, ...]
    acked: int
    tried: int
    may_lose: int = 0
    fingerprints: tuple[tuple[str, str], ...] = ()


class Verdict(NamedTuple):
    """What was found. `wrong` says what is wrong, each in a line: nothing if all is well.

    `kept` is how many operations the state found is the result of, -1 for none that may be; if
    it is one `between` two, those before it."""

    wrong: tuple[str, ...] = ()
    kept: int = -1
    found: str = ""
    expected: tuple[str, ...] = ()
    between: bool = False

    @property
    def ok(self) -> bool:
        return not self.wrong


class _OtherState(Exception):
    """A state that was read is not the one that it must be."""

    def __init__(self, text: str, found: Any, wanted: Any) -> None:
        super().__init__(text)
        self.found = found
        self.wanted = wanted


class Judge:
    """Judges folders of one adapter's stores. What it has learned of workloads it keeps."""

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter
        self._states: dict[tuple[Op, ...], Any] = {}

    def judge(self, folder: Path, expectation: Expectation) -> Verdict:
        """Open the store in a folder, which changes it, and say what is wrong with it."""
        adapter = self._adapter
        allowed: list[tuple[int, Any]] = []
        step = "doing the same operations in an empty folder, without a crash,"
        found: Any = None
        between = False
        try:
            allowed = self._allowed(expectation)
            step = "opening it"
            handle = adapter.open(folder)
            with contextlib.ExitStack() as cleanup:
                cleanup.callback(_close_quietly, adapter, handle)
                step = "reading it"
                found = adapter.state(handle)
                kept = next((k for k, state in allowed if state == found), -1)
                between = kept >= 0 and self.state_after(expectation.ops[:kept]) != found
                wrong = [self._misfit(expectation, found)] if kept < 0 else []
                if kept < 0 and adapter.state(handle) != found:
                    wrong.append("read twice it is not equal: state() must give plain data, sorted")
                step = "checking it"
                # Before the check, which may mend what the run had mended later, or otherwise.
                wrong += _stranger(adapter.fingerprint(handle), expectation.fingerprints)
                wrong += adapter.check(handle)
                left = adapter.fingerprint(handle)
                step = "closing it"
                cleanup.pop_all()
                adapter.close(handle)
            if not wrong:
                step = "opening it once more"
                may_go_on = -1 if between else kept
                self._go_on(folder, expectation.ops, may_go_on, found, left)
        except _OtherState as other:
            wrong, found, allowed = [str(other)], other.found, [(kept, other.wanted)]
        except Exception as error:
            # Without the place, which is another one in each run.
            said = str(getattr(error, "message", error)).replace(f"{folder}/", "")
            wrong, kept = [f"{step} failed: {type(error).__name__}: {said}"], -1
        expected = tuple(shown(state) for _, state in allowed) if wrong else ()
        text = "" if found is None else shown(found)
        return Verdict(tuple(wrong), kept, text, expected, between)

    def _go_on(
        self,
        folder: Path,
        ops: Sequence[Op],
        kept: int,
        found: Any,
        left: tuple[str, str] | None,
    ) -> None:
        """Open it a second time, do what would have come next, and look at what is there then.
        Raises _OtherState where that is something else.

        Where the digest is the one that was `left`, the first look is spared. Where it is not
        known what would come next, `kept` is -1.
        """
        adapter = self._adapter
        handle = adapter.open(folder)
        with contextlib.ExitStack() as cleanup:
            cleanup.callback(_close_quietly, adapter, handle)
            if left is None or kept < 0 or adapter.fingerprint(handle) != left:
                again = adapter.state(handle)
                if again != found:
                    raise _OtherState("opened again it holds something else", again, found)
            if kept >= 0:
                done = tuple(ops[:kept])
                if kept < len(ops):
                    more = ops[kept]
                else:
                    more = Op(adapter.further([op.name for op in done]), kept + 1)
                adapter.apply(handle, more)
                state, wanted = adapter.state(handle), self.state_after((*done, more))
                if state != wanted:
                    text = f"a further operation, {more.name}, left another state than it must"
                    raise _OtherState(text, state, wanted)
            cleanup.pop_all()
            adapter.close(handle)

    def _allowed(self, expectation: Expectation) -> list[tuple[int, Any]]:
        """The states that may be found, each with the number of operations behind it."""
        ops, acked, tried, may_lose, _ = expectation
        first = max(0, acked - may_lose)
        allowed = [(k, self.state_after(ops[:k])) for k in range(tried, first - 1, -1)]
        for k in range(first + 1, tried + 1):
            allowed += [(k - 1, state) for state in self._adapter.between(ops[:k])]
        return allowed

    def _misfit(self, expectation: Expectation, found: Any) -> str:
        ops, acked, tried = expectation[:3]
        for k in range(len(ops), -1, -1):
            if self.state_after(ops[:k]) == found:
                if k < acked:
                    lost = ", ".join(f"{op.name} ({op.number})" for op in ops[k:acked])
                    return f"acknowledged and lost: {lost}"
                return f"stored, but never attempted: operations {tried + 1} to {k}"
        return f"what is found is the result of no first part of the {tried} operations attempted"

    def state_after(self, ops: Sequence[Op]) -> Any:
        """The state after these operations without a crash."""
        key = tuple(ops)
        if key not in self._states:
            try:
                self._states[key] = self._adapter.model(key)
            except NotImplementedError:
                self._states[key] = self._tried_out(key)
        return self._states[key]

    def _tried_out(self, ops: tuple[Op, ...]) -> Any:
        folder = Path(tempfile.mkdtemp(prefix="walvec-crashlab-"))
        try:
            handle = self._adapter.open(folder)
            for op in ops:
                self._adapter.apply(handle, op)
            state = self._adapter.state(handle)
            self._adapter.close(handle)
            return state
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _stranger(found: tuple[str, str] | None, seen: Sequence[tuple[str, str]]) -> list[str]:
    """What is wrong with a fingerprint, given those that the run saw."""
    if found is None:
        return []
    at, digest = found
    return [
        f"the state at {at} has the digest {digest}, and had {before} before the crash"
        for moment, before in seen
        if moment == at and before != digest
    ]


def shown(state: Any) -> str:
    """A state as text for reports, cut where it is long."""
    text = repr(state)
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}... ({len(text)} characters)"


def _close_quietly(adapter: Adapter, handle: Any) -> None:
    """After an error, which is the one to be reported."""
    try:
        adapter.close(handle)
    except Exception as later:
        logger.debug("and closing it failed: %r", later)
