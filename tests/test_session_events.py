"""What is written down through a handle: on the session's span, in the log, in the metrics."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry._logs import SeverityNumber
from opentelemetry.trace import StatusCode

import otel_sessions
from otel_sessions import session
from otel_sessions.testing import RecordedSessions, record_sessions

from . import portrait


class TestEvents:
    def test_event(self, recorded_sessions: RecordedSessions) -> None:
        """An event is on the session's span and in the log, with its time, its text redacted and its values clean."""
        with session("job", user="u1") as handle:
            recorded_sessions.clock.advance(1)
            now = recorded_sessions.clock.time_ns()
            handle.event("cart.checkout", "paid by eve@example.com", items=3, path=["a", "b"], odd={"a": 1})

        given = {"items": 3, "path": ("a", "b"), "app_session.event.message": "paid by [email]"}
        (span,) = recorded_sessions.spans
        assert [("cart.checkout", given)] == portrait.events(span)
        assert [now] == [event.timestamp for event in span.events]
        (log,) = (log for log in recorded_sessions.logs if log.log_record.event_name == "cart.checkout")
        assert {
            **given,
            "session.id": handle.id,
            "app_session.type": "job",
            "enduser.pseudo.id": handle.user,
        } == dict(log.log_record.attributes or {})
        assert (now, SeverityNumber.INFO, "paid by [email]", portrait.span_id(span), portrait.trace_id(span)) == (
            log.log_record.timestamp,
            log.log_record.severity_number,
            log.log_record.body,
            log.log_record.span_id,
            log.log_record.trace_id,
        )
        assert 1 == recorded_sessions.metric(
            "app_session.events", app_session__type="job", app_session__event__name="_OTHER"
        )

    def test_progress(self, recorded_sessions: RecordedSessions) -> None:
        """Progress is an event of its own name, counted under it."""
        with session("job") as handle:
            handle.progress("Connecting", step=1, of=3)

        assert [
            ("app_session.progress", {"step": 1, "of": 3, "app_session.event.message": "Connecting"})
        ] == portrait.events(recorded_sessions.spans[0])
        assert 1 == recorded_sessions.metric("app_session.events", app_session__event__name="app_session.progress")

    @pytest.mark.parametrize(
        ("message", "shown"), [(None, None), ("", ""), (42, "42"), ({"a": 1}, "{'a': 1}"), ("x" * 9_999, "x" * 4_096)]
    )
    def test_message(self, recorded_sessions: RecordedSessions, message: Any, shown: str | None) -> None:
        """Any object is shown as its text, of at most 4,096 characters; no message is no message."""
        with session("job") as handle:
            handle.event("x.y", message)

        ((_, attributes),) = portrait.events(recorded_sessions.spans[0])
        assert ({} if shown is None else {"app_session.event.message": shown}) == attributes

    def test_handled_error(self, recorded_sessions: RecordedSessions) -> None:
        """A handled error is an event and a count; the session goes on and succeeds."""
        with session("job") as handle:
            try:
                raise ConnectionError("lost secret=hunter2")  # noqa: TRY301 - it is here to be caught
            except ConnectionError as error:
                handle.error(error, attempt=2)
            handle.error("OutOfDisk", "write password=hunter2", disk="sda")

        (span,) = recorded_sessions.spans
        (first, exception), second = portrait.events(span)
        stack = exception.pop("exception.stacktrace")
        assert ("exception", "Traceback (most recent call last):") == (first, stack.splitlines()[0])
        assert "hunter2" not in stack
        assert {
            "exception.type": "ConnectionError",
            "exception.message": "lost secret=[redacted]",
            "attempt": 2,
        } == exception
        assert (
            "exception",
            {"exception.type": "OutOfDisk", "exception.message": "write password=[redacted]", "disk": "sda"},
        ) == second
        assert portrait.attributes(span) == portrait.scoped(handle, events=2, errors=2)
        assert StatusCode.UNSET is span.status.status_code
        assert {
            (("app_session.type", "job"), ("error.type", "ConnectionError")): 1,
            (("app_session.type", "job"), ("error.type", "OutOfDisk")): 1,
        } == {tuple(sorted(key)): value for key, value in recorded_sessions.metrics()["app_session.errors"].items()}
        assert [SeverityNumber.ERROR] * 2 == [
            log.log_record.severity_number for log in recorded_sessions.logs if log.log_record.event_name == "exception"
        ]

    def test_error_type_is_qualified(self, recorded_sessions: RecordedSessions) -> None:
        """The type of an exception that is not built in is named with its module."""
        with session("job") as handle:
            handle.error(asyncio.InvalidStateError())

        ((_, attributes),) = portrait.events(recorded_sessions.spans[0])
        assert "asyncio.exceptions.InvalidStateError" == attributes["exception.type"]

    def test_record(self, recorded_sessions: RecordedSessions) -> None:
        """Own measurements become a histogram under their name, by session type."""
        with session("job") as handle:
            handle.record("sync_time", 1.25, unit="s")
            handle.record("sync_time", 2, unit="s")

        assert {frozenset({("app_session.type", "job")}): (2, 3.25)} == recorded_sessions.metrics()["sync_time"]

    def test_record_decimals(self, recorded_sessions: RecordedSessions) -> None:
        """Decimals and floats add up."""
        import decimal

        with session("job") as handle:
            handle.record("size", decimal.Decimal("1.5"))  # type: ignore[arg-type]  # given all the same
            handle.record("size", 1.5)

        ((count, total),) = recorded_sessions.metrics()["size"].values()
        assert (2, 3.0, float) == (count, total, type(total))

    def test_switch_platform(self, recorded_sessions: RecordedSessions) -> None:
        """A switch is an event and a duration, and the platform is the new one from then on."""
        with session("job", platform="web") as handle:
            handle.switch_platform("web", "mobile", duration=0.4)
            assert "mobile" == handle.platform

        (span,) = recorded_sessions.spans
        switch = {"app_session.platform_switch.from": "web", "app_session.platform_switch.to": "mobile"}
        assert [("app_session.platform_switch", switch)] == portrait.events(span)
        assert portrait.attributes(span) == portrait.scoped(handle, {"app_session.platform": "mobile"}, events=1)
        assert {frozenset(switch.items()): (1, 0.4)} == recorded_sessions.metrics()[
            "app_session.platform_switch.duration"
        ]

    def test_switch_platform_without_duration(self, recorded_sessions: RecordedSessions) -> None:
        """A switch whose duration is not known is an event alone."""
        with session("job") as handle:
            handle.switch_platform("web", "mobile")

        assert ("mobile", ["app_session.platform_switch"], 0) == (
            handle.platform,
            [event.name for event in recorded_sessions.spans[0].events],
            recorded_sessions.metric("app_session.platform_switch.duration"),
        )

    @pytest.mark.parametrize(
        ("score", "severity"),
        [
            (0, SeverityNumber.INFO),
            (0.49, SeverityNumber.INFO),
            (0.5, SeverityNumber.WARN),
            (0.8, SeverityNumber.ERROR),
            (1, SeverityNumber.ERROR),
        ],
    )
    @pytest.mark.parametrize("mode", ["both", "log", "span"])
    def test_suspicious(self, mode: str, score: float, severity: SeverityNumber) -> None:
        """A finding is always in the log, its severity follows its score, and it is counted by kind."""
        with record_sessions(events=mode) as recorded, session("job") as handle:
            handle.suspicious("device_change", score=score, device="phone", **{"app_session.finding.score": 7})

        (log,) = (log for log in recorded.logs if log.log_record.event_name == "app_session.finding")
        finding = {
            "device": "phone",
            "app_session.finding.kind": "device_change",
            "app_session.finding.score": float(score),
            "app_session.finding.severity": severity.name.lower(),
        }
        assert (severity, finding.items() <= dict(log.log_record.attributes or {}).items()) == (
            log.log_record.severity_number,
            True,
        )
        assert ([] if mode == "log" else [("app_session.finding", finding)]) == portrait.events(recorded.spans[0])
        assert 1 == recorded.metric("app_session.findings", app_session__finding__kind="device_change")

    def test_set_attributes(self, recorded_sessions: RecordedSessions) -> None:
        """Attributes set on the way are on the span; the last value counts, also over one given at the start."""
        with session("job", attributes={"tenant": "contoso", "depth": 1}) as handle:
            handle.set_attributes(depth=2, mail="eve@example.com", odd=object())
            handle.set_attributes(depth=3)

        assert portrait.attributes(recorded_sessions.spans[0]) == portrait.scoped(
            handle, {"tenant": "contoso", "depth": 3, "mail": "[email]"}
        )

    def test_identify(self, recorded_sessions: RecordedSessions) -> None:
        """A user who becomes known is on the span and on later events, as the same pseudonym everywhere."""
        with session("other", user="eve") as other:
            pass
        with session("job", user="guest") as handle:
            guest = handle.user
            handle.identify("eve")
            handle.progress("on")

        assert guest != handle.user
        assert other.user == handle.user
        assert portrait.attributes(recorded_sessions.spans[1]) == portrait.scoped(handle, events=1)
        assert [handle.user] == [
            event["enduser.pseudo.id"] for event in recorded_sessions.events("app_session.progress")
        ]

    def test_messages(self, recorded_sessions: RecordedSessions) -> None:
        """Messages count by role, and in the summary."""
        with session("chat") as handle:
            handle.message()
            handle.message("assistant")
            handle.message("tool")

        assert 3 == portrait.attributes(recorded_sessions.spans[0])["app_session.message.count"]
        assert [1, 1, 1] == [
            recorded_sessions.metric("app_session.messages", app_session__message__role=role)
            for role in ("user", "assistant", "tool")
        ]

    @pytest.mark.parametrize(
        "start", [lambda: session("job", user="u1"), lambda: otel_sessions.start("job", user="u1")]
    )
    def test_names_of_ours(self, recorded_sessions: RecordedSessions, start: Callable[[], Any]) -> None:
        """What the user's attributes are called cannot change what identifies and sums up a session."""
        fakes: dict[str, Any] = {
            "session.id": "fake",
            "app_session.type": "fake",
            "app_session.topology": "fake",
            "app_session.status": "fake",
            "app_session.end_reason": "fake",
            "app_session.event.count": -1,
            "enduser.pseudo.id": "fake",
        }
        with start() as handle:
            handle.set_attributes(**fakes)
            handle.event("x.y", **fakes)
            handle.error("Broken", **fakes)
        handle.end()

        assert "fake" not in str(portrait.attributes(recorded_sessions.spans[0]))
        for name in ("x.y", "exception", "session.end"):
            (event,) = recorded_sessions.events(name)
            assert (handle.id, handle.type) == (event["session.id"], event["app_session.type"])

    def test_names_of_ours_at_the_start(self, recorded_sessions: RecordedSessions) -> None:
        """The same for attributes that are given at the start."""
        with session("job", attributes={"session.id": "fake", "app_session.type": "fake", "tenant": "x"}) as handle:
            pass

        assert portrait.attributes(recorded_sessions.spans[0]) == portrait.scoped(handle, {"tenant": "x"})

    @pytest.mark.parametrize("start", [lambda: session("job"), lambda: otel_sessions.start("job")])
    @pytest.mark.filterwarnings("ignore:Log record attributes were dropped")
    def test_flood_of_attributes(self, recorded_sessions: RecordedSessions, start: Callable[[], Any]) -> None:
        """However many attributes a session is given, those that identify it and sum it up are on its span."""
        with start() as handle:
            handle.set_attributes(**{f"key{number}": number for number in range(500)})
        handle.end()

        own = portrait.durable(handle) if handle.snapshot().beginning.topology == "durable" else portrait.scoped(handle)
        assert own.items() <= portrait.attributes(recorded_sessions.spans[0]).items()
