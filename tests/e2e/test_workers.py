"""Several workers of one server, whose requests all belong to one client."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from otel_sessions.stores import from_url
from otel_sessions.testing import OTLPReceiver, ReceivedSpan
from tests import redis_server

from .extent import FULL, extent
from .load import Load, ask, cookie
from .processes import INSTRUMENT, running, uvicorn
from .store_urls import store_url

WORKERS = 4
REQUESTS = extent(1_000, full=10_000)
# Longer than a machine under load stands still.
IDLE_SECONDS = 8.0
PATIENCE_SECONDS = 60.0

BY_US = ["--config", "gunicorn_settings.py"]
GUNICORN = [
    *("gunicorn", "--bind", "127.0.0.1:0", "--workers", str(WORKERS)),
    *("--worker-class", "gthread", "--threads", "4", "--no-control-socket"),
]
COMMANDS = {
    "gunicorn": [*GUNICORN, *BY_US, "flask_workers:app"],
    "gunicorn, preload": [*GUNICORN, *BY_US, "--preload", "flask_workers:app"],
    # The SDK is set up before the workers are forked, and the application, which knows nothing, is loaded.
    "gunicorn, no code, preload": [INSTRUMENT, *GUNICORN, "--preload", "flask_site:app"],
    "uvicorn": uvicorn("fastapi_workers:app", "--port", "0", "--workers", str(WORKERS)),
}


class Case(NamedTuple):
    """Which server is run, where the sessions are kept, and whether the application ends them, or their idleness."""

    server: str
    store: str
    ends: bool


def cases() -> list[Case]:
    if FULL:
        return [
            Case(server, store, ends)
            for server in COMMANDS
            for store in ("sqlite", "redis")
            for ends in ((False,) if "no code" in server else (False, True))
        ]
    return [
        Case("gunicorn", "sqlite", ends=False),
        Case("gunicorn, preload", "redis", ends=True),
        Case("uvicorn", "sqlite", ends=True),
    ]


@pytest.fixture(name="case", params=cases(), ids=lambda case: f"{case.server}, {case.store}, {case.ends}")
def _case(request: pytest.FixtureRequest) -> Case:
    found: Case = request.param
    return found


@pytest.fixture(name="store")
def _store(case: Case, tmp_path: Path) -> str:
    return store_url(case.store, tmp_path)


@pytest.fixture(name="receiver")
def _receiver() -> Iterator[OTLPReceiver]:
    with OTLPReceiver() as receiver:
        yield receiver


def sessions(receiver: OTLPReceiver) -> list[ReceivedSpan]:
    return [span for span in receiver.spans if span.name == "session web"]


def active(receiver: OTLPReceiver) -> float:
    """How many sessions are active, by what all the workers said last."""
    last = {
        point.resource["process.pid"]: point.value for point in receiver.points if point.name == "app_session.active"
    }
    return sum(last.values())


def environment(store: str) -> dict[str, str]:
    return {
        "OTEL_SESSIONS_STORE": store,
        "OTEL_SESSIONS_COOKIE": "true",
        "OTEL_SESSIONS_IDLE_TIMEOUT": str(IDLE_SECONDS),
        "OTEL_SESSIONS_EXCLUDED_URLS": "^/ready$",
        # Tells the workers apart.
        "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS": "process",
    }


def wait_for_workers(url: str) -> None:
    """Wait until each of them serves: on a busy machine one may come when the others have done all there is to do."""
    seen: set[str] = set()

    def all_seen() -> bool:
        answer = ask(url, "/ready", {})
        if answer.status == 200:
            seen.add(answer.text)
        return len(seen) == WORKERS

    redis_server.until(all_seen, seconds=PATIENCE_SECONDS)


class TestOneClient:
    @pytest.mark.timeout(300)
    def test_of_many_workers(self, case: Case, store: str, receiver: OTLPReceiver) -> None:
        """All requests of a client are one session with one span, which counts every one, whoever served it."""
        client = cookie()
        # Where the application does it, nothing else may end the session.
        idle = {"OTEL_SESSIONS_IDLE_TIMEOUT": "600"} if case.ends else {}
        with running(COMMANDS[case.server], receiver, **{**environment(store), **idle}) as process:
            if "no code" not in case.server:
                wait_for_workers(process.url())
            count = REQUESTS - case.ends
            answers = Load(process.url(), [client], count=count).start().join()
            assert [200] * count == [answer.status for answer in answers]
            if "no code" not in case.server:
                assert WORKERS == len({answer.text for answer in answers})
            receiver.wait_for(lambda: active(receiver) == 1, PATIENCE_SECONDS)
            if case.ends:
                self.wait_for_store(store, count)
                assert 200 == ask(process.url(), "/end", client).status
            receiver.wait_for(lambda: sessions(receiver), PATIENCE_SECONDS)
            receiver.wait_for(lambda: active(receiver) == 0, PATIENCE_SECONDS)
            process.stop()
        assert 1 == len(sessions(receiver)), sessions(receiver)
        (session,) = sessions(receiver)
        assert REQUESTS == session.attributes["app_session.request.count"]
        assert ("completed" if case.ends else "idle_timeout") == session.attributes["app_session.end_reason"]
        assert 0 == active(receiver)
        assert REQUESTS == self.requests(receiver)
        assert [] == [point for point in receiver.points if point.name == "app_session.dropped"]
        assert "Traceback" not in process.output

    @staticmethod
    def wait_for_store(url: str, count: int) -> None:
        """Every worker has merged what it counted."""
        store = from_url(url)
        try:
            redis_server.until(lambda: [count] == [record.totals.requests for record in store.active()])
        finally:
            store.shutdown()

    @staticmethod
    def requests(receiver: OTLPReceiver) -> float:
        """How many requests the workers counted as a metric, all together."""
        last = {
            (point.resource["process.pid"], str(point.attributes)): point.value
            for point in receiver.points
            if point.name == "app_session.requests"
        }
        return sum(last.values())
