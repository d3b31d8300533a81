"""What the routes over HTTP make of requests of every kind: the same in both frameworks, on real servers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

import otel_sessions
from otel_sessions import ConfigurationError, StoreError, session
from otel_sessions.http.fastapi import router
from otel_sessions.http.flask import blueprint
from otel_sessions.testing import RecordedSessions, record_sessions

from ..failing_store import FailingStore
from .routes import EVERYTHING, FRAMEWORKS, Shown, ask, noted, who
from .servers import Server

ADDRESS = "10.0.0.7:6379"
OURS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


@pytest.fixture(name="shown", params=FRAMEWORKS, ids=["fastapi", "flask"])
def _shown(request: pytest.FixtureRequest) -> Shown:
    """The same application in each framework."""
    found: Shown = request.param
    return found


@pytest.fixture(name="recorded")
def _recorded() -> Iterator[RecordedSessions]:
    """A process in which a session has ended."""
    with record_sessions(pseudonym_key="k" * 32, detect_user=False) as recorded:
        otel_sessions.start("chat", id="s1", user="ada").end()
        yield recorded


@pytest.fixture(name="server")
def _server(shown: Shown, recorded: RecordedSessions) -> Iterator[Server]:
    with shown() as server:
        yield server


class Sent:
    """An answer, as it came over the line."""

    def __init__(self, server: Server, method: str, path: str, as_: str = "operator:eve") -> None:
        request = f"{method} {path} HTTP/1.1\r\nHost: shop\r\nConnection: close\r\nX-Who: {as_}\r\n\r\n"
        head, _, body = server.send(request.encode()).partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        self.status = int(first.split()[1])
        self.headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        self.body = body


class TestRequests:
    @pytest.mark.parametrize(
        ("method", "path", "status", "accesses"),
        [
            ("GET", "/live", 204, 0),
            ("HEAD", "/live", 204, 0),
            ("OPTIONS", "/live", 204, 0),
            ("GET", "/statistics", 200, 1),
            ("HEAD", "/statistics", 200, 1),
            ("OPTIONS", "/statistics", 204, 0),
            ("HEAD", "/sessions/s1", 200, 1),
            ("HEAD", "/sessions/none", 404, 1),
            ("OPTIONS", "/sessions/s1", 204, 0),
            ("GET", "/live/", 404, 0),
            ("GET", "/health/", 404, 0),
            ("GET", "/statistics/", 404, 0),
            ("GET", "/sessions/", 404, 0),
            ("GET", "/mine/", 404, 0),
            ("GET", "/sessions/s1/", 404, 1),
            ("GET", "/sessions//s1", 404, 1),
            ("GET", "/sessions/%00", 404, 1),
            ("GET", "/sessions/%ff", 404, 1),
            ("GET", "/sessions/..%2f", 404, 1),
        ],
    )
    def test_ours(
        self, server: Server, recorded: RecordedSessions, method: str, path: str, status: int, accesses: int
    ) -> None:
        """`HEAD` has what `GET` has, but the body; a slash at the end is another path, and belongs to an id."""
        answer = Sent(server, method, f"/monitoring{path}")
        assert (answer.status, accesses) == (status, len(noted(recorded)))
        assert {name: answer.headers.get(name) for name in OURS} == OURS
        assert "x-evil" not in answer.headers
        assert "location" not in answer.headers
        has_body = method == "GET" and status != 204
        assert (has_body, has_body) == (bool(answer.body), b'"' in answer.body)
        if method == "OPTIONS":
            assert answer.headers["allow"] == "GET, HEAD, OPTIONS"
        if method == "HEAD":
            assert answer.headers.get("content-length") == Sent(server, "GET", f"/monitoring{path}").headers.get(
                "content-length"
            )

    @pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW"])
    @pytest.mark.parametrize("path", ["/live", "/live/", *EVERYTHING])
    def test_other_methods(self, server: Server, recorded: RecordedSessions, method: str, path: str) -> None:
        """Nothing can be changed, by whomever, and it is said what can be asked."""
        for as_ in ("", "operator:eve"):
            answer = Sent(server, method, f"/monitoring{path}", as_)
            assert answer.status == 405
            assert {each.strip() for each in answer.headers["allow"].split(",")} == {"GET", "HEAD", "OPTIONS"}
        assert noted(recorded) == []

    @pytest.mark.parametrize("path", ["", "/", "/none", "//sessions", "/sessions/%0d%0aX-Evil:1"])
    def test_others(self, server: Server, recorded: RecordedSessions, path: str) -> None:
        """What is not ours is the application's, also below the prefix."""
        answer = Sent(server, "GET", f"/monitoring{path}")
        assert (answer.status, {"location", "x-evil"} & answer.headers.keys(), noted(recorded)) == (404, set(), [])

    @pytest.mark.parametrize("path", ["//a", "/a//b", "a/", "live"])
    def test_ids_with_slashes(self, server: Server, path: str) -> None:
        """Any id that a session can have is found, in the same place."""
        otel_sessions.start("chat", id=path, user="ada")
        assert ask(server, f"/sessions/{path.replace('/', '%2F')}", "owner:ada").json()["id"] == path
        assert ask(server, f"/sessions/{path.replace('/', '%2F')}", "owner:bob").status_code == 404


class TestQuery:
    @pytest.mark.parametrize(
        ("query", "said"),
        [
            ("limit=0", "limit='0': use a whole number from 1 to 1000"),
            ("limit=1001", "limit='1001'"),
            ("limit=", "limit=''"),
            ("limit", "limit=''"),
            ("limit=+5", "limit=' 5'"),
            ("limit=%2B5", "limit='+5'"),
            ("limit=1_0", "limit='1_0'"),
            ("limit=1e1", "limit='1e1'"),
            ("limit=%D9%A3", "limit='٣'"),  # a three, in Arabic
            ("limit=%C2%B2", "limit='²'"),
            ("limit=1%0d%0aX-Evil:1", r"limit='1\r\nX-Evil:1'"),
            (f"limit={'9' * 6000}", "limit='999"),
            ("limit=1&limit=2", "'limit' is given more than once"),
            ("days=0", "days='0': use a positive number of days"),
            ("days=", "days='': use a positive number of days, such as 7 or 0.5"),
            ("days=-1", "days='-1'"),
            ("days=nan", "days='nan'"),
            ("days=inf", "days='inf'"),
            ("days=1_0", "days='1_0'"),
            ("days=%20 1".replace(" ", ""), "days=' 1'"),
            ("days=%D9%A3", "days='٣'"),
            (f"days={'9' * 6000}", "days='999"),
            ("days=99999999999999999999", "days="),
            ("type=", "'' cannot be a session type"),
            ("type=%00", r"'\x00' cannot be a session type"),
            (f"type={'x' * 6000}", "cannot be a session type"),
            ("status=", "status='': use one of"),
            (f"status={'x' * 6000}", "status='xxx"),
            ("after=", "after=''"),
            ("after=%D9%A3:s1", "after='٣:s1'"),
            (f"after={'x' * 6000}", "after='xxx"),
            ("user=", "use the pseudonym"),
            ("user=ada", "use the pseudonym"),
            ("=1", "'' is no parameter of this"),
            ("Limit=1", "'Limit' is no parameter of this: there are type, status, days, limit, after, user"),
            ("limit=1;days=1", "limit='1;days=1'"),
            (f"{'x' * 6000}=1", "xxx... is no parameter of this"),
            ("limit=%ff", "the query is no text: encode it as UTF-8"),
            ("status=%ed%a0%80", "the query is no text"),
            ("%ff=1", "the query is no text"),
            ("&".join(f"a{number}=1" for number in range(30)), "the query has too many parameters: use at most 20"),
        ],
    )
    def test_refused(self, server: Server, recorded: RecordedSessions, query: str, said: str) -> None:
        """What is wrong is said, in few words however long the value is, and it is noted once."""
        answer = ask(server, f"/sessions?{query}", "operator:eve")
        assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
        assert said in answer.json()["detail"]
        assert len(answer.json()["detail"]) < 400
        assert "x-evil" not in answer.headers
        assert [each["app_session.access.result"] for each in noted(recorded)] == ["failed"]

    @pytest.mark.parametrize("query", ["", "&&", "limit=05", "days=0.5", "days=30&limit=1000&type=chat", "type=ch%61t"])
    def test_taken(self, server: Server, query: str) -> None:
        """What can be read in one way only is read."""
        answer = ask(server, f"/sessions?{query}", "operator:eve")
        assert [each["id"] for each in answer.json()["sessions"]] == ["s1"]

    @pytest.mark.parametrize("query", ["limit=0", "x=1", "%ff", "limit=1&limit=2"])
    def test_nobody_learns_by_it(self, server: Server, query: str) -> None:
        """Who is not let in is told nothing of what is wrong."""
        for path in EVERYTHING:
            assert ask(server, f"{path}?{query}").status_code == 403


class TestSettings:
    @pytest.mark.parametrize("make", [router, blueprint])
    @pytest.mark.parametrize(
        "prefix",
        [
            "",
            "/",
            "monitoring",
            "/monitoring/",
            "//monitoring",
            "/a//b",
            "/a b",
            "/a?b",
            "/<x>",
            "/{x}",
            "/%41",
            "/..",
            7,
        ],
    )
    def test_no_prefix(self, make: Callable[..., object], prefix: Any) -> None:
        """What is no prefix is refused at once, in the same words."""
        with pytest.raises(ConfigurationError) as raised:
            make(authorize=who, prefix=prefix)
        assert str(raised.value) == (
            f"prefix={prefix!r}: use a path that begins with / and does not end with it, of letters, digits and "
            ". _ ~ -, such as '/monitoring'"
        )

    @pytest.mark.parametrize("prefix", ["/m", "/ops/sessions", "/.well-known/sessions", "/a..b", "/..."])
    def test_a_prefix(self, shown: Shown, recorded: RecordedSessions, prefix: str) -> None:
        """The routes are below it, and nowhere else."""
        with shown(prefix=prefix) as server:
            assert server.get(f"{prefix}/live").status_code == 204
            assert server.get("/monitoring/live").status_code == 404

    @pytest.mark.parametrize("make", [router, blueprint])
    @pytest.mark.parametrize(
        "challenge",
        [
            "",
            " ",
            "Bearer\r\nX-Evil: 1",
            "Bearer\n",
            "Bearer\x00",
            "Bearer\x7f",
            "Bearer ",
            " Bearer",
            "Bearer €",
            'realm="',
            7,
        ],
    )
    def test_no_challenge(self, make: Callable[..., object], challenge: Any) -> None:
        """What cannot stand in a header is refused at once, and injects none."""
        with pytest.raises(ConfigurationError, match="use what WWW-Authenticate may say, a scheme and its parameters"):
            make(authorize=who, challenge=challenge)

    @pytest.mark.parametrize("challenge", ["Bearer", 'Basic realm="operators", charset="UTF-8"', 'Basic realm="Büro"'])
    def test_a_challenge(self, shown: Shown, recorded: RecordedSessions, challenge: str) -> None:
        """It is said as it was given, to nobody."""
        with shown(challenge=challenge) as server:
            answer = Sent(server, "GET", "/monitoring/mine", "")
            assert (answer.status, answer.headers["www-authenticate"]) == (401, challenge)
            assert "www-authenticate" not in Sent(server, "GET", "/monitoring/health", "owner:ada").headers


class TestFailures:
    @pytest.mark.parametrize(("error", "status"), [(StoreError, 503), (RuntimeError, 500)])
    def test_no_address(self, shown: Shown, error: type[Exception], status: int) -> None:
        """Where the store is stays untold, whatever goes wrong, and it is noted once."""

        def fail() -> None:
            raise error(f"no answer from {ADDRESS}")

        store = FailingStore()
        with record_sessions(store=store, pseudonym_key="k" * 32, detect_user=False) as recorded, shown() as server:
            store.before["get"] = fail
            answer = Sent(server, "GET", "/monitoring/sessions/s1")
            assert (answer.status, ADDRESS.encode() in answer.body) == (status, False)
            assert [each["app_session.access.result"] for each in noted(recorded)] == ["failed"]

    @pytest.mark.parametrize("error", [StoreError, RuntimeError])
    def test_no_address_in_the_health(self, shown: Shown, error: type[Exception]) -> None:
        """Nor is it told by a check that fails."""

        def fail() -> None:
            raise error(f"no answer from {ADDRESS}")

        store = FailingStore()
        with record_sessions(store=store, pseudonym_key="k" * 32, detect_user=False), shown() as server:
            store.before["most_of_a_user"] = fail
            answer = ask(server, "/health", "operator:eve")
        assert (answer.status_code, ADDRESS in answer.text) == (503, False)
        reasons = [each["reason"] for each in answer.json()["checks"] if each["severity"] == "error"]
        assert reasons == [
            "the store cannot be asked" if error is StoreError else "the check itself failed: RuntimeError"
        ]

    def test_nothing_is_learnt_while_the_store_is_down(self, shown: Shown) -> None:
        """Somebody else's session, which this process knows by itself, is answered as one that does not exist."""
        store = FailingStore(shared=True)
        options: dict[str, Any] = {"store": store, "pseudonym_key": "k" * 32, "detect_user": False}
        with record_sessions(**options) as recorded, shown() as server, session("chat", user="ada") as hers:
            asked: list[tuple[int, bytes, int]] = []
            for failing in ((), {"get"}):
                store.failing = failing
                for id_ in (hers.id, "none"):
                    store.calls.clear()
                    answer = ask(server, f"/sessions/{id_}", "owner:bob")
                    asked.append((answer.status_code, answer.content, store.calls.count("get")))
            store.failing = ()
            assert ask(server, f"/sessions/{hers.id}", "owner:ada").json()["status"] == "active"
        assert (asked[0], asked[2]) == (asked[1], asked[3])
        assert [asked[0][0], asked[2][0]] == [404, 503]
        assert [each["app_session.access.result"] for each in noted(recorded)][:2] == ["refused", "not_found"]
