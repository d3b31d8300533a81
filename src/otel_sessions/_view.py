"""What can be read off a session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from opentelemetry import trace
from opentelemetry.trace import SpanContext

from . import _semconv as sc
from ._guard import log
from ._models import Beginning, EndReason, SessionRecord, Status, Totals
from ._statistics import SessionStatistics

if TYPE_CHECKING:
    from ._lifecycle import Lifecycle
    from ._live import Live

_NOTHING: Final = SessionRecord(Beginning("", "", "scoped", 0), Totals())


class SessionView:
    """The properties of a session, as this process knows it at the moment of asking."""

    __slots__ = ("_lifecycle", "_live")

    def __init__(self, lifecycle: Lifecycle | None, live: Live | None) -> None:
        self._lifecycle: Any = lifecycle
        self._live = live

    def _now(self) -> Live | None:
        """The session, which may have been rotated through another handle."""
        live = self._live
        if live is not None and live.successor is not None:
            live = self._live = live.latest
        return live

    @property
    def id(self) -> str:
        """What telemetry shows as `session.id`; empty outside a session."""
        live = self._now()
        return "" if live is None else live.beginning.id

    @property
    def type(self) -> str:
        """The session's type; empty outside a session."""
        live = self._now()
        return "" if live is None else live.beginning.type

    @property
    def previous_id(self) -> str | None:
        """The id of the session that this one continues."""
        live = self._now()
        return None if live is None else live.beginning.previous_id

    @property
    def parent_id(self) -> str | None:
        """The id of the session in which this one was started."""
        live = self._now()
        return None if live is None else live.beginning.parent_id

    @property
    def user(self) -> str | None:
        """The pseudonym of the session's user."""
        live = self._now()
        return None if live is None else live.user

    @property
    def tier(self) -> str | None:
        """The name of the set of limits that applies."""
        live = self._now()
        return None if live is None else live.beginning.tier

    @property
    def platform(self) -> str | None:
        """Where the session is used now."""
        live = self._now()
        return None if live is None else live.platform

    @property
    def status(self) -> Status | None:
        """`active`, or how the session ended; None outside a session."""
        live = self._now()
        if live is None:
            return None
        return "active" if live.ended is None else live.ended[0]

    @property
    def end_reason(self) -> EndReason | None:
        """Why the session ended; None while it is active."""
        live = self._now()
        return None if live is None or live.ended is None else live.ended[1]

    @property
    def is_active(self) -> bool:
        """Whether the session has not ended, as far as this process knows."""
        live = self._now()
        return live is not None and live.ended is None

    @property
    def age_seconds(self) -> float:
        """Seconds since the start."""
        live = self._now()
        return 0.0 if live is None else self._since(live.beginning.started_ns)

    @property
    def idle_seconds(self) -> float:
        """Seconds since the last activity that this process knows of."""
        live = self._now()
        return 0.0 if live is None else self._since(live.last_ns)

    def _since(self, time_ns: int) -> float:
        # Not negative, though the wall clock may have been set back.
        return max(0, self._lifecycle.clock.time_ns() - time_ns) / 1e9  # type: ignore[no-any-return]  # a Clock's

    @property
    def concurrent_operations(self) -> int:
        """How many requests and `with` blocks of this session are running in this process."""
        live = self._now()
        return 0 if live is None else live.operations

    @property
    def span_context(self) -> SpanContext:
        """The context of the session's span, to link to; invalid if there is none."""
        live = self._now()
        context = None if live is None else self._lifecycle.span_context(live)
        return trace.INVALID_SPAN_CONTEXT if context is None else trace.get_current_span(context).get_span_context()

    def snapshot(self) -> SessionRecord | None:
        """Everything known of the session at this moment, counts included; None outside a session."""
        live = self._now()
        return None if live is None else self._lifecycle.ledger.record(live)

    def statistics(self) -> SessionStatistics:
        """What the session adds up to by now, what other processes have counted included; zeros outside a session.

        It is read off running sums, however much has happened. A store that others see is asked for them.
        """
        record = self.snapshot()
        return _NOTHING.statistics() if record is None else record.statistics(self._lifecycle.clock.time_ns())

    def __repr__(self) -> str:
        return f"<Session {self.id} type={self.type} status={self.status}>" if self._live else "<no session>"

    def _usable(self, doing: str, outcome: str = "() did nothing") -> Live | None:
        live = self._now()
        if live is not None and live.ended is not None:
            log.warn(
                f"ended{outcome}",
                "%s%s: the session %s (%s) has ended as %s.",
                doing,
                outcome,
                live.beginning.id,
                live.beginning.type,
                live.ended[0],
            )
            self._lifecycle.telemetry.metrics.dropped.add(1, sc.Drop.SESSION_ENDED)
            return None
        return live
