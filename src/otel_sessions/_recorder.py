"""What happens in a session, written down: events, errors, messages, turns, tokens, cost."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from typing import Final

from opentelemetry._logs import SeverityNumber
from opentelemetry.trace import get_current_span

from . import _semconv as sc
from . import _values
from ._guard import guarded, log
from ._ledger import Ledger
from ._live import Live
from ._models import AttributeValue, Event
from ._telemetry import Telemetry
from .security.redaction import Redactor
from .typing import Clock

_MAX_STACKTRACE: Final = 16_384
_MAX_ATTRIBUTES: Final = 64


class Recorder:
    """Counts what happens, in the session and in the metrics, and emits the events."""

    def __init__(self, ledger: Ledger, telemetry: Telemetry, clock: Clock, redact: Redactor) -> None:
        self._ledger = ledger
        self._telemetry = telemetry
        self._clock = clock
        self._redact = redact

    def event(
        self,
        live: Live,
        name: str,
        message: str | None,
        attributes: Mapping[str, object],
        *,
        severity: SeverityNumber = SeverityNumber.INFO,
        always_log: bool = False,
    ) -> None:
        """Write an event down: as a log event, and on the session's span, now or when that is emitted."""
        with guarded("record an event"):
            clean = _values.attributes(attributes, self._redact)
            body = None
            if message is not None:
                body = clean[sc.EVENT_MESSAGE] = _values.text(message, self._redact)
            self._write(live, Event(name, self._clock.time_ns(), clean), severity, body, always_log=always_log)
            self._telemetry.metrics.events.add(1, live.beginning.type, name if name in sc.BUILT_IN_EVENTS else sc.OTHER)

    def _write(self, live: Live, event: Event, severity: SeverityNumber, body: str | None, *, always_log: bool) -> None:
        identity: dict[str, AttributeValue] = {sc.SESSION_ID: live.beginning.id, sc.TYPE: live.beginning.type}
        if live.user is not None:
            identity[sc.ENDUSER_PSEUDO_ID] = live.user
        # A scoped session's events belong to its span. A durable one's happen in a request, whose trace is worth more
        # to whoever reads the log; only outside of any trace does the reserved span stand in.
        context = live.context
        if context is None and not get_current_span().get_span_context().is_valid:
            context = self._telemetry.reserved_context(live.beginning, event.time_ns)
        to_span = self._telemetry.event(
            event, identity, severity=severity, body=body, context=context, always_log=always_log
        )
        if to_span and live.span is not None:
            live.span.add_event(event.name, event.attributes, event.time_ns)
        with live.lock:
            live.delta.events += 1
            if to_span and live.span is None:
                live.delta.append(event)
        self._ledger.touch(live)

    def error(
        self, live: Live, error: BaseException | str, message: str | None, attributes: Mapping[str, object]
    ) -> None:
        """Write an error down: the event `exception`, the counter, and the session's last error."""
        with guarded("record an error"):
            found = dict(attributes)
            if isinstance(error, BaseException):
                kind, message = exception_type(error), _values.text(error, self._redact)
                stack = "".join(traceback.format_exception(error))
                found[sc.EXCEPTION_STACKTRACE] = _values.Stacktrace(
                    _values.text(stack[-_MAX_STACKTRACE:], self._redact, _MAX_STACKTRACE)
                )
            else:
                kind, message = error, None if message is None else _values.text(message, self._redact)
            found[sc.EXCEPTION_TYPE] = kind
            if message is not None:
                found[sc.EXCEPTION_MESSAGE] = message
            with live.lock:
                live.delta.errors += 1
                live.delta.error = kind, message
            self._telemetry.metrics.errors.add(1, live.beginning.type, kind)
            self.event(live, sc.EVENT_EXCEPTION, None, found, severity=SeverityNumber.ERROR)

    def failure(self, live: Live, kind: str) -> None:
        """Count an error that somebody else describes: a request that failed."""
        with live.lock:
            live.delta.errors += 1
            live.delta.error = kind, None
        self._telemetry.metrics.errors.add(1, live.beginning.type, kind)
        self._ledger.touch(live)

    def message(self, live: Live, role: str) -> None:
        """Count a message."""
        with live.lock:
            live.delta.add_message(role, self._clock.time_ns())
        self._telemetry.metrics.messages.add(1, live.beginning.type, role)
        self._ledger.touch(live)

    def begin_turn(self, live: Live) -> None:
        """An exchange begins, with the user's message."""
        self.message(live, "user")
        with live.lock:
            live.turns += 1

    def turn(self, live: Live, duration_ns: int, model: str | None, *, answered: bool) -> None:
        """An exchange is over: count it and its response time, and the answer if there was one."""
        with live.lock:
            live.delta.turns += 1
            live.delta.turn_ns += duration_ns
        attributes = {sc.TYPE: live.beginning.type}
        if model is not None:
            attributes[sc.GEN_AI_REQUEST_MODEL] = model
        self._telemetry.metrics.turn_duration.record(duration_ns / 1e9, attributes)
        if answered:
            self.message(live, "assistant")
        else:
            self._ledger.touch(live)
        with live.lock:
            live.turns = max(0, live.turns - 1)

    def tokens(self, live: Live, kind: str, count: int, model: str | None) -> None:
        """Count tokens."""
        with live.lock:
            live.delta.add_to("tokens", kind, count)
        self._telemetry.metrics.token_usage.add(count, live.beginning.type, kind, model)
        self._ledger.touch(live)

    def cost(self, live: Live, amount: float, currency: str, model: str | None) -> None:
        """Add a cost."""
        with live.lock:
            live.delta.add_to("cost", currency, amount)
        self._telemetry.metrics.cost.add(amount, live.beginning.type, currency, model)
        self._ledger.touch(live)

    def used(self, live: Live, name: str, amount: float) -> None:
        """Count what was used of something, whether it is limited or not."""
        if amount:
            with live.lock:
                live.delta.add_usage(name, amount)
            self._ledger.mark(live)

    def attributes(self, live: Live, given: Mapping[str, object]) -> None:
        """Set attributes of the session's span; the last value of each counts."""
        clean = _values.attributes(given, self._redact)
        with live.lock:
            held = live.delta.attributes = {**(live.delta.attributes or {}), **clean}
            excess = list(held)[_MAX_ATTRIBUTES:]
            for name in excess:
                del held[name]
        if excess:
            log.warn("attributes", "A session keeps %d attributes; %d more were dropped.", _MAX_ATTRIBUTES, len(excess))
            self._telemetry.metrics.dropped.add(len(excess), sc.Drop.ATTRIBUTE_LIMIT)
        self._ledger.touch(live)

    def user(self, live: Live, pseudonym: str) -> None:
        """Note whose session it is."""
        if pseudonym != live.user:
            with live.lock:
                live.user = live.delta.user = pseudonym
            self._ledger.touch(live)

    def platform_switch(self, live: Live, old: str, new: str, duration: float | None) -> None:
        """Note that the session moved to another platform."""
        with live.lock:
            live.platform = live.delta.platform = new
        switch = {sc.PLATFORM_FROM: old, sc.PLATFORM_TO: new}
        if duration is not None:
            self._telemetry.metrics.platform_switch_duration.record(duration, switch)
        self.event(live, sc.EVENT_PLATFORM_SWITCH, None, switch)

    def finding(self, live: Live, kind: str, score: float, evidence: Mapping[str, object]) -> None:
        """Report suspicious activity. The severity follows the score: warning from 0.5, error from 0.8."""
        severity = next((level for least, level in _SEVERITIES if score >= least), SeverityNumber.INFO)
        name = severity.name.lower()
        self._telemetry.metrics.findings.add(1, kind, name)
        found = {**evidence, sc.FINDING_KIND: kind, sc.FINDING_SCORE: float(score), sc.FINDING_SEVERITY: name}
        self.event(live, sc.EVENT_FINDING, None, found, severity=severity, always_log=True)

    def own_metric(self, live: Live, name: str, value: float, unit: str) -> None:
        """Record a value of a histogram of the user's own."""
        with guarded("record a metric"):
            self._telemetry.metrics.record_own(name, value, unit=unit, session_type=live.beginning.type)


_SEVERITIES: Final = ((0.8, SeverityNumber.ERROR), (0.5, SeverityNumber.WARN))


def exception_type(exc: BaseException) -> str:
    """The fully qualified name of an exception's type, builtins without their module (as semconv has it)."""
    kind = type(exc)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
