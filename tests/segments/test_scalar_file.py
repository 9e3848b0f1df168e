"""The file of a scalar index: its bytes, and refusing what is none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from walvec.segments.scalar_build import write_scalar_index
from walvec.segments.scalar_file import ALIGNMENT, Parts, narrow, read_parts, write_parts
from walvec.wal.rows import Column
from walvec.wal.schema import DataType, Field

GOLDEN = Path(__file__).parents[1] / "golden"
NUMBER = Field(100, "f", DataType.INT32)
TEXT = Field(100, "f", DataType.VARCHAR)
COLUMNS = {
    "scalar-1-pairs.bin": ("STL_SORT", NUMBER, Column(np.array([7, -1, 7], "<i4"))),
    "scalar-1-terms.bin": ("INVERTED", TEXT, Column.of_texts(["red", "blue", "red", ""])),
    "scalar-1-bits.bin": (
        "BITMAP",
        NUMBER,
        Column(np.array([7, -1] * 20, "<i4"), None, np.arange(40) != 5),
    ),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_the_bytes_of_version_one(name: str, tmp_path: Path) -> None:
    write_scalar_index(*COLUMNS[name], tmp_path / "index")
    assert (tmp_path / "index").read_bytes() == (GOLDEN / name).read_bytes()


@pytest.mark.parametrize("mapped", [False, True])
def test_parts_come_back_aligned_and_as_they_were(tmp_path: Path, mapped: bool) -> None:
    arrays = {
        "values": np.array([1.5, 2.5], "<f4"),
        "rows": np.array([1, 0], "<u4"),
        "empty": np.empty(0, np.uint8),
    }
    write_parts(tmp_path / "index", Parts(2, "pairs", arrays))
    parts = read_parts(tmp_path / "index", mapped=mapped)
    assert (parts.n, parts.layout) == (2, "pairs")
    assert parts.nbytes == 16
    for name, array in arrays.items():
        assert parts.arrays[name].dtype == array.dtype
        assert parts.arrays[name].tolist() == array.tolist()
        if mapped and len(array):
            assert parts.arrays[name].ctypes.data % ALIGNMENT == 0


@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:6],
        lambda content: b"WVS2" + content[4:],
        lambda content: content[:-ALIGNMENT],
        lambda content: content + bytes(ALIGNMENT),
        lambda content: content.replace(b"<i4", b"|O8"),
    ],
    ids=["empty", "cut in the head", "of another version", "cut", "extended", "objects"],
)
def test_what_is_no_index_is_refused(tmp_path: Path, damage: object, mapped: bool) -> None:
    content = (GOLDEN / "scalar-1-pairs.bin").read_bytes()
    (tmp_path / "index").write_bytes(damage(content))  # type: ignore[operator]
    with pytest.raises(ValueError):
        read_parts(tmp_path / "index", mapped=mapped)


def test_numbers_take_four_bytes_where_that_is_enough() -> None:
    assert narrow(np.array([0, 2**32 - 1])).dtype == "<u4"
    assert narrow(np.array([0, 2**32])).dtype == "<i8"
    assert narrow(np.empty(0, np.int64)).dtype == "<u4"
