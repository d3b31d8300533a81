"""`otel-sessions stats`: what the sessions of some time add up to."""

from __future__ import annotations

from pathlib import Path

import pytest

from .command import otel_sessions
from .stock import checked, empty, run, stocked
from .terminal import Terminal


@pytest.fixture(name="store", scope="module", params=["sqlite", "redis"])
def _store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store of each kind in which something has happened."""
    return stocked(request.param, tmp_path_factory.mktemp("store"))


class TestStats:
    def test_to_people(self, store: str) -> None:
        """Figures, and counts by what sessions differ in; a pipe gets no color."""
        done = otel_sessions("stats", OTEL_SESSIONS_STORE=store)
        assert (0, "") == (done.returncode, done.stderr)
        lines = [line.split() for line in done.stdout.splitlines()]
        for line in (["sessions", "8"], ["active", "3"], ["success", "60.0%"], ["web", "3"], ["exception", "2"]):
            assert line in lines
        assert not {"\x1b", "\x07"} & set(done.stdout)

    def test_to_programs(self, store: str) -> None:
        """The same as JSON, users by their pseudonyms only."""
        done = otel_sessions("stats", "--days", "1", "--json", OTEL_SESSIONS_STORE=store)
        found = checked("stats", done.stdout)
        assert (8, 3, 5, 0.6) == tuple(found[name] for name in ("total", "active", "ended", "success_rate"))
        assert {"success": 3, "error": 2, "active": 3} == found["by_status"]
        assert "grace" not in done.stdout

    def test_of_some_time(self, store: str, capsys: pytest.CaptureFixture[str]) -> None:
        """What ended before a time, or after one."""
        for options, ended in ((["--until", "2020-01-01"], 0), (["--since", "2020-01-01"], 5), (["--days", "2"], 5)):
            assert ended == checked("stats", run(capsys, "stats", "--store", store, "--json", *options).stdout)["ended"]

    def test_in_groups(self, store: str) -> None:
        """Figures of each type, to people and to programs."""
        done = otel_sessions("stats", "--by", "type", "--json", OTEL_SESSIONS_STORE=store)
        found = checked("breakdown", done.stdout)
        assert 5 == sum(group["sessions"] for group in found["groups"])
        shown = otel_sessions("stats", "--by", "end_reason", OTEL_SESSIONS_STORE=store)
        assert (0, "") == (shown.returncode, shown.stderr)
        assert ["exception", "2", "0.0%"] in [line.split()[:3] for line in shown.stdout.splitlines()]
        # Those that are active are in no group.
        assert shown.stdout.splitlines()[1].split()[:3] == ["end", "reason", "ended"]

    def test_groups_as_the_filter_has_them(self, store: str, capsys: pytest.CaptureFixture[str]) -> None:
        """`list` has `--end-reason`: so it may be written here, too."""
        lines, others = (
            run(capsys, "stats", "--store", store, "--by", by).stdout.splitlines()
            for by in ("end-reason", "end_reason")
        )
        assert lines == others
        assert ["exception", "2"] in [line.split()[:2] for line in lines]

    def test_no_such_groups(self, store: str, capsys: pytest.CaptureFixture[str]) -> None:
        """What they cannot be made by is refused, with the option and its value."""
        done = run(capsys, "stats", "--store", store, "--by", "user")
        assert done == (2, "", "otel-sessions: --by user: use one of type, tier, status, end-reason\n")

    def test_a_time_that_is_far_away(self, store: str, capsys: pytest.CaptureFixture[str]) -> None:
        """A time to come is now. If days back from it begin in the future that is said, as it was typed, of the usual
        number of days too.
        """
        until = "9999-12-31T23:30"
        done = run(capsys, "stats", "--store", store, "--since", "2020-01-01", "--until", until, "--json")
        assert checked("stats", done.stdout)["total"] == 8
        done = run(capsys, "stats", "--store", store, "--until", until)
        told = f"--until {until} with --days 30 begins in the future: nothing has ended then"
        assert done == (2, "", f"otel-sessions: {told}\n")

    @pytest.mark.parametrize("kind", ["sqlite", "redis"])
    def test_empty(self, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Of an empty store everything is zero, or nothing."""
        store = empty(kind, tmp_path)
        found = checked("stats", run(capsys, "stats", "--store", store, "--json").stdout)
        assert (0, None, None) == (found["total"], found["success_rate"], found["longest"])
        done = run(capsys, "stats", "--store", store)
        assert (0, "") == (done.returncode, done.stderr)
        done = run(capsys, "stats", "--store", store, "--by", "type")
        assert (0, "") == (done.returncode, done.stderr)
        assert done.stdout.splitlines()[1:] == ["No session ended in this time."]

    def test_width(self, tmp_path: Path) -> None:
        """It fits into 40 columns."""
        with Terminal("stats", "--store", stocked("sqlite", tmp_path), columns=40) as terminal:
            assert 0 == terminal.finish()
        assert 40 >= max(map(len, terminal.shown.splitlines()))

    def test_bad_options(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """They are refused in a line that says the value, and what to do."""
        done = run(capsys, "stats", "--store", empty("sqlite", tmp_path), "--days", "0")
        assert (2, "", 1) == (done.returncode, done.stdout, done.stderr.count("\n"))
        assert done.stderr.startswith("otel-sessions: --days 0: use a number of days above 0")
