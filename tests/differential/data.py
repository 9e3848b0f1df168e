"""Rows that many cases read: fixed, small, and with an edge in every column."""

from __future__ import annotations

from typing import Any

from differential.case import Place

INDEXED = "_indexed"
"""The end of the name of a collection that has the same rows, and an index on every column."""

TEXTS = ["", "a", "ab", "abc", "b", "Abc", "a%c", "a_c", "é", "x'y", 'x"y', "back\\slash"]
DOCUMENTS: list[Any] = [
    {"n": 1, "t": "a", "f": 0.5, "b": True, "l": [1, 2, 3], "o": {"k": 1, "l": ["x"]}},
    {"n": 2, "t": "b", "f": 2.0, "b": False, "l": [], "o": {"k": 2}},
    {"n": -3, "t": "ab", "f": -1.5, "l": [3], "o": {}},
    {"n": 1.0, "t": "1", "l": ["x", 1]},
    {"n": "1", "t": 1, "o": None},
    {"n": None, "l": [[1, 2], [3]]},
    {"t": None, "with space": 7},
    {},
    {"n": 2**53, "o": {"k": "2", "l": [1, [2]]}},
    {"n": True, "t": "é", "l": [True, 2]},
    {"n": 0, "f": 1e300, "t": "", "l": [0.5]},
    {"n": 9, "o": {"k": {"deep": {"er": 1}}}},
]
N = len(DOCUMENTS)


def scalar_row(i: int) -> dict[str, Any]:
    """Every scalar type, a JSON document, and dynamic fields in some rows."""
    row: dict[str, Any] = {
        "pk": i,
        "i8": [0, 1, -1, 127, -128][i % 5],
        "i16": 100 * i - 300,
        "i32": [0, 2**31 - 1, -(2**31), 7][i % 4],
        "i64": [0, 2**62, -(2**62), 7, 2**53 + 1][i % 5],
        "f": [0.0, 0.5, -2.25, 3.0, 1e10][i % 5],
        "d": [0.0, 0.1, -1e300, 1e-300][i % 4],
        "b": i % 3 == 0,
        "s": TEXTS[i],
        "j": DOCUMENTS[i],
        "v": [i, 1, 0, 0],
    }
    if i % 2:
        row["dyn"] = i
    if i % 3 == 1:
        row["tag"] = f"t{i}"
    return row


def make_scalars(at: Place, name: str) -> None:
    """Half of the rows in a sealed segment, half in a growing one."""
    at.create(
        ("i8", "INT8"),
        ("i16", "INT16"),
        ("i32", "INT32"),
        ("i64", "INT64"),
        ("f", "FLOAT"),
        ("d", "DOUBLE"),
        ("b", "BOOL"),
        ("s", "VARCHAR", {"max_length": 32}),
        ("j", "JSON"),
        name=name,
        scalar=_indexes(name, "i8", "i16", "i32", "i64", "f", "d", "b", "s"),
        enable_dynamic_field=True,
    )
    _fill(at, name, scalar_row)


def nullable_row(i: int) -> dict[str, Any]:
    """A null in every third row of each column, at another place in each."""
    values = {
        "i": i - 4,
        "f": i / 2,
        "b": i % 2 == 0,
        "s": f"s{i}",
        "j": {"k": i, "z": None},
        "a": [i, i + 1],
    }
    row: dict[str, Any] = {"pk": i, "v": [i, 1, 0, 0]}
    for place, (name, value) in enumerate(values.items()):
        if (i + place) % 3:
            row[name] = value
        elif i % 2:
            row[name] = None  # named as null; in other rows left out
    return row


def make_nullables(at: Place, name: str) -> None:
    """Nullable columns."""
    null = {"nullable": True}
    at.create(
        ("i", "INT64", null),
        ("f", "DOUBLE", null),
        ("b", "BOOL", null),
        ("s", "VARCHAR", {"max_length": 8, **null}),
        ("j", "JSON", null),
        ("a", "ARRAY", {"element_type": "INT64", "max_capacity": 8, **null}),
        name=name,
        scalar=_indexes(name, "i", "f", "b", "s"),
    )
    _fill(at, name, nullable_row)


def array_row(i: int) -> dict[str, Any]:
    """Arrays of numbers, texts, truths and floats; some empty."""
    return {
        "pk": i,
        "ints": list(range(i % 5)),
        "texts": TEXTS[i : i + i % 3],
        "bools": [i % 2 == 0] * (i % 4),
        "floats": [i / 4] * (i % 2),
        "v": [i, 1, 0, 0],
    }


def make_arrays(at: Place, name: str) -> None:
    """Arrays of four kinds of elements."""
    at.create(
        ("ints", "ARRAY", {"element_type": "INT64", "max_capacity": 8}),
        ("texts", "ARRAY", {"element_type": "VARCHAR", "max_capacity": 8, "max_length": 32}),
        ("bools", "ARRAY", {"element_type": "BOOL", "max_capacity": 8}),
        ("floats", "ARRAY", {"element_type": "DOUBLE", "max_capacity": 8}),
        name=name,
    )
    _fill(at, name, array_row)


def _indexes(name: str, *columns: str) -> dict[str, str]:
    return dict.fromkeys(columns, "INVERTED") if name.endswith(INDEXED) else {}


def _fill(at: Place, name: str, row: Any) -> None:
    at.client.insert(name, [row(i) for i in range(N // 2)])
    at.client.flush(name)
    at.client.insert(name, [row(i) for i in range(N // 2, N)])
