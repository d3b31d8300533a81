"""What every verb says of a store that it cannot look into."""

from __future__ import annotations

import contextlib
import logging
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import pytest

import otel_sessions as sessions
from otel_sessions.cli._store import opened
from otel_sessions.stores import from_url

from .. import redis_server
from .command import otel_sessions
from .stock import empty, run

VERBS = ("list", "list --user grace", "show x", "stats", "usage", "usage grace", "watch --once")


@contextmanager
def no_file(directory: Path) -> Iterator[tuple[str, str]]:
    """A file that there is not."""
    yield f"sqlite:///{directory}/no.db", f"there is no file {directory}/no.db; is the working directory another one?"


@contextmanager
def no_database(directory: Path) -> Iterator[tuple[str, str]]:
    """A file that is something else."""
    file = directory / "notes.txt"
    file.write_text("not a database" * 100, encoding="utf-8")
    yield f"sqlite:///{file}", "file is not a database; choose another file"


@contextmanager
def of_others(directory: Path) -> Iterator[tuple[str, str]]:
    """Another application's database."""
    file = directory / "others.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE customer (name TEXT)")
    yield f"sqlite:///{file}", "is the database of another application; choose another file"


@contextmanager
def of_tomorrow(directory: Path) -> Iterator[tuple[str, str]]:
    """A file of a later version of this package."""
    url = empty("sqlite", directory)
    with closing(sqlite3.connect(directory / "sessions.db")) as connection:
        connection.execute("PRAGMA user_version = 99")
    yield url, "has the schema version 99, and this version of otel-sessions knows up to"


@contextmanager
def locked(directory: Path) -> Iterator[tuple[str, str]]:
    """A file that somebody else has for himself."""
    url = empty("sqlite", directory)
    with closing(sqlite3.connect(directory / "sessions.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("BEGIN EXCLUSIVE")
        yield f"{url}?timeout=0.05", "was in use by other processes for more than 0.05 s"
        connection.execute("ROLLBACK")


@contextmanager
def a_directory(directory: Path) -> Iterator[tuple[str, str]]:
    """No file at all."""
    yield f"sqlite:///{directory}", "is a directory; name a file"


@contextmanager
def in_memory(_directory: Path) -> Iterator[tuple[str, str]]:
    """What no other process can see."""
    yield "memory://", "memory is the application's own; have it use sqlite:///file.db or redis://host"


@contextmanager
def nothing_known(_directory: Path) -> Iterator[tuple[str, str]]:
    """A kind of store that there is not."""
    yield "mysql://root:secret@localhost/", "--store: no store answers to a URL mysql://...; there are "


@contextmanager
def an_unknown_option(directory: Path) -> Iterator[tuple[str, str]]:
    """A file that is one, with a word behind it that means nothing."""
    url = f"sqlite:///{directory}/s.db"
    from_url(url).shutdown()
    yield f"{url}?colour=red", "--store: sqlite: the URL has an unknown option 'colour'; there are "


@contextmanager
def dead_redis(_directory: Path) -> Iterator[tuple[str, str]]:
    """A server that does not run."""
    yield f"redis://user:secret@127.0.0.1:{redis_server.free_port()}/0", "the redis store cannot be asked ("


@contextmanager
def answering(said: bytes) -> Iterator[int]:
    """A server that answers each who comes with the same; its port."""

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                line, _ = server.accept()
                with line, contextlib.suppress(OSError):
                    while line.recv(65_536):
                        line.sendall(said)

    with socket.create_server(("127.0.0.1", 0)) as server:
        serving = threading.Thread(target=serve)
        serving.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            serving.join()


STORES = [
    no_file, no_database, of_others, of_tomorrow, locked, a_directory, in_memory, nothing_known, an_unknown_option,
    dead_redis,
]  # fmt: skip


class TestFailure:
    @pytest.mark.parametrize("verb", VERBS)
    @pytest.mark.parametrize("bad", STORES, ids=lambda bad: bad.__name__)
    def test_is_said(
        self,
        bad: Callable[[Path], AbstractContextManager[tuple[str, str]]],
        verb: str,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """What is wrong is said in one line, without a secret; the exit code says whether it is in what was typed."""
        with bad(tmp_path) as (url, said):
            done = run(capsys, *verb.split(), "--store", url)
        code = 2 if bad in {in_memory, nothing_known, an_unknown_option} else 1
        assert (code, "", 1) == (done.returncode, done.stdout, done.stderr.count("\n"))
        assert done.stderr.startswith("otel-sessions: ")
        assert said in done.stderr
        assert "secret" not in done.stderr

    @pytest.mark.parametrize("verb", VERBS)
    def test_no_store_is_named(self, verb: str, capsys: pytest.CaptureFixture[str]) -> None:
        """Whoever names none is told how."""
        said = "say where the sessions are: --store sqlite:///file.db, or OTEL_SESSIONS_STORE in the environment"
        assert run(capsys, *verb.split()) == (2, "", f"otel-sessions: {said}\n")

    def test_of_a_server_that_does_not_answer(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Nobody waits for it for long."""
        server = redis_server.RedisServer()
        try:
            server.pause()
            began = time.monotonic()
            done = run(capsys, "list", "--user", "grace", "--store", f"{server.url}?timeout=0.2")
            assert 10 > time.monotonic() - began
        finally:
            server.resume()
            server.stop()
        assert (1, "", 1) == (done.returncode, done.stdout, done.stderr.count("\n"))
        assert "the redis store cannot be asked" in done.stderr

    def test_as_it_is_typed(self) -> None:
        """A real process says no more than that."""
        port = redis_server.free_port()
        done = otel_sessions("watch", "--json", OTEL_SESSIONS_STORE=f"redis://:secret@127.0.0.1:{port}/0")
        assert (1, "", 1) == (done.returncode, done.stdout, done.stderr.count("\n"))
        told = f"otel-sessions: 127.0.0.1:{port}: the redis store cannot be asked (active): redis: "
        assert done.stderr.startswith(told)

    @pytest.mark.parametrize("verb", ["list", "health", "doctor --offline"])
    def test_what_a_server_says(self, verb: str) -> None:
        """Nothing that a server answers steers the terminal."""
        with answering(b"-ERR \x1b]0;owned\x07 here\r\n") as port:
            done = otel_sessions(*verb.split(), OTEL_SESSIONS_STORE=f"redis://127.0.0.1:{port}")
        assert done.returncode
        assert "\x1b" not in done.stdout + done.stderr
        assert r"\x1b]0;owned\x07 here" in done.stdout + done.stderr

    @pytest.mark.parametrize("verb", ["list", "cleanup --yes"])
    def test_a_name_that_would_be_obeyed(self, verb: str, tmp_path: Path) -> None:
        """Nor does the name of a file, which is escaped once."""
        (tmp_path / "\x1b]0;owned\n.db").write_text("not a database" * 100, encoding="utf-8")
        done = otel_sessions(*verb.split(), "--store", f"sqlite:///{tmp_path}/%1B]0;owned%0A.db")
        assert (1, "", 1) == (done.returncode, done.stdout, done.stderr.count("\n"))
        assert rf"{tmp_path}/\x1b]0;owned\n.db: file is not a database" in done.stderr

    @pytest.mark.parametrize("verb", ["list", "recover", "cleanup --yes --days 1"])
    @pytest.mark.parametrize(
        ("typed", "code", "said"),
        [
            ("SQLite:///{}/new.db", 1, "there is no file {}/new.db"),
            ("MEMORY://", 2, "memory is the application's own"),
            ("sqlite:///{}/a%00.db", 2, "no file can have such a name"),
            ("mysql://root:secret@localhost/", 2, "--store: no store answers to a URL mysql://..."),
            ("{}/new.db", 2, "--store {}/new.db: this is a path, and no URL; write sqlite:///{}/new.db"),
            ("new one.db", 2, "write sqlite:///new%20one.db"),
            ("user:secret@host", 2, "--store: it is no URL, which begins with a scheme; of a file that is sqlite:///"),
            ("redis://host:99999", 2, "--store: the Redis URL has a host or a port that cannot be one"),
        ],
    )
    def test_however_it_is_written(
        self, verb: str, typed: str, code: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """A scheme has no case, a verb that writes says the same, and no file is made."""
        done = run(capsys, *verb.split(), "--store", typed.format(tmp_path))
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (code, "", 1)
        assert said.format(tmp_path, tmp_path) in done.stderr
        assert "secret" not in done.stderr
        assert not list(tmp_path.iterdir())


class TestOpened:
    @pytest.mark.parametrize("verb", ["list", "stats", "doctor --offline"])
    @pytest.mark.parametrize("query", ["mode=ro", "mode=rw", "timeout=2&mode=ro&retention=60", "synchronous=full"])
    def test_by_a_url_with_a_query(
        self, verb: str, query: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """What the application's URL says is taken, also if it says how the file is opened."""
        done = run(capsys, *verb.split(), "--store", f"{empty('sqlite', tmp_path)}?{query}")
        assert (0, "") == (done.returncode, done.stderr)

    @pytest.mark.parametrize("verb", ["recover", "cleanup --yes"])
    def test_what_writes(self, verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """A verb that writes does not pretend that there was nothing to do where it may only look."""
        done = run(capsys, *verb.split(), "--store", f"{empty('sqlite', tmp_path)}?mode=ro")
        assert (done.returncode, done.stdout) == (2, "")
        assert "with mode=ro it can only be looked into, and this writes: leave that out" in done.stderr

    def test_by_a_url_with_no_mode(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """What is none is not taken for one."""
        done = run(capsys, "list", "--store", f"{empty('sqlite', tmp_path)}?mode=rx")
        assert "mode is 'ro', to only look, or 'rw', not 'rx'" in done.stderr

    def test_nothing_is_left(self, tmp_path: Path) -> None:
        """The process is as it was before: warnings are logged again, and it can be configured in another way."""
        package = logging.getLogger("otel_sessions")
        before = package.level
        with opened(empty("sqlite", tmp_path)):
            assert not package.isEnabledFor(logging.WARNING)
            assert [] == sessions.active()
        assert before == package.level
        sessions.configure(store="memory://")

    def test_where_sessions_are_switched_off(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The command looks all the same."""
        url = empty("sqlite", tmp_path)
        with opened(url, read_only=False):
            sessions.start("web", id="w")
        monkeypatch.setenv("OTEL_SESSIONS_ENABLED", "false")
        assert '"id": "w"' in run(capsys, "list", "--json", "--store", url).stdout
