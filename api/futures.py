"""What calls of the ORM with `_async=True` give back: the call goes on in a thread."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotDone
from typing import Any

from walvec.arguments import check_flag
from walvec.session import check_timeout
from walvec.wal.errors import ParamError, TimeoutException
from walvec.wal.shown import shown

Call = Callable[[], Any]


class CallFuture:
    """A call that goes on in a thread of its own."""

    def __init__(self, call: Call, callback: Callable[..., Any] | None = None) -> None:
        """callback: is called with what the call returns, in the same thread."""
        pool = ThreadPoolExecutor(1, "walvec-call")
        self._future: Future[Any] = pool.submit(_then, call, callback)
        pool.shutdown(wait=False)

    def result(self, timeout: float | None = None) -> Any:
        """Wait for what the call returns. Raises what the call or its callback raised,
        TimeoutException."""
        try:
            return self._future.result(check_timeout(timeout))
        except NotDone:
            if self._future.done():
                raise
            raise TimeoutException(message=f"the call is not done after {timeout} s") from None

    def done(self) -> None:
        """Wait for the end, whatever it is."""
        try:
            self._future.exception()
        except CancelledError:
            return

    def is_done(self) -> bool:
        """Whether it has ended."""
        return self._future.done()

    def cancel(self) -> bool:
        """Keep the call from being made; False once it is."""
        return self._future.cancel()


class SearchFuture(CallFuture):
    """A search that goes on."""


class MutationFuture(CallFuture):
    """A write that goes on."""


def answered(kwargs: dict[str, Any], call: Call, kind: type[CallFuture] = CallFuture) -> Any:
    """What a call returns or, if `_async` stands in its keywords, a future of that.

    Takes `_async` and `_callback` out of kwargs, before the call is made. Raises ParamError.
    """
    wanted = check_flag("_async", kwargs.pop("_async", False))
    callback = kwargs.pop("_callback", None)
    if callback is not None and not (wanted and callable(callback)):
        raise ParamError(message=f"_callback {shown(callback)} needs _async=True, and be callable")
    return kind(call, callback) if wanted else call()


def _then(call: Call, callback: Callable[..., Any] | None) -> Any:
    result = call()
    if callback is not None:
        if _takes_nothing(callback):
            callback()
        else:
            callback(result)
    return result


def _takes_nothing(callback: Callable[..., Any]) -> bool:
    try:
        return not inspect.signature(callback).parameters
    except (TypeError, ValueError):  # some functions written in C do not tell
        return False
