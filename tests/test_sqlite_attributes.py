"""History by attributes in a SQLite file that is too large to be read in the order of its index."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from otel_sessions.stores import _history_rows
from otel_sessions.stores._codec import encode_beginning
from otel_sessions.stores._conditions import unindexed
from otel_sessions.stores.sqlite import SQLiteStore
from otel_sessions.typing import AttributeValue, Beginning, Place, SessionRecord, Totals, Wanted

SECOND = 1_000_000_000
START = 1_767_225_600 * SECOND
NUMBER = 70_000
"""More than are gone through at once, twice over."""

# Every seventh ends at the same moment as the others of its seven. The numbers are shuffled: rows lie elsewhere than
# in the order of their ends.
_MULTIPLY = f"""
    WITH RECURSIVE step (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM step WHERE n < {NUMBER})
    INSERT INTO session (id, key, kind, user, owner, due_ns, ended_ns, status, reason, beginning, totals)
    SELECT
        printf('%032x', n * 48271 % 2147483647), NULL, kind, user, owner, due_ns,
        {START} + n * 7919 % {NUMBER} / 7 * {SECOND}, status, reason,
        replace(
            beginning,
            '"attribute":0',
            printf('"tenth":%d,"rare":%d,"old":%s', n % 10, n % 997, iif(n * 7919 % {NUMBER} < 45000, 'true', 'false'))
        ),
        totals
    FROM step, session WHERE id = 'first'
"""


@pytest.fixture(name="store", scope="module")
def _store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SQLiteStore]:
    path = tmp_path_factory.mktemp("large") / "sessions.db"
    store = SQLiteStore(str(path))
    store.create(Beginning("first", "chat", "durable", START, attributes={"attribute": 0}))
    store.close("first", status="success", reason="completed", ended_ns=START)
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(_MULTIPLY)
    connection.close()
    yield store
    store.shutdown()


@pytest.fixture(name="records", scope="module")
def _records(store: SQLiteStore) -> list[SessionRecord]:
    """All of them, by which what is found is judged."""
    found = store.history(Wanted(), NUMBER + 2)
    assert len(found) == NUMBER + 1
    return found


@pytest.mark.parametrize(
    "wanted",
    [
        Wanted(attributes={"tenth": 3}),
        Wanted(attributes={"rare": 3}),
        Wanted(attributes={"rare": 3, "tenth": 9}),
        # Too many for one go, and none of them among the latest.
        Wanted(attributes={"old": True}),
        Wanted(attributes={"rare": 996}, since_ns=START + 1_000 * SECOND, until_ns=START + 9_000 * SECOND),
        Wanted(attributes={"attribute": 0}),
        Wanted(attributes={"rare": -1}),
        Wanted(attributes={"rare": 3}, type="import"),
    ],
)
@pytest.mark.parametrize("limit", [2, 30_000])
def test_it_is_as_gone_through_by_hand(
    store: SQLiteStore, records: list[SessionRecord], wanted: Wanted, limit: int
) -> None:
    expected = list(filter(wanted.fits, records))
    first = store.history(wanted, limit)
    assert [record.id for record in first] == [record.id for record in expected[:limit]]
    if first:
        behind = store.history(wanted, limit, Place.of(first[-1]))
        assert [record.id for record in behind] == [record.id for record in expected[limit : 2 * limit]]


@pytest.mark.parametrize(
    ("wanted", "limit", "times"),
    [
        (Wanted(attributes={"rare": -1}), 1, 1),
        (Wanted(attributes={"rare": 3}), 500, 1),
        (Wanted(attributes={"rare": 3}), 2**62, 1),
        # There are enough in the order of the index, soon or a little later.
        (Wanted(attributes={"rare": 3}), 10, 0),
        (Wanted(attributes={"tenth": 3}), 3_000, 0),
        # Few are left of those to be gone through.
        (Wanted(attributes={"rare": -1}, since_ns=START + (NUMBER - 25_000) // 7 * SECOND), 1, 0),
        (Wanted(type="import", attributes={"rare": 3}), 1, 0),
    ],
)
def test_the_whole_file_is_read_only_where_that_is_sooner(
    store: SQLiteStore, wanted: Wanted, limit: int, times: int
) -> None:
    statements: list[str] = []
    connection = sqlite3.connect(store.path)
    connection.set_trace_callback(statements.append)
    _history_rows.select(connection.cursor(), wanted, limit, None)
    assert times == sum("NOT INDEXED" in each for each in statements)
    connection.close()


def test_records_of_before_the_epoch(tmp_path: Path) -> None:
    """A clock that was wrong takes nothing away."""
    store = SQLiteStore(str(tmp_path / "sessions.db"))
    store.create(Beginning("first", "chat", "durable", START, attributes={"attribute": 0}))
    store.close("first", status="success", reason="completed", ended_ns=START)
    connection = sqlite3.connect(store.path)
    with connection:
        connection.execute(_MULTIPLY.replace(f"{START} + ", "-1000 * 1000000000 * "))
    connection.close()
    found = store.history(Wanted(attributes={"tenth": 3}), NUMBER)
    assert NUMBER // 10 == len(found)
    store.shutdown()


NUMBERS = st.one_of(
    st.integers(-3, 3),
    st.sampled_from([10**15 - 1, 10**15, 10**16, 10**22, 2**62]),
    st.floats(allow_nan=False, allow_infinity=False),
)
VALUES = st.one_of(NUMBERS, st.text(), st.booleans(), st.lists(NUMBERS).map(tuple))


def same(value: AttributeValue) -> list[AttributeValue]:
    """The ways in which it may have been said; a list is told by its name alone."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return [value]
    integers = [int(value)] if value == int(value) else []
    zeros = [] if value else [0, 0.0, -0.0]
    forms: list[AttributeValue] = [value, float(value), *integers, *zeros]
    # Of integers beyond 2**53 most have no float that is the same.
    return [form for form in forms if form == value]


@given(value=VALUES, name=st.text())
@example(value=-0.0, name="zero")
@example(value=0, name='"')
def test_no_row_is_passed_over(value: AttributeValue, name: str) -> None:
    """What SQL is told of an attribute is in the text of all records that have it, however their number is written."""
    wanted = Wanted(attributes={name: value})
    ((condition, values),) = unindexed(wanted)
    connection = sqlite3.connect(":memory:")
    for held in same(value):
        beginning = Beginning("a", "chat", "durable", 0, attributes={name: held, name + "2": 1})
        assert wanted.fits(SessionRecord(beginning, Totals(0)))
        row = "SELECT ? AS beginning, '{}' AS totals"
        (found,) = connection.execute(
            f"SELECT {condition} FROM ({row})", (*values, encode_beginning(beginning))
        ).fetchone()
        assert found
    connection.close()


@pytest.mark.parametrize("value", [3, 3.0, 0.5, True, "3", "x*"])
def test_what_only_begins_alike_is_passed_over(value: AttributeValue) -> None:
    """Numbers that begin with the same digits are others: their records are not read."""
    ((condition, values),) = unindexed(Wanted(attributes={"n": value}))
    connection = sqlite3.connect(":memory:")
    for held in (30, 13, -3, 0.55, 10.5, False, "30", "xy", (3,)):
        beginning = encode_beginning(Beginning("a", "chat", "durable", 0, attributes={"n": held, "o": 1}))
        row = "SELECT ? AS beginning, '{}' AS totals"
        (found,) = connection.execute(f"SELECT {condition} FROM ({row})", (*values, beginning)).fetchone()
        assert not found
    connection.close()
