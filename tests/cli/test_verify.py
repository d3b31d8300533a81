"""`otel-sessions verify`, as a real process."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from .. import redis_server
from .command import otel_sessions
from .stock import checked, stocked
from .terminal import Terminal


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> Path:
    return tmp_path / "sessions.db"


def spoil(path: Path, *statements: str) -> None:
    """Do to the file what no verb does."""
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def filled(directory: Path) -> tuple[str, Path]:
    """A file in which sessions have ended: its URL, and its path."""
    url = stocked("sqlite", directory)
    return url, Path(url.removeprefix("sqlite:///"))


class TestVerify:
    @pytest.mark.parametrize("name", ["sqlite", "redis"])
    def test_sound(self, name: str, tmp_path: Path) -> None:
        """All of it fits: to people, and to programs."""
        url = stocked(name, tmp_path)
        done = otel_sessions("verify", "--store", url)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("compared: 5 ended sessions from ")
        assert done.stdout.endswith("all of it fits\n")
        told = otel_sessions("verify", "--store", url, "--repair", "--json")
        found = checked("verify", told.stdout)
        assert (found["sessions"], found["active"], found["is_sound"], found["repaired"]) == (5, 3, True, False)

    def test_sums_that_are_wrong(self, tmp_path: Path) -> None:
        """They are named, and the exit code is 1 until they have been calculated anew."""
        url, path = filled(tmp_path)
        right = otel_sessions("stats", "--store", url, "--json").stdout
        spoil(path, "DELETE FROM tally", "DELETE FROM user_hour")
        done = otel_sessions("verify", "--store", url)
        assert (done.returncode, done.stderr) == (1, "")
        assert "audit, pro, success, completed: sessions 0 kept, 2 counted\n" in done.stdout
        assert done.stdout.endswith("to calculate the sums anew: --repair\n")
        refused = otel_sessions("verify", "--store", url, "--repair")
        assert (refused.returncode, refused.stdout) == (1, "")
        assert "sums differ from the sessions: say --yes to have the sums calculated anew" in refused.stderr
        mended = otel_sessions("verify", "--store", url, "--repair", "--yes")
        assert (mended.returncode, mended.stderr) == (0, "")
        assert mended.stdout.endswith("the sums have been calculated anew\n")
        assert checked("verify", otel_sessions("verify", "--store", url, "--json").stdout)["is_sound"]
        again = checked("stats", otel_sessions("stats", "--store", url, "--json").stdout)
        assert again | {"until": ""} == checked("stats", right) | {"until": ""}

    def test_one_is_wrong(self, tmp_path: Path) -> None:
        """Of one it is said as of one."""
        url, path = filled(tmp_path)
        spoil(path, "UPDATE user_hour SET sessions = 9 WHERE hour = (SELECT max(hour) FROM user_hour)")
        refused = otel_sessions("verify", "--store", url, "--repair")
        assert "1 sum differs from the sessions: say --yes" in refused.stderr

    def test_on_redis(self, tmp_path: Path) -> None:
        """The same there."""
        url = stocked("redis", tmp_path)
        client: Any = redis_server.shared().client()
        prefix = url.rpartition("prefix=")[2].partition("&")[0]
        for key in client.keys(f"{{{prefix}}}:[hdu]:*"):
            client.delete(key)
        assert otel_sessions("verify", "--store", url).returncode == 1
        assert otel_sessions("verify", "--store", url, "--repair", "--yes").returncode == 0
        assert checked("stats", otel_sessions("stats", "--store", url, "--json").stdout)["ended"] == 5

    def test_a_record_that_cannot_be_read(self, tmp_path: Path) -> None:
        """It is named, with everything escaped that a terminal would obey; a person is asked before it is removed."""
        url, path = filled(tmp_path)
        spoil(path, "UPDATE session SET beginning = '{', id = 'a' || char(27) || '[31m' WHERE number = 1")
        listed = otel_sessions("list", "--store", url)
        assert listed.returncode == 0
        assert "The record of session 'a\\x1b[31m' in the sqlite store cannot be read." in listed.stderr
        found = otel_sessions("verify", "--store", url)
        assert "cannot be read: session a\\x1b[31m\n" in found.stdout
        for answer, code, said in (("n", 1, "nothing was changed"), ("y", 0, "the sums have been calculated anew")):
            with Terminal("verify", "--store", url, "--repair", columns=200) as terminal:
                terminal.until(lambda terminal: "[y/N]" in terminal.shown)
                terminal.press(f"{answer}\n")
                assert (terminal.finish(), said in terminal.shown) == (code, True)
        assert otel_sessions("list", "--store", url).returncode == 0

    def test_an_active_one_that_cannot_be_read(self, tmp_path: Path) -> None:
        """Then those that are active cannot be counted; it is not said that there are none."""
        url, path = filled(tmp_path)
        spoil(path, "UPDATE session SET beginning = '{' WHERE id = 'chat-1'")
        assert ", and none of the active ones\n" in otel_sessions("verify", "--store", url).stdout
        assert checked("verify", otel_sessions("verify", "--store", url, "--json").stdout)["active"] is None

    def test_a_store_that_is_none(self, tmp_path: Path) -> None:
        """It is said in a line."""
        for url, code in ((f"sqlite:///{tmp_path}/none.db", 1), ("memory://", 2)):
            done = otel_sessions("verify", "--store", url)
            assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (code, "", 1)
