"""Times and intervals of filters."""

from __future__ import annotations

from calendar import monthrange
from datetime import datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from walvec import DataType, MilvusClient
from walvec.filter.times import Interval, interval, moved
from walvec.wal.errors import ExpressionException

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
moments = st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)).map(
    lambda moment: moment.replace(tzinfo=timezone.utc)
)


def micros(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1)


def slowly_moved(moment: datetime, months: int) -> datetime:
    """So many months later, on the last day of the month if it has no such day."""
    year, month = divmod(moment.year * 12 + moment.month - 1 + months, 12)
    day = min(moment.day, monthrange(year, month + 1)[1])
    return moment.replace(year=year, month=month + 1, day=day)


@given(st.lists(moments, min_size=1, max_size=5), st.integers(-600, 600), st.integers(-9, 9))
def test_months_are_of_the_calendar_and_the_rest_is_a_fixed_time(
    times: list[datetime], months: int, hours: int
) -> None:
    found = moved(np.array([micros(t) for t in times]), Interval(months, hours * 3_600_000_000))
    wanted = [micros(slowly_moved(t, months) + timedelta(hours=hours)) for t in times]
    assert found.tolist() == wanted


@pytest.mark.parametrize(
    ("text", "months", "seconds"),
    [
        ("P1Y", 12, 0),
        ("P6M", 6, 0),
        ("P1W", 0, 604_800),
        ("PT30M", 0, 1800),
        ("P1Y2M3DT4H5M6S", 14, 3 * 86_400 + 4 * 3600 + 5 * 60 + 6),
        ("PT0.25S", 0, 0.25),
        ("P0D", 0, 0),
    ],
)
def test_an_interval_is_an_iso_8601_duration(text: str, months: int, seconds: float) -> None:
    assert interval(text) == Interval(months, round(seconds * 1_000_000))


@pytest.mark.parametrize("text", ["", "P", "PT", "1D", "P1H", "PT1D", "P-1D", "P1.5D", "p1d", "P1"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        interval(text)


@pytest.fixture
def client(tmp_path: Any) -> Any:
    """Three rows, an hour apart."""
    client = MilvusClient(str(tmp_path / "times.db"))
    schema = client.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("v", DataType.FLOAT_VECTOR, dim=2)
    schema.add_field("at", DataType.TIMESTAMPTZ, nullable=True)
    index = client.prepare_index_params("v", index_type="FLAT", metric_type="L2")
    client.create_collection("c", schema=schema, index_params=index)
    times = ["2025-01-01T00:00:00Z", "2025-01-01T01:00:00Z", "2025-01-01T02:00:00Z", None]
    client.insert("c", [{"id": n, "v": [0, n], "at": at} for n, at in enumerate(times)])
    yield client
    client.close()


def ids(client: Any, text: str, **kwargs: Any) -> list[int]:
    rows = client.query("c", filter=text, output_fields=["id"], **kwargs)
    return sorted(row["id"] for row in rows)


def test_a_time_without_an_offset_is_of_the_timezone_of_the_call(client: Any) -> None:
    text = 'at >= ISO "2025-01-01T02:00:00"'
    assert ids(client, text) == [2]
    assert ids(client, text, timezone="Europe/Berlin") == [1, 2]
    assert ids(client, "at >= {x}", filter_params={"x": "2025-01-01 02:00:00"}) == [2]
    assert ids(client, 'not (at >= ISO "2025-01-01T01:00:00Z")') == [0]
    assert ids(client, 'at - INTERVAL "PT1H" in ["2025-01-01T00:00:00Z"]') == [1]


def test_what_is_no_time_is_refused(client: Any) -> None:
    with pytest.raises(ExpressionException, match="'yesterday' is no time"):
        ids(client, 'at > "yesterday"')
    with pytest.raises(ExpressionException, match="takes numbers, not constant times"):
        ids(client, "at > ISO '2025-01-02T00:00:00Z' - INTERVAL 'P1D'")
    with pytest.raises(ExpressionException, match="cannot compare a time with a number"):
        ids(client, "at > 5")
    with pytest.raises(ExpressionException, match="in cannot find 5 where a time is"):
        ids(client, "at in [5]")
    with pytest.raises(ExpressionException, match="takes a time and an interval"):
        ids(client, "at + 5 > ISO '2025-01-01T00:00:00Z'")
