"""`opentelemetry-instrument` on applications that know nothing of sessions, over real sockets."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import httpx
import pytest

from otel_sessions.stores import from_url
from otel_sessions.testing import OTLPReceiver, ReceivedSpan
from tests.redis_server import until

from .processes import INSTRUMENT, REACHES_WORKERS, by_itself, running, uvicorn
from .store_urls import store_url

SERVER_KIND = 2
IDLE_SECONDS = 2.0

UVICORN = [INSTRUMENT, "uvicorn", "--port", "0"]
COMMANDS = {
    "fastapi": [*UVICORN, "fastapi_site:app"],
    "starlette": [*UVICORN, "starlette_site:app"],
    "flask": [INSTRUMENT, "flask", "--app", "flask_site", "run", "--port", "0"],
}
CONTRIB = "asgi,fastapi,flask,starlette,wsgi"


class Visitor:
    """A client that keeps cookies, and names the trace of each of its requests."""

    def __init__(self, **headers: str) -> None:
        self._headers = headers
        self.cookies = httpx.Cookies()
        self.traces: list[str] = []

    def get(self, url: str, *paths: str) -> None:
        """Request each of the paths, over one connection."""
        with httpx.Client(
            base_url=url, headers=self._headers, cookies=self.cookies, trust_env=False, verify=False
        ) as client:
            for path in paths:
                trace_id = secrets.token_hex(16)
                self.traces.append(trace_id)
                response = client.get(path, headers={"traceparent": f"00-{trace_id}-{secrets.token_hex(8)}-01"})
                assert 200 == response.status_code
            self.cookies = client.cookies


class Way(NamedTuple):
    """How a client is recognised: what it requests and holds, and which cookies it has afterwards."""

    paths: tuple[str, ...] = ("/", "/")
    credential: bool = False
    cookies: tuple[str, ...] = ()

    def visitor(self, name: str) -> Visitor:
        return Visitor(**({"Authorization": f"Bearer credential-of-{name}"} if self.credential else {}))


OUR_COOKIE = Way(cookies=("otel_session",))
CREDENTIAL = Way(credential=True)
FRAMEWORK = Way(paths=("/login", "/", "/"), cookies=("session",))


class Case(NamedTuple):
    """Which site is run and how, the ways in which its clients are recognised, and whether it has server spans."""

    site: str
    ways: tuple[Way, ...]
    environment: Mapping[str, str] = MappingProxyType({})
    traced: bool = True


COOKIE = {"OTEL_SESSIONS_COOKIE": "true"}
WITHOUT_CONTRIB = {"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "asgi,fastapi,flask,starlette,wsgi"}
CASES = {
    "fastapi, cookies": Case("fastapi", (OUR_COOKIE, CREDENTIAL), COOKIE),
    "fastapi": Case("fastapi", (CREDENTIAL, FRAMEWORK)),
    "fastapi with its own telemetry, cookies": Case("fastapi", (OUR_COOKIE, CREDENTIAL), {**COOKIE, **WITHOUT_CONTRIB}),
    "starlette": Case("starlette", (CREDENTIAL, FRAMEWORK), WITHOUT_CONTRIB, traced=False),
    "flask, cookies": Case("flask", (OUR_COOKIE, CREDENTIAL), COOKIE),
    "flask": Case("flask", (CREDENTIAL, FRAMEWORK)),
    "flask without its instrumentation": Case("flask", (CREDENTIAL,), WITHOUT_CONTRIB, traced=False),
}


OWN_TELEMETRY = pytest.mark.skipif(
    find_spec("fastapi.telemetry") is None, reason="FastAPI has telemetry of its own since 0.142"
)


@pytest.fixture(
    name="case",
    params=[
        pytest.param(case, id=name, marks=OWN_TELEMETRY if "its own" in name else ()) for name, case in CASES.items()
    ],
)
def _case(request: pytest.FixtureRequest) -> Case:
    found: Case = request.param
    return found


@pytest.fixture(name="receiver")
def _receiver() -> Iterator[OTLPReceiver]:
    with OTLPReceiver() as receiver:
        yield receiver


def sessions(receiver: OTLPReceiver) -> list[ReceivedSpan]:
    return [span for span in receiver.spans if span.name == "session web"]


def requests(receiver: OTLPReceiver, visitor: Visitor) -> list[ReceivedSpan]:
    """The server spans of a visitor's requests."""
    return [span for span in receiver.spans if span.kind == SERVER_KIND and span.trace_id in visitor.traces]


class TestSessions:
    def test_of_unmodified_applications(self, case: Case, receiver: OTLPReceiver) -> None:
        """The requests of a client share one session, other clients have others; once idle, each is one span.

        The ids of that span are those that the server spans of the requests have been linked to since the first.
        """
        environment = {**case.environment, "OTEL_SESSIONS_IDLE_TIMEOUT": str(IDLE_SECONDS)}
        visits = [(way, way.visitor(name)) for way in case.ways for name in ("alice", "bob")]
        with running(COMMANDS[case.site], receiver, **environment) as process:
            for way, visitor in visits:
                visitor.get(process.url(), *way.paths)
            receiver.wait_for(lambda: len(sessions(receiver)) >= len(visits))
            process.stop()
        assert (
            len(visits)
            == len(sessions(receiver))
            == len({span.attributes["session.id"] for span in sessions(receiver)})
        )
        assert sorted(len(way.paths) for way, _ in visits) == sorted(
            span.attributes["app_session.request.count"] for span in sessions(receiver)
        )
        for way, visitor in visits:
            assert way.cookies == tuple(visitor.cookies)
            self.check(receiver, requests(receiver, visitor), len(way.paths) if case.traced else 0)
        assert "Traceback" not in process.output
        assert [] == receiver.refused

    @staticmethod
    def check(receiver: OTLPReceiver, spans: list[ReceivedSpan], expected: int) -> None:
        """There is one server span for each request of a client, and all of them are linked to the same session."""
        assert expected == len(spans)
        if not spans:
            return
        (session_id,) = {span.attributes["session.id"] for span in spans}
        (session,) = (span for span in sessions(receiver) if span.attributes["session.id"] == session_id)
        assert [[(session.trace_id, session.span_id)]] * expected == [span.links for span in spans]
        assert {
            "session.id": session_id,
            "app_session.type": "web",
            "app_session.topology": "durable",
            "app_session.platform": "web",
            "app_session.status": "expired",
            "app_session.end_reason": "idle_timeout",
            "app_session.event.count": 0,
            "app_session.error.count": 0,
            "app_session.request.count": expected,
        } == session.attributes
        assert "" == session.parent_id

    def test_everything_else_that_arrives(self, receiver: OTLPReceiver) -> None:
        """Start and end of a session arrive as events, its counts as metrics, and nothing of what its client holds."""
        environment = {**COOKIE, "OTEL_SESSIONS_IDLE_TIMEOUT": str(IDLE_SECONDS)}
        with running(COMMANDS["flask"], receiver, **environment) as process:
            anonymous, known = Visitor(), Visitor(Authorization="Bearer canary-credential")
            for visitor in (anonymous, known):
                visitor.get(process.url(), "/")
            receiver.wait_for(lambda: len(sessions(receiver)) >= 2)
            process.stop()
        events = [(log.event_name, log.attributes.get("session.id")) for log in receiver.logs if log.event_name]
        ids = {span.attributes["session.id"] for span in sessions(receiver)}
        assert ids == {session_id for name, session_id in events if name == "session.start"}
        assert ids == {session_id for name, session_id in events if name == "session.end"}
        assert 1 == [name for name, _ in events].count("app_session.startup")
        latest = {name: point for (name, _), point in receiver.latest().items() if name.startswith("app_session.")}
        assert (2, 2) == (latest["app_session.starts"].value, latest["app_session.requests"].value)
        assert (2, "s") == (latest["app_session.duration"].count, latest["app_session.duration"].unit)
        told = repr((receiver.spans, receiver.logs, receiver.points))
        held = ["canary-credential", anonymous.cookies["otel_session"]]
        assert [] == [secret for secret in held if secret in told or secret in process.output]

    def test_nobody_to_recognise(self, receiver: OTLPReceiver) -> None:
        """Without a cookie being allowed, clients that hold nothing get nothing; the log says once what to do."""
        with running(COMMANDS["fastapi"], receiver) as process:
            visitor = Visitor()
            visitor.get(process.url(), "/", "/", "/")
            receiver.wait_for(lambda: len(requests(receiver, visitor)) == 3)
            process.stop()
        assert [] == list(visitor.cookies)
        assert {None} == {span.attributes.get("session.id") for span in requests(receiver, visitor)}
        assert 1 == process.output.count("OTEL_SESSIONS_COOKIE=true")
        assert [] == [log for log in receiver.logs if log.event_name == "session.start"]

    def test_open_sessions_at_the_end_of_the_process(self, receiver: OTLPReceiver) -> None:
        """Sessions in memory cannot outlive their process: stopping it ends them, and their spans arrive."""
        with running(COMMANDS["fastapi"], receiver, **COOKIE) as process:
            Visitor().get(process.url(), "/")
            process.stop()
        (session,) = sessions(receiver)
        assert ("cancelled", "shutdown") == (
            session.attributes["app_session.status"],
            session.attributes["app_session.end_reason"],
        )

    @pytest.mark.parametrize("site", ["fastapi", "flask"])
    def test_switched_off(self, site: str, receiver: OTLPReceiver) -> None:
        """`OTEL_PYTHON_DISABLED_INSTRUMENTATIONS` switches it off, as any instrumentation."""
        environment = {**COOKIE, "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "otel_sessions"}
        with running(COMMANDS[site], receiver, **environment) as process:
            visitor = Visitor()
            visitor.get(process.url(), "/")
            receiver.wait_for(lambda: requests(receiver, visitor))
        assert [] == list(visitor.cookies)
        assert [{}] == [
            {key: value for key, value in span.attributes.items() if "session" in key}
            for span in requests(receiver, visitor)
        ]

    @pytest.mark.parametrize("site", ["fastapi", "flask"])
    def test_sdk_switched_off(self, site: str, receiver: OTLPReceiver) -> None:
        """With `OTEL_SDK_DISABLED` the application runs as ever, and nothing arrives."""
        with running(COMMANDS[site], receiver, OTEL_SDK_DISABLED="true", **COOKIE) as process:
            Visitor().get(process.url(), "/")
            process.stop()
        assert ([], [], []) == (receiver.spans, receiver.logs, receiver.points)
        assert "Traceback" not in process.output

    @pytest.mark.parametrize("site", ["fastapi", "flask"])
    def test_wrong_variables(self, site: str, receiver: OTLPReceiver) -> None:
        """Wrong variables are told and left out; the application is served, with sessions."""
        wrong = {"OTEL_SESSIONS_STORE": "bogus://", "OTEL_SESSIONS_IDLE_TIMEOUT": "soon"}
        with running(COMMANDS[site], receiver, **COOKIE, **wrong) as process:
            Visitor().get(process.url(), "/")
            process.stop()
        assert [] == [value for value in wrong.values() if value not in process.output]
        assert "Traceback" not in process.output
        assert 1 == len(sessions(receiver))


SITE = ("fastapi_site:app", "--port", "0", "--workers", "2")


class TestWorkers:
    """Those of uvicorn are programs of their own, in which nothing is as it was in the one that starts them."""

    @pytest.mark.parametrize(
        "command",
        [
            pytest.param(
                uvicorn(*SITE),
                marks=pytest.mark.skipif(not REACHES_WORKERS, reason="older instrumentations do not reach them"),
                id="opentelemetry-instrument",
            ),
            pytest.param(by_itself(*SITE), id="by itself"),
        ],
    )
    def test_share_a_session(self, command: list[str], receiver: OTLPReceiver, tmp_path: Path) -> None:
        """The requests that a client makes to either of them are of one session."""
        store = {"OTEL_SESSIONS_STORE": store_url("sqlite", tmp_path)}
        visitor = Visitor()

        def both_have_served() -> bool:
            visitor.get(process.url(), "/")
            return 2 == len({span.resource["process.pid"] for span in requests(receiver, visitor)})

        with running(command, receiver, OTEL_EXPERIMENTAL_RESOURCE_DETECTORS="process", **COOKIE, **store) as process:
            until(both_have_served, seconds=60)
            process.stop()
        assert 1 == len({span.attributes["session.id"] for span in requests(receiver, visitor)})
        kept = from_url(store["OTEL_SESSIONS_STORE"])
        try:
            assert [len(visitor.traces)] == [record.totals.requests for record in kept.active()]
        finally:
            kept.shutdown()
        assert "Traceback" not in process.output


TIERS = """
[tiers.trial.rates]
requests = "2/hour"
"""


class TestLimits:
    @pytest.mark.parametrize("site", ["fastapi", "flask"])
    def test_by_variables(self, site: str, receiver: OTLPReceiver, tmp_path: Path) -> None:
        """Variables alone limit the requests of each client; what was refused arrives, and no client is named."""
        tiers = tmp_path / "tiers.toml"
        tiers.write_text(TIERS, encoding="utf-8")
        limits = {
            "OTEL_SESSIONS_TIERS": str(tiers),
            "OTEL_SESSIONS_DEFAULT_TIER": "trial",
            "OTEL_SESSIONS_WEB_LIMITS": "requests",
        }
        with running(COMMANDS[site], receiver, **limits) as process:
            for name in ("alice", "bob"):
                known = {"Authorization": f"Bearer credential-of-{name}"}
                with httpx.Client(base_url=process.url(), headers=known, trust_env=False) as client:
                    answers = [client.get("/") for _ in range(3)]
                assert [200, 200, 429] == [answer.status_code for answer in answers]
                assert '"requests-3600s";q=2;w=3600' == answers[2].headers["RateLimit-Policy"]
                assert 3590 < int(answers[2].headers["Retry-After"]) <= 3600
            process.stop()
        decisions = {
            dict(attributes)["app_session.limit.result"]: point.value
            for (name, attributes), point in receiver.latest().items()
            if name == "app_session.limit.decisions"
        }
        assert {"allowed": 2, "near_limit": 2, "rejected": 2} == decisions
        refused = [log for log in receiver.logs if log.event_name == "app_session.limit.rejected"]
        assert 2 == len({log.attributes["session.id"] for log in refused})
        assert "Traceback" not in process.output
        assert "credential-of" not in repr((receiver.spans, receiver.logs, receiver.points))

    def test_wrong_variables(self, receiver: OTLPReceiver) -> None:
        """Limits and tiers that there are not are told, each by its variable, and stop nothing."""
        wrong = {"OTEL_SESSIONS_DEFAULT_TIER": "gold", "OTEL_SESSIONS_WEB_LIMITS": "request"}
        with running(COMMANDS["flask"], receiver, **COOKIE, **wrong) as process:
            Visitor().get(process.url(), "/", "/")
            process.stop()
        assert [] == [name for name in wrong if name not in process.output]
        assert "Traceback" not in process.output


FILE = """
file_format: "1.0"
tracer_provider:
  processors:
    - batch:
        schedule_delay: 100
        exporter:
          otlp_http:
            endpoint: ${OTEL_EXPORTER_OTLP_ENDPOINT}/v1/traces
logger_provider:
  processors:
    - batch:
        schedule_delay: 100
        exporter:
          otlp_http:
            endpoint: ${OTEL_EXPORTER_OTLP_ENDPOINT}/v1/logs
propagator:
  composite:
    - tracecontext: {}
instrumentation/development:
  python:
    otel_sessions:
      cookie: true
      cookie_name: visitor
      web_type: shop
      idle_timeout: 2
      flush_interval: 0.1
      excluded_urls: ["^/health"]
"""


@pytest.mark.skipif(find_spec("opentelemetry.configuration") is None, reason="it exists since OpenTelemetry 1.44")
class TestConfigurationFile:
    @pytest.mark.parametrize("site", ["fastapi", "flask"])
    def test_options(self, site: str, receiver: OTLPReceiver, tmp_path: Path) -> None:
        """The settings under `instrumentation/development: python: otel_sessions` hold; variables are not needed."""
        file = tmp_path / "otel.yaml"
        file.write_text(FILE, encoding="utf-8")
        with running(COMMANDS[site], receiver, OTEL_CONFIG_FILE=str(file)) as process:
            visitor = Visitor()
            visitor.get(process.url(), "/", "/")
            receiver.wait_for(lambda: [span for span in receiver.spans if span.name == "session shop"])
            process.stop()
        (session,) = (span for span in receiver.spans if span.name.startswith("session "))
        assert 2 == session.attributes["app_session.request.count"]
        assert "idle_timeout" == session.attributes["app_session.end_reason"]
        assert ["visitor"] == list(visitor.cookies)
        assert [[(session.trace_id, session.span_id)]] * 2 == [span.links for span in requests(receiver, visitor)]
        assert "Traceback" not in process.output

    @pytest.mark.parametrize(
        ("option", "complaint"), [("idle_timeout: -1", "idle_timeout"), ("no_such_setting: 1", "no_such_setting")]
    )
    def test_wrong_option(self, option: str, complaint: str, receiver: OTLPReceiver, tmp_path: Path) -> None:
        """A wrong option is told by name, and the application is served and traced all the same."""
        file = tmp_path / "otel.yaml"
        file.write_text(FILE.replace("idle_timeout: 2", option), encoding="utf-8")
        with running(COMMANDS["flask"], receiver, OTEL_CONFIG_FILE=str(file)) as process:
            visitor = Visitor()
            visitor.get(process.url(), "/")
            receiver.wait_for(lambda: requests(receiver, visitor))
            process.stop()
        assert complaint in process.output
