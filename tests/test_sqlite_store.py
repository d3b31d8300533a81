"""What is particular to the SQLite store: its file, its processes, and what can be wrong with either."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from types import MappingProxyType
from typing import Any

import pytest

from otel_sessions import ConfigurationError, StoreError
from otel_sessions.stores import _schema, from_url
from otel_sessions.stores._codec import encode_beginning
from otel_sessions.stores._database import Database
from otel_sessions.stores._readers import AT_ONCE
from otel_sessions.stores.sqlite import SQLiteStore
from otel_sessions.typing import Beginning, Totals, Wanted

from . import interpreter

SECOND = 1_000_000_000
START = 1_767_225_600 * SECOND
DAY = 86_400
ALWAYS = 0, 2**31

PRELUDE = """
import json, os, sys, time
from otel_sessions import StoreError, ConfigurationError
from otel_sessions.stores._codec import encode_beginning
from otel_sessions.stores._database import Database
from otel_sessions.stores.sqlite import SQLiteStore
from otel_sessions.typing import Beginning, Totals

def start(store, name, **fields):
    return store.create(Beginning(**{"id": name, "type": "chat", "topology": "durable", "started_ns": 1, **fields}))

def end(store, name, **fields):
    return store.close(name, status="success", reason="completed", ended_ns=2, **fields)

path = sys.argv[1]
"""

LONG_QUESTION = """
            import threading
            asked = threading.Semaphore(0)
            COUNT = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT ?) SELECT count(*) FROM n"
            class Long:
                '''Takes hours, for so many times; then no time at all.'''
                def __init__(self, times):
                    self.times = times
                def __call__(self, cursor):
                    self.times -= 1
                    asked.release()
                    (number,) = cursor.execute(COUNT, (10**12 if self.times >= 0 else 10,)).fetchone()
                    return number
"""


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> Path:
    return tmp_path / "sessions.db"


def start(store: SQLiteStore, name: str, **fields: Any) -> Any:
    return store.create(Beginning(**{"id": name, "type": "chat", "topology": "durable", "started_ns": START, **fields}))


def end(store: SQLiteStore, name: str, **fields: Any) -> Any:
    return store.close(name, **{"status": "success", "reason": "completed", "ended_ns": START + SECOND, **fields})


def launch(code: str, path: Path, *arguments: object, measured: bool = True) -> subprocess.Popen[str]:
    """A new process that runs `code` on the file."""
    unmeasured = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", PRELUDE + dedent(code), str(path), *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=None if measured else unmeasured,
    )


def answer(process: subprocess.Popen[str]) -> Any:
    """What the process printed last, as JSON, after its end."""
    output, errors = process.communicate(timeout=60)
    assert (0, "") == (process.returncode, errors)
    return json.loads(output)


def integrity(path: Path) -> str:
    """What SQLite itself says about the file, opened by a process that never had it open."""
    connection = sqlite3.connect(path)
    (found,) = connection.execute("PRAGMA integrity_check").fetchone()
    connection.close()
    return str(found)


def refused(path: Path | str, **options: Any) -> str:
    """What is said when a store cannot be made."""
    with pytest.raises(ConfigurationError) as raised:
        SQLiteStore(str(path), **options)
    return str(raised.value)


class TestFromUrl:
    def test_relative(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Three slashes name a file of the working directory, also after that has changed."""
        monkeypatch.chdir(tmp_path)
        store = from_url("sqlite:///my%20sessions.db")
        monkeypatch.chdir("/")
        assert isinstance(store, SQLiteStore)
        assert start(store, "a") is None
        assert (tmp_path / "my sessions.db").exists()
        assert ("sqlite", True) == (store.name, store.shared)
        store.shutdown()

    def test_absolute(self, path: Path) -> None:
        """Four slashes name an absolute path."""
        store = from_url(f"SQLite:///{path}?timeout=0.5&retention=60&synchronous=full")
        assert path.exists()
        store.shutdown()

    def test_odd_name(self, tmp_path: Path) -> None:
        """A name with characters that mean something in a URL is a name."""
        path = tmp_path / "a?b#c%41 &=.db"
        store = SQLiteStore(str(path))
        assert [path] == list(tmp_path.iterdir())
        store.shutdown()

    @pytest.mark.parametrize("url", ["sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite://u:hunter2@host/x.db"])
    def test_no_file(self, url: str) -> None:
        """A URL that names no file is refused, and what may be a credential is not shown."""
        with pytest.raises(ConfigurationError) as raised:
            from_url(url)
        assert "sqlite: the URL names no file; write sqlite:///relative.db or sqlite:////absolute/path.db" == str(
            raised.value
        )

    @pytest.mark.parametrize(
        ("query", "message"),
        [
            (
                "cache=1",
                "sqlite: the URL has an unknown option 'cache'; there are retention, timeout, synchronous, mode",
            ),
            ("timeout=1&timeout=2", "sqlite: the URL has the option 'timeout' twice"),
            ("timeout=soon", "sqlite: timeout is a number of seconds above 0, not 'soon'"),
            ("timeout=", "sqlite: timeout is a number of seconds above 0, not ''"),
            ("timeout=nan", "sqlite: timeout is a number of seconds above 0, not nan"),
            ("timeout=0", "sqlite: timeout is a number of seconds above 0, not 0.0"),
            ("retention=-1", "sqlite: retention is a number of seconds above 0, not -1.0"),
            ("retention=inf", "sqlite: retention is a number of seconds above 0, not inf"),
            ("synchronous=off", "sqlite: synchronous is 'normal' or 'full', not 'off'"),
        ],
    )
    def test_bad_option(self, path: Path, query: str, message: str) -> None:
        """An option that is unknown or cannot be used is refused, before there is a file."""
        with pytest.raises(ConfigurationError) as raised:
            from_url(f"sqlite:///{path}?{query}")
        assert message == str(raised.value)
        assert not path.exists()

    def test_retention(self, path: Path) -> None:
        """Ended sessions are forgotten after the retention given with the URL, or in it, which goes before."""
        for url, expected in ((f"sqlite:///{path}", None), (f"sqlite:///{path}?retention=1000", "b")):
            store = from_url(url, retention=10)
            assert isinstance(store, SQLiteStore)
            start(store, "b")
            end(store, "b")
            list(store.due(START + 12 * SECOND))
            found = store.get("b")
            assert expected == (found and found.id)
            store.shutdown()

    def test_lazy(self) -> None:
        """Who does not use it does not load SQLite."""
        code = "import json, sys, otel_sessions; print(json.dumps('otel_sessions.stores.sqlite' in sys.modules))"
        assert interpreter.answer(code) is False


class TestFile:
    def test_private(self, path: Path) -> None:
        """Its owner alone can read the file and what stands beside it, whatever the umask."""
        mask = os.umask(0)
        try:
            store = SQLiteStore(str(path))
            start(store, "a")
        finally:
            os.umask(mask)
        files = sorted(path.parent.iterdir())
        assert [path.name, f"{path.name}-shm", f"{path.name}-wal"] == [file.name for file in files]
        assert {0o600} == {stat.S_IMODE(file.stat().st_mode) for file in files}
        store.shutdown()

    def test_link(self, tmp_path: Path) -> None:
        """Who goes through a symbolic link uses the same log as who does not."""
        (tmp_path / "link.db").symlink_to(tmp_path / "real.db")
        through, direct = SQLiteStore(str(tmp_path / "link.db")), SQLiteStore(str(tmp_path / "real.db"))
        start(through, "a")
        assert direct.get("a") == through.get("a")
        assert not (tmp_path / "link.db-wal").exists()
        for store in (through, direct):
            store.shutdown()

    def test_another_store_here(self, path: Path) -> None:
        """Making and closing a second store of the file in this process leaves the locks of the first alone."""
        first = SQLiteStore(str(path))
        start(first, "a")
        SQLiteStore(str(path)).shutdown()
        process = launch("store = SQLiteStore(path); start(store, 'b'); store.shutdown(); print('1')", path)
        assert 1 == answer(process)
        start(first, "c")
        first.shutdown()
        second = SQLiteStore(str(path))
        assert {"a", "b", "c"} == {record.id for record in second.active()}
        second.shutdown()

    def test_log_bounded(self, path: Path) -> None:
        """The log does not grow with what is written, with or without a background."""
        store = SQLiteStore(str(path))
        for number in range(2000):
            start(store, str(number), attributes={"text": "x" * 4000})
        assert (path.parent / f"{path.name}-wal").stat().st_size < 20_000_000
        assert path.stat().st_size > 4000
        store.shutdown()

    def test_retention(self, path: Path) -> None:
        """What has ended is remembered for thirty days, and forgotten then, without anybody asking."""
        store = SQLiteStore(str(path))
        for name in "ab":
            start(store, name)
        end(store, "a", ended_ns=START)
        end(store, "b", ended_ns=START, owner="p")
        list(store.due(START + 30 * DAY * SECOND))
        assert store.get("a") is not None
        list(store.due(START + (30 * DAY + 61) * SECOND))
        assert [None, "b"] == [record and record.id for record in (store.get("a"), store.get("b"))]
        store.shutdown()

    def test_many_old(self, path: Path) -> None:
        """When there is much to forget, it takes some rounds of the background, and others work between."""
        store = SQLiteStore(str(path), retention=1)
        for number in range(1500):
            start(store, str(number))
            end(store, str(number))
        for second, expected in ((10, 500), (11, 0)):
            list(store.due(START + second * SECOND))
            left = [number for number in range(1500) if store.get(str(number)) is not None]
            assert expected == len(left)
        store.shutdown()

    def test_any_mapping(self, path: Path) -> None:
        """Attributes may come in a mapping of any kind."""
        store = SQLiteStore(str(path))
        start(store, "a", attributes=MappingProxyType({"tenant": "contoso"}))
        found = store.get("a")
        assert found is not None
        assert {"tenant": "contoso"} == found.attributes
        store.shutdown()

    def test_many_due(self, path: Path) -> None:
        """All that is due is found, however many they are, and what only seemed to be is looked at later."""
        store = SQLiteStore(str(path))
        names = [str(number) for number in range(1200)]
        for name in names:
            start(store, name, idle_timeout_ns=10 * SECOND)
        store.merge({name: Totals(START + 5 * SECOND) for name in names[::2]})
        assert set(names[1::2]) == {record.id for record in store.due(START + 11 * SECOND)}
        assert set(names) == {record.id for record in store.due(START + 15 * SECOND)}
        store.shutdown()


class Slow(str):
    """The value of an attribute that takes as long to compare as the test lets it."""

    __slots__ = ("answered", "asked")

    def __init__(self, _: str) -> None:
        self.asked, self.answered = threading.Event(), threading.Event()

    def __eq__(self, other: object) -> bool:
        self.asked.set()
        return self.answered.wait(30)

    __hash__ = str.__hash__


@contextlib.contextmanager
def slow_report(store: SQLiteStore) -> Iterator[None]:
    """Somebody in another thread who goes through all that has ended as long as this is open, and finds `a`."""
    slow = Slow("x")
    found: list[Any] = []
    report = threading.Thread(target=lambda: found.extend(store.history(Wanted(attributes={"n": slow}), 9)))
    report.start()
    assert slow.asked.wait(30)
    try:
        yield
    finally:
        slow.answered.set()
        report.join()
    assert ["a"] == [record.id for record in found]


def connections(path: Path) -> int:
    """How many connections this process has open: each its own log, while SQLite uses descriptors of the file again."""
    found = 0
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            found += descriptor.readlink().name == f"{path.name}-wal"
    return found


class TestReports:
    def test_nobody_waits_for_them(self, path: Path) -> None:
        """While somebody goes through all that has ended, sessions start and end, and metrics are read."""
        store = SQLiteStore(str(path), timeout=0.1)
        start(store, "a", attributes={"n": "x"})
        end(store, "a")
        with slow_report(store):
            start(store, "b", user="u")
            assert ({("chat", None): 1}, 1) == (store.counts(), store.most_of_a_user({}))
        store.shutdown()

    @pytest.mark.parametrize("read_only", [False, True])
    def test_side_by_side(self, path: Path, read_only: bool) -> None:
        """Nor does another report wait; nor who asks how things stand, however many reports there are."""
        store = SQLiteStore(str(path))
        start(store, "a", attributes={"n": "x"}, user="u")
        end(store, "a")
        start(store, "b", user="u")
        asked = SQLiteStore(str(path), read_only=read_only, timeout=0.1)
        with contextlib.ExitStack() as reports:
            for at_once in range(AT_ONCE):
                assert at_once == 0 or ["a"] == [record.id for record in asked.history(Wanted(), 9)]
                reports.enter_context(slow_report(asked))
            assert ["b"] == [record.id for record in asked.active()]
            assert ({("chat", None): 1}, 1) == (asked.counts(), asked.most_of_a_user({}))
            assert [1] == [each.tally.sessions for each in asked.tallies(*ALWAYS)]
            assert [1] == [each.tally.sessions for each in asked.daily_tallies(*ALWAYS)]
            assert 0 == asked.facts().owed
        asked.shutdown()
        store.shutdown()

    def test_waiting_is_no_failure(self, path: Path) -> None:
        """Whoever finds too many others at it waits for longer than the timeout, and is answered then."""
        store = SQLiteStore(str(path), timeout=0.05)
        start(store, "a", attributes={"n": "x"})
        end(store, "a")
        found: list[Any] = []
        waiting = threading.Thread(target=lambda: found.extend(store.history(Wanted(), 9)))
        with contextlib.ExitStack() as reports:
            for _ in range(AT_ONCE):
                reports.enter_context(slow_report(store))
            waiting.start()
            waiting.join(timeout=0.2)
            assert waiting.is_alive()
        waiting.join()
        assert ["a"] == [record.id for record in found]
        store.shutdown()

    @pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="only Linux says what is open")
    def test_one_stays_open(self, path: Path) -> None:
        """What was opened for many at once is closed when nobody needs it any more."""
        store = SQLiteStore(str(path))
        start(store, "a", attributes={"n": "x"})
        end(store, "a")
        store.history(Wanted(), 9)
        before = connections(path)
        with contextlib.ExitStack() as reports:
            for _ in range(AT_ONCE):
                reports.enter_context(slow_report(store))
            assert list(store.due(START)) == []
            assert connections(path) > before
        assert list(store.due(START)) == []
        assert before == connections(path)
        store.shutdown()

    def test_working_directory(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """They are asked of the file that the path named at first, whatever directory is the working one by then."""
        (tmp_path / "here").mkdir()
        monkeypatch.chdir(tmp_path / "here")
        store = SQLiteStore("sessions.db")
        start(store, "a")
        monkeypatch.chdir(tmp_path)
        assert ["a"] == [record.id for record in store.active()]
        assert end(store, "a") is not None
        assert ["a"] == [record.id for record in store.ended(9)]
        assert [tmp_path / "here"] == list(tmp_path.iterdir())
        store.shutdown()

    def test_who_writes(self, path: Path) -> None:
        """Who asks for the first time does not wait for another process that writes."""
        SQLiteStore(str(path)).shutdown()
        store = SQLiteStore(str(path), timeout=0.05)
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        assert ([], [], {}) == (store.ended(9), store.active(), store.counts())
        other.execute("ROLLBACK")
        other.close()
        store.shutdown()


class TestProcesses:
    def test_one_ends(self, path: Path) -> None:
        """Fifty processes end the same two hundred sessions: each is won once."""
        store = SQLiteStore(str(path), timeout=30)
        names = [f"s{number}" for number in range(200)]
        for name in names:
            start(store, name)
        code = """
            store = SQLiteStore(path, timeout=30)
            print("ready", flush=True)
            sys.stdin.readline()
            me = sys.argv[2]
            won = [f"s{n}" for n in range(200) if end(store, f"s{n}", owner=me)]
            store.shutdown()
            print(json.dumps(won))
        """
        processes = [launch(code, path, number) for number in range(50)]
        for process in processes:
            assert process.stdout is not None
            assert "ready\n" == process.stdout.readline()
        won = []
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        for process in processes:
            won += answer(process)
        assert Counter(names) == Counter(won)
        assert {} == dict(store.counts())
        store.shutdown()
        assert "ok" == integrity(path)

    def test_killed(self, path: Path) -> None:
        """What was acknowledged before `kill -9` is there, and the file is sound."""
        code = """
            store = SQLiteStore(path)
            n = 0
            while True:
                name = f"{sys.argv[2]}.{n}"
                start(store, name)
                store.merge({name: Totals(n)})
                if n % 2: end(store, name, owner="p")
                print(name, flush=True)
                n += 1
        """
        for life in range(5):
            process = launch(code, path, life)
            assert process.stdout is not None
            acknowledged = [process.stdout.readline().strip() for _ in range(100 + 37 * life)]
            process.kill()
            rest, _ = process.communicate(timeout=60)
            acknowledged += [line for line in rest.split("\n")[:-1] if line]
            store = SQLiteStore(str(path))
            found = [store.get(name) for name in acknowledged]
            assert acknowledged == [record.id for record in found if record is not None]
            active = [int(name.split(".")[1]) % 2 == 0 for name in acknowledged]
            assert active == [record.is_active for record in found if record is not None]
            store.shutdown()
            assert "ok" == integrity(path)

    def test_start_at_once(self, path: Path) -> None:
        """Processes that make the file at once make one, with one secret."""
        code = """
            print("ready", flush=True)
            sys.stdin.readline()
            store = SQLiteStore(path, timeout=30)
            start(store, sys.argv[2])
            print(json.dumps(store.secret().hex()))
            store.shutdown()
        """
        processes = [launch(code, path, number) for number in range(8)]
        for process in processes:
            assert process.stdout is not None
            assert process.stdin is not None
            process.stdout.readline()
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        assert 1 == len({answer(process) for process in processes})
        store = SQLiteStore(str(path))
        assert 8 == len(store.active())
        store.shutdown()

    def test_migrate_at_once(self, path: Path) -> None:
        """Processes that find an older file migrate it once, and lose nothing of it."""
        code = """
            from otel_sessions.stores import _schema
            _schema.MIGRATIONS += (("ALTER TABLE session ADD COLUMN later TEXT", "CREATE TABLE once (n)"),)
            _schema.VERSION += 1
            print("ready", flush=True)
            sys.stdin.readline()
            store = SQLiteStore(path, timeout=30)
            print(json.dumps([record.id for record in store.active()]))
            store.shutdown()
        """
        store = SQLiteStore(str(path))
        start(store, "a")
        processes = [launch(code, path) for _ in range(6)]
        for process in processes:
            assert process.stdout is not None
            process.stdout.readline()
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        assert [["a"]] * 6 == [answer(process) for process in processes]
        # This process is of the older version: it does not touch what it does not know.
        for verb in (lambda: start(store, "b"), lambda: store.get("a"), lambda: store.merge({"a": Totals(1)})):
            with pytest.raises(StoreError) as raised:
                verb()
            assert newer(path, _schema.VERSION + 1) == str(raised.value)
        store.shutdown()

    def test_users_by_hour(self, path: Path) -> None:
        """A file that counts users by days counts them by hours afterwards, and knows whose sessions are owed."""
        hour = START // (3600 * SECOND)
        ended = [
            Beginning(f"s{number}", "chat", "durable", START, user=user * 32)
            for number, user in enumerate(["1", "1", "2", "3"])
        ]
        ended.append(ended[0].as_part(1))
        connection = sqlite3.connect(path)
        for statement in itertools.chain(*_schema.MIGRATIONS[:3]):
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {_schema.APPLICATION_ID}")
        connection.execute("INSERT INTO user_day VALUES (?, 1, 9)", ("9" * 32,))
        connection.executemany("INSERT INTO tally VALUES (1, ?, 'x', 'y')", [(hour,), (hour + 1,)])
        connection.executemany(
            "INSERT INTO session (id, kind, user, owner, due_ns, ended_ns, status, reason, beginning) "
            "VALUES (?, ?, ?, ?, 0, ?, 'success', 'completed', ?)",
            [
                (
                    began.id,
                    '["chat",null]',
                    began.user,
                    "p" if began.id == "s3" else None,
                    START + number * 1_800 * SECOND,
                    encode_beginning(began),
                )
                for number, began in enumerate(ended)
            ],
        )
        connection.commit()
        connection.close()
        set_version(path, 3)
        store = SQLiteStore(str(path))
        assert store.users(hour, hour + 1, 9, {}) == ([("1" * 32, 2)], 1)
        assert store.users(hour, hour + 9, 9, {}) == ([("1" * 32, 2), ("2" * 32, 1), ("3" * 32, 1)], 3)
        assert [record.id for record in store.ended(9)] == ["s3", "s2", "s1", "s0"]
        store.shutdown()
        assert "ok" == integrity(path)

    def test_users_of_a_time_without_sums(self, path: Path) -> None:
        """A file of before there were sums counts no users of that time: they would be users without sessions."""
        connection = sqlite3.connect(path)
        for statement in itertools.chain(*_schema.MIGRATIONS[:2]):
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {_schema.APPLICATION_ID}")
        began = Beginning("s", "chat", "durable", START, user="1" * 32)
        connection.execute(
            "INSERT INTO session (id, kind, user, due_ns, ended_ns, status, reason, beginning) "
            "VALUES ('s', '[\"chat\",null]', ?, 0, ?, 'success', 'completed', ?)",
            (began.user, START, encode_beginning(began)),
        )
        connection.commit()
        connection.close()
        set_version(path, 2)
        store = SQLiteStore(str(path))
        hour = START // (3600 * SECOND)
        assert [] == store.tallies(hour, hour + 1)
        assert ([], 0) == store.users(hour, hour + 1, 9, {})
        store.shutdown()

    def test_migration_fails(self, path: Path) -> None:
        """A migration that fails leaves the file as it was."""
        code = """
            from otel_sessions.stores import _schema
            good = _schema.MIGRATIONS, _schema.VERSION
            _schema.MIGRATIONS += (("CREATE TABLE half (n)", "CREATE TABLE session (n)"),)
            _schema.VERSION += 1
            try:
                SQLiteStore(path)
            except ConfigurationError as error:
                refused = str(error)
            _schema.MIGRATIONS, _schema.VERSION = good
            store = SQLiteStore(path)
            print(json.dumps([refused, start(store, "a")]))
            store.shutdown()
        """
        SQLiteStore(str(path)).shutdown()
        assert [f"sqlite: {path}: table session already exists", None] == answer(launch(code, path))
        connection = sqlite3.connect(path)
        assert [] == connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'half'").fetchall()
        connection.close()

    def test_bounded_wait(self, path: Path) -> None:
        """While another holds the file no call waits longer than the timeout; then everything works again."""
        store = SQLiteStore(str(path), timeout=0.2)
        start(store, "a")
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        with pytest.raises(StoreError) as raised:
            end(store, "a")
        assert 0.2 <= time.monotonic() - began < 2
        told = f"sqlite: {path} was in use by other processes for more than 0.2 s; see whether a backup or a tool keeps"
        assert f"{told} it locked" == str(raised.value)
        assert store.get("a") is not None
        # Neither is starting now an error of the configuration: the file can be used when its turn comes.
        SQLiteStore(str(path), timeout=0.1).shutdown()
        other.execute("ROLLBACK")
        other.close()
        assert end(store, "a") is not None
        store.shutdown()

    def test_waits_in_vain_once(self, path: Path) -> None:
        """A file that somebody keeps locked costs a timeout, not one for each call, until it is free again."""
        store = SQLiteStore(str(path), timeout=1)
        with contextlib.closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
            start(store, "a")
            for name in ("b", "c"):
                other.execute("BEGIN IMMEDIATE")
                with pytest.raises(StoreError):
                    start(store, "a")
                began = time.monotonic()
                for _ in range(9):
                    with pytest.raises(StoreError, match="in use by other processes"):
                        start(store, name)
                assert time.monotonic() - began < 1
                other.execute("ROLLBACK")
                assert start(store, name) is None
            # Its turn may come late, and is waited for.
            other.execute("BEGIN IMMEDIATE")
            threading.Timer(0.2, other.execute, ["ROLLBACK"]).start()
            assert end(store, "a") is not None
        store.shutdown()

    def test_bounded_wait_for_threads(self, path: Path) -> None:
        """Threads that wait for one another wait no longer, either."""
        store = SQLiteStore(str(path), timeout=0.2)
        inside, leave = threading.Event(), threading.Event()

        def work(_cursor: sqlite3.Cursor) -> None:
            inside.set()
            leave.wait()

        thread = threading.Thread(target=store._database.write, args=(work,))
        thread.start()
        inside.wait()
        with pytest.raises(StoreError) as raised:
            start(store, "a")
        assert f"sqlite: {path} was in use by other threads for more than 0.2 s" == str(raised.value)
        leave.set()
        thread.join()
        assert start(store, "a") is None
        store.shutdown()


class TestFork:
    def test_both_go_on(self, path: Path) -> None:
        """Parent and child of a fork in the middle of the work use the file, each with locks of its own."""
        code = """
            store = SQLiteStore(path)
            start(store, "before")
            reader, writer = os.pipe()
            child = os.fork()
            if child == 0:
                store.after_fork()
                start(store, "in child")
                os.read(reader, 1)
                start(store, "after the parent closed")
                store.shutdown()
                sys.exit(0)
            start(store, "in parent")
            while store.get("in child") is None:
                pass
            store.shutdown()
            os.write(writer, b"x")
            _, status = os.waitpid(child, 0)
            store = SQLiteStore(path)
            print(json.dumps([status, sorted(record.id for record in store.active())]))
            store.shutdown()
        """
        expected = [0, ["after the parent closed", "before", "in child", "in parent"]]
        assert expected == answer(launch(code, path))
        assert "ok" == integrity(path)

    def test_under_load(self, path: Path) -> None:
        """A fork while other threads write loses nothing and blocks nobody."""
        code = """
            import threading
            store = SQLiteStore(path, timeout=10)
            stop = threading.Event()
            done = {}
            def work(name):
                n = 0
                while not stop.is_set():
                    start(store, f"{name}.{n}")
                    n += 1
                done[name] = n
            threads = [threading.Thread(target=work, args=(name,)) for name in "ab"]
            for thread in threads: thread.start()
            statuses = []
            for round in range(10):
                child = os.fork()
                if child == 0:
                    store.after_fork()
                    try:
                        start(store, f"child {round}")
                    finally:
                        store.shutdown()
                        os._exit(0)
                statuses.append(os.waitpid(child, 0)[1])
            stop.set()
            for thread in threads: thread.join()
            found = len(store.active())
            print(json.dumps([statuses, found - sum(done.values())]))
            store.shutdown()
        """
        assert [[0] * 10, 10] == answer(launch(code, path))
        assert "ok" == integrity(path)

    def test_in_the_middle(self, path: Path) -> None:
        """A fork does not wait for ever for a thread that writes: then the child is refused, and nothing harmed."""
        code = """
            import threading
            store = SQLiteStore(path, timeout=0.1)
            reader, writer = os.pipe()
            inside, leave = threading.Event(), threading.Event()
            def work(cursor):
                inside.set()
                leave.wait()
                cursor.execute("INSERT INTO owner VALUES ('p', 1)")
            thread = threading.Thread(target=store._database.write, args=(work,))
            thread.start()
            inside.wait()
            child = os.fork()
            if child == 0:
                store.after_fork()
                said = []
                for work in (lambda: start(store, "in child"), lambda: store.ended(9), lambda: SQLiteStore(path)):
                    try:
                        work()
                    except (StoreError, ConfigurationError) as error:
                        said.append(str(error))
                os.write(writer, json.dumps(said).encode())
                os._exit(0)
            os.waitpid(child, 0)
            leave.set()
            thread.join()
            print(json.dumps([json.loads(os.read(reader, 9999)), store.owners()]))
            store.shutdown()
        """
        refused = (
            f"sqlite: {path} was open when this process was forked, and cannot be used in it; a call was not done in "
            "the time that a fork waits; fork before the first session, or when less is written"
        )
        assert [[refused] * 3, {"p": 1}] == answer(launch(code, path))

    def test_while_somebody_asks(self, path: Path) -> None:
        """A fork does not wait for a question: it is asked again in the parent, and everything works in the child."""
        code = (
            LONG_QUESTION
            + """
            store = SQLiteStore(path, timeout=30)
            start(store, "a")
            end(store, "a")
            found = []
            threads = [threading.Thread(target=lambda: found.append(store._past.look(Long(1)))) for _ in range(3)]
            for thread in threads: thread.start()
            for _ in threads: asked.acquire()
            began = time.monotonic()
            child = os.fork()
            took = time.monotonic() - began
            if child == 0:
                store.after_fork()
                start(store, "in child")
                known = [record.id for record in store.ended(9)], len(store.active()), store._past.look(Long(0))
                os._exit(0 if known == (["a"], 1, 10) else 1)
            _, status = os.waitpid(child, 0)
            for thread in threads: thread.join()
            print(json.dumps([status, took < 10, found, [record.id for record in store.ended(9)]]))
            store.shutdown()
        """
        )
        assert [0, True, [10] * 3, ["a"]] == answer(launch(code, path))
        assert "ok" == integrity(path)

    def test_while_it_is_opened(self, path: Path) -> None:
        """Where a connection is just being opened there is nothing to interrupt: it is waited for, but not for ever."""
        database = Database(str(path), timeout=0.05, synchronous="normal", only_asked=True)
        with database._lock:
            assert not database.hold(time.monotonic())
        assert database.hold(time.monotonic())
        database.release()

    def test_again_and_again(self, path: Path) -> None:
        """A question that forks interrupt all the time is not asked for ever."""
        code = (
            LONG_QUESTION
            + """
            store = SQLiteStore(path, timeout=30)
            said = []
            def ask():
                try:
                    store._past.look(Long(1000))
                except StoreError as error:
                    said.append(str(error))
            thread = threading.Thread(target=ask)
            thread.start()
            asked.acquire()
            while thread.is_alive():
                if (child := os.fork()) == 0:
                    os._exit(0)
                os.waitpid(child, 0)
            print(json.dumps([said, len(store.ended(9))]))
            store.shutdown()
        """
        )
        said = f"sqlite: {path}: this process forks again and again, and interrupts what is asked"
        assert [[said], 0] == answer(launch(code, path))

    def test_without_hooks(self, path: Path) -> None:
        """In a process forked from outside Python while the file was open nothing is done, and nothing harmed."""
        code = """
            import ctypes
            store = SQLiteStore(path)
            start(store, "before")
            libc = ctypes.CDLL(None)
            child = libc.fork()
            if child == 0:
                store.after_fork()
                try:
                    start(store, "in child")
                except StoreError as error:
                    print(json.dumps(str(error)), flush=True)
                store.shutdown()
                sys.exit(0)
            os.waitpid(child, 0)
            start(store, "in parent")
            assert ["before", "in parent"] == sorted(record.id for record in store.active())
            store.shutdown()
        """
        expected = (
            f"sqlite: {path} was open when this process was forked, and cannot be used in it; "
            "fork before the first session, or by os.fork()"
        )
        assert expected == answer(launch(code, path))
        store = SQLiteStore(str(path))
        assert 2 == len(store.active())
        store.shutdown()

    def test_not_open(self, path: Path) -> None:
        """A store that was made but not used yet can be used in a process that was forked from outside Python."""
        code = """
            import ctypes
            store = SQLiteStore(path)
            child = ctypes.CDLL(None).fork()
            if child == 0:
                store.after_fork()
                start(store, "in child")
                store.shutdown()
                sys.exit(0)
            os.waitpid(child, 0)
            print(json.dumps([record.id for record in store.active()]))
            store.shutdown()
        """
        assert ["in child"] == answer(launch(code, path))

    def test_a_signal_cuts_the_wait_short(self, path: Path) -> None:
        """Its handler may raise while the fork waits: the store goes on, here and with another file."""
        code = """
            import signal, threading
            store = SQLiteStore(path, timeout=20)
            start(store, "a")
            inside, leave = threading.Event(), threading.Event()
            def work(cursor):
                inside.set()
                leave.wait()
            def interrupt(number, frame):
                leave.set()
                raise KeyboardInterrupt
            thread = threading.Thread(target=store._database.write, args=(work,))
            thread.start()
            inside.wait()
            signal.signal(signal.SIGALRM, interrupt)
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            child = os.fork()
            if not child:
                os._exit(0)
            os.waitpid(child, 0)
            thread.join()
            another = SQLiteStore(path + "2")
            print(json.dumps([start(store, "b"), sum(store.counts().values()), start(another, "c")]))
            store.shutdown()
            another.shutdown()
        """
        output, errors = launch(code, path).communicate(timeout=60)
        assert [None, 2, None] == json.loads(output)
        assert "KeyboardInterrupt" in errors, "Python says so, and forks all the same"


def newer(path: Path, version: int) -> str:
    return (
        f"sqlite: {path} has the schema version {version}, and this version of otel-sessions knows up to "
        f"{_schema.VERSION}; upgrade otel-sessions, or choose another file"
    )


class TestBadFile:
    def test_not_a_database(self, path: Path) -> None:
        """A file of something else is refused and left as it is."""
        path.write_text("dear diary\n" * 100)
        assert f"sqlite: {path}: file is not a database; choose another file" == refused(path)
        assert "dear diary\n" * 100 == path.read_text()

    @pytest.mark.parametrize("mark", ["CREATE TABLE theirs (n)", "PRAGMA application_id = 7"])
    def test_of_another(self, path: Path, mark: str) -> None:
        """Another application's database is refused and left as it is."""
        connection = sqlite3.connect(path)
        connection.execute(mark)
        connection.execute("VACUUM")
        connection.close()
        before = path.read_bytes()
        assert f"sqlite: {path} is the database of another application; choose another file" == refused(path)
        assert before == path.read_bytes()

    def test_empty_file(self, path: Path) -> None:
        """An empty file, as made by `mktemp`, is taken."""
        path.touch()
        store = SQLiteStore(str(path))
        assert start(store, "a") is None
        store.shutdown()

    def test_newer(self, path: Path) -> None:
        """A file of a later version is refused with both versions, and left as it is."""
        SQLiteStore(str(path)).shutdown()
        set_version(path, 99)
        before = path.read_bytes()
        assert newer(path, 99) == refused(path)
        assert before == path.read_bytes()

    def test_newer_meanwhile(self, path: Path) -> None:
        """Also when it became one while it was in use."""
        store = SQLiteStore(str(path))
        start(store, "a")
        set_version(path, 99)
        with pytest.raises(StoreError) as raised:
            store.get("a")
        assert newer(path, 99) == str(raised.value)
        set_version(path, _schema.VERSION)
        assert store.get("a") is not None
        store.shutdown()

    def test_corrupt(self, path: Path) -> None:
        """A damaged file is refused with what can be done."""
        SQLiteStore(str(path)).shutdown()
        content = bytearray(path.read_bytes())
        content[100:4096] = os.urandom(3996)
        path.write_bytes(content)
        assert (
            f"sqlite: {path}: database disk image is malformed; it is damaged: move it away, and a new one is made "
            "(the sqlite3 command's .recover reads what is left)"
        ) == refused(path)

    def test_corrupt_later(self, path: Path) -> None:
        """Damage that shows later is an error of the store, and over when the file has been moved away."""
        store = SQLiteStore(str(path))
        for number in range(200):
            start(store, str(number))
        store.shutdown()
        content = bytearray(path.read_bytes())
        content[8192:] = os.urandom(len(content) - 8192)
        path.write_bytes(content)
        store = SQLiteStore(str(path))
        with pytest.raises(StoreError, match="database disk image is malformed; it is damaged: move it away"):
            [store.get(str(number)) for number in range(200)]
        path.rename(path.with_suffix(".damaged"))
        assert start(store, "a") is None
        assert ["a"] == [record.id for record in store.active()]
        store.shutdown()

    def test_removed(self, path: Path) -> None:
        """When the file was removed under it, the background notices, and a new one is used."""
        store = SQLiteStore(str(path))
        start(store, "lost")
        for file in path.parent.iterdir():
            file.unlink()
        list(store.due(START))
        assert start(store, "a") is None
        assert ["a"] == [record.id for record in store.active()]
        store.shutdown()
        assert path.exists()

    def test_no_directory(self, tmp_path: Path) -> None:
        """A directory that does not exist is named."""
        path = tmp_path / "gone" / "sessions.db"
        assert f"sqlite: {path}: the directory {path.parent} does not exist; create it" == refused(path)

    def test_directory_goes(self, tmp_path: Path) -> None:
        """A directory that goes and comes back is an error in between."""
        path = tmp_path / "here" / "sessions.db"
        path.parent.mkdir()
        store = SQLiteStore(str(path))
        path.parent.rename(tmp_path / "away")
        with pytest.raises(StoreError) as raised:
            start(store, "a")
        assert f"sqlite: {path}: the directory {path.parent} does not exist; create it" == str(raised.value)
        (tmp_path / "away").rename(path.parent)
        assert start(store, "a") is None
        store.shutdown()

    def test_is_directory(self, tmp_path: Path) -> None:
        """A directory is not a file."""
        assert f"sqlite: {tmp_path} is a directory; name a file" == refused(tmp_path)

    def test_permissions(self) -> None:
        """Files and directories that this user may not write are refused; an error later is over when it may again."""
        code = """
            import shutil, tempfile
            if os.geteuid() == 0:
                os.setuid(65534)
            home = tempfile.mkdtemp()
            path = os.path.join(home, "sessions.db")
            def said(work):
                try:
                    return [str(work()), "no error"]
                except (ConfigurationError, StoreError) as error:
                    return [type(error).__name__, str(error).replace(home, "HOME")]
            result = []
            os.chmod(home, 0o500)
            result.append(said(lambda: SQLiteStore(path)))
            os.chmod(home, 0o700)
            store = SQLiteStore(path)
            os.chmod(home, 0o500)
            result.append(said(lambda: SQLiteStore(path)))
            result.append(said(lambda: start(store, "a")))
            os.chmod(home, 0o700)
            os.chmod(path, 0o400)
            result.append(said(lambda: SQLiteStore(path)))
            result.append(said(lambda: start(store, "a")))
            os.chmod(path, 0o600)
            result.append(said(lambda: start(store, "a")))
            os.chmod(path + "-shm", 0o400)
            result.append(said(lambda: SQLiteStore(path)))
            store.shutdown()
            shutil.rmtree(home)
            print(json.dumps(result))
        """
        directory = (
            "sqlite: HOME/sessions.db: this user cannot create files in HOME, which SQLite has to; "
            "change its permissions"
        )
        file = "sqlite: HOME/sessions.db cannot be read and written by this user; change its permissions"
        assert [
            ["ConfigurationError", directory],
            ["ConfigurationError", directory],
            ["StoreError", directory],
            ["ConfigurationError", file],
            ["StoreError", file],
            ["None", "no error"],
            ["ConfigurationError", file.replace(".db ", ".db-shm ")],
        ] == answer(launch(code, Path("-"), measured=False))  # another user cannot write the report of coverage

    def test_full_disk(self, path: Path) -> None:
        """When nothing more can be written the store says so, keeps what it has, and goes on when there is room."""
        code = """
            import resource, signal
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            store = SQLiteStore(path)
            start(store, "before")
            resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
            n, said = 0, None
            while said is None:
                try:
                    start(store, str(n), attributes={"text": "x" * 5000})
                    n += 1
                except StoreError as error:
                    said = str(error)
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            start(store, "after")
            names = sorted(record.id for record in store.active())
            print(json.dumps([n > 5, said, names == sorted(["before", "after", *map(str, range(n))])]))
            store.shutdown()
        """
        whole, said, same = answer(launch(code, path))
        assert [True, True] == [whole, same]
        assert said in {
            f"sqlite: {path}: disk I/O error; see that there is space on its disk",
            f"sqlite: {path}: database or disk is full; see that there is space on its disk",
        }
        assert "ok" == integrity(path)

    def test_full_disk_at_the_start(self, path: Path) -> None:
        """A process that starts while nothing can be written works without the file, and with it when there is room."""
        code = """
            import os, resource, signal
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            os.environ["OTEL_SESSIONS_STORE"] = f"sqlite:///{path}"
            import otel_sessions as sessions
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
            chat = sessions.start("chat", id="c1")
            chat.event("step")
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            chat.event("step")
            sessions.shutdown()
            store = SQLiteStore(path)
            print(json.dumps([(record.id, record.totals.events) for record in store.active()]))
            store.shutdown()
        """
        output, errors = launch(code, path).communicate(timeout=60)
        assert json.loads(output) == [["c1", 2]]
        assert "see that there is space on its disk" in errors
        assert "memory" not in errors
        assert "ok" == integrity(path)

    def test_page_limit(self, path: Path) -> None:
        """A write that finds no room is undone as a whole."""
        store = SQLiteStore(str(path))
        start(store, "a")
        assert store._database._cursor is not None
        store._database._cursor.execute("PRAGMA max_page_count = 1").fetchone()
        big = {"text": "x" * 100_000}
        with pytest.raises(StoreError) as raised:
            start(store, "b", attributes=big)
        assert f"sqlite: {path}: database or disk is full; see that there is space on its disk" == str(raised.value)
        assert ["a"] == [record.id for record in store.active()]
        assert start(store, "b", attributes=big) is None
        store.shutdown()

    def test_no_log(self, path: Path) -> None:
        """Where SQLite cannot keep a log that processes share, as on some file systems of a network, it is refused."""

        class WithoutMemory(Database):
            """With the locks that SQLite has for places without shared memory."""

            def _uri(self) -> str:
                return super()._uri() + "&vfs=unix-dotfile"

        with pytest.raises(ConfigurationError) as raised:
            WithoutMemory(str(path), timeout=1, synchronous="normal").try_out()
        assert (
            f"sqlite: {path} cannot have a write-ahead log, which processes need to share it; "
            "its file system may be one of a network: choose a file on a local disk"
        ) == str(raised.value)

    def test_log_in_the_way(self, path: Path) -> None:
        """Where the log should be something else may stand."""
        SQLiteStore(str(path)).shutdown()
        (path.parent / f"{path.name}-wal").mkdir()
        assert f"sqlite: {path}: unable to open database file" == refused(path)

    @pytest.mark.parametrize("value", [{"started_ns": 2**63}, {"attributes": {"a": object()}}])
    def test_bad_value(self, path: Path, value: dict[str, Any]) -> None:
        """A value that SQLite or JSON has no form for is an error of the store, which goes on."""
        store = SQLiteStore(str(path))
        with pytest.raises(StoreError, match=rf"sqlite: {path}: a value cannot be stored or read: "):
            start(store, "a", **value) or end(store, "a", ended_ns=value["started_ns"])
        assert start(store, "b") is None
        store.shutdown()

    @pytest.mark.parametrize(
        "damage",
        [
            "beginning = CAST(X'ff' AS TEXT)",
            "totals = CAST(X'7bff7d' AS TEXT)",
            "id = CAST(X'6eff' AS TEXT)",
            "key = CAST(X'ff' AS TEXT)",
        ],
    )
    def test_no_text(self, path: Path, damage: str) -> None:
        """A record that is no text, as a disk may leave it, keeps nobody from the others, nor verify from naming it."""
        store = SQLiteStore(str(path))
        for name in ("a", "b"):
            start(store, name, key=name)
            end(store, name, owner="process")
        start(store, "c")
        store._database.write(lambda cursor: cursor.execute(f"UPDATE session SET {damage} WHERE id = 'b'"))
        for each in (store, reading := SQLiteStore(str(path), read_only=True)):
            assert ["a"] == [record.id for record in each.ended(9)]
            assert ["c"] == [record.id for record in each.active()]
            assert [1] == [found.tally.sessions for found in each.tallies(*ALWAYS)]
            assert 1 == len(each.unreadable())
        store.exported(["a", "b"])
        store.beat("process", 1)
        assert [] == store.take_over("process", 1, "heir")
        assert 1 == store.facts().owed
        reading.shutdown()
        store.shutdown()

    @pytest.mark.parametrize("damage", ["status = CAST(X'ff' AS TEXT)", "ended_ns = 'x'", "beginning = '{}'"])
    def test_nothing_to_add_up(self, path: Path, damage: str) -> None:
        """What cannot be added up stays owed, and the rest does not."""
        store = SQLiteStore(str(path))
        for name in ("a", "b"):
            start(store, name)
            end(store, name, owner="process")
        store._database.write(lambda cursor: cursor.execute(f"UPDATE session SET {damage} WHERE id = 'b'"))
        store.exported(["a", "b"])
        assert (1, ["b"]) == (store.facts().owed, store.unreadable())
        store.shutdown()

    def test_interrupted(self, path: Path) -> None:
        """What interrupts a thread in the middle of a write undoes it."""
        store = SQLiteStore(str(path))
        start(store, "a")

        class Stop(BaseException):
            pass

        def work(cursor: sqlite3.Cursor) -> None:
            cursor.execute("DELETE FROM session")
            raise Stop

        with pytest.raises(Stop):
            store._database.write(work)
        assert ["a"] == [record.id for record in store.active()]
        store.shutdown()


def set_version(path: Path, version: int) -> None:
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {version}")
    connection.close()
