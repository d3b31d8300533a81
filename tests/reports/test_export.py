"""`export`: sessions as lines of JSON, and as rows of CSV."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import math
import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import otel_sessions
from otel_sessions import ConfigurationError, InvalidValueError, StoreError, session
from otel_sessions.reports import export, history
from otel_sessions.reports._description import describe
from otel_sessions.reports._rows import COLUMNS, csv_row, json_line
from otel_sessions.testing import RecordedSessions, record_sessions

from ..contract import STORES
from ..failing_store import FailingStore

START = dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc)
HOSTILE = ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "\nx", "\uff1d1", '=cmd|"/c calc"!A1']

SIGNS = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What formulas begin with."""


@pytest.fixture(name="recorded", params=STORES)
def _recorded(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RecordedSessions]:
    """A process with a store of each kind."""
    store = STORES[request.param](tmp_path)
    with record_sessions(store=store, pseudonym_key="k" * 32, detect_user=False) as recorded:
        yield recorded


@pytest.fixture(name="here")
def _here() -> Iterator[RecordedSessions]:
    """A process with a memory store."""
    with record_sessions(pseudonym_key="k" * 32, detect_user=False) as recorded:
        yield recorded


def audits(recorded: RecordedSessions, *users: str, **fields: Any) -> None:
    """Scoped sessions, a minute after each other."""
    for user in users:
        with session("audit", user=user, **fields):
            recorded.advance(60)


def names(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir()]


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


class TestJSONLines:
    def test_each_session_is_a_line(self, recorded: RecordedSessions) -> None:
        """A line is what `describe` says, the latest end first."""
        audits(recorded, "ada", "bob", attributes={"tags": ["a", "b"]})
        out = io.StringIO()
        assert export(out, format="jsonl") == 2
        assert lines(out.getvalue()) == [describe(record) for record in history()]

    def test_filtered(self, recorded: RecordedSessions) -> None:
        """Whatever `history` takes, alone and together; a user by name or pseudonym."""
        audits(recorded, "ada", "bob", "ada", attributes={"shop": "a"}, tier="pro")
        pseudonym = history(user="ada")[0].user
        every: list[dict[str, Any]] = [
            {"user": "ada"},
            {"user": pseudonym},
            {"type": "audit", "status": "success", "end_reason": "completed", "tier": "pro", "user": "ada"},
            {"attributes": {"shop": "a"}, "user": "ada", "days": 1},
            {"since": START + dt.timedelta(seconds=1), "until": START + dt.timedelta(seconds=150)},
        ]
        assert [export(io.StringIO(), format="jsonl", **wanted) for wanted in every] == [2, 2, 2, 2, 2]
        assert export(io.StringIO(), format="jsonl", status="error") == 0

    def test_what_json_cannot_say(self, here: RecordedSessions) -> None:
        """A number that JSON has no form for is a text in an attribute and null elsewhere; hostile text is escaped."""
        with session("audit", attributes={"ratio": math.inf, "text": "\x1b[31m\n\u202e"}):
            pass
        out = io.StringIO()
        export(out, format="jsonl")
        assert out.getvalue().isascii()
        assert lines(out.getvalue())[0]["attributes"] == {"ratio": "Infinity", "text": "\x1b[31m\n\u202e"}
        line = json_line({"usage": {"credits": math.inf, "each": [1.0, math.nan]}})
        assert line == '{"usage": {"credits": null, "each": [1.0, null]}}\n'

    def test_active_ones_too(self, recorded: RecordedSessions) -> None:
        """If they are asked for they come first, the latest start at the top, and only those that are wanted."""
        for number in range(2):
            otel_sessions.start("chat", id=f"c{number}", user="ada")
            recorded.advance(1)
        otel_sessions.start("web", user="bob")
        audits(recorded, "ada")
        out = io.StringIO()
        assert export(out, format="jsonl", user="ada", active=True, days=0.5) == 3
        assert [line["type"] for line in lines(out.getvalue())] == ["chat", "chat", "audit"]
        assert [line["status"] for line in lines(out.getvalue())] == ["active", "active", "success"]
        assert [line["id"] for line in lines(out.getvalue())[:2]] == ["c1", "c0"]
        assert export(io.StringIO(), format="jsonl", user="ada") == 1
        assert export(io.StringIO(), format="jsonl", status="active") == 3

    def test_progress(self, recorded: RecordedSessions) -> None:
        """After each page is said how many there are, of whatever number."""
        said: list[int] = []
        assert export(io.StringIO(), format="jsonl", progress=said.append) == 0
        for _ in range(501):
            with session("audit"):
                pass
        out = io.StringIO()
        assert export(out, format="csv", progress=said.append) == 501
        assert (said, len({row["id"] for row in rows(out.getvalue())})) == ([500, 501], 501)

    def test_switched_off(self) -> None:
        """Who has switched the package off has no sessions."""
        with record_sessions(enabled=False):
            assert export(io.StringIO(), format="jsonl", active=True) == 0


class TestCSV:
    def test_columns(self, recorded: RecordedSessions) -> None:
        """Every value has a column, in the documented order; rows end as RFC 4180 has it."""
        audits(recorded, "ada", tier="pro", attributes={"shop": 'a, "b"', "tags": ["x"]})
        out = io.StringIO(newline="")
        assert export(out, format="csv") == 1
        [head, _row, rest] = out.getvalue().split("\r\n")
        assert (head, rest) == (",".join(COLUMNS), "")
        assert list(describe(history()[0])) == list(COLUMNS)
        [found] = rows(out.getvalue())
        assert (found["tier"], found["duration"], found["ended"]) == ("pro", "60.0", "2026-01-01T00:01:00+00:00")
        assert (found["parent_id"], json.loads(found["attributes"])) == ("", {"shop": 'a, "b"', "tags": ["x"]})

    def test_documented(self) -> None:
        """The columns are those that the documentation names, in its order."""
        page = (Path(__file__).parents[2] / "docs" / "export-and-retention.md").read_text("utf-8")
        listed = page.partition("<!-- columns -->")[2].partition("\n\n")[0]
        assert re.findall("`([a-z_]+)`", listed) == list(COLUMNS)

    def test_nothing(self, recorded: RecordedSessions) -> None:
        """No sessions are a head and no rows."""
        out = io.StringIO()
        assert export(out, format="csv") == 0
        assert out.getvalue() == ",".join(COLUMNS) + "\r\n"

    @pytest.mark.parametrize("text", HOSTILE)
    def test_formulas(self, here: RecordedSessions, text: str) -> None:
        """What a spreadsheet would take for a formula is a text in it; what contains one is none."""
        with pytest.raises(ValueError), session("audit", attributes={text: text, "a": f"x{text}"}):  # noqa: PT011 - it is hostile
            raise ValueError(text)
        otel_sessions.start("chat", id="=1+1")
        otel_sessions.end("=1+1")
        out = io.StringIO(newline="")
        export(out, format="csv")
        [audit] = [row for row in rows(out.getvalue()) if row["type"] == "audit"]
        [chat] = [row for row in rows(out.getvalue()) if row["type"] == "chat"]
        assert (audit["error_message"][:1], chat["id"]) == ("'", "'=1+1")
        assert json.loads(audit["attributes"])["a"] == f"x{text}"

    @pytest.mark.parametrize("between", ["", '"', '""', "x", '"x"'])
    @pytest.mark.parametrize("separator", [";", "\t", "|", "\n", "\r"])
    @pytest.mark.parametrize("text", HOSTILE)
    def test_formulas_of_other_separators(
        self, here: RecordedSessions, text: str, separator: str, between: str
    ) -> None:
        """Nor does one begin a cell where semicolons, tabs or bars separate cells, which is a setting of each machine.
        In JSON it is the same value as before.
        """
        hostile = f'a "quoted", text{separator}{between}{text}{separator}{text}'
        attributes = {"a": hostile, hostile: ["b", hostile, -1], "c": -1}
        with pytest.raises(ValueError), session("audit", attributes=attributes, user=hostile):  # noqa: PT011 - it is hostile
            raise ValueError(hostile)
        out = io.StringIO(newline="")
        export(out, format="csv")
        [row] = rows(out.getvalue())
        assert json.loads(row["attributes"]) == describe(history()[0])["attributes"]
        for delimiter in ",;\t|":
            cells = [
                cell
                for row in csv.reader(out.getvalue().splitlines(keepends=True), delimiter=delimiter)
                for cell in row
            ]
            assert not [cell for cell in cells if cell.startswith(SIGNS)], delimiter

    def test_other_texts_stay(self, here: RecordedSessions) -> None:
        """A sign that begins no cell is left alone."""
        said = "a=b; -1 is < 0, but 1+1=2; a|b @ c"
        with pytest.raises(ValueError, match="1=2"), session("audit", attributes={"a": said}):
            raise ValueError(said)
        out = io.StringIO(newline="")
        export(out, format="csv")
        [row] = rows(out.getvalue())
        assert row["error_message"] == said
        assert json.dumps({"a": said}) == row["attributes"]

    def test_numbers_stay(self, here: RecordedSessions) -> None:
        """A number is one, also if it is below zero."""
        audits(here, "ada")
        row = csv_row(describe(history()[0]) | {"total_cost": -0.5})
        assert row[COLUMNS.index("total_cost")] == -0.5

    def test_control_characters(self, here: RecordedSessions, tmp_path: Path) -> None:
        """What a terminal obeys, what turns writing round and what is no text is shown and does nothing."""
        with pytest.raises(ValueError), session("audit", attributes={"a": "\x9b"}):  # noqa: PT011 - it is hostile
            raise ValueError("a\x1b[31mred\x00\x9b\u202egpj\ud800\r\nb")
        path = tmp_path / "out.csv"
        export(path)
        [row] = rows(path.read_bytes().decode("utf-8"))
        assert row["error_message"] == "a\\x1b[31mred\\x00\\x9b\\u202egpj\\ud800\r\nb".replace(
            "\r\n", row["error_message"][-3:-1]
        )
        assert json.loads(row["attributes"]) == {"a": "\x9b"}
        assert row["attributes"].isprintable()


class TestFile:
    @pytest.mark.parametrize("name", ["a.jsonl", "a.ndjson", "a.csv", "A.CSV"])
    def test_suffix_says_the_format(self, here: RecordedSessions, tmp_path: Path, name: str) -> None:
        """The suffix is enough; what is given goes before it."""
        audits(here, "ada")
        assert export(tmp_path / name) == 1
        is_csv = (tmp_path / name).read_text("utf-8").startswith("id,type")
        assert is_csv == name.lower().endswith("csv")
        export(str(tmp_path / "b.csv"), format="jsonl")
        assert len(lines((tmp_path / "b.csv").read_text("utf-8"))) == 1

    def test_only_its_owner_can_read_it(self, here: RecordedSessions, tmp_path: Path) -> None:
        """Pseudonyms are personal data; nothing but the file is left in the folder."""
        before = os.umask(0)
        try:
            export(tmp_path / "a.csv")
        finally:
            os.umask(before)
        assert stat.S_IMODE((tmp_path / "a.csv").stat().st_mode) == 0o600
        assert names(tmp_path) == ["a.csv"]

    def test_there_already(self, here: RecordedSessions, tmp_path: Path) -> None:
        """A file is replaced only by who says so, and then as a whole."""
        path = tmp_path / "a.jsonl"
        path.write_text("mine", "utf-8")
        with pytest.raises(InvalidValueError, match=r"a\.jsonl' is there already"):
            export(path)
        assert path.read_text("utf-8") == "mine"
        audits(here, "ada")
        assert export(path, overwrite=True) == 1
        assert len(lines(path.read_text("utf-8"))) == 1

    def test_a_link(self, here: RecordedSessions, tmp_path: Path) -> None:
        """A symbolic link stays one, and where it leads to is written, whether or not there is a file yet."""
        audits(here, "ada")
        (tmp_path / "far").mkdir()
        link, target = tmp_path / "a.jsonl", tmp_path / "far" / "b.jsonl"
        link.symlink_to(Path("far") / "b.jsonl")
        assert export(link) == 1
        target.write_text("mine", "utf-8")
        with pytest.raises(InvalidValueError, match="is there already"):
            export(link)
        assert export(link, overwrite=True) == 1
        assert link.is_symlink()
        assert len(lines(target.read_text("utf-8"))) == 1
        assert (names(tmp_path), names(tmp_path / "far")) == (["a.jsonl", "far"], ["b.jsonl"])

    def test_made_meanwhile(self, here: RecordedSessions, tmp_path: Path) -> None:
        """Nor is one replaced that somebody made while this was written."""
        path = tmp_path / "a.jsonl"
        audits(here, "ada")
        with pytest.raises(InvalidValueError, match="is there already"):
            export(path, progress=lambda _: path.write_text("mine", "utf-8"))
        assert (path.read_text("utf-8"), names(tmp_path)) == ("mine", ["a.jsonl"])

    def test_whole_or_not_at_all(self, here: RecordedSessions, tmp_path: Path) -> None:
        """If it is interrupted, nothing is left."""
        audits(here, "ada")

        def interrupt(_: int) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            export(tmp_path / "a.csv", progress=interrupt)
        assert names(tmp_path) == []

    def test_no_file(self, here: RecordedSessions, tmp_path: Path) -> None:
        """A folder, a device or a pipe is not replaced by a file; a folder that is not there is not made."""
        os.mkfifo(tmp_path / "pipe.csv")
        for name in (str(tmp_path), os.devnull, str(tmp_path / "pipe.csv")):
            with pytest.raises(InvalidValueError, match="is no file"):
                export(name, format="csv", overwrite=True)
        with pytest.raises(FileNotFoundError):
            export(tmp_path / "none" / "a.csv")


class TestRefused:
    @pytest.mark.parametrize(
        ("destination", "arguments", "reason"),
        [
            ("a.txt", {}, "does not end in one of .jsonl, .ndjson, .csv"),
            ("a", {}, "give the format"),
            ("a.csv", {"format": "xml"}, "format='xml': use one of jsonl, csv"),
            (io.StringIO(), {}, "a stream does not say it"),
            (7, {}, "destination=7: use a path or a text stream"),
            ("a.csv", {"status": "failed"}, "status='failed'"),
            ("a.csv", {"days": 0}, "days=0: use a positive number of days"),
        ],
    )
    def test_bad_arguments(
        self, destination: Any, arguments: dict[str, Any], reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """They are refused at the door, and no file is made."""
        monkeypatch.chdir(tmp_path)
        with record_sessions(), pytest.raises(InvalidValueError, match=reason):
            export(destination, **arguments)
        assert names(tmp_path) == []

    def test_a_store_that_cannot_be_asked(self, tmp_path: Path) -> None:
        """It is said, and no file is made."""
        with record_sessions(store=FailingStore()), pytest.raises((StoreError, ConfigurationError)):
            export(tmp_path / "a.csv")
        assert names(tmp_path) == []


MEASURED = """
import resource, sys
import otel_sessions
from otel_sessions.reports import export

otel_sessions.configure(store=f"sqlite:///{sys.argv[1]}", background=False, pseudonym_key="k" * 32)
written = export(sys.argv[2])
print(written, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def fill(path: Path, sessions: int) -> None:
    """Put ended sessions into a file, as many at a time as it takes well."""
    from otel_sessions._models import Beginning, SessionRecord, Totals
    from otel_sessions.stores import _rows
    from otel_sessions.stores._codec import encode_beginning, encode_totals
    from otel_sessions.stores.sqlite import SQLiteStore

    store = SQLiteStore(str(path))
    totals = Totals(1)
    totals.tokens = {"input": 100, "output": 50}
    began = Beginning("", "chat", "durable", 1, attributes={"shop": "a" * 40})
    record = SessionRecord(began, totals, "success", "completed", 1)
    kind, beginning, sums = _rows._kind("chat", None), encode_beginning(began), encode_totals(record.totals)
    store._database.write(
        lambda cursor: cursor.executemany(
            "INSERT INTO session (id, kind, due_ns, ended_ns, status, reason, beginning, totals) "
            "VALUES (?, ?, 1, ?, 'success', 'completed', ?, ?)",
            ((f"{number:032x}", kind, number, beginning, sums) for number in range(sessions)),
        )
    )
    store.shutdown()


class TestMemory:
    def test_it_does_not_grow_with_the_sessions(self, tmp_path: Path) -> None:
        """Twenty times as many sessions take no more memory: a real process, at its peak."""
        peaks = {}
        for sessions in (1_000, 20_000):
            fill(tmp_path / f"{sessions}.db", sessions)
            done = subprocess.run(
                [sys.executable, "-c", MEASURED, str(tmp_path / f"{sessions}.db"), str(tmp_path / f"{sessions}.jsonl")],
                check=True,
                capture_output=True,
                text=True,
            )
            written, peak = map(int, done.stdout.split())
            assert written == sessions
            peaks[sessions] = peak
        # KiB: of the file 8 MiB may be kept, and all of the sessions would be 60 MiB.
        assert peaks[20_000] - peaks[1_000] < 12 * 1024, peaks
