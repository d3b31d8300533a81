"""What a client's requests do to its session, and what failures of ours do to the requests."""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import flask
import httpx
import pytest
from opentelemetry.sdk.trace.sampling import Sampler, SamplingResult

from otel_sessions import active
from otel_sessions.flask import Sessions
from otel_sessions.testing import RecordedSessions, record_sessions

from ..failing_store import EVERYTHING, FailingStore
from .sites import Gate, Site, end, rotate, who

COOKIE = "otel_session"
ID = re.compile(r"[0-9a-f]{32}")


class TestRotationAndLogout:
    def test_rotate_from_a_handler(self, site: Site, recorded_sessions: RecordedSessions) -> None:
        """A handler that rotates goes on under a new id at once, and so does the client's next request."""
        with site() as server, server.client() as client:
            before, rotated, after = client.get("/").json(), client.get("/rotate").json(), client.get("/").json()
            recorded_sessions.advance(1800)
        assert before["id"] != rotated["id"]
        assert before["id"] == rotated["previous_id"]
        assert rotated == after
        old, new = recorded_sessions.session_spans
        assert {
            "session.id": before["id"],
            "app_session.type": "web",
            "app_session.topology": "durable",
            "app_session.platform": "web",
            "app_session.rotation.reason": "login",
            "app_session.status": "success",
            "app_session.end_reason": "rotated",
            "app_session.event.count": 0,
            "app_session.error.count": 0,
            "app_session.request.count": 2,
        } == dict(old.attributes or {})
        assert {
            "session.id": rotated["id"],
            "session.previous_id": before["id"],
            "app_session.type": "web",
            "app_session.topology": "durable",
            "app_session.platform": "web",
            "app_session.status": "expired",
            "app_session.end_reason": "idle_timeout",
            "app_session.event.count": 0,
            "app_session.error.count": 0,
            "app_session.request.count": 1,
        } == dict(new.attributes or {})

    def test_rotate_in_a_clients_very_first_request(self, site: Site, recorded_sessions: RecordedSessions) -> None:
        """The cookie of the first response leads to the rotated session."""
        with site() as server, server.client() as client:
            assert client.get("/rotate").json() == client.get("/").json()

    def test_end_from_a_handler(self, site: Site, recorded_sessions: RecordedSessions) -> None:
        """A handler that logs out ends the session; the client's next request begins another that names it."""
        with site() as server, server.client() as client:
            ended, after = client.get("/end").json(), client.get("/").json()
        (span,) = recorded_sessions.session_spans
        attributes = dict(span.attributes or {})
        assert ("success", "logout") == (attributes["app_session.status"], attributes["app_session.end_reason"])
        assert ended["id"] == attributes["session.id"]
        assert {"id": after["id"], "previous_id": ended["id"], "user": None} == after
        assert ended["id"] != after["id"]

    def test_starts_and_ends_are_said(self, site: Site, recorded_sessions: RecordedSessions) -> None:
        """Each session has one start event and one end event, and a successor's start names its predecessor."""
        with site() as server, server.client() as client:
            first, second = client.get("/").json()["id"], client.get("/rotate").json()["id"]
            client.get("/end")
        assert [
            {"session.id": first, "app_session.type": "web"},
            {"session.id": second, "app_session.type": "web", "session.previous_id": first},
        ] == recorded_sessions.events("session.start")
        assert [first, second] == [event["session.id"] for event in recorded_sessions.events("session.end")]

    def test_request_under_way_while_another_one_rotates(self, site: Site, recorded_sessions: RecordedSessions) -> None:
        """A request that began before the rotation and ends after it keeps neither session from becoming idle."""
        gate = Gate()
        with site(gate=gate) as server, server.client() as client, ThreadPoolExecutor(1) as pool:
            held = client.get("/").cookies[COOKIE]
            with server.client(headers={"Cookie": f"{COOKIE}={held}"}) as same:
                waiting = pool.submit(same.get, "/wait")
                assert gate.reached.wait(10)
                first = httpx.get(
                    f"{server.url}/rotate", headers={"Cookie": f"{COOKIE}={held}"}, trust_env=False
                ).json()
                recorded_sessions.advance(1801)
                assert [first["previous_id"]] == [
                    (span.attributes or {})["session.id"] for span in recorded_sessions.session_spans
                ], "the successor is in use"
                gate.opened.set()
                assert 200 == waiting.result().status_code
            recorded_sessions.advance(1800)
        old, new = recorded_sessions.session_spans
        assert ("rotated", "idle_timeout") == (
            (old.attributes or {})["app_session.end_reason"],
            (new.attributes or {})["app_session.end_reason"],
        )
        assert first["id"] == (new.attributes or {})["session.id"]


@pytest.fixture(name="contention")
def _contention() -> Iterator[None]:
    """Threads that take turns after each step, or nearly."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


class TestTraffic:
    """Many clients at once, while sessions expire, rotate and end: each session ends once, and no request is lost."""

    PATHS = ("/", "/rotate", "/", "/end", "/")

    @pytest.mark.parametrize("shared", [False, True], ids=["own sessions", "one session"])
    def test_over_sockets(self, shared: bool, site: Site, recorded_sessions: RecordedSessions) -> None:
        """Clients with sessions of their own, and one client in several places, on a real server."""

        def visit(number: int) -> None:
            name = "all" if shared else f"client-{number}"
            with server.client(headers={"Authorization": f"Bearer {name}"}) as client:
                for turn in range(12):
                    assert 200 == client.get(self.PATHS[(turn + number) % 5]).status_code

        with site() as server:
            self.rush(recorded_sessions, visit, 6)
        self.check(recorded_sessions, 6 * 12)

    def test_under_contention(self, contention: None, recorded_sessions: RecordedSessions) -> None:
        """One client in several places, in threads that interrupt each other wherever they can."""
        app = flask.Flask(__name__)
        Sessions(app)
        for path, handler in (("/", who), ("/rotate", rotate), ("/end", end)):
            app.get(path)(handler)

        def visit(number: int) -> None:
            client = app.test_client()
            for turn in range(100):
                path = self.PATHS[(turn + number) % 5]
                # Read to its end: until then the request is under way.
                answer = client.get(path, headers={"Authorization": "Bearer all"}, buffered=True)
                assert 200 == answer.status_code

        self.rush(recorded_sessions, visit, 8)
        self.check(recorded_sessions, 8 * 100)

    @staticmethod
    def rush(recorded: RecordedSessions, visit: Callable[[int], None], clients: int) -> None:
        """Let all clients come at once, and time fly."""
        stop = threading.Event()

        def let_time_pass() -> None:
            while not stop.wait(0.001):
                recorded.advance(600)

        with ThreadPoolExecutor(clients + 1) as pool:
            passing = pool.submit(let_time_pass)
            for visiting in [pool.submit(visit, number) for number in range(clients)]:
                visiting.result()
            stop.set()
            passing.result()

    @staticmethod
    def check(recorded: RecordedSessions, requests: int) -> None:
        """Every session that started has ended once, and each request was counted once."""
        recorded.advance(1800)
        assert [] == active()
        spans: list[dict[str, Any]] = [dict(span.attributes or {}) for span in recorded.session_spans]
        assert len(spans) == recorded.metric("app_session.starts") == recorded.metric("app_session.duration")
        assert len(spans) == len({span["session.id"] for span in spans})
        assert requests == recorded.metric("app_session.requests")
        assert requests == sum(span["app_session.request.count"] for span in spans)


class RaisingSampler(Sampler):
    """A sampler that fails."""

    def should_sample(self, *args: Any, **kwargs: Any) -> SamplingResult:
        raise LookupError("no decision")

    def get_description(self) -> str:
        return "raising"


class TestFailingParts:
    """Whatever of ours fails: the application's answers are the same."""

    PATHS = ("/", "/login?user=alice", "/kept", "/rotate", "/end", "/status/401", "/status/500", "/nowhere", "/logout")
    STATUSES = (200, 200, 200, 200, 200, 401, 500, 404, 200)

    def answers(self, site: Site) -> tuple[int, ...]:
        with site(secret="k") as server, server.client() as client:
            return tuple(client.get(path).status_code for path in self.PATHS)

    def test_store(self, site: Site) -> None:
        """A store that raises from every call costs records, not requests; the failures are measured."""
        store = FailingStore()
        store.failing = EVERYTHING
        with record_sessions(store=store) as recorded:
            assert self.STATUSES == self.answers(site)
            assert recorded.metric("app_session.store.operation.duration", error__type="_OTHER") > 0
            assert recorded.metric("app_session.requests") == len(self.PATHS)

    def test_sampler(self, site: Site) -> None:
        """A tracer that cannot decide costs the session's span; the session is there all the same."""
        with record_sessions(sampler=RaisingSampler()) as recorded:
            assert self.STATUSES == self.answers(site)
            assert recorded.metric("app_session.dropped") > 0
            assert 9 == recorded.metric("app_session.requests")

    def test_identify(self, site: Site) -> None:
        """An `identify` that raises costs nothing but its own say."""

        def identify(request: Any) -> str:
            raise LookupError("no such tenant")

        with record_sessions(identify=identify):
            assert self.STATUSES == self.answers(site)

    def test_no_sdk(self, site: Site) -> None:
        """Without any SDK there are sessions, and nobody is told of them."""
        assert self.STATUSES == self.answers(site)
        with site() as server, server.client() as client:
            assert client.get("/").json()["id"] == client.get("/").json()["id"] != ""
