"""Who only looks into a file changes nothing there, and needs no more than to read it."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

import pytest

import otel_sessions as sessions
from otel_sessions.exceptions import ConfigurationError, StoreError
from otel_sessions.stores import _schema
from otel_sessions.stores._forks import forks
from otel_sessions.stores._looking import ReadOnlyDatabase
from otel_sessions.stores.sqlite import SQLiteStore
from otel_sessions.testing import record_sessions
from otel_sessions.typing import Beginning

from .command import MAIN, otel_sessions
from .stock import stocked

VERBS = [
    "list", "show chat-1", "stats", "usage", "usage grace", "health", "watch --once", "watch --once --json", "report",
    "export --active", "cleanup --dry-run --days 1", "doctor --offline",
]  # fmt: skip

NOBODY = 65_534

AS_ANOTHER_USER = """
import contextlib, io, os, sys
from otel_sessions.cli._app import app

def run(*arguments):
    with contextlib.suppress(SystemExit):
        app(list(arguments), prog_name="otel-sessions")

# What is loaded on use: the other user may not be allowed to read where it is.
with contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO())), contextlib.redirect_stderr(io.StringIO()):
    run(*sys.argv[2:], "--store", sys.argv[1])
    run(*sys.argv[2:], "--store", "sqlite:///none.db")
if os.geteuid() == 0:
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, 0)
    os.setresuid(NOBODY, NOBODY, 0)
try:
    app(sys.argv[2:], prog_name="otel-sessions")
finally:
    # What is written at exit, such as which lines were run, is not for that user to write.
    if os.getresuid()[2] == 0:
        os.setresuid(0, 0, 0)
        os.setresgid(0, 0, 0)
""".replace("NOBODY", str(NOBODY))

APPLICATION = """
import sys
import otel_sessions as sessions
sessions.configure(store=sys.argv[1], background=False)
for line in sys.stdin:
    sessions.start("web", id=line.strip())
    print("begun", flush=True)
sessions.shutdown()
"""


class Application:
    """One that uses a store: it begins sessions when it is told to, until it is stopped."""

    def __init__(self, store: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", APPLICATION, store], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def begin(self, session_id: str) -> None:
        told, says = self._process.stdin, self._process.stdout
        assert told is not None
        assert says is not None
        print(session_id, file=told, flush=True)
        assert says.readline() == "begun\n"

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self.stop()

    def stop(self) -> None:
        self._process.communicate(timeout=30)


@contextlib.contextmanager
def application(store: str) -> Iterator[Application]:
    found = Application(store)
    try:
        yield found
    finally:
        found.stop()


@pytest.fixture(name="home")
def _home() -> Iterator[Path]:
    """A directory into which other users may look; pytest's own are closed to them."""
    import shutil
    import tempfile

    found = Path(tempfile.mkdtemp())
    found.chmod(0o755)
    yield found
    found.chmod(0o755)
    shutil.rmtree(found)


def standing(home: Path) -> dict[str, tuple[bytes, int]]:
    """The files there, with what is in them, and when they were changed."""
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in home.iterdir()}


def url(home: Path) -> str:
    return f"sqlite:///{home}/sessions.db"


@contextlib.contextmanager
def only_readable(home: Path, mode: int = 0o444) -> Iterator[None]:
    """What is in there may only be read. Root may do anything: it becomes another user, see above."""
    for path in home.iterdir():
        path.chmod(mode)
    home.chmod(0o555)
    try:
        yield
    finally:
        home.chmod(0o755)


class AnotherUser(NamedTuple):
    """Somebody who may not write where the file is."""

    loaded: str
    """The store by which the code is loaded, before it becomes another user's."""

    def runs(self, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        """What the command does for that user."""
        return subprocess.run(
            [sys.executable, "-c", AS_ANOTHER_USER, self.loaded, *arguments, "--store", url(home)],
            env={**os.environ, "COLUMNS": "200", "TERM": "dumb"},
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )


@pytest.fixture(name="user", scope="module")
def _user(tmp_path_factory: pytest.TempPathFactory) -> AnotherUser:
    return AnotherUser(stocked("sqlite", tmp_path_factory.mktemp("loaded")))


def ids(text: str) -> list[str]:
    return [each["id"] for each in json.loads(text)["sessions"]]


class TestNothingIsChanged:
    @pytest.mark.parametrize("verb", VERBS)
    def test_at_rest(self, verb: str, tmp_path: Path) -> None:
        """No verb that looks changes the file, or makes one beside it; and it says something."""
        store = stocked("sqlite", tmp_path)
        before = standing(tmp_path)
        done = otel_sessions(*verb.split(), "--store", store)
        assert (done.stderr, bool(done.stdout)) == ("", True)
        assert before == standing(tmp_path)
        assert list(before) == ["sessions.db"]

    @pytest.mark.parametrize("version", [2, 3])
    @pytest.mark.parametrize("verb", [*VERBS, "cleanup --yes", "recover", "verify --repair --yes"])
    def test_of_an_older_version(self, verb: str, version: int, tmp_path: Path) -> None:
        """An older file is not migrated, by verbs that write either: it is said what it is, and what to do."""
        with contextlib.closing(sqlite3.connect(tmp_path / "sessions.db", isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            for statement in itertools.chain(*_schema.MIGRATIONS[:version]):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {_schema.APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {version}")
        before = standing(tmp_path)
        done = otel_sessions(*verb.split(), "--store", url(tmp_path), OTEL_TRACES_EXPORTER="console")
        assert done.returncode == (2 if verb == "health" else 1)
        said = (
            f"has the schema version {version}, and this version of otel-sessions reads {_schema.VERSION}; start the "
            "application once"
        )
        assert said in done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        assert before == standing(tmp_path)

    @pytest.mark.parametrize("verb", [*VERBS, "cleanup --yes", "recover"])
    @pytest.mark.parametrize(
        ("content", "said"),
        [(b"", "the file is empty: no application has kept a session in it"), (b"Dear diary\n" * 99, "not a database")],
    )
    def test_of_no_database(self, verb: str, content: bytes, said: str, tmp_path: Path) -> None:
        """A file that is empty, or something else, does not become a database, whatever the verb."""
        (tmp_path / "sessions.db").write_bytes(content)
        before = standing(tmp_path)
        variables = {"OTEL_TRACES_EXPORTER": "console"}
        done = otel_sessions(*verb.split(), "--store", url(tmp_path), **variables)
        assert done.returncode == (2 if verb == "health" else 1)
        assert said in done.stdout + done.stderr
        assert before == standing(tmp_path)

    def test_where_an_application_has_begun_nothing(self, tmp_path: Path) -> None:
        """Nor does a database in which there is no table."""
        with contextlib.closing(sqlite3.connect(tmp_path / "sessions.db")) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
        before = standing(tmp_path)
        done = otel_sessions("list", "--store", url(tmp_path))
        assert (done.returncode, done.stdout) == (1, "")
        assert "is empty: no application has kept a session in it; is it the right file?" in done.stderr
        assert before == standing(tmp_path)


class TestAnotherUser:
    @pytest.mark.parametrize("verb", VERBS)
    def test_at_rest(self, verb: str, home: Path, user: AnotherUser) -> None:
        """Whoever may read the file can look into it."""
        stocked("sqlite", home)
        with only_readable(home):
            done = user.runs(home, *verb.split())
        assert (done.stderr, bool(done.stdout)) == ("", True)
        assert ["sessions.db"] == [path.name for path in home.iterdir()]

    def test_while_the_application_runs(self, home: Path, user: AnotherUser) -> None:
        """What is in its log is seen, too; the application goes on."""
        with application(url(home)) as running:
            running.begin("one")
            for path in home.iterdir():
                path.chmod(0o644)
            assert ["one"] == ids(user.runs(home, "list", "--json").stdout)
            running.begin("two")
            assert ["two", "one"] == ids(user.runs(home, "list", "--json").stdout)

    def test_after_a_crash(self, home: Path, user: AnotherUser) -> None:
        """So it is if the application was killed, and its log was left."""
        running = Application(url(home))
        running.begin("one")
        running.kill()
        assert (home / "sessions.db-wal").stat().st_size
        with only_readable(home):
            done = user.runs(home, "list", "--json")
            assert (["one"], "") == (ids(done.stdout), done.stderr)

    def test_a_log_without_its_index(self, home: Path, user: AnotherUser) -> None:
        """What cannot be read without a file that this user may not make is not left out in silence."""
        running = Application(url(home))
        running.begin("one")
        running.kill()
        (home / "sessions.db-shm").unlink()
        with only_readable(home):
            done = user.runs(home, "list")
        assert (1, "") == (done.returncode, done.stdout)
        assert "its log sessions.db-wal was left by a process that did not close it" in done.stderr

    def test_an_empty_log(self, home: Path, user: AnotherUser) -> None:
        """One in which there is nothing keeps nobody from reading the file."""
        stocked("sqlite", home)
        (home / "sessions.db-wal").touch()
        with only_readable(home):
            done = user.runs(home, "list")
        assert (0, "") == (done.returncode, done.stderr)

    def test_a_file_that_is_not_for_all(self, home: Path, user: AnotherUser) -> None:
        """A file that may not be read is named, with what to do."""
        stocked("sqlite", home)
        with only_readable(home, 0o000):
            done = user.runs(home, "list")
        assert (1, "") == (done.returncode, done.stdout)
        assert f"{home}/sessions.db cannot be read by this user; change its permissions" in done.stderr

    def test_a_directory_that_is_not_for_all(self, home: Path, user: AnotherUser) -> None:
        """Nor is a file said not to be there that cannot be looked for."""
        stocked("sqlite", home)
        home.chmod(0)
        done = user.runs(home, "list")
        assert (1, "") == (done.returncode, done.stdout)
        assert done.stderr.endswith(f": {home}/sessions.db cannot be reached: Permission denied\n")

    def test_doctor(self, home: Path, user: AnotherUser) -> None:
        """Somebody who looks where the application runs is told that it could not write."""
        stocked("sqlite", home)
        with only_readable(home):
            done = user.runs(home, "doctor", "--offline")
        assert "permission: this user can read the store, and not write: " in done.stdout


class TestMeanwhile:
    def test_an_application_starts_while_it_is_watched(self, tmp_path: Path) -> None:
        """A file that nobody used is read as one that does not change, until somebody does."""
        store = stocked("sqlite", tmp_path)
        command = [sys.executable, "-c", MAIN, "watch", "--json", "--interval", "0.2", "--store", store]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watch:
            said = watch.stdout
            assert said is not None
            assert active(said) == {"chat-1", "=[bold]<b>", "idle"}
            with application(store) as running:
                running.begin("new")
                while "new" not in active(said):
                    pass
            assert "new" in active(said)
            watch.terminate()

    def test_what_was_read_while_somebody_wrote(self, tmp_path: Path) -> None:
        """It is thrown away, and read again: also if he has come and gone."""
        store = url(tmp_path)
        with record_sessions(store=store):
            sessions.start("web", id="one")
        reading = SQLiteStore(str(tmp_path / "sessions.db"), read_only=True)
        assert ["one"] == [record.id for record in reading.active()]
        with record_sessions(store=store):
            sessions.start("web", id="two")
        assert {"one", "two"} == {record.id for record in reading.active()}
        reading.shutdown()

    @pytest.mark.skipif(sys.platform == "win32", reason="there a file that is open stays")
    def test_a_file_that_is_replaced_while_it_is_used(self, tmp_path: Path) -> None:
        """One that was removed answers no more, though it is still open; one in its place does."""
        path = tmp_path / "sessions.db"
        writing = SQLiteStore(str(path))
        writing.create(Beginning("one", "web", "durable", 1))
        reading = SQLiteStore(str(path), read_only=True)
        assert ["one"] == [record.id for record in reading.active()]
        for each in tmp_path.iterdir():
            each.unlink()
        with pytest.raises(StoreError, match=r"there is no file .*sessions\.db"):
            reading.active()
        other = SQLiteStore(str(path))
        other.create(Beginning("two", "web", "durable", 1))
        assert ["two"] == [record.id for record in reading.active()]
        for store in (reading, other, writing):
            store.shutdown()

    def test_a_file_that_changes_all_the_time(self, tmp_path: Path) -> None:
        """Nobody is told what may never have been so; nor where the file is gone meanwhile."""
        with record_sessions(store=url(tmp_path)):
            sessions.start("web", id="one")
        path = tmp_path / "sessions.db"
        times = itertools.count(1)
        reading = ReadOnlyDatabase(str(path), timeout=1, synchronous="normal")
        with pytest.raises(StoreError, match="is replaced again and again while it is read; try again"):
            reading.read(lambda _: os.utime(path, (0, next(times))))

        def torn(_cursor: sqlite3.Cursor) -> None:
            os.utime(path, (0, next(times)))
            raise sqlite3.DatabaseError("database disk image is malformed")

        with pytest.raises(StoreError, match="is replaced again and again"):
            reading.read(torn)
        with pytest.raises(StoreError, match=r"there is no file .*sessions\.db"):
            reading.read(lambda _: path.unlink())
        reading.close()


def active(lines: IO[str]) -> set[str]:
    """The ids of the active sessions in the next line of a watch."""
    seen = json.loads(lines.readline())
    assert seen["error"] is None
    return {each["id"] for each in seen["situation"]["oldest"] + seen["situation"]["latest"]}


class TestStore:
    def test_open_when_a_process_was_forked(self, tmp_path: Path) -> None:
        """As one that writes, it cannot be used in the child then."""
        with record_sessions(store=url(tmp_path)):
            sessions.start("web", id="one")
        reading = ReadOnlyDatabase(str(tmp_path / "sessions.db"), timeout=1, synchronous="normal")
        assert reading.read(lambda cursor: cursor.execute("SELECT id FROM session").fetchall()) == [("one",)]
        inherited = reading.start_afresh()
        assert inherited is not None
        forks.lose(*inherited, was_waited_for=False)
        with pytest.raises(StoreError, match="was open when this process was forked, and cannot be used in it"):
            reading.read(lambda _cursor: None)

    def test_by_its_url(self, tmp_path: Path) -> None:
        """`mode=ro` says it in a URL, as SQLite itself has it; what would write is refused."""
        with record_sessions(store=url(tmp_path)):
            sessions.start("web", id="one")
        store = SQLiteStore.from_url(f"{url(tmp_path)}?mode=ro")
        assert store.get("one") is not None
        with pytest.raises(StoreError, match=r"is open for reading only \(mode=ro\)"):
            store.beat("somebody", 1)
        store.shutdown()
        with pytest.raises(ConfigurationError, match="mode is 'ro', to only look, or 'rw', not 'rx'"):
            SQLiteStore.from_url(f"{url(tmp_path)}?mode=rx")
        with pytest.raises(ConfigurationError, match="there is no file"):
            SQLiteStore.from_url(f"sqlite:///{tmp_path}/none.db?mode=ro")
        with pytest.raises(ConfigurationError, match="is a directory"):
            SQLiteStore.from_url(f"sqlite:///{tmp_path}?mode=ro")
