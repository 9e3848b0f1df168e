"""Release really releases: resident memory, measured in a process of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from lab import run_child

MEASURE = """
import os, sys
import numpy as np
from lab import Table, flat_wish, open_at, schema, settle
from walvec.segments import commands
from walvec.segments.batch import batch_of
from walvec.segments.memory import trim
from walvec.wal.rows import Column, Rows

N, DIM = 60_000, 256

def resident():
    fields = open("/proc/self/statm").read().split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")

from pathlib import Path
folder, sealed = Path(sys.argv[1]), sys.argv[2] == "sealed"
store = open_at(folder)
table = Table(store, layout=schema(DIM), load=False, wish=flat_wish())
rng = np.random.default_rng(1)
for first in range(0, N, 5000):
    ids = np.arange(first, first + 5000)
    vectors = rng.standard_normal((5000, DIM), np.float32)
    rows = Rows(5000, {100: Column(ids), 101: Column(vectors),
                       102: Column.of_texts(map(str, ids.tolist()))})
    limit = 64 << 20 if sealed else 1 << 40
    store.execute(commands.insert(table.id, "c", [batch_of(rows)], limit))
del vectors, rows
if sealed:
    table.flush()
settle(store)
store.close()

store = open_at(folder)
settle(store)
table = Table(store)
trim()
sizes = []
for _ in range(2):
    before = resident()
    table.load()
    view = store.view(table.info)
    assert view.row_count() == N
    assert view.segments[0].column(101).values[:, 0].sum() != 0
    loaded = resident()
    del view
    table.release()
    sizes += [before, loaded, resident()]
print(*sizes)
store.close()
"""


@pytest.mark.parametrize("kind", ["sealed", "growing"])
def test_after_release_memory_is_what_it_was_before_load(tmp_path: Path, kind: str) -> None:
    sizes = list(map(int, run_child(MEASURE, tmp_path / "store", kind).stdout.split()))
    vectors = 60_000 * 256 * 4
    for before, loaded, after in (sizes[:3], sizes[3:]):
        assert loaded - before > 0.9 * vectors
        assert after - before < 0.1 * vectors, (before, loaded, after)
