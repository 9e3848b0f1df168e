"""What `optimize` returns: its result, or with wait=False the task that comes to it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotDone
from dataclasses import dataclass

from walvec.wal.errors import TimeoutException


@dataclass
class OptimizeResult:
    """Segments were merged and indexed. `compaction_id`: for get_compaction_state."""

    status: str
    collection_name: str
    compaction_id: int
    target_size: str | None
    progress: list[str]


class OptimizeTask:
    """An optimization that goes on in a thread of its own."""

    def __init__(self, work: Callable[[Callable[[str], None]], OptimizeResult]) -> None:
        """work: is called with what notes a stage."""
        self._stages: list[str] = []
        self._cancelled = False
        pool = ThreadPoolExecutor(1, "walvec-optimize")
        self._future: Future[OptimizeResult] = pool.submit(work, self._tell)
        pool.shutdown(wait=False)

    def _tell(self, stage: str) -> None:
        if self._cancelled:
            raise CancelledError(f"cancelled before {stage}")
        self._stages.append(stage)

    def done(self) -> bool:
        """Whether it has ended."""
        return self._future.done()

    def progress(self) -> str:
        """The stage that it is in."""
        return self._stages[-1] if self._stages else "waiting to start"

    def cancel(self) -> bool:
        """Stop after the stage under way; False where it has ended."""
        self._cancelled = not self.done()
        return self._cancelled

    def cancelled(self) -> bool:
        """Whether `cancel` came in time."""
        return self._cancelled

    def result(self, timeout: float | None = None) -> OptimizeResult:
        """Wait for the end. Raises what went wrong, TimeoutException, CancelledError."""
        try:
            found = self._future.result(timeout)
        except NotDone:
            if self._future.done():
                raise
            raise TimeoutException(message=f"still optimizing after {timeout} s") from None
        found.progress[:] = self._stages
        return found
