"""Our cookie: whom it is given, how, where not, and what hostile ones do."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_sessions import current_session
from otel_sessions._web import (
    may_carry_cookie,
    read_cookie,
    set_cookie_value,
)
from otel_sessions.asgi import SessionMiddleware
from otel_sessions.testing import RecordedSessions, record_sessions

from .servers import Server
from .sites import Site

COOKIE = "otel_session"
TOKEN = "A" * 43
ID = re.compile(r"[0-9a-f]{32}")
HOSTILE_COOKIES = [
    b"otel_session=",
    b"otel_session",
    b"otel_session=;;;",
    b"=;=;otel_session=short",
    b"otel_session=" + b"A" * 42,
    b"otel_session=" + b"A" * 44,
    b"otel_session=" + b"A" * 42 + b"\xff",
    b"otel_session=" + b"A" * 42 + b" ",
    b'otel_session="' + b"A" * 50,
    b"otel_session=" + "\u0661".encode() * 43,
    b"otel_session=../../../../etc/passwd",
    b"otel_session=' OR 1=1 --",
    b"otel_session=" + b"B" * 8_000,
    b"a=b; " * 1_000,
    b"\xff\xfe\xfd",
    b"OTEL_SESSION=" + b"A" * 43,
    b"xotel_session=" + b"A" * 43,
]


def cookies_of(response: httpx.Response) -> list[str]:
    """The `Set-Cookie` fields with our cookie."""
    return [field for field in response.headers.get_list("set-cookie") if field.startswith(f"{COOKIE}=")]


class TestCookie:
    def test_is_given_once_and_recognised(self, site: Site, recorded_sessions: RecordedSessions) -> None:
        """A client without anything gets a cookie with its first response, and belongs to one session from then on."""
        with site() as server, server.client() as client:
            first, second = client.get("/"), client.get("/")
        assert 1 == len(cookies_of(first))
        assert [] == cookies_of(second)
        assert ID.fullmatch(first.json()["id"])
        assert first.json() == second.json() == {"id": first.json()["id"], "previous_id": None, "user": None}

    def test_other_clients_have_other_sessions(self, site: Site, recorded_sessions: RecordedSessions) -> None:
        """Two clients never share a session."""
        with site() as server:
            ids = {server.get("/").json()["id"] for _ in range(3)}
        assert 3 == len(ids)

    def test_session_span(self, site: Site, recorded_sessions: RecordedSessions) -> None:
        """When the client stays away, one span tells of all its requests."""
        with site() as server, server.client() as client:
            session_id = client.get("/").json()["id"]
            recorded_sessions.clock.advance(30)
            client.get("/")
        recorded_sessions.advance(1800)
        (span,) = recorded_sessions.spans
        assert "session web" == span.name
        assert {
            "session.id": session_id,
            "app_session.type": "web",
            "app_session.topology": "durable",
            "app_session.platform": "web",
            "app_session.status": "expired",
            "app_session.end_reason": "idle_timeout",
            "app_session.event.count": 0,
            "app_session.error.count": 0,
            "app_session.request.count": 2,
        } == dict(span.attributes or {})
        assert span.start_time is not None
        assert span.end_time is not None
        assert 30_000_000_000 == span.end_time - span.start_time

    def test_attributes_on_http(self, site: Site, recorded_sessions: RecordedSessions) -> None:
        """Neither scripts nor cross-site requests reach the cookie; it is for all paths, until the browser closes."""
        with site() as server:
            (field,) = cookies_of(server.get("/"))
        value, *attributes = field.split("; ")
        assert re.fullmatch(rf"{COOKIE}=[A-Za-z0-9_-]{{43}}", value)
        assert {"HttpOnly", "SameSite=Lax", "Path=/"} == set(attributes)

    def test_attributes_on_https(self, site: Site, recorded_sessions: RecordedSessions) -> None:
        """Behind TLS the cookie never travels in the clear."""
        with site() as server:
            (field,) = cookies_of(server.get("/", headers={"X-Forwarded-Proto": "https"}))
        assert {"HttpOnly", "SameSite=Lax", "Path=/", "Secure"} == set(field.split("; ")[1:])

    @pytest.mark.parametrize("path", ["/status/404", "/status/500", "/status/302", "/nowhere"])
    def test_is_given_with_any_status(self, path: str, site: Site, recorded_sessions: RecordedSessions) -> None:
        """The first response counts, whatever it is."""
        with site() as server, server.client() as client:
            assert 1 == len(cookies_of(client.get(path)))
            assert [] == cookies_of(client.get(path))
        assert 1 == recorded_sessions.metric("app_session.starts")

    @pytest.mark.parametrize(
        "headers",
        [
            {"Cache-Control": "public"},
            {"Cache-Control": "public, max-age=300"},
            {"Cache-Control": "PUBLIC"},
            {"Cache-Control": "s-maxage=60"},
            {"Cache-Control": "max-age=60"},
            {"Cache-Control": "max-age=60, must-revalidate"},
            {"Expires": "Thu, 01 Jan 2099 00:00:00 GMT"},
        ],
        ids=repr,
    )
    def test_is_not_put_where_a_shared_cache_hands_it_to_everybody(
        self, headers: dict[str, str], site: Site, recorded_sessions: RecordedSessions
    ) -> None:
        """A response that a shared cache may store carries no cookie of ours (RFC 9111, sections 3 and 7.3)."""
        with site(headers=headers) as server:
            response = server.get("/")
        assert [] == cookies_of(response)
        assert headers.items() <= {name.title(): value for name, value in response.headers.items()}.items()

    @pytest.mark.parametrize(
        "value", ["private, max-age=60", "no-store", "no-cache", "max-age=0", "private, immutable"]
    )
    def test_is_put_where_no_shared_cache_stores_it(
        self, value: str, site: Site, recorded_sessions: RecordedSessions
    ) -> None:
        """What is the browser's own or fresh each time may carry the cookie."""
        with site(headers={"Cache-Control": value}) as server:
            assert 1 == len(cookies_of(server.get("/")))

    def test_name_is_a_setting(self, site: Site) -> None:
        """The cookie is called what the settings say."""
        with record_sessions(cookie_name="visitor"), site() as server, server.client() as client:
            first, second = client.get("/"), client.get("/")
        assert ["visitor"] == list(client.cookies)
        assert first.json()["id"] == second.json()["id"]

    @pytest.mark.parametrize(
        ("setting", "argument", "given"),
        [(None, True, 1), (None, False, 0), (True, False, 1), (False, True, 0)],
    )
    def test_setting_goes_before_the_argument(
        self, setting: bool | None, argument: bool, given: int, site: Site
    ) -> None:
        """What is configured decides; the middleware's argument is the default."""
        with record_sessions(cookie=setting), site(cookie=argument) as server:
            response = server.get("/")
        assert given == len(cookies_of(response))
        assert bool(given) == bool(response.json()["id"])

    def test_turned_off_is_not_read_either(self, site: Site) -> None:
        """A cookie from before it was turned off recognises nobody."""
        with record_sessions(cookie=False), site() as server:
            assert "" == server.get("/", headers={"Cookie": f"{COOKIE}={TOKEN}"}).json()["id"]

    def test_after_expiry_the_same_cookie_goes_on_under_a_new_id(
        self, site: Site, recorded_sessions: RecordedSessions
    ) -> None:
        """A client that comes back after the idle timeout gets a new id that names the old one; no new cookie."""
        with site() as server, server.client() as client:
            old = client.get("/").json()
            recorded_sessions.advance(1801)
            response = client.get("/")
        assert old["id"] != response.json()["id"]
        assert old["id"] == response.json()["previous_id"]
        assert [] == cookies_of(response)


class TestHostileTraffic:
    @staticmethod
    def ask(server: Server, *fields: bytes) -> bytes:
        head = b"\r\n".join((b"GET / HTTP/1.1", b"Host: localhost", b"Connection: close", *fields))
        return server.send(head + b"\r\n\r\n")

    @pytest.mark.parametrize("value", HOSTILE_COOKIES, ids=lambda value: repr(value[:30]))
    def test_malformed_cookie_is_no_cookie(self, value: bytes, site: Site, recorded_sessions: RecordedSessions) -> None:
        """A malformed cookie leads to a new session and a cookie of ours, never to an error."""
        with site() as server:
            response = self.ask(server, b"Cookie: " + value)
        assert b"200" == response.split()[1]
        assert 1 == response.lower().count(b"set-cookie: otel_session=")
        assert 1 == recorded_sessions.metric("app_session.starts")
        assert 0 == recorded_sessions.metric("app_session.dropped")

    def test_forged_token_leads_to_a_new_session(self, site: Site, recorded_sessions: RecordedSessions) -> None:
        """Somebody who makes up a well-formed token reaches nobody's session, and chooses no id."""
        with site() as server, server.client() as client:
            victim = client.get("/").json()
            forged = server.get("/", headers={"Cookie": f"{COOKIE}={TOKEN}"}).json()
            assert victim == client.get("/").json()
        assert ID.fullmatch(forged["id"])
        assert victim["id"] != forged["id"]
        assert None is forged["previous_id"]

    def test_session_id_is_no_token(self, site: Site, recorded_sessions: RecordedSessions) -> None:
        """Whoever reads a session's id in telemetry cannot join the session with it."""
        with site() as server:
            known = server.get("/").json()["id"]
            for held in ({"Cookie": f"{COOKIE}={known}"}, {"Authorization": f"Bearer {known}"}):
                assert known != server.get("/", headers=held).json()["id"]

    def test_doubled_cookie(self, site: Site, recorded_sessions: RecordedSessions) -> None:
        """Of two cookies of one name one decides, the same one each time; none is an error."""
        fields = b"Cookie: otel_session=" + b"A" * 43 + b"; otel_session=" + b"B" * 43
        with site() as server:
            first, second = self.ask(server, fields), self.ask(server, fields)
        assert first.split(b"\r\n\r\n")[1] == second.split(b"\r\n\r\n")[1]
        assert 1 == recorded_sessions.metric("app_session.starts")

    @pytest.mark.parametrize(
        "value",
        [
            b"",
            b" ",
            b"Bearer",
            b"Bearer ",
            b"Bearer a b",
            b"Bearer \xff\xfe",
            b"Bearer " + b"x" * 8_193,
            b"Basic dXNlcjpwYXNz",
            b'Digest username="Mufasa", realm="x"',
            b"\xc3\xa9\xff",
            b"Bearer=abc",
            b"bearerabc",
        ],
        ids=lambda value: repr(value[:30]),
    )
    def test_authorization_that_is_no_bearer_credential(
        self, value: bytes, site: Site, recorded_sessions: RecordedSessions
    ) -> None:
        """What is not a bearer credential recognises nobody; the client is given a cookie as if it had sent nothing."""
        with site() as server:
            response = self.ask(server, b"Authorization: " + value)
        assert b"200" == response.split()[1]
        assert 1 == response.lower().count(b"set-cookie: otel_session=")
        assert 0 == recorded_sessions.metric("app_session.dropped")

    def test_non_latin_headers(self, site: Site, recorded_sessions: RecordedSessions) -> None:
        """Fields of any bytes do no harm to a client that is recognised by its credential."""
        fields = (b"Authorization: Bearer abc", b"X-Name: \xf0\x9f\x92\xa9\xff", b"Cookie: \xd0\xb4=\xd0\xb4")
        with site() as server:
            first, second = self.ask(server, *fields), self.ask(server, *fields)
        assert b"200" == first.split()[1]
        assert first.split(b"\r\n\r\n")[1] == second.split(b"\r\n\r\n")[1]

    @settings(deadline=None, max_examples=200)
    @given(
        fields=st.lists(
            st.tuples(
                st.sampled_from([b"cookie", b"authorization", b"host", b"x"]),
                st.binary(max_size=80)
                | st.sampled_from([b"otel_session=", b"Bearer "]).flatmap(
                    lambda start: st.binary(max_size=80).map(lambda rest: start + rest)
                ),
            ),
            max_size=6,
        )
    )
    def test_any_fields(self, fields: list[tuple[bytes, bytes]]) -> None:
        """Whatever the fields of a request say, it is answered, in a session, and nothing of ours fails."""
        seen: list[str] = []

        async def application(scope: Any, receive: Any, send: Any) -> None:
            seen.append(current_session().id)
            await send({"type": "http.response.start", "status": 200, "headers": []})

        async def nothing(*_: Any) -> Any: ...

        with record_sessions() as recorded:
            scope = {"type": "http", "path": "/", "headers": fields}
            asyncio.run(SessionMiddleware(application)(scope, nothing, nothing))
            assert 0 == recorded.metric("app_session.dropped")
        assert ID.fullmatch(seen[0])


class TestReadCookie:
    @pytest.mark.parametrize(
        ("header", "value"),
        [
            ("otel_session=abc", "abc"),
            ("a=b; otel_session=abc; c=d", "abc"),
            ("a=b;otel_session=abc;c=d", "abc"),
            ('otel_session="abc"', "abc"),
            ("otel_session = abc", None),
            ("otel_session", None),
            ("", None),
            (";;;=;", None),
            ("xotel_session=abc", None),
            ("OTEL_SESSION=abc", None),
            ("otel_session=", ""),
            ("otel_session=a=b", "a=b"),
            ("otel_session=first; otel_session=second", "first"),
        ],
    )
    def test_field(self, header: str, value: str | None) -> None:
        """The first cookie of exactly that name, or nothing."""
        assert value == read_cookie(header, COOKIE)


class TestSetCookieValue:
    def test_value(self) -> None:
        """The field that RFC 6265 asks for."""
        assert "n=v; Path=/; HttpOnly; SameSite=Lax" == set_cookie_value("n", "v", secure=False)
        assert "n=v; Path=/; HttpOnly; SameSite=Lax; Secure" == set_cookie_value("n", "v", secure=True)


class TestMayCarryCookie:
    @pytest.mark.parametrize(
        ("fields", "may"),
        [
            ([], True),
            ([("Cache-Control", "")], True),
            ([("Cache-Control", "private")], True),
            ([("Cache-Control", "no-store")], True),
            ([("Cache-Control", "no-cache")], True),
            ([("Cache-Control", "private, max-age=60")], True),
            ([("Cache-Control", "max-age=0")], True),
            ([("Cache-Control", "public")], False),
            ([("cache-control", "Public, Max-Age=60")], False),
            ([("Cache-Control", "s-maxage=10")], False),
            ([("Cache-Control", "max-age=60")], False),
            ([("Cache-Control", "no-transform"), ("Cache-Control", "public")], False),
            ([("Expires", "Thu, 01 Jan 2099 00:00:00 GMT")], False),
            ([("Expires", "Thu, 01 Jan 2099 00:00:00 GMT"), ("Cache-Control", "private")], True),
            ([("Expires", "0")], True),
            ([("Expires", "Thu, 01 Jan 1970 00:00:00 GMT")], True),
            ([("Cache-Control", "no-cache"), ("Expires", "Thu, 01 Jan 1970 00:00:00 GMT")], True),
            ([("Cache-Control", "max-age=0"), ("Expires", "Thu, 01 Jan 2099 00:00:00 GMT")], True),
            ([("Cache-Control", "no-store"), ("CDN-Cache-Control", "max-age=60")], False),
            ([("Cache-Control", "private"), ("Surrogate-Control", "max-age=60")], False),
            ([("Cache-Control", "private"), ("CDN-Cache-Control", "no-store")], True),
            ([("X-Public", "public"), ("Content-Type", "text/plain")], True),
        ],
        ids=repr,
    )
    def test_fields(self, fields: list[tuple[str, str]], may: bool) -> None:
        """What a shared cache may store carries no cookie (RFC 9111, section 3)."""
        assert may is may_carry_cookie(fields)
