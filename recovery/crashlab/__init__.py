"""The crash laboratory: kill a store at every moment, cut its power, and judge what is left.

    from walvec.crashlab import Adapter, run

    class MyStore(Adapter):
        commands = ("put", "delete")
        def open(self, folder): ...
        def apply(self, handle, op): ...
        def state(self, handle): ...
        def close(self, handle): ...

    result = run(MyStore(), budget_s=60)
    assert result.ok, result.failures

CRASHLAB.md says what is judged, what is proven by it, and what is not.
"""

from walvec.crashlab.adapter import Adapter, Op
from walvec.crashlab.lab import run, run_plan
from walvec.crashlab.ready import adapter_named
from walvec.crashlab.result import Failure, Result
from walvec.crashlab.stage import ack
from walvec.crashlab.walvec_adapter import WalvecAdapter
from walvec.wal.failpoints import hit, register

__all__ = [
    "Adapter",
    "Failure",
    "Op",
    "Result",
    "WalvecAdapter",
    "ack",
    "adapter_named",
    "hit",
    "register",
    "run",
    "run_plan",
]
