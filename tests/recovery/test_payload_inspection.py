"""payload_faults: silent on what the store writes, and names what does not fit."""

from __future__ import annotations

from typing import Any

import lab
import numpy as np
import pytest

from walvec.recovery.payload_inspection import payload_faults
from walvec.wal.events import CollectionLoaded, RowsDeleted, RowsInserted
from walvec.wal.rows import Column, Rows, encode_rows
from walvec.wal.schema import Schema

PLAIN = lab.schema()
AUTO = lab.schema(auto_id=True)


def faults(rows: Rows, schema: Schema | None = PLAIN, **changes: Any) -> list[str]:
    """What is wrong with rows, inserted with this layout or with a changed event."""
    layout, buffers = encode_rows(rows)
    fields = {"n": rows.n, "first_id": None, "layout": layout, **changes}
    event = RowsInserted(1, 2, 3, **fields)
    return list(payload_faults(event, b"".join(bytes(b) for b in buffers), schema))


def with_column(field_id: int, column: Column) -> Rows:
    rows = lab.rows(range(3))
    return Rows(rows.n, {**rows.columns, field_id: column})


def test_whole_rows_have_no_faults_with_and_without_a_schema() -> None:
    assert faults(lab.rows(range(3))) == []
    assert faults(lab.rows(range(3)), None) == []


def test_rows_with_auto_ids_have_no_key_column() -> None:
    rows = lab.rows(range(3))
    without = Rows(3, {k: c for k, c in rows.columns.items() if k != lab.ID})
    assert faults(without, AUTO, first_id=7) == []
    assert "columns" in faults(rows, AUTO, first_id=7)[0]


def test_a_row_count_that_is_not_the_events_is_named() -> None:
    assert "has 3 rows, not 4" in faults(lab.rows(range(3)), n=4)[0]


def test_a_layout_longer_than_the_payload_is_named() -> None:
    layout, _ = encode_rows(lab.rows(range(30)))
    assert "layout does not fit" in faults(lab.rows(range(3)), n=30, layout=layout)[0]


@pytest.mark.parametrize(
    ("field_id", "column", "what"),
    [
        (lab.VECTOR, Column(np.full((3, lab.DIM), np.nan, np.float32)), "NaN"),
        (lab.VECTOR, Column(np.zeros((3, 5), np.float32)), "not (4,)"),
        (lab.VECTOR, Column(np.zeros((3, lab.DIM), np.float64)), "float64"),
        (lab.ID, Column(np.zeros(3, np.int32)), "int32"),
        (lab.TEXT, Column(np.zeros(3, np.uint8)), "without offsets"),
        (lab.TEXT, Column(np.zeros(3, np.uint8), np.array([0, 2, 1, 3])), "in order"),
        (lab.TEXT, Column(np.zeros(3, np.uint8), np.array([0, 1, 1, 2])), "in order"),
        (lab.TEXT, Column(np.full(3, 0xFF, np.uint8), np.array([0, 1, 2, 3])), "UTF-8"),
        (lab.TEXT, Column(np.array([0xC3, 0xA4], np.uint8), np.array([0, 1, 1, 2])), "middle"),
    ],
)
def test_a_column_that_is_not_the_schemas_is_named(
    field_id: int, column: Column, what: str
) -> None:
    [fault] = faults(with_column(field_id, column))
    assert what in fault
    assert fault.startswith("field ")


def test_an_absent_and_a_strange_column_are_named() -> None:
    rows = lab.rows(range(3))
    assert faults(Rows(3, {lab.ID: rows.columns[lab.ID]}))
    assert faults(with_column(555, Column(np.zeros(3, np.int64))))


def test_a_delete_has_the_key_column_alone() -> None:
    rows = lab.rows(range(3))
    layout, buffers = encode_rows(Rows(3, {lab.ID: rows.columns[lab.ID]}))
    payload = b"".join(bytes(b) for b in buffers)
    assert list(payload_faults(RowsDeleted(1, 3, layout), payload, PLAIN)) == []
    layout, buffers = encode_rows(rows)
    payload = b"".join(bytes(b) for b in buffers)
    assert list(payload_faults(RowsDeleted(1, 3, layout), payload, PLAIN))


def test_an_event_without_rows_has_no_payload() -> None:
    assert list(payload_faults(CollectionLoaded(1), b"", PLAIN)) == []
    assert list(payload_faults(CollectionLoaded(1), b"x", PLAIN))
