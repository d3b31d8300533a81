"""`otel-sessions recover`: what a killed process has left is finished, and sent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from typer.testing import Result

from otel_sessions import _runtime
from otel_sessions.stores import from_url
from otel_sessions.testing import OTLPReceiver
from otel_sessions.typing import SessionRecord, Wanted

from ..e2e.store_urls import store_url
from .command import invoke, otel_sessions
from .endpoints import answering
from .stock import checked, empty

KILLED = """
import os, sys
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

trace.set_tracer_provider(TracerProvider(shutdown_on_exit=False))
import otel_sessions as sessions

sessions.configure(store=sys.argv[1], background=False)
with sessions.session("done"):
    pass
with sessions.session("import") as s:
    print(s.id, f"{s.span_context.span_id:016x}", flush=True)
    os.kill(os.getpid(), 9)
"""
"""One session has ended, but its end was not exported; in the other one the process is killed."""


def killed(url: str) -> tuple[str, str]:
    """The ids of the session in which a process was killed, and of its span."""
    done = subprocess.run([sys.executable, "-c", KILLED, url], check=False, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    session_id, span_id = done.stdout.split()
    return session_id, span_id


def stored(url: str) -> list[SessionRecord]:
    """The sessions that have ended."""
    store = from_url(url)
    try:
        return store.history(Wanted(), 9)  # type: ignore[attr-defined, no-any-return]  # these have one
    finally:
        store.shutdown()


def run(url: str, monkeypatch: pytest.MonkeyPatch, variables: Mapping[str, str]) -> Result:
    """The command in this process."""
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    done = invoke("recover", "--store", url)
    assert _runtime.current is None
    return done


class TestRecovered:
    @pytest.mark.parametrize("name", ["sqlite", "redis"])
    def test_after_sigkill(self, name: str, tmp_path: Path, otlp_receiver: OTLPReceiver) -> None:
        """Both sessions are sent, the one with the ids that its children know; a second time there is nothing left."""
        url = store_url(name, tmp_path)
        session_id, span_id = killed(url)
        environment = {**otlp_receiver.environment, "OTEL_SERVICE_NAME": "shop"}
        refused = otel_sessions("recover", "--store", url, **{**environment, "OTEL_TRACES_EXPORTER": "none"})
        assert (refused.returncode, refused.stdout, otlp_receiver.spans) == (1, "", [])
        assert "nothing was done: there is no exporter of spans" in refused.stderr

        done = otel_sessions("recover", "--store", url, "--json", **environment)
        assert (done.returncode, done.stderr, checked("recover", done.stdout)) == (0, "", {"sessions": 2})
        spans = {span.name: span for span in otlp_receiver.spans}
        assert sorted(spans) == ["session done", "session import"]
        crashed = spans["session import"]
        assert (crashed.attributes["session.id"], crashed.span_id) == (session_id, span_id)
        assert crashed.attributes["app_session.status"] == "abandoned"
        assert crashed.resource["service.name"] == "shop"
        assert "session.end" in {log.event_name for log in otlp_receiver.logs}
        assert "app_session.duration" in {point.name for point in otlp_receiver.points}

        again = otel_sessions("recover", "--store", url, **environment)
        assert (again.returncode, again.stdout) == (0, "nothing was left by anybody\n")
        assert len(otlp_receiver.spans) == 2

    def test_what_could_not_be_sent_is_kept(self, tmp_path: Path, otlp_receiver: OTLPReceiver) -> None:
        """If the endpoint takes an empty request, and then no span, they are sent the next time."""
        url = store_url("sqlite", tmp_path)
        _, span_id = killed(url)
        only_spans = {**otlp_receiver.environment, "OTEL_LOGS_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none"}
        with answering(lambda body, _: (400, b"full") if body else (200, b"")) as endpoint:
            failed = otel_sessions("recover", "--store", url, **{**only_spans, "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint})
        assert (failed.returncode, failed.stdout, len(failed.stderr.splitlines())) == (1, "", 1)
        assert "2 sessions finished, but not all could be sent: otlp: " in failed.stderr
        assert [record.status for record in stored(url)] == ["abandoned", "success"]

        done = otel_sessions("recover", "--store", url, **only_spans)
        assert (done.returncode, done.stdout) == (0, "2 sessions finished and sent\n")
        assert span_id in {span.span_id for span in otlp_receiver.spans}


class TestRefused:
    def test_nobody_takes_it(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """If the endpoint does not answer nothing is touched: the sessions are as they were."""
        url = store_url("sqlite", tmp_path)
        killed(url)
        dead = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}
        done = run(url, monkeypatch, {**dead, "OTEL_EXPORTER_OTLP_TIMEOUT": "1"})
        assert (done.exit_code, done.stdout, len(done.stderr.splitlines())) == (1, "", 1)
        assert "nothing was done: the exporter does not get through" in done.stderr
        assert [record.type for record in stored(url)] == ["done"]

    @pytest.mark.parametrize(
        ("variables", "reason"),
        [
            ({"OTEL_SDK_DISABLED": "true"}, "there is no exporter of spans"),
            ({"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER=zipkin: no such exporter is installed"),
            ({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"}, "no such exporter is installed; there are"),
        ],
    )
    def test_no_exporter(
        self, variables: dict[str, str], reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is said which one is missing."""
        done = run(empty("sqlite", tmp_path), monkeypatch, variables)
        assert (done.exit_code, len(done.stderr.splitlines())) == (1, 1)
        assert reason in done.stderr

    @pytest.mark.parametrize("url", ["sqlite:///none.db", "redis://:hunter2@127.0.0.1:1/0"])
    def test_no_store(self, url: str, otlp_receiver: OTLPReceiver, monkeypatch: pytest.MonkeyPatch) -> None:
        """A store that cannot be asked is not one in which nothing was left."""
        done = run(url, monkeypatch, otlp_receiver.environment)
        assert (done.exit_code, done.stdout, len(done.stderr.splitlines())) == (1, "", 1)
        assert "hunter2" not in done.stderr
