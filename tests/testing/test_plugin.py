"""The pytest plugin, as a user's own test suite finds it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

# A minimal suite: no configuration, none of this project's own conftest.
SUITE = '''
    """Tests of an application, as users write them."""
    import urllib.error
    import urllib.request

    import pytest

    import otel_sessions
    from otel_sessions import current_session, session


    @session("checkout")
    def checkout():
        current_session().event("cart.paid", amount=3)


    def test_records(recorded_sessions):
        checkout()
        (span,) = recorded_sessions.session_spans
        assert span.attributes["app_session.status"] == "success"
        assert recorded_sessions.metric("app_session.starts") == 1
        assert recorded_sessions.events("cart.paid")[0]["amount"] == 3


    def test_begins_anew(recorded_sessions):
        assert recorded_sessions.spans == []
        checkout()
        assert len(recorded_sessions.session_spans) == 1


    def test_has_a_clock(recorded_sessions):
        handle = otel_sessions.start("web", idle_timeout=60)
        recorded_sessions.advance(61)
        assert handle.end_reason == "idle_timeout"


    def test_receives(otlp_receiver):
        assert otlp_receiver.environment["OTEL_EXPORTER_OTLP_ENDPOINT"] == otlp_receiver.endpoint
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(otlp_receiver.endpoint + "/v1/traces", b"x")
        assert caught.value.code == 415
        caught.value.close()


    def test_that_fails(recorded_sessions):
        checkout()
        assert recorded_sessions.session_spans == []
'''


def run(suite: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run pytest on a user's suite in a process of its own."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "PYTEST_", "COV_"))
    }
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options, str(suite)],
        cwd=suite.parent,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture(name="suite", scope="module")
def _suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("suite") / "test_application.py"
    path.write_text(dedent(SUITE))
    return path


class TestPlugin:
    """Installing the package is all it takes."""

    def test_fixtures_work(self, suite: Path) -> None:
        """Recordings begin anew for each test, and only the test that should fail does."""
        completed = run(suite, "-W", "error", "-p", "no:randomly")
        assert "1 failed, 4 passed" in completed.stdout, completed.stdout + completed.stderr
        assert "FAILED test_application.py::test_that_fails" in completed.stdout
        assert "warning" not in completed.stdout.lower()

    def test_fixtures_are_documented(self, suite: Path) -> None:
        """`pytest --fixtures` says what they are for."""
        completed = run(suite, "--fixtures", "-q")
        for name in ("recorded_sessions", "otlp_receiver"):
            assert re.search(rf"^{name}\b.*\n +\S", completed.stdout, re.MULTILINE), completed.stdout

    def test_loads_nothing_until_it_is_used(self, tmp_path: Path) -> None:
        """A suite that does not use the fixtures pays neither for the SDK nor for protobuf."""
        path = tmp_path / "test_other.py"
        path.write_text(
            dedent(
                """
                import sys

                def test_other():
                    heavy = [n for n in sys.modules if n.startswith(("opentelemetry.sdk", "google.protobuf"))]
                    assert heavy == []
                """
            )
        )
        completed = run(path, "-q")
        assert "1 passed" in completed.stdout, completed.stdout + completed.stderr

    def test_can_be_left_out(self, suite: Path) -> None:
        """`-p no:otel_sessions` removes it."""
        completed = run(suite, "-p", "no:otel_sessions", "-q")
        assert "fixture 'recorded_sessions' not found" in completed.stdout
