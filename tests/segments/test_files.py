"""Segment files: whole or not used, private, and where the vectors are."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lab import ID, TEXT, VECTOR, Table, annoy_wish, open_at, rows, schema, settle

from walvec.segments.extents import Extents
from walvec.segments.files import (
    ALIGNMENT,
    is_intact,
    map_column,
    read_columns,
    record_of,
    write_columns,
)
from walvec.segments.growing import GrowingColumns
from walvec.segments.loaded_segment import LoadedSegment
from walvec.segments.pk_index import HashedPks
from walvec.segments.state import FileRecord
from walvec.wal.rows import Column, Rows
from walvec.wal.schema import DataType, Field

ROWS = rows(range(50))


@pytest.mark.parametrize("mapped", [False, True])
def test_columns_come_back_from_their_file(tmp_path: Path, mapped: bool) -> None:
    path = tmp_path / "columns.wvc"
    record = write_columns(path, ROWS)
    found = read_columns(path, record, mapped=mapped)
    assert found is not None
    assert found.n == 50
    for number in (ID, VECTOR):
        assert np.array_equal(found.columns[number].values, ROWS.columns[number].values)
    assert found.columns[TEXT].texts() == ROWS.columns[TEXT].texts()
    assert list(tmp_path.iterdir()) == [path]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    assert write_columns(tmp_path / "a", ROWS) == write_columns(tmp_path / "b", rows(range(50)))


def test_a_column_is_mapped_and_aligned_and_one_that_was_added_since_has_its_default(
    tmp_path: Path,
) -> None:
    path = tmp_path / "columns.wvc"
    write_columns(path, ROWS)
    found = map_column(path, schema().by_id[VECTOR])
    assert np.array_equal(found.values, ROWS.columns[VECTOR].values)
    assert found.values.ctypes.data % ALIGNMENT == 0
    added = map_column(path, Field(999, "added", DataType.INT64, default=7))
    assert added.values.tolist() == [7] * 50


@pytest.mark.parametrize("mapped", [False, True])
def test_a_file_with_any_byte_changed_is_not_used(tmp_path: Path, mapped: bool) -> None:
    path = tmp_path / "columns.wvc"
    record = write_columns(path, rows(range(3)))
    whole = path.read_bytes()
    for offset in range(0, len(whole), 7):
        damaged = bytearray(whole)
        damaged[offset] ^= 1
        path.write_bytes(damaged)
        assert read_columns(path, record, mapped=mapped) is None, offset
        assert not is_intact(path, record)


@pytest.mark.parametrize("mapped", [False, True])
def test_a_missing_or_cut_or_longer_file_is_not_used(tmp_path: Path, mapped: bool) -> None:
    path = tmp_path / "columns.wvc"
    record = write_columns(path, ROWS)
    whole = path.read_bytes()
    for content in (b"", whole[:-1], whole[: len(whole) // 2], whole + b"\x00", None):
        path.unlink()
        if content is not None:
            path.write_bytes(content)
        assert read_columns(path, record, mapped=mapped) is None
        assert not is_intact(path, record)
        path.write_bytes(b"")


def test_an_empty_file_has_a_record_too(tmp_path: Path) -> None:
    (tmp_path / "f").touch()
    assert record_of(tmp_path / "f").length == 0
    assert read_columns(tmp_path / "f", FileRecord(0, bytes(16)), mapped=True) is None


@pytest.mark.parametrize("name", ["columns.wvc", "index"])
@pytest.mark.parametrize("what", ["folder", "full folder", "link to itself", "pipe"])
def test_what_has_the_name_of_a_segment_file_and_is_none_is_replaced(
    tmp_path: Path, name: str, what: str
) -> None:
    store = open_at(tmp_path / "store")
    table = Table(store, wish=annoy_wish())
    table.insert(range(20))
    table.flush()
    settle(store)
    path = next((tmp_path / "store" / "segments").glob(f"*/{name}*"))
    store.close()
    path.unlink()
    if what == "link to itself":
        path.symlink_to(path.name)
    elif what == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
        if what == "full folder":
            (path / "x").touch()
    store = open_at(tmp_path / "store")
    assert sorted(Table(store).texts()) == list(range(20))
    settle(store)
    assert path.is_file()
    assert not path.is_symlink()
    store.close()


def test_text_keys_are_found_while_their_segment_is_sealed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    columns = GrowingColumns(schema(pk=DataType.VARCHAR))
    part = rows([7])
    columns.append(Rows(1, {**part.columns, ID: Column.of_texts(["seven"])}))
    segment = LoadedSegment(1, schema(pk=DataType.VARCHAR), columns, partition=1, extents=Extents())
    segment.seal()
    append = HashedPks.append

    def append_and_look(pks: HashedPks, keys: list[Any], first: int) -> None:
        assert segment.pks.get("seven") == 0
        append(pks, keys, first)

    monkeypatch.setattr(HashedPks, "append", append_and_look)
    segment.seal()
    assert segment.pks.get("seven") == 0
