"""`otel-sessions cleanup`, as a real process."""

from __future__ import annotations

from pathlib import Path

import pytest

from otel_sessions.stores import from_url
from otel_sessions.typing import Wanted

from ..e2e.store_urls import store_url
from .command import invoke, otel_sessions
from .stock import checked
from .terminal import Terminal
from .test_export import fill


def left(url: str) -> int:
    """How many ended sessions there are."""
    store = from_url(url)
    try:
        return len(store.history(Wanted(), 100))  # type: ignore[attr-defined]  # these have one
    finally:
        store.shutdown()


@pytest.fixture(name="url")
def _url(tmp_path: Path) -> str:
    url = store_url("sqlite", tmp_path)
    fill(url)
    return url


class TestForgotten:
    @pytest.mark.parametrize("name", ["sqlite", "redis"])
    def test_after_a_look(self, name: str, tmp_path: Path) -> None:
        """How many they would be is said before, and then they are gone; a program says yes beforehand."""
        url = store_url(name, tmp_path)
        fill(url)
        looked = otel_sessions("cleanup", "--store", url, "--days", "30", "--dry-run", "--json")
        assert checked("cleanup", looked.stdout) == {"sessions": 3, "days": 30, "dry_run": True}
        assert left(url) == 3
        done = otel_sessions("cleanup", "--store", url, "--yes")
        assert (done.returncode, done.stdout, done.stderr) == (0, "3 sessions forgotten\n", "")
        assert left(url) == 0

    def test_asked(self, url: str) -> None:
        """A person is asked, and nothing is forgotten without a yes."""
        for answer, code, said, kept in (("n", 1, "nothing was forgotten", 3), ("y", 0, "3 sessions forgotten", 0)):
            with Terminal("cleanup", "--store", url, columns=200) as terminal:
                terminal.until(lambda terminal: "[y/N]" in terminal.shown)
                terminal.press(f"{answer}\n")
                assert (terminal.finish(), left(url)) == (code, kept)
                assert "Forget 3 sessions that ended more than 90 days ago for good? [y/N]" in terminal.shown
                assert terminal.shown.endswith(f"{said}\n")

    def test_nobody_to_ask(self, url: str) -> None:
        """Who is no person has to say yes beforehand: a script does not hang, nor does it forget by accident."""
        done = invoke("cleanup", "--store", url)
        assert (done.exit_code, left(url)) == (1, 3)
        assert done.stderr == (
            "otel-sessions: 3 sessions that ended more than 90 days ago would be forgotten for good: say --yes, "
            "or look with --dry-run\n"
        )

    def test_usual_days(self, url: str) -> None:
        """Nobody is told of a number that nobody has typed."""
        forgotten = invoke("cleanup", "--store", url, "--yes")
        assert forgotten.exit_code == 0
        done = invoke("cleanup", "--store", url)
        assert (done.exit_code, done.stdout, done.stderr) == (0, "no session ended more than 90 days ago\n", "")

    def test_nothing(self, url: str) -> None:
        """If there is nothing to forget nobody is asked; looking says so as well."""
        done = invoke("cleanup", "--store", url, "--days", "50000")
        assert (done.exit_code, done.stdout) == (0, "no session ended more than 50000 days ago\n")
        assert done.stderr == (
            "otel-sessions: --days 50000 is more than the store keeps: as it is configured here, it forgets by itself "
            "after 30 days\n"
        )
        within = invoke("cleanup", "--store", f"{url.partition('?')[0]}?retention=9e8", "--days", "9999")
        assert (within.exit_code, within.stderr) == (0, "")
        looked = invoke("cleanup", "--store", url, "--days", "50000", "--dry-run")
        assert looked.stdout == "0 sessions that ended more than 50000 days ago would be forgotten\n"

    @pytest.mark.parametrize("days", ["0", "-1", "nan"])
    def test_bad_days(self, url: str, days: str) -> None:
        """Only a positive number says what is old."""
        done = invoke("cleanup", "--store", url, "--days", days, "--yes")
        assert (done.exit_code, len(done.stderr.splitlines()), left(url)) == (2, 1, 3)
        assert f"--days {days}: use a number of days above 0" in done.stderr
