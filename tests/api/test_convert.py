"""User data in any mix becomes columns, comes back the same, and is refused by name if wrong."""

from __future__ import annotations

import copy
import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from walvec.convert import columns_of, pks_of, rows_of
from walvec.python_rows import python_rows, values_of
from walvec.query_vectors import query_vectors
from walvec.schema import CollectionSchema, FieldSchema, to_schema
from walvec.wal.errors import DataNotMatchException, ParamError
from walvec.wal.rows import Column
from walvec.wal.schema import DataType, Schema

DIM = 3
SCALARS = [
    FieldSchema("i8", DataType.INT8),
    FieldSchema("i16", DataType.INT16),
    FieldSchema("i32", DataType.INT32),
    FieldSchema("i64", DataType.INT64),
    FieldSchema("f", DataType.FLOAT),
    FieldSchema("d", DataType.DOUBLE),
    FieldSchema("b", DataType.BOOL),
    FieldSchema("s", DataType.VARCHAR, max_length=10),
    FieldSchema("j", DataType.JSON),
]


def make(*scalars: FieldSchema, pk: FieldSchema | None = None, dynamic: bool = False) -> Schema:
    pk = pk or FieldSchema("id", DataType.INT64, is_primary=True)
    vector = FieldSchema("vector", DataType.FLOAT_VECTOR, dim=DIM)
    fields = [vector, pk, *scalars]
    return to_schema(CollectionSchema(fields, enable_dynamic_field=dynamic), "shelf")


SMALL = make()
ALL = make(*SCALARS)
DYNAMIC = make(dynamic=True)
AUTO = make(pk=FieldSchema("id", DataType.INT64, is_primary=True, auto_id=True))
TEXT_PK = make(pk=FieldSchema("id", DataType.VARCHAR, is_primary=True, max_length=5))
GOOD: dict[str, Any] = {
    "id": 1, "vector": [1.0, 2.0, 3.0], "i8": 1, "i16": 2, "i32": 3, "i64": 4,
    "f": 0.5, "d": 0.25, "b": True, "s": "text", "j": {"a": [1]},
}  # fmt: skip


def back(schema: Schema, data: Any, **keywords: Any) -> list[dict[str, Any]]:
    rows = rows_of(data, schema, "shelf", **keywords)
    fields = [f for f in schema.fields if f.id in rows.columns]
    return python_rows(rows.columns, fields, rows.n)


def refusal(schema: Schema, data: Any, convert: Any = rows_of, **keywords: Any) -> str:
    with pytest.raises(DataNotMatchException) as raised:
        convert(data, schema, "shelf", **keywords)
    assert "collection shelf" in raised.value.message
    return raised.value.message


# Round trips

floats32 = st.floats(width=32, allow_nan=False, allow_infinity=False)
jsons = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text() | floats32,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
rows_of_all = st.fixed_dictionaries(
    {
        "id": st.integers(-(2**63), 2**63 - 1),
        "vector": st.lists(floats32, min_size=DIM, max_size=DIM),
        "i8": st.integers(-128, 127),
        "i16": st.integers(-(2**15), 2**15 - 1),
        "i32": st.integers(-(2**31), 2**31 - 1),
        "i64": st.integers(-(2**63), 2**63 - 1),
        "f": floats32,
        "d": st.floats(allow_nan=False, allow_infinity=False),
        "b": st.booleans(),
        "s": st.text(max_size=10).filter(lambda s: len(s.encode()) <= 10),
        "j": st.dictionaries(st.text(), jsons, max_size=3) | st.lists(jsons, max_size=3),
    }
)
VECTOR_FORMS = [list, tuple, np.array, np.float32, lambda v: np.array(v, np.float64)[:]]
SCALAR_FORMS = {
    "i8": np.int8, "i16": np.int16, "i32": np.int32, "i64": np.int64, "id": np.int64,
    "f": np.float32, "d": np.float64, "b": np.bool_, "s": np.str_,
}  # fmt: skip


@given(st.lists(rows_of_all, max_size=6), st.randoms(use_true_random=False))
def test_rows_in_any_mix_of_types_come_back_the_same(data: list[Any], random: Any) -> None:
    given_rows = []
    for row in data:
        mixed = {**row, "vector": random.choice(VECTOR_FORMS)(row["vector"])}
        for name, form in SCALAR_FORMS.items():
            # numpy's strings drop zero bytes at the end.
            if random.random() < 0.5 and not str(row[name]).endswith("\0"):
                mixed[name] = form(row[name])
        given_rows.append(mixed)
    assert back(ALL, given_rows) == data


@given(st.lists(rows_of_all, min_size=1, max_size=6), st.booleans())
def test_columns_give_the_same_as_rows(data: list[dict[str, Any]], as_arrays: bool) -> None:
    columns: list[Any] = [[row[f.name] for row in data] for f in ALL.fields]
    if as_arrays:
        plain = [f.name in {"j", "s"} for f in ALL.fields]
        columns = [c if p else np.array(c) for c, p in zip(columns, plain, strict=True)]
    by_row, by_column = rows_of(data, ALL, "shelf"), columns_of(columns, ALL, "shelf")
    assert by_row.n == by_column.n
    for field in ALL.fields:
        a, b = by_row.columns[field.id], by_column.columns[field.id]
        assert a.values.tobytes() == b.values.tobytes()
        assert a.values.dtype == b.values.dtype


keys = st.text(min_size=1).filter(lambda k: k not in {"id", "vector", "$meta"})


@given(st.lists(st.dictionaries(keys, jsons, max_size=3), min_size=1, max_size=5))
def test_dynamic_keys_come_back_at_the_top_of_the_row(extra: list[dict[str, Any]]) -> None:
    data = [{"id": i, "vector": [0.0, 1.0, 2.0], **more} for i, more in enumerate(extra)]
    assert back(DYNAMIC, data) == data


@pytest.mark.parametrize("n", [1, 2, 1000])
def test_arrays_are_float32_c_order_and_share_nothing_with_the_callers(n: int) -> None:
    vectors = np.arange(n * DIM, dtype=np.float32).reshape(n, DIM)
    ids = np.arange(n)
    expected = vectors.copy()
    by_row = rows_of([{"id": i, "vector": v} for i, v in enumerate(vectors)], SMALL, "shelf")
    by_column = columns_of([vectors, ids], SMALL, "shelf")
    assert list(by_row.columns) == list(by_column.columns) == [101, 100]  # the key's first
    for rows in (by_row, by_column):
        column = rows.columns[100]
        assert (column.values.dtype, column.values.shape) == (np.dtype("<f4"), (n, DIM))
        assert column.values.flags.c_contiguous
        assert not np.shares_memory(column.values, vectors)
        assert not np.shares_memory(rows.columns[101].values, ids)
        assert np.array_equal(column.values, expected)


def test_strided_and_transposed_vectors_are_read_right() -> None:
    wide = np.arange(24, dtype=np.float64).reshape(DIM, 8).T
    rows = columns_of([wide[::2], range_list(4)], SMALL, "shelf")
    assert np.array_equal(rows.columns[100].values, wide[::2])
    assert rows.columns[100].values.flags.c_contiguous


def range_list(n: int) -> list[int]:
    return list(range(n))


def test_the_callers_rows_are_not_touched() -> None:
    row = {"id": 1, "vector": [1, 2, 3], "color": {"rgb": (1, 2, np.int8(3))}}
    before = copy.deepcopy(row)
    rows_of([row], DYNAMIC, "shelf")
    assert row == before
    assert type(row["color"]["rgb"][2]) is np.int8  # type: ignore[index]


def test_one_dictionary_is_one_row_and_an_empty_list_is_none() -> None:
    assert rows_of({"id": 1, "vector": [1, 2, 3]}, SMALL, "shelf").n == 1
    for rows in (rows_of([], ALL, "shelf"), columns_of([], ALL, "shelf")):
        assert rows.n == 0
        assert all(len(c) == 0 for c in rows.columns.values())
        assert set(rows.columns) == {f.id for f in ALL.fields}


def test_wholly_missing_dynamic_values_are_stored_as_empty_objects() -> None:
    data = [{"id": i, "vector": [1, 2, 3]} for i in range(3)]
    for rows in (
        rows_of(data, DYNAMIC, "shelf"),
        columns_of([np.ones((3, DIM)), [1, 2, 3]], DYNAMIC, "shelf"),
    ):
        assert rows.columns[102].texts() == ["{}"] * 3
    mixed = [data[0], {**data[1], "color": "red"}]
    assert rows_of(mixed, DYNAMIC, "shelf").columns[102].texts() == ["{}", '{"color":"red"}']


# Automatic ids


def test_automatic_ids_are_absent_in_inserts_and_present_in_upserts() -> None:
    assert list(rows_of([{"vector": [1, 2, 3]}], AUTO, "shelf").columns) == [100]
    assert list(columns_of([[[1, 2, 3]]], AUTO, "shelf").columns) == [100]
    message = refusal(AUTO, [{"id": 5, "vector": [1, 2, 3]}])
    assert "field id, row 0: expected no value, the ids are automatic" in message
    assert "got 5 (int)" in message
    assert back(AUTO, [{"id": 5, "vector": [1, 2, 3]}], upsert=True)[0]["id"] == 5
    assert "field id, row 0: the field is missing" in refusal(
        AUTO, [{"vector": [1, 2, 3]}], upsert=True
    )


def test_an_automatic_id_is_no_dynamic_key() -> None:
    pk = FieldSchema("id", DataType.INT64, is_primary=True, auto_id=True)
    schema = make(pk=pk, dynamic=True)
    message = refusal(schema, [{"vector": [1, 2, 3], "id": 4, "x": 1}])
    assert "field id, row 0" in message


# Refusals


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("i8", 128, "expected an integer from -128 to 127 (INT8), got 128 (int)"),
        ("i8", -129, "expected an integer from -128 to 127 (INT8), got -129"),
        ("i16", 2**15, "(INT16), got 32768"),
        ("i32", -(2**31) - 1, "(INT32), got -2147483649"),
        ("i64", 2**63, "(INT64), got 9223372036854775808"),
        ("i64", np.uint64(2**63), "(INT64)"),
        ("id", 10**30, "(INT64)"),
        ("i64", True, "expected an integer, got True (bool)"),
        ("i64", np.bool_(True), "expected an integer"),
        ("i64", 1.0, "expected an integer, got 1.0 (float)"),
        ("i64", "1", "expected an integer, got '1' (str)"),
        ("i64", None, "expected an integer, got None (NoneType)"),
        ("f", "0.5", "expected a number, got '0.5' (str)"),
        ("f", True, "expected a number, got True (bool)"),
        ("f", math.nan, "expected a finite number within the range of FLOAT, got nan"),
        ("f", 1e39, "range of FLOAT, got 1e+39"),
        ("d", -math.inf, "range of DOUBLE, got -inf"),
        ("d", 10**400, "range of DOUBLE"),
        ("d", None, "expected a number, got None"),
        ("b", 1, "expected True or False, got 1 (int)"),
        ("b", None, "expected True or False, got None"),
        ("s", 7, "expected a string, got 7 (int)"),
        ("s", b"bytes", "expected a string, got b'bytes' (bytes)"),
        ("s", "12345678901", "at most 10 bytes of UTF-8 (max_length), not 11, got '12345678901'"),
        ("s", "ääääää", "at most 10 bytes of UTF-8 (max_length), not 12"),
        ("s", "a\ud800", "text that is valid UTF-8"),
        ("j", None, "expected a JSON value (the field is not nullable), got None"),
        ("j", "red", "expected JSON text (use json.dumps for a plain string), got 'red'"),
        ("j", b"{}", "expected a JSON value, not bytes within it"),
        ("j", {"a": {1: 2}}, "expected JSON whose keys are strings, not 1"),
        ("j", {"a": math.nan}, "expected JSON without NaN and Infinity"),
        ("j", "[NaN]", "expected JSON text"),
        ("j", {"a": np.float64("inf")}, "expected JSON without NaN and Infinity"),
        ("j", {"a": 2**64}, "integers of at most 64 bits"),
        ("j", {"a": {1, 2}}, "expected a JSON value, not set within it"),
        ("j", {"a": "\ud800"}, "valid UTF-8"),
        ("j", {"a": "x" * 65_536}, "JSON of at most 65536 bytes, not 65544"),
        ("vector", [1, 2], "expected a vector of 3 components, not 2, got [1, 2] (list)"),
        ("vector", [1, 2, 3, 4], "expected a vector of 3 components, not 4"),
        ("vector", [], "expected a vector of 3 components, not 0"),
        ("vector", ["1", "2", "3"], "expected a vector of 3 numbers, got ['1', '2', '3']"),
        ("vector", [1, 2, "3"], "expected a vector of 3 numbers"),
        ("vector", [1, 2, None], "expected a vector of 3 numbers"),
        ("vector", [[1, 2, 3]], "expected a vector of 3 numbers"),
        ("vector", [[1], [2, 3], [4]], "expected a vector of 3 numbers"),
        ("vector", None, "expected a vector of 3 numbers, got None"),
        ("vector", 1.0, "expected a vector of 3 numbers, got 1.0"),
        ("vector", "123", "expected a vector of 3 numbers, got '123'"),
        ("vector", np.float32(1), "expected a vector of 3 numbers"),
        ("vector", np.ones((1, 3)), "of 3 numbers, got an array of shape (1, 3) and type float64"),
        ("vector", np.ones(2), "expected a vector of 3 components, not 2"),
        ("vector", np.array(["1", "2", "3"]), "expected a vector of 3 numbers"),
        ("vector", [1, math.nan, 3], "finite numbers within the range of float32, component 1"),
        ("vector", [1, 2, -math.inf], "component 2 is -inf"),
        ("vector", [1e39, 2, 3], "component 0 is 1e+39"),
        ("vector", [1, 2, 10**400], "component"),
        ("vector", np.array([1, 2, np.nan], np.float32), "component 2 is nan"),
        ("vector", np.array([1, 2, 1e39]), "component 2 is 1e+39"),
    ],
)
@pytest.mark.parametrize("others", [0, 2])
def test_a_wrong_value_is_refused_with_field_row_and_value(
    name: str, value: Any, expected: str, others: int
) -> None:
    data = [{**GOOD, "id": i} for i in range(others)] + [{**GOOD, name: value}]
    message = refusal(ALL, data)
    assert f"field {name}, row {others}: " in message
    assert expected in message
    assert len(message) < 250


def test_wrong_values_in_columns_are_refused_alike() -> None:
    good = [np.ones((2, DIM)), [1, 2]]
    assert "field id, row 1: expected an integer" in refusal(SMALL, [good[0], [1, 2.5]], columns_of)
    assert "field id, row 0: expected an integer, got 1.0 (float)" in refusal(
        SMALL, [good[0], np.array([1, 2.5])], columns_of
    )
    assert "expected a vector of 3 components, not 4" in refusal(
        SMALL, [np.ones((2, 4)), [1, 2]], columns_of
    )
    broken = np.ones((2, DIM), np.float32)
    broken[1, 2] = np.inf
    assert "field vector, row 1" in refusal(SMALL, [broken, [1, 2]], columns_of)


class Tensor:
    """A vector of another library, which numpy can read."""

    def __init__(self, *values: float) -> None:
        self._values = values

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.array(self._values, np.float32)


def test_vectors_of_other_libraries_are_read_through_numpy() -> None:
    assert back(SMALL, {"id": 1, "vector": Tensor(1, 2, 3)}) == [{"vector": [1, 2, 3], "id": 1}]
    assert "component 2 is nan" in refusal(SMALL, {"id": 1, "vector": Tensor(1, 2, math.nan)})
    assert "of 3 components, not 2" in refusal(SMALL, {"id": 1, "vector": Tensor(1, 2)})


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (None, "expected a dict or a list of dicts, got None"),
        ("rows", "expected a dict or a list of dicts, got 'rows'"),
        ([None], "row 0: expected a dict of fields, got None"),
        ([{"id": 1, "vector": [1, 2, 3]}, [1]], "row 1: expected a dict of fields, got [1]"),
        ({}, "field id, row 0: the field is missing, got {}"),
        ([{"id": 1, "vector": [1, 2, 3]}, {"id": 2}], "field vector, row 1: the field is missing"),
        ([{"id": 1, "vector": [1, 2, 3], "x": 5}], "field x, row 0: expected no such key"),
        ([{"id": 1, "vector": [1, 2, 3], 7: 5}], "field 7, row 0: expected no such key"),
    ],
)
def test_data_that_are_no_rows_of_the_schema_are_refused(data: Any, expected: str) -> None:
    assert expected in refusal(SMALL, data)


def test_dynamic_keys_are_strings_and_not_the_dynamic_field_itself() -> None:
    row = {"id": 1, "vector": [1, 2, 3]}
    assert "field 7, row 0: expected a string as the key" in refusal(DYNAMIC, [{**row, 7: 1}])
    assert "field $meta, row 0" in refusal(DYNAMIC, [{**row, "$meta": {}}])


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (None, "expected a list of 2 columns, ['vector', 'id'], got None"),
        ([[[1, 2, 3]]], "expected a list of 2 columns, ['vector', 'id'], got 1 columns"),
        ([[[1, 2, 3]], [1], [2]], "got 3 columns"),
        ([[[1, 2, 3]], [1, 2]], "field id, row 1: the column has 2 rows, that of vector has 1"),
        ([[[1, 2, 3]], 1], "field id, row 0: expected a column"),
        ([[[1, 2, 3]], "1"], "field id, row 0: expected a column"),
    ],
)
def test_columns_that_do_not_fit_are_refused(data: Any, expected: str) -> None:
    assert expected in refusal(SMALL, data, columns_of)


class Frame:
    """What is asked of a pandas DataFrame."""

    def __init__(self, columns: dict[str, Any]) -> None:
        self._data = columns
        self.columns = list(columns)

    def __getitem__(self, name: str) -> Any:
        return self._data[name]


def test_a_data_frame_is_taken_by_the_names_of_its_columns() -> None:
    vectors = np.empty(2, object)
    vectors[:] = [[1.0, 2.0, 3.0], np.ones(3)]
    rows = columns_of(Frame({"id": np.array([7, 8]), "vector": vectors}), SMALL, "shelf")
    assert rows.columns[101].values.tolist() == [7, 8]
    assert rows.columns[100].values.tolist() == [[1.0, 2.0, 3.0], [1.0, 1.0, 1.0]]
    frame = Frame({"id": [1], "vec": [[1, 2, 3]]})
    assert "expected the columns ['id', 'vector']" in refusal(SMALL, frame, columns_of)


@pytest.mark.parametrize("schema", [SMALL, TEXT_PK])
def test_a_key_twice_in_one_upsert_is_refused_and_in_one_insert_is_not(schema: Schema) -> None:
    keys: list[Any] = [1, 2, 1] if schema is SMALL else ["a", "b", "a"]
    data = [{"id": k, "vector": [1, 2, 3]} for k in keys]
    assert rows_of(data, schema, "shelf").n == 3
    assert "field id, row 2: expected a primary key not in row 0" in refusal(
        schema, data, upsert=True
    )
    assert "field id, row 2" in refusal(schema, [np.ones((3, DIM)), keys], columns_of, upsert=True)


# JSON


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": 1, "a": "ä"}, '{"b":1,"a":"ä"}'),
        ('{"a": [1, 2]}', '{"a":[1,2]}'),
        ('"text"', '"text"'),
        ([1, 2.5, True, None, "x"], '[1,2.5,true,null,"x"]'),
        (7, "7"),
        (False, "false"),
        ({"a": np.arange(2), "b": (np.int8(1), np.bool_(True))}, '{"a":[0,1],"b":[1,true]}'),
        (np.float32(0.5), "0.5"),
    ],
)
def test_json_is_stored_compact_in_the_order_given(value: Any, text: str) -> None:
    rows = rows_of({**GOOD, "j": value}, ALL, "shelf")
    column = rows.columns[ALL.by_name["j"].id]
    assert column.texts() == [text]
    assert values_of(column, ALL.by_name["j"]) == [json.loads(text)]


def test_json_that_is_too_deep_or_contains_itself_is_refused() -> None:
    deep: Any = []
    for _ in range(300):
        deep = [deep]
    assert "JSON of at most 256 levels" in refusal(ALL, {**GOOD, "j": deep})
    round_and_round: dict[str, Any] = {}
    round_and_round["a"] = round_and_round
    assert "JSON of at most 256 levels" in refusal(ALL, {**GOOD, "j": round_and_round})
    text = "[" * 100_000
    assert "expected JSON text" in refusal(ALL, {**GOOD, "j": text})


# Out again


def test_null_rows_come_back_as_none() -> None:
    valid = np.array([True, False])
    fields = ALL.by_name
    assert values_of(Column(np.array([1, 2], "i1"), None, valid), fields["i8"]) == [1, None]
    texts = Column.of_texts(["[1]", ""])
    column = Column(texts.values, texts.offsets, valid)
    assert values_of(column, fields["j"]) == [[1], None]
    assert values_of(column, fields["s"]) == ["[1]", None]


def test_values_are_plain_python_objects() -> None:
    rows = rows_of(GOOD, ALL, "shelf")
    for field in ALL.fields:
        column = rows.columns[field.id]
        (value,) = values_of(column, field)
        assert value == GOOD[field.name]
        assert type(value) is type(GOOD[field.name])


def test_some_dynamic_keys_can_be_chosen_and_a_field_goes_before_a_key() -> None:
    rows = rows_of({"id": 1, "vector": [1, 2, 3], "a": 1, "b": 2}, DYNAMIC, "shelf")
    meta = DYNAMIC.by_name["$meta"]
    assert python_rows(rows.columns, [meta], 1) == [{"a": 1, "b": 2}]
    assert python_rows(rows.columns, [meta], 1, {"b", "c"}) == [{"b": 2}]
    assert python_rows(rows.columns, [], 1) == [{}]
    clash = {**rows.columns, meta.id: Column.of_texts(['{"id":9,"z":0}'])}
    assert python_rows(clash, [DYNAMIC.primary, meta], 1) == [{"id": 1, "z": 0}]


# Queries and keys

VECTOR = SMALL.by_name["vector"]
ONE = [[1.0, 2.0, 3.0]]


@pytest.mark.parametrize(
    "data",
    [
        [1, 2, 3],
        (1.0, 2.0, 3.0),
        [[1, 2, 3]],
        [np.array([1, 2, 3], np.float32)],
        [np.array([1, 2, 3], np.float16)],
        np.array([1, 2, 3], np.float32),
        np.array([[1, 2, 3]]),
        np.array([[1, 9, 2, 9, 3, 9]], np.float32)[:, ::2],
        [np.float64(1), 2, 3],
    ],
)
def test_a_query_vector_may_have_many_forms(data: Any) -> None:
    vectors = query_vectors(data, VECTOR, "shelf")
    assert vectors.tolist() == ONE
    assert vectors.dtype == np.float32
    assert vectors.flags.c_contiguous


def test_several_query_vectors_of_mixed_forms() -> None:
    assert query_vectors([[1, 2, 3], np.ones(3), (0, 0, 0)], VECTOR, "shelf").shape == (3, 3)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ([], "at least one vector"),
        ([[]], "a vector of 3 components, not 0"),
        (np.empty((0, 3)), "at least one vector"),
        (None, "a list of vectors, got None"),
        ("abc", "a list of vectors, got 'abc'"),
        ([[1, 2, 3], [1, 2]], "query vector 1: expected a vector of 3 components, not 2"),
        (np.ones(4), "a vector of 3 components, not 4"),
        (np.ones((2, 4), np.float32), "a vector of 3 components, not 4"),
        ([np.ones((2, 3), np.float32)], "a vector of 3 numbers"),
        ([np.ones(4, np.float32)], "a vector of 3 components, not 4"),
        (np.array([1, np.nan, 3], np.float32), "component 1 is nan"),
        (np.ones((1, 1, 3)), "a vector of 3 numbers"),
        (np.array(1.0), "a list of vectors"),
        (["abc"], "a vector of 3 numbers, got 'abc'"),
    ],
)
def test_a_wrong_query_vector_is_refused_by_name(data: Any, expected: str) -> None:
    with pytest.raises(ParamError) as raised:
        query_vectors(data, VECTOR, "shelf")
    assert "collection shelf: field vector, query vector" in raised.value.message
    assert expected in raised.value.message


@pytest.mark.parametrize("ids", [[3, 1], (3, 1), np.array([3, 1]), [np.int8(3), 1]])
def test_keys_may_be_given_in_many_forms(ids: Any) -> None:
    assert pks_of(ids, SMALL, "shelf").values.tolist() == [3, 1]


def test_one_key_is_a_list_of_one() -> None:
    assert pks_of(3, SMALL, "shelf").values.tolist() == [3]
    assert pks_of(np.int64(3), SMALL, "shelf").values.tolist() == [3]
    assert pks_of("ab", TEXT_PK, "shelf").texts() == ["ab"]
    assert len(pks_of([], SMALL, "shelf")) == 0


@pytest.mark.parametrize(
    ("ids", "schema"),
    [("3", SMALL), ([1, "2"], SMALL), (True, SMALL), (None, SMALL), (1.0, SMALL), (3, TEXT_PK)],
)
def test_keys_of_another_type_are_refused(ids: Any, schema: Schema) -> None:
    with pytest.raises(ParamError, match=r"collection shelf: field id, id [01]: expected"):
        pks_of(ids, schema, "shelf")


@settings(max_examples=30)
@given(st.integers(1, 40), st.integers(0, 39))
def test_of_many_good_arrays_a_bad_one_is_found(n: int, bad: int) -> None:
    data = [{"id": i, "vector": np.ones(DIM, np.float32)} for i in range(n)]
    bad %= n
    data[bad]["vector"] = np.ones(DIM + 1, np.float32)
    data[(bad + 1) % n]["vector"] = np.ones(DIM - 1, np.float32)  # the sum of lengths is right
    assert "row" in refusal(SMALL, data)
