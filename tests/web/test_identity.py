"""Who is asking: clients are recognised by what they hold."""

from __future__ import annotations

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import httpx
import pytest

from otel_sessions import ConfigurationError
from otel_sessions._web import (
    FRAMEWORK_KEY,
    Client,
    Evidence,
    WebSessions,
)
from otel_sessions.testing import RecordedSessions, record_sessions

from .sites import Site

COOKIE = "otel_session"
ID = re.compile(r"[0-9a-f]{32}")


def cookies_of(response: httpx.Response) -> list[str]:
    """The `Set-Cookie` fields with our cookie."""
    return [field for field in response.headers.get_list("set-cookie") if field.startswith(f"{COOKIE}=")]


class TestOrder:
    EVIDENCE = Evidence("me", {FRAMEWORK_KEY: "F" * 43}, "Bearer s3cr3t", "C" * 43)

    @pytest.mark.parametrize(
        ("missing", "settings", "kind"),
        [
            ((), {}, "identity"),
            (("identity",), {}, "token"),
            (("identity",), {"framework_session": False}, "credential"),
            (("identity", "framework_session"), {}, "credential"),
            (("identity", "framework_session"), {"credential": False}, "token"),
            (("identity", "framework_session", "authorization"), {}, "token"),
        ],
    )
    def test_of_what_is_there(self, missing: tuple[str, ...], settings: dict[str, Any], kind: str) -> None:
        """identify, then the framework's session, then the credential, then the cookie; each can be turned off."""
        with record_sessions(**settings):
            client = WebSessions().recognise(self.EVIDENCE._replace(**dict.fromkeys(missing)))
        assert client is not None
        assert kind == client.key.partition(":")[0]
        assert client == Client(client.key)

    def test_all_turned_off(self) -> None:
        """With everything turned off nobody is recognised and nobody is made recognisable."""
        evidence = self.EVIDENCE._replace(identity=None)
        with record_sessions(framework_session=False, credential=False, cookie=False):
            sessions = WebSessions()
            assert None is sessions.recognise(evidence)
            assert None is sessions.establish(evidence)

    def test_keys_are_keyed_hashes(self) -> None:
        """A key cannot be computed by whoever knows the credential but not the deployment's secret."""
        keys = []
        for secret in ("0123456789abcdef", "fedcba9876543210"):
            with record_sessions(pseudonym_key=secret):
                client = WebSessions().recognise(Evidence(authorization="Bearer s3cr3t"))
                assert client is not None
                keys.append(client.key)
        assert keys[0] != keys[1]
        assert all(re.fullmatch("credential:[0-9a-f]{32}", key) for key in keys)

    def test_without_anything_the_request_belongs_to_no_session(
        self, site: Site, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Where nobody may be given anything, requests go through untouched, and the log says once what to do."""
        with record_sessions(cookie=False) as recorded, site() as server, server.client() as client:
            for _ in range(3):
                assert "" == client.get("/").json()["id"]
        assert 0 == recorded.metric("app_session.starts")
        hints = [record for record in caplog.records if "OTEL_SESSIONS_COOKIE=true" in record.getMessage()]
        assert ["otel_sessions"] == [record.name for record in hints]


class TestIdentify:
    def test_goes_before_all_else(self, site: Site) -> None:
        """What the user's `identify` says decides, whatever the client holds besides."""

        def identify(request: Any) -> str:
            return "the one and only"

        with record_sessions(identify=identify), site(secret="k") as server, server.client() as client:
            ids = {
                client.get("/login", params={"user": "alice"}).json()["id"],
                client.get("/", headers={"Authorization": "Bearer s3cr3t"}).json()["id"],
                server.get("/").json()["id"],
            }
            assert [] == [name for name in client.cookies if name == COOKIE]
        assert 1 == len(ids)

    def test_nothing_said_falls_through(self, site: Site) -> None:
        """None and the empty string leave the client to what it holds."""
        answers = iter([None, "", None, ""])
        with record_sessions(identify=lambda _: next(answers)), site() as server, server.client() as client:
            ids = {client.get("/").json()["id"] for _ in range(4)}
        assert 1 == len(ids)
        assert ID.fullmatch(ids.pop())

    def test_failure_falls_through_and_is_counted(self, site: Site, caplog: pytest.LogCaptureFixture) -> None:
        """An `identify` that raises never breaks a request: the client is recognised by what it holds."""

        def identify(request: Any) -> str:
            raise LookupError("no such tenant")

        with record_sessions(identify=identify) as recorded, site() as server, server.client() as client:
            first, second = client.get("/"), client.get("/")
        assert [200, 200] == [first.status_code, second.status_code]
        assert first.json()["id"] == second.json()["id"] != ""
        assert 2 == recorded.metric("app_session.dropped", app_session__drop__reason="internal_error")
        assert 1 == sum("identify a client" in record.getMessage() for record in caplog.records)

    def test_long_identities_are_told_apart(self, site: Site) -> None:
        """Two identities that differ only in their last character are two clients."""
        answers = iter(["x" * 5_000 + "a", "x" * 5_000 + "b"])
        with record_sessions(identify=lambda _: next(answers)), site() as server:
            assert server.get("/").json()["id"] != server.get("/").json()["id"]

    @pytest.mark.parametrize("identity", ["\ud800", "\x00", "\u202e\U0001f4a9", "a\r\nSet-Cookie: x=y"], ids=ascii)
    def test_strange_identities_are_identities(self, identity: str, site: Site) -> None:
        """Any text recognises its client."""
        with record_sessions(identify=lambda _: identity), site() as server:
            first, second = server.get("/"), server.get("/")
        assert first.json()["id"] == second.json()["id"] != ""

    def test_number_is_an_identity(self, site: Site) -> None:
        """A primary key may be given as it is; zero is one, too."""
        with record_sessions(identify=lambda _: 0, cookie=False), site() as server:
            assert server.get("/").json()["id"] == server.get("/").json()["id"] != ""

    @pytest.mark.parametrize("said", [True, False, 1.5, b"x", ["u"], {}], ids=repr)
    def test_what_is_no_identity(self, said: Any, site: Site) -> None:
        """What is neither text nor a number nor a UUID says nothing, rather than the same of two clients."""
        with record_sessions(identify=lambda _: said) as recorded, site() as server, server.client() as client:
            first, second = client.get("/").json()["id"], client.get("/").json()["id"]
            assert first == second != server.get("/").json()["id"]
        assert 0 == recorded.metric("app_session.dropped")

    def test_uuid_is_an_identity(self, site: Site) -> None:
        """So is a UUID, however it is written."""
        said = iter([UUID("12345678123456781234567812345678"), "12345678-1234-5678-1234-567812345678"])
        with record_sessions(identify=lambda _: next(said)), site() as server:
            assert server.get("/").json()["id"] == server.get("/").json()["id"]

    def test_coroutine_function_is_refused(self) -> None:
        """`identify` is called without being awaited, so an `async def` is a mistake that is told at once."""

        async def identify(request: Any) -> str:
            return "u"

        with pytest.raises(ConfigurationError, match="identify"), record_sessions(identify=identify):
            pass


class TestFrameworkSession:
    def test_recognises_from_the_request_that_began_it(self, site: Site) -> None:
        """A login begins the framework's session and ours in the same request; later requests belong to it."""
        with (
            record_sessions(cookie=False) as recorded,
            site(secret="k") as server,
            server.client() as client,
            server.client() as other,
        ):
            client.get("/login", params={"user": "alice"})
            other.get("/login", params={"user": "bob"})
            first, second, third = client.get("/").json(), client.get("/").json(), other.get("/").json()
            recorded.advance(1800)
        assert first == second
        assert first["id"] != third["id"]
        counts = {
            (span.attributes or {})["session.id"]: (span.attributes or {})["app_session.request.count"]
            for span in recorded.session_spans
        }
        assert {first["id"]: 3, third["id"]: 2} == counts

    def test_survives_each_rewriting_of_the_framework_cookie(
        self, site: Site, recorded_sessions: RecordedSessions
    ) -> None:
        """The signed cookie changes with every write; the session does not."""
        with record_sessions(cookie=False), site(secret="k") as server, server.client() as client:
            ids, cookies = set(), set()
            for user in ("alice", "bob", "carol"):
                client.get("/login", params={"user": user})
                cookies.add(client.cookies["session"])
                ids.add(client.get("/").json()["id"])
        assert 3 == len(cookies)
        assert 1 == len(ids)

    def test_holds_a_random_token_beside_what_the_application_keeps(self, site: Site) -> None:
        """Nothing but a random token is added to the framework's session."""
        with record_sessions(cookie=False), site(secret="k") as server, server.client() as client:
            client.get("/login", params={"user": "alice"})
            kept = client.get("/kept").json()
        token = kept.pop(FRAMEWORK_KEY)
        assert {"user": "alice"} == kept
        assert re.fullmatch("[A-Za-z0-9_-]{43}", token)

    @pytest.mark.parametrize("junk", ["", "short", 7, None, ["A" * 43], {"a": 1}, "\u0661" * 43, True], ids=repr)
    def test_junk_where_the_token_belongs(self, junk: Any, recorded_sessions: RecordedSessions) -> None:
        """Whatever the framework's session holds under our key, a malformed token counts as none."""
        sessions = WebSessions(cookie=False)
        assert None is sessions.recognise(Evidence(framework_session={FRAMEWORK_KEY: junk}))

    def test_that_cannot_be_read(self) -> None:
        """A framework's session that fails when it is looked at says nothing; what else the client holds does."""

        class Unloaded(dict[str, Any]):
            def __len__(self) -> int:
                raise LookupError("not loaded")

            def get(self, *_: Any) -> Any:
                raise LookupError("not loaded")

        with record_sessions():
            client = WebSessions().recognise(Evidence(framework_session=Unloaded(), authorization="Bearer s3cr3t"))
        assert client is not None
        assert client.key.startswith("credential:")

    def test_can_be_turned_off(self, site: Site) -> None:
        """With `framework_session=False` nothing is read from it and nothing is written into it."""
        with (
            record_sessions(framework_session=False, cookie=False),
            site(secret="k") as server,
            server.client() as client,
        ):
            client.get("/login", params={"user": "alice"})
            assert {"user": "alice"} == client.get("/kept").json()
            assert "" == client.get("/").json()["id"]

    def test_unused_one_is_left_alone(self, site: Site, recorded_sessions: RecordedSessions) -> None:
        """An application that keeps nothing in its session gets no session cookie because of us."""
        with site(secret="k") as server:
            response = server.get("/")
        assert [COOKIE] == [field.partition("=")[0] for field in response.headers.get_list("set-cookie")]

    def test_anonymous_client_that_logs_in_keeps_its_session(
        self, site: Site, recorded_sessions: RecordedSessions
    ) -> None:
        """What somebody did before logging in belongs to the same session as what they do afterwards."""
        with site(secret="k") as server, server.client() as client:
            paths = ["/", "/login?user=alice", "/", "/kept", "/"]
            ids = {found["id"] for found in (client.get(path).json() for path in paths) if "id" in found}
        assert 1 == len(ids)
        assert 1 == recorded_sessions.metric("app_session.starts")

    def test_logging_out_deletes_the_frameworks_cookie_as_ever(self, site: Site) -> None:
        """A session that the application empties stays empty: we put nothing back."""
        with record_sessions(cookie=False), site(secret="k") as server, server.client() as client:
            client.get("/login", params={"user": "alice"})
            client.get("/logout")
            assert [] == list(client.cookies)
            assert {} == client.get("/kept").json()

    def test_response_for_everybody_does_not_keep_the_token(self, site: Site) -> None:
        """A cacheable page that a client with a session of its framework asks for gets no cookie because of us."""
        with record_sessions(framework_session=False, cookie=False), site(secret="k") as server:
            held = server.get("/login", params={"user": "alice"}).cookies["session"]
            alone = server.get("/", headers={"Cookie": f"session={held}"})
        with record_sessions(cookie=False), site(secret="k", headers={"Cache-Control": "public"}) as server:
            response = server.get("/", headers={"Cookie": f"session={held}"})
        # None at all, but that older versions of Starlette set what they hold, with the time and a signature behind it.
        expected, found = (
            [each.partition(".")[0] for each in answer.headers.get_list("set-cookie")] for answer in (alone, response)
        )
        assert expected == found

    def test_logging_out_of_a_session_from_before_we_came(self, site: Site) -> None:
        """Also where the framework's session has no token of ours yet, logging out leaves it empty."""
        with record_sessions(framework_session=False, cookie=False), site(secret="k") as server:
            held = server.get("/login", params={"user": "alice"}).cookies["session"]
        with record_sessions(cookie=False), site(secret="k") as server, server.client() as client:
            client.cookies.set("session", held, domain=server.address[0])
            client.get("/logout")
            assert {} == client.get("/kept").json()


class TestBearerCredential:
    @pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
    def test_recognises_without_a_cookie(self, scheme: str, site: Site, recorded_sessions: RecordedSessions) -> None:
        """An API client needs no cookie and is given none; the scheme's case does not matter (RFC 9110, 11.1)."""
        with site() as server:
            first = server.get("/", headers={"Authorization": "Bearer s3cr3t-of-alice"})
            second = server.get("/", headers={"Authorization": f"{scheme} s3cr3t-of-alice"})
            other = server.get("/", headers={"Authorization": "Bearer s3cr3t-of-bob"})
        assert first.json() == second.json()
        assert first.json()["id"] != other.json()["id"]
        assert [[], [], []] == [cookies_of(response) for response in (first, second, other)]

    def test_can_be_turned_off(self, site: Site) -> None:
        """With `credential=False` a credential recognises nobody."""
        with record_sessions(credential=False, cookie=False), site() as server:
            assert "" == server.get("/", headers={"Authorization": "Bearer s3cr3t"}).json()["id"]

    def test_first_requests_at_once_share_one_session(self, site: Site, recorded_sessions: RecordedSessions) -> None:
        """However many requests of a new client arrive at the same time, one session starts."""
        parties = 8
        barrier = threading.Barrier(parties)

        def ask(_: int) -> str:
            with server.client(headers={"Authorization": "Bearer s3cr3t"}) as client:
                barrier.wait()
                found: str = client.get("/").json()["id"]
                return found

        with site() as server, ThreadPoolExecutor(parties) as pool:
            ids = set(pool.map(ask, range(parties)))
        assert 1 == len(ids)
        assert 1 == recorded_sessions.metric("app_session.starts")
        assert parties == recorded_sessions.metric("app_session.requests")
        recorded_sessions.advance(1800)
        assert ids == {str((span.attributes or {})["session.id"]) for span in recorded_sessions.session_spans}


class TestPreflight:
    QUESTION = {"Origin": "https://other.example", "Access-Control-Request-Method": "GET"}  # noqa: RUF012

    def test_belongs_to_no_session(
        self, site: Site, recorded_sessions: RecordedSessions, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A browser's question about another origin never carries a cookie, so it begins no session; nor any advice."""
        with site() as server:
            response = server.options("/", headers=self.QUESTION)
        assert [] == response.headers.get_list("set-cookie")
        assert 0 == recorded_sessions.metric("app_session.starts")
        assert [] == [record for record in caplog.records if record.name == "otel_sessions"]

    def test_of_a_recognised_client(self, site: Site, recorded_sessions: RecordedSessions) -> None:
        """One that does carry something counts like any request."""
        with site() as server:
            server.options("/", headers={**self.QUESTION, "Authorization": "Bearer s3cr3t"})
        assert 1 == recorded_sessions.metric("app_session.requests")

    def test_other_options_requests(self, site: Site, recorded_sessions: RecordedSessions) -> None:
        """An `OPTIONS` request that is no such question is a request."""
        with site() as server:
            assert 1 == len(server.options("/").headers.get_list("set-cookie"))


class TestExcludedUrls:
    def test_are_left_alone(self, site: Site) -> None:
        """A request whose path matches belongs to no session, gets no cookie and counts nowhere."""
        with record_sessions(excluded_urls=("^/status/", "/kept$")) as recorded, site(secret="k") as server:
            for path in ("/status/500", "/status/401", "/kept"):
                assert [] == cookies_of(server.get(path))
            assert 0 == recorded.metric("app_session.requests")
            assert "" != server.get("/").json()["id"]
        assert 1 == recorded.metric("app_session.requests")

    def test_query_does_not_count(self, site: Site) -> None:
        """Only the path is looked at, so no client can take itself out by a parameter."""
        with record_sessions(excluded_urls=("health",)), site() as server:
            assert "" != server.get("/?health").json()["id"]

    def test_of_the_settings_that_hold_now(self, site: Site) -> None:
        """An application that was built under other settings follows those of the running process."""
        with site() as server:
            for excluded, seen in (("^/$", False), ("^/other$", True), ("^/$", False)):
                with record_sessions(excluded_urls=(excluded,)):
                    assert seen is bool(server.get("/").json()["id"])

    def test_switched_off_altogether(self, site: Site) -> None:
        """With `enabled=False` the middleware steps aside."""
        with record_sessions(enabled=False) as recorded, site() as server:
            response = server.get("/")
            counted = recorded.metrics()
        assert "" == response.json()["id"]
        assert [] == cookies_of(response)
        assert [] == recorded.logs
        assert not {"app_session.starts", "app_session.requests"} & counted.keys()
