"""What is shown over HTTP, to whom, and what is noted of it: in both frameworks, on real servers."""

from __future__ import annotations

import functools
import itertools
import json
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

import anyio
import anyio.lowlevel
import flask
import httpx
import pytest
import werkzeug.exceptions
from fastapi import FastAPI, HTTPException, Request

import otel_sessions
from otel_sessions import ConfigurationError, session
from otel_sessions._answers import Answer
from otel_sessions.asgi import SessionMiddleware
from otel_sessions.flask import Sessions
from otel_sessions.http import Access, Operator, Owner
from otel_sessions.http._access import Visitor
from otel_sessions.http._desk import held_back
from otel_sessions.http.fastapi import router
from otel_sessions.http.flask import blueprint
from otel_sessions.stores import MemoryStore
from otel_sessions.testing import RecordedSessions, record_sessions
from otel_sessions.typing import Place, SessionRecord, Status, Wanted

from ..failing_store import FailingStore
from ..interpreter import answer
from ..shared_memory_store import SharedMemoryStore
from .routes import EVERYTHING, FRAMEWORKS, Shown, ask, fastapi_routes, noted, who
from .servers import Server, serve_asgi


@pytest.fixture(name="shown", params=FRAMEWORKS, ids=["fastapi", "flask"])
def _shown(request: pytest.FixtureRequest) -> Shown:
    """The same application in each framework."""
    found: Shown = request.param
    return found


@pytest.fixture(name="recorded")
def _recorded() -> Iterator[RecordedSessions]:
    with record_sessions(pseudonym_key="k" * 32, detect_user=False) as recorded:
        yield recorded


def ended(recorded: RecordedSessions, *users: str, **fields: Any) -> None:
    """A session of each that has ended, a minute after the one before."""
    for number, user in enumerate(users, 1):
        otel_sessions.start("chat", id=f"s{number}", user=user, **fields)
        recorded.advance(60)
        otel_sessions.end(f"s{number}")


class Asked(MemoryStore):
    """Notes whose sessions were asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked_for: list[str | None] = []

    def active(self, *, user: str | None = None) -> list[SessionRecord]:
        self.asked_for.append(user)
        return super().active(user=user)

    def history(self, wanted: Wanted, limit: int, before: Place | None = None) -> list[SessionRecord]:
        self.asked_for.append(wanted.user)
        return super().history(wanted, limit, before)


def ids(response: httpx.Response) -> list[str]:
    assert response.status_code == 200, response.text
    return [each["id"] for each in response.json()["sessions"]]


class DirectoryError(Exception):
    """What clients of other services raise, such as `urllib`: those did not let the application in."""

    code = status_code = 401


class TestClosed:
    @pytest.mark.parametrize("make", [router, blueprint])
    def test_without_an_authorizer(self, make: Callable[..., object]) -> None:
        """There are no routes without one, and it says what one is."""
        with pytest.raises(TypeError, match="authorize"):
            make()
        with pytest.raises(ConfigurationError, match=r"returns Operator\(user\), Owner\(user\), or None"):
            make(authorize=None)

    @pytest.mark.parametrize(
        ("options", "status", "challenge"), [({}, 403, None), ({"challenge": "Bearer"}, 401, "Bearer")]
    )
    def test_to_nobody(
        self, shown: Shown, recorded: RecordedSessions, options: dict[str, Any], status: int, challenge: str | None
    ) -> None:
        """Whoever is not known sees nothing; how to become known is said if there is a way."""
        ended(recorded, "ada")
        with shown(**options) as server:
            for path in EVERYTHING:
                answer = ask(server, path)
                assert (answer.status_code, answer.headers.get("www-authenticate")) == (status, challenge), path
                assert answer.headers["content-type"] == "application/problem+json"
                assert "s1" not in answer.text
        reason = "forbidden" if status == 403 else "unauthorized"
        assert recorded.metric("app_session.access_failures", app_session__access_failure__reason=reason) == 5
        assert [
            (each["app_session.access.resource"], each["app_session.access.result"]) for each in noted(recorded)
        ] == [(resource, "refused") for resource in ("health", "statistics", "sessions", "mine", "session")]

    def test_to_owners(self, shown: Shown, recorded: RecordedSessions) -> None:
        """What is about everybody is not shown to somebody."""
        with shown() as server:
            for path in ("/health", "/statistics", "/sessions"):
                assert ask(server, path, "owner:ada").status_code == 403, path
        assert {each["app_session.access.role"] for each in noted(recorded)} == {"owner"}

    @pytest.mark.parametrize("wrong", [True, "ada", {"user": "ada"}, Operator(""), Owner(7)])  # type: ignore[arg-type]
    def test_by_a_wrong_decision(self, recorded: RecordedSessions, wrong: object) -> None:
        """What is no decision lets nobody in, and the developer learns of it."""
        app = flask.Flask(__name__)
        app.testing = True
        app.register_blueprint(blueprint(authorize=lambda _request: wrong))  # type: ignore[arg-type,return-value]
        with pytest.raises(ConfigurationError, match=r"authorize\(\) returned"):
            app.test_client().get("/monitoring/statistics")
        assert noted(recorded)[0]["app_session.access.result"] == "failed"

    @pytest.mark.parametrize("failure", ["unreachable", "unwelcome", "moved", "teapot"])
    def test_by_an_authorizer_that_fails(self, shown: Shown, recorded: RecordedSessions, failure: str) -> None:
        """Who raises anything but 401 and 403 has not refused: it is noted as failed, and is no access failure."""

        def fail(request: Any) -> None:
            is_fastapi = isinstance(request, Request)
            if failure == "unreachable":
                raise ConnectionError("no answer from the directory")
            if failure == "unwelcome":
                raise DirectoryError
            if failure == "moved" and is_fastapi:
                raise HTTPException(303, headers={"Location": "/login"})
            if failure == "moved":
                flask.abort(flask.redirect("/login", 303))
            raise HTTPException(418) if is_fastapi else werkzeug.exceptions.ImATeapot

        with shown(fail) as server:
            status = ask(server, "/statistics").status_code
        assert {"unreachable": 500, "unwelcome": 500, "moved": 303, "teapot": 418}[failure] == status
        [event] = noted(recorded)
        assert event["app_session.access.result"] == "failed"
        assert recorded.metric("app_session.access_failures") == 0

    @pytest.mark.parametrize("own", [False, True])
    def test_by_the_applications_own_answer(self, shown: Shown, recorded: RecordedSessions, own: bool) -> None:
        """What the authorizer raises is answered as everywhere in the application, and noted."""

        def refuse(request: Any) -> None:
            if isinstance(request, Request):
                raise HTTPException(401, headers={"WWW-Authenticate": "Basic"})
            flask.abort(flask.Response("who?", 401) if own else 401)

        with shown(refuse) as server:
            assert ask(server, "/statistics").status_code == 401
        assert recorded.metric("app_session.access_failures", app_session__access_failure__reason="unauthorized") == 1

    def test_async_authorizers(self, recorded: RecordedSessions) -> None:
        """In FastAPI one may wait, whether it looks async or not."""

        async def later(request: Request) -> Access | None:
            await anyio.lowlevel.checkpoint()
            return who(request)

        for authorize in (later, functools.partial(lambda wait, request: wait(request), later)):
            with fastapi_routes(authorize) as server:
                assert ask(server, "/statistics").status_code == 403
                assert ask(server, "/statistics", "operator:eve").status_code == 200


class TestExtra:
    @pytest.mark.parametrize("name", ["fastapi", "flask"])
    def test_a_framework_that_is_not_there(self, name: str) -> None:
        """It is said how to install it."""
        code = f"""
        import json, sys
        sys.modules["{name}"] = None
        try:
            import otel_sessions.http.{name}
        except ImportError as error:
            print(json.dumps(str(error)))
        """
        assert f"pip install 'otel-sessions[{name}]'" in answer(code)


class TestLive:
    def test_nothing_is_said(self, shown: Shown, recorded: RecordedSessions) -> None:
        """Whoever asks learns that the process answers; that is no access."""
        with shown() as server:
            answer = ask(server, "/live")
            assert server.client().head("/monitoring/live").status_code == 204
        assert (answer.status_code, answer.content, answer.headers["cache-control"]) == (204, b"", "no-store")
        assert "content-type" not in answer.headers
        assert noted(recorded) == []


class TestOperator:
    def test_statistics(self, shown: Shown, recorded: RecordedSessions) -> None:
        """Those of the days that are asked for, and of 30 otherwise."""
        ended(recorded, "ada")
        recorded.advance(10 * 86_400)
        with shown() as server:
            answer = ask(server, "/statistics", "operator:eve")
            assert answer.json() == json.loads(json.dumps(otel_sessions.statistics().to_dict()))
            assert answer.json()["ended"] == 1
            assert ask(server, "/statistics?days=9.5", "operator:eve").json()["ended"] == 0
        fields = [answer.headers[name] for name in ("content-type", "cache-control", "x-content-type-options")]
        assert fields == ["application/json", "no-store", "nosniff"]

    @pytest.mark.parametrize(
        ("end", "most", "verdict", "status"),
        [("success", 100, "healthy", 200), ("success", 1, "degraded", 200), ("error", 100, "unhealthy", 503)],
    )
    def test_health(self, shown: Shown, end: Status, most: int, verdict: str, status: int) -> None:
        """The report; only what is unhealthy is unavailable."""
        machine = dict.fromkeys(("cpu_ratio", "memory_ratio", "storage_ratio", "process_memory_ratio"), 10)
        with record_sessions(thresholds={**machine, "active_sessions": most}) as recorded:
            for _ in range(40):
                otel_sessions.start("chat").end(end)
            for _ in range(3):
                otel_sessions.start("chat")
            recorded.advance(1)
            with shown() as server:
                found = ask(server, "/health", "operator:eve")
            problems = [each["type"] for each in found.json()["checks"] if each["severity"] != "ok"]
            assert (found.status_code, found.json()["verdict"]) == (status, verdict), problems
            assert found.json()["checks"][0].keys() == otel_sessions.health().checks[0].to_dict().keys()

    def test_ended_sessions(self, shown: Shown, recorded: RecordedSessions) -> None:
        """By type, status, user and page, as `history` has them."""
        ended(recorded, "ada", "bob", "ada")
        with pytest.raises(ValueError, match="no"), session("audit"):
            raise ValueError("no")
        with shown() as server:
            page = ask(server, "/sessions?type=chat&limit=2", "operator:eve")
            assert ids(page) == ["s3", "s2"]
            rest = ask(server, f"/sessions?type=chat&limit=2&after={page.json()['next']}", "operator:eve")
            assert (ids(rest), rest.json()["next"]) == (["s1"], None)
            assert len(ids(ask(server, "/sessions?status=error&days=1", "operator:eve"))) == 1
            pseudonym = page.json()["sessions"][1]["user"]
            assert ids(ask(server, f"/sessions?user={pseudonym}&type=chat", "operator:eve")) == ["s2"]

    def test_active_sessions(self, shown: Shown, recorded: RecordedSessions) -> None:
        """By type, user and page, as `history` has them: as they are now, whatever `days` says of ends."""
        otel_sessions.start("chat", id="c1", user="ada")
        recorded.advance(1)
        otel_sessions.start("call", id="c2", user="bob")
        otel_sessions.start("call", id="ended", user="bob").end()
        pseudonym = otel_sessions.active()[0].user
        recorded.advance(60)
        with shown() as server:
            found = ask(server, "/sessions?status=active", "operator:eve")
            assert found.json() == json.loads(json.dumps(otel_sessions.history(status="active").to_dict()))
            assert [(each["id"], each["duration"], each["idle_time"]) for each in found.json()["sessions"]] == [
                ("c2", 60, 60),
                ("c1", 61, 61),
            ]
            assert ids(ask(server, "/sessions?status=active&days=0.0001", "operator:eve")) == ["c2", "c1"]
            assert ids(ask(server, "/sessions?status=active&type=call", "operator:eve")) == ["c2"]
            assert ids(ask(server, f"/sessions?status=active&user={pseudonym}", "operator:eve")) == ["c1"]

    @pytest.mark.parametrize("path", ["/sessions", "/mine"])
    def test_all_active_sessions(self, shown: Shown, recorded: RecordedSessions, path: str) -> None:
        """All of them can be reached, a page at a time."""
        for number in range(5):
            otel_sessions.start("chat", id=f"c{number}", user="ada")
            recorded.advance(1)
        found: list[str] = []
        with shown() as server:
            after = ""
            while after is not None:
                page = ask(server, f"{path}?status=active&limit=2{after and '&after='}{after}", "operator:ada")
                found += ids(page)
                after = page.json()["next"]
        assert found == ["c4", "c3", "c2", "c1", "c0"]

    def test_one_session(self, shown: Shown, recorded: RecordedSessions) -> None:
        """Active or ended, with any id that a session can have; that it was looked at is noted with its id."""
        otel_sessions.start("chat", id="a/b?c", user="ada", attributes={"shop": "<b>"})
        with shown() as server:
            found = ask(server, "/sessions/a%2Fb%3Fc", "operator:eve")
            assert ask(server, "/sessions/none", "operator:eve").status_code == 404
            assert ask(server, f"/sessions/{'x' * 200}", "operator:eve").status_code == 404
        assert (found.json()["id"], found.json()["status"], found.json()["attributes"]) == (
            "a/b?c",
            "active",
            {"shop": "<b>"},
        )
        results = [
            (each["app_session.access.result"], each.get("app_session.access.session.id")) for each in noted(recorded)
        ]
        assert results == [("granted", "a/b?c"), ("not_found", "none"), ("not_found", None)]


class TestOwner:
    def test_mine(self, shown: Shown, recorded: RecordedSessions) -> None:
        """One's own sessions, those that go on and those that have ended, and nobody else's."""
        ended(recorded, "ada", "bob", "ada")
        otel_sessions.start("chat", id="go", user="ada")
        otel_sessions.start("chat", id="other", user="bob")
        with shown() as server:
            for role in ("owner", "operator"):
                assert ids(ask(server, "/mine", f"{role}:ada")) == ["s3", "s1"]
                assert ids(ask(server, "/mine?status=active", f"{role}:ada")) == ["go"]
            assert ids(ask(server, "/mine", "owner:carol")) == []
            assert ask(server, "/mine?user=bob", "owner:ada").status_code == 400

    def test_a_name_that_is_somebodys_pseudonym(self, shown: Shown, recorded: RecordedSessions) -> None:
        """Whoever calls himself what telemetry calls another one sees nothing of that one, nor is seen."""
        ended(recorded, "ada")
        pseudonym = otel_sessions.history()[0].user
        otel_sessions.start("chat", id="hers", user="ada")
        otel_sessions.start("chat", id="his", user=pseudonym)
        otel_sessions.start("chat", id="gone", user=pseudonym).end()
        with shown() as server:
            assert ids(ask(server, "/mine", f"owner:{pseudonym}")) == ["gone"]
            assert ids(ask(server, "/mine?status=active", f"owner:{pseudonym}")) == ["his"]
            assert ids(ask(server, "/mine", "owner:ada")) == ["s1"]
            assert ids(ask(server, "/mine?status=active", "owner:ada")) == ["hers"]
            assert ask(server, "/sessions/s1", f"owner:{pseudonym}").status_code == 404

    def test_it_is_certain_who_asks(self, shown: Shown) -> None:
        """The store is asked once, for whom its records have: not for what a name could mean besides."""
        store = Asked()
        with record_sessions(store=store, pseudonym_key="k" * 32, detect_user=False), shown() as server:
            otel_sessions.start("chat", id="s1", user="ada").end()
            pseudonym = otel_sessions.history()[0].user
            store.asked_for.clear()
            ask(server, "/mine", f"owner:{pseudonym}")
            ask(server, "/mine?status=active", f"owner:{pseudonym}")
            ask(server, f"/sessions?user={pseudonym}", "operator:eve")
            ask(server, "/mine", "owner:ada")
            himself = store.asked_for[0]
            assert store.asked_for == [himself, himself, pseudonym, pseudonym]
        assert himself not in {None, pseudonym}

    def test_ids_cannot_be_probed(self, shown: Shown, recorded: RecordedSessions) -> None:
        """Somebody else's session is answered as one that does not exist; but it is noted, and counted."""
        ended(recorded, "ada", "bob")
        otel_sessions.start("chat", id="nobodys")
        with shown() as server:
            assert ask(server, "/sessions/s1", "owner:ada").json()["id"] == "s1"
            others, none = ask(server, "/sessions/s2", "owner:ada"), ask(server, "/sessions/none", "owner:ada")
            assert ask(server, "/sessions/nobodys", "owner:ada").status_code == 404
        assert (others.status_code, others.content) == (none.status_code, none.content)
        assert dict(others.headers) | {"date": ""} == dict(none.headers) | {"date": ""}
        results = [each["app_session.access.result"] for each in noted(recorded)]
        assert results == ["granted", "refused", "not_found", "refused"]
        assert recorded.metric("app_session.access_failures", app_session__access_failure__reason="forbidden") == 2


class DetailedStore(MemoryStore):
    """Takes a while to read what there is."""

    def get(self, session_id: str) -> SessionRecord | None:
        found = super().get(session_id)
        if found is not None:
            time.sleep(0.02)
        return found


class TestTime:
    def test_ids_cannot_be_timed(self, shown: Shown) -> None:
        """Nor by the time: somebody else's session takes as long as one that does not exist."""

        def median(server: Server, id_: str) -> float:
            found = []
            for _ in range(9):
                began = time.perf_counter()
                assert ask(server, f"/sessions/{id_}", "owner:ada").status_code == 404
                found.append(time.perf_counter() - began)
            return statistics.median(found)

        with record_sessions(store=DetailedStore(), pseudonym_key="k" * 32), shown() as server:
            otel_sessions.start("chat", id="hers", user="eve").end()
            hers, nobodys = median(server, "hers"), median(server, "none")
        assert min(hers, nobodys) >= 0.05
        assert 0.5 < hers / nobodys < 2

    @pytest.mark.parametrize(
        ("taken", "rest"), [(0.0, 0.05), (0.001, 0.049), (0.0499, 0.0001), (0.05, 0.05), (0.07, 0.03), (3.01, 0.04)]
    )
    def test_in_steps(self, taken: float, rest: float) -> None:
        """Such an answer comes at the end of a step."""
        visitor, none = Visitor(Owner("ada"), "session", "s1"), Answer(404, [], b"")
        assert held_back(visitor, none, taken) == pytest.approx(rest)

    @pytest.mark.parametrize(
        ("visitor", "status"),
        [
            (Visitor(Operator("eve"), "session", "s1"), 404),
            (Visitor(Owner("ada"), "session", "s1"), 200),
            (Visitor(Owner("ada"), "session", "s1"), 503),
            (Visitor(None, "session", "s1"), 403),
            (Visitor(Owner("ada"), "mine"), 200),
        ],
    )
    def test_at_once(self, visitor: Visitor, status: int) -> None:
        """What tells nobody anything by its time comes when it is there."""
        assert held_back(visitor, Answer(status, [], b""), 0.01) == 0


class TestNoted:
    @pytest.mark.parametrize("mode", ["both", "span"])
    def test_who_looked_at_what(self, shown: Shown, mode: str) -> None:
        """A log event with a pseudonym, whatever the setting `events` is; no clear name is in any of it."""
        with record_sessions(pseudonym_key="k" * 32, detect_user=False, events=mode) as recorded:
            ended(recorded, "mallory")  # a name that no hexadecimal number has in it by chance
            pseudonym = otel_sessions.history()[0].user
            with shown() as server:
                ask(server, "/sessions/s1", "owner:mallory")
        assert noted(recorded) == [
            {
                "app_session.access.resource": "session",
                "app_session.access.result": "granted",
                "app_session.access.role": "owner",
                "app_session.access.session.id": "s1",
                "enduser.pseudo.id": pseudonym,
            }
        ]
        assert "mallory" not in str([log.to_json() for log in recorded.logs])

    def test_nothing_if_switched_off(self, shown: Shown) -> None:
        """Where there are no sessions there are no figures, and nothing is noted."""
        with record_sessions(enabled=False) as recorded, shown() as server:
            assert ask(server, "/statistics", "operator:eve").json()["total"] == 0
            assert ids(ask(server, "/sessions?status=active", "operator:eve")) == []
            assert ids(ask(server, "/mine", "operator:eve")) == []
            assert ask(server, "/sessions/s1", "operator:eve").status_code == 404
            assert noted(recorded) == []


class TestRefused:
    @pytest.mark.parametrize(
        ("query", "said"),
        [
            ("/statistics?days=0", "days='0': use a positive number"),
            ("/statistics?days=nan", "days='nan'"),
            ("/statistics?day=7", "'day' is no parameter of this: there are days"),
            ("/statistics?days=7&days=8", "'days' is given more than once"),
            ("/health?x=1", "'x' is no parameter of this: there are none"),
            ("/sessions?limit=0", "limit='0': use a whole number from 1 to 1000"),
            ("/sessions?limit=1001", "limit='1001'"),
            ("/sessions?limit=-1", "limit='-1'"),
            (f"/sessions?limit={'9' * 6000}", "limit="),
            ("/sessions?status=failed", "status='failed': use one of"),
            ("/sessions?type=%3Cb%3E", "cannot be a session type"),
            ("/sessions?status=active&type=%3Cb%3E", "cannot be a session type"),
            ("/sessions?after=x", "after='x'"),
            ("/sessions?status=active&after=x", "after='x'"),
            ("/sessions?user=", "use the pseudonym"),
            ("/sessions?user=ada@contoso.com", "use the pseudonym"),
        ],
    )
    def test_a_bad_question(self, shown: Shown, recorded: RecordedSessions, query: str, said: str) -> None:
        """What is wrong with it is said, in the same form in both frameworks."""
        with shown() as server:
            answer = ask(server, query, "operator:eve")
        assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
        found = answer.json()
        assert said in found.pop("detail")
        assert found == {"type": "about:blank", "title": "Bad Request", "status": 400}
        assert [each["app_session.access.result"] for each in noted(recorded)] == ["failed"]

    def test_a_store_out_of_reach(self, shown: Shown) -> None:
        """It is unavailable, and where the store is stays untold; liveness goes on."""
        store = FailingStore()
        with record_sessions(store=store, pseudonym_key="k" * 32) as recorded, shown() as server:
            store.failing = {"get", "active", "ended"}
            for path in ("/sessions?status=active", "/mine?status=active", "/sessions/s1"):
                answer = ask(server, path, "operator:eve")
                assert (answer.status_code, answer.json()["detail"]) == (503, "The store cannot be asked at present.")
            assert ask(server, "/live").status_code == 204
            assert [each["app_session.access.result"] for each in noted(recorded)] == ["failed"] * 3

    def test_a_store_without_a_history(self, shown: Shown) -> None:
        """It is said that it has none."""
        with record_sessions(store=FailingStore()), shown() as server:
            answer = ask(server, "/statistics", "operator:eve")
        assert (answer.status_code, "history" in answer.json()["detail"]) == (501, True)


class TestBesideTheMiddleware:
    def test_no_session_is_opened(self, shown: Shown, recorded: RecordedSessions) -> None:
        """Who looks after the application is no visitor of it; its other routes are as they were."""
        with shown(sessions=True) as server:
            for path in ("/live", "/live/", "/mine/", "/sessions/", *EVERYTHING):
                assert "set-cookie" not in ask(server, path, "operator:eve").headers
                assert "set-cookie" not in server.options(f"/monitoring{path}").headers
            assert otel_sessions.active() == []
            assert ask(server, "/shop").status_code == 200
        assert [record.type for record in otel_sessions.active()] == ["web"]

    def test_under_a_root_path(self, recorded: RecordedSessions) -> None:
        """Also where a proxy strips a prefix that the server puts back."""
        app = FastAPI(telemetry={"tracing": False})
        app.add_middleware(SessionMiddleware)
        app.include_router(router(authorize=who))
        with serve_asgi(app, root_path="/api") as server:
            assert server.get("/monitoring/live").status_code == 204
        assert otel_sessions.active() == []

    def test_under_another_prefix(self, recorded: RecordedSessions) -> None:
        """Flask says where the blueprint is registered."""
        app = flask.Flask(__name__)
        Sessions(app)
        app.register_blueprint(blueprint(authorize=who), url_prefix="/ops/sessions")
        assert app.test_client().get("/ops/sessions/live").status_code == 204
        assert otel_sessions.active() == []

    def test_what_other_middleware_reads(self, recorded: RecordedSessions) -> None:
        """A status is a number as any other, also where it is written down, on every Python."""
        app, statuses = FastAPI(telemetry={"tracing": False}), []
        app.include_router(router(authorize=who))

        async def logging(scope: Any, receive: Any, send: Any) -> None:
            async def sent(message: Any) -> None:
                if message["type"] == "http.response.start":
                    statuses.append(repr(message["status"]))
                await send(message)

            await app(scope, receive, sent)

        with serve_asgi(logging) as server:
            for path in ("/live", "/health", "/mine"):
                ask(server, path, "operator:eve")
            ask(server, "/mine")
            server.options("/monitoring/mine")
        assert statuses == ["204", "200", "200", "403", "204"]

    def test_a_refusal_is_counted_once(self, recorded: RecordedSessions) -> None:
        """Where the middleware does open a session, because it does not know of the routes, it counts as well."""
        inner = FastAPI(telemetry={"tracing": False})
        inner.include_router(router(authorize=who))
        outer = FastAPI(telemetry={"tracing": False})
        outer.add_middleware(SessionMiddleware)
        outer.mount("/inner", inner)
        with serve_asgi(outer) as server:
            assert server.get("/inner/monitoring/statistics").status_code == 403
        assert recorded.metric("app_session.access_failures") == 1


class TestEventLoop:
    def test_it_goes_on(self, recorded: RecordedSessions) -> None:
        """While a store keeps a question waiting, others are answered."""
        store = FailingStore()
        reached, opened = threading.Event(), threading.Event()

        def wait() -> None:
            reached.set()
            assert opened.wait(10)

        with record_sessions(store=store, pseudonym_key="k" * 32), fastapi_routes() as server:
            store.before["active"] = wait
            answers: list[int] = []
            asking = threading.Thread(
                target=lambda: answers.append(
                    httpx.get(
                        f"{server.url}/monitoring/sessions?status=active",
                        headers={"x-who": "operator:eve"},
                        trust_env=False,
                    ).status_code
                )
            )
            asking.start()
            assert reached.wait(10)
            assert httpx.get(f"{server.url}/monitoring/live", trust_env=False).status_code == 204
            opened.set()
            asking.join(10)
        assert answers == [200]


class SlowStore(SharedMemoryStore):
    """Keeps whoever asks for the sessions of a user waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.reached = threading.Semaphore(0)
        self.opened = threading.Event()

    def active(self, *, user: str | None = None) -> list[SessionRecord]:
        if user is not None:
            self.reached.release()
            assert self.opened.wait(20)
        return super().active(user=user)


class TestBusy:
    def test_much_is_asked_of_a_slow_store(self, shown: Shown) -> None:
        """A few are answered, the others are told to come again, and all that is no report goes on meanwhile."""
        store = SlowStore()
        with record_sessions(store=store, pseudonym_key="k" * 32) as recorded, shown(sessions=True) as server:

            def get(path: str, as_: str = "") -> httpx.Response:
                return httpx.get(f"{server.url}{path}", headers={"x-who": as_}, timeout=30, trust_env=False)

            with ThreadPoolExecutor(16) as people:
                asking = [people.submit(get, "/monitoring/mine?status=active", "owner:ada") for _ in range(16)]
                for _ in range(3):
                    assert store.reached.acquire(timeout=10)
                at_once = [get(path).status_code for path in ("/monitoring/live", "/monitoring/shop")]
                at_once += [
                    get(path, "owner:ada").status_code for path in ("/monitoring/mine?x=1", "/monitoring/health")
                ]
                health = get("/monitoring/health", "operator:eve").json()
                turned_away = [each.result() for each in itertools.islice(as_completed(asking), 13)]
                assert not store.reached.acquire(blocking=False)
                store.opened.set()
            found = sorted(each.result().status_code for each in asking)
        assert at_once == [204, 200, 503, 403]
        assert health["verdict"] in {"healthy", "degraded", "unhealthy"}
        assert found == [200] * 3 + [503] * 13
        assert {each.json()["detail"] for each in turned_away} == {
            "More is asked than can be answered at a time; ask again in 5 seconds."
        }
        assert {(each.headers["retry-after"], each.headers["cache-control"]) for each in turned_away} == {
            ("5", "no-store")
        }
        results = Counter(
            (each["app_session.access.resource"], each["app_session.access.result"]) for each in noted(recorded)
        )
        assert results == {
            ("mine", "granted"): 3,
            ("mine", "failed"): 14,
            ("health", "refused"): 1,
            ("health", "granted"): 1,
        }
