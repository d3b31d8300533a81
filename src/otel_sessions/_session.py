"""The handle of a session: what user code holds."""

from __future__ import annotations

import builtins
import contextlib
from collections.abc import Iterator
from concurrent.futures import CancelledError
from types import TracebackType
from typing import TYPE_CHECKING, Final

from opentelemetry import context as otel_context
from opentelemetry import trace

from . import _context, _values
from . import _semconv as sc
from ._guard import guarded
from ._handoff import Handoff
from ._limited_session import LimitedSession
from ._models import EndReason, Role, Status
from ._turn import Turn
from .exceptions import InvalidValueError

if TYPE_CHECKING:
    from contextvars import Token

    from opentelemetry.context import Context

    from ._lifecycle import Lifecycle
    from ._live import Live

_ENDINGS: Final[dict[Status, EndReason]] = {
    "success": "completed",
    "error": "exception",
    "cancelled": "cancelled",
    "expired": "max_duration",
    "abandoned": "crashed",
}


_ENDS_ITERATION: Final = (StopIteration, StopAsyncIteration)


class Session(LimitedSession):
    """A session, as user code holds it.

    Every method may be called from any thread. None raises because of telemetry; `InvalidValueError` says that the call
    itself is wrong (a name that is not static, an amount that is not a number). On a session that has ended calls do
    nothing, and a warning says so; outside a session (`current_session()`) they do nothing at all.
    """

    __slots__ = ("_failure", "_origin", "_outer", "_token")

    def __init__(self, lifecycle: Lifecycle | None, live: Live | None, origin: Context | None = None) -> None:
        # Without super(): this is the hot path.
        self._lifecycle = lifecycle
        self._live = live
        self._origin = origin
        self._failure: BaseException | None = None
        self._outer: Context | None = None
        self._token: Token[Context] | None = None

    # -- what happens in it -------------------------------------------------------------------------------------------

    def event(self, name: str, message: str | None = None, /, **attributes: object) -> None:
        """Record that something happened.

        Args:
            name: a static, lower-case, dotted name of at most 64 characters, not under `session.` or `app_session.`.
            message: text for people; it is redacted.
            attributes: strings, booleans, numbers, or sequences of one of them; strings are redacted.

        Raises:
            InvalidValueError: the name is not such a name.
        """
        _values.event_name(name)
        live = self._usable("event")
        if live is not None:
            self._lifecycle.recorder.event(live, name, message, attributes)

    def progress(self, message: str, /, **attributes: object) -> None:
        """Record how far the session has come: the event `app_session.progress`."""
        live = self._usable("progress")
        if live is not None:
            self._lifecycle.recorder.event(live, sc.EVENT_PROGRESS, message, attributes)

    def error(self, error: BaseException | str, message: str | None = None, /, **attributes: object) -> None:
        """Record an error that was handled; the session goes on.

        Args:
            error: the exception, or a low-cardinality name for what went wrong.
            message: text for people, if no exception gives one; it is redacted.
            attributes: as in `event`.

        Raises:
            InvalidValueError: `error` is neither an exception nor a name.
        """
        if not isinstance(error, BaseException):
            _values.label("type of error", error)
        live = self._usable("error")
        if live is not None:
            self._lifecycle.recorder.error(live, error, message, attributes)

    def record(self, name: str, value: float, *, unit: str = "1") -> None:
        """Record a value of a histogram of your own, which is made on first use.

        Args:
            name: as the name of an event; no two units under one name.
            value: a finite number that is not negative.
            unit: a UCUM unit: `s`, `By`, `1`, `{message}`.

        Raises:
            InvalidValueError: the name, the value or the unit is not such.
        """
        _values.event_name(name)
        _values.unit(unit)
        value = _values.amount(f"a value of {name}", value)
        live = self._usable("record")
        if live is not None:
            self._lifecycle.recorder.own_metric(live, name, value, unit)

    def turn(self, *, model: str | None = None, provider: str | None = None) -> Turn:
        """One exchange: from the user's message to the answer; its duration is the response time.

        ::

            with session.turn(model="m") as turn:
                answer = ask(question)
                turn.tokens(input=1500, output=2000)

        Args:
            model: its name, as its provider writes it.
            provider: who serves it, by the names of the semantic conventions: `aws.bedrock`, `groq`, ... Prices depend
                on it; those of the model's maker are taken if it is not given.

        Raises:
            InvalidValueError: `model` is no text, or `provider` cannot be a name.
        """
        provider = None if provider is None else _values.label("provider", provider)
        return Turn(self, None if model is None else _values.model(model), provider)

    def message(self, role: Role = "user") -> None:
        """Count a message outside a turn.

        Raises:
            InvalidValueError: `role` cannot be a name.
        """
        _values.label("role", role)
        live = self._usable("message")
        if live is not None:
            self._lifecycle.recorder.message(live, role)

    def switch_platform(self, old: str, new: str, *, duration: float | None = None) -> None:
        """Record that the session moved from one platform to another, and how many seconds that took.

        Raises:
            InvalidValueError: a platform cannot be a name, or the duration is not a number of seconds.
        """
        _values.label("platform", old)
        _values.label("platform", new)
        if duration is not None:
            duration = _values.amount("a duration", duration)
        live = self._usable("switch_platform")
        if live is not None:
            self._lifecycle.recorder.platform_switch(live, old, new, duration)

    def suspicious(self, kind: str, /, *, score: float = 1.0, **evidence: object) -> None:
        """Report suspicious activity: the event `app_session.finding`, always also a log event, and a counter.

        Args:
            kind: a low-cardinality name, such as `device_change`.
            score: how sure it is, 0 to 1; the severity follows: warning from 0.5, error from 0.8.
            evidence: attributes of the event.

        Raises:
            InvalidValueError: `kind` cannot be a name, or the score is not between 0 and 1.
        """
        _values.label("kind of finding", kind)
        score = _values.amount("a score", score)
        if score > 1:
            raise InvalidValueError(f"{score!r} cannot be a score: use a number from 0 to 1")
        live = self._usable("suspicious")
        if live is not None:
            self._lifecycle.recorder.finding(live, kind, score, evidence)

    def set_attributes(self, **attributes: object) -> None:
        """Set attributes of the session's span; the last value of each counts."""
        live = self._usable("set_attributes")
        if live is not None:
            self._lifecycle.recorder.attributes(live, attributes)

    def identify(self, user: str) -> None:
        """Say whose session it is. Only a pseudonym of `user` is kept and sent.

        Raises:
            InvalidValueError: `user` is empty or no text.
        """
        _values.user_name(user)
        live = self._usable("identify")
        if live is not None:
            self._lifecycle.recorder.user(live, self._lifecycle.pseudonyms.user(user))

    def handoff(self) -> str:
        """A token with which another process, or a job in a queue, goes on in this session: `resume(handoff=...)`.

        The processes share a store. The token holds what the session is found by: give it to your own processes only.

        Returns:
            Text of letters, digits, `-` and `_`; empty outside a session, and when it has ended.

        Raises:
            InvalidValueError: it is a scoped session, which lives in one process.
        """
        live = self._usable("handoff")
        if live is None:
            return ""
        if live.beginning.topology == "scoped":
            raise InvalidValueError(
                f"the session {self.id} ({self.type}) lives in this process and cannot be handed over; "
                "begin one that can with otel_sessions.start(...)"
            )
        return Handoff.of(live.key).token()

    # -- how it ends --------------------------------------------------------------------------------------------------

    def end(self, status: Status = "success", *, reason: EndReason | None = None) -> bool:
        """End the session.

        Args:
            status: `success`, `error`, `cancelled`, `expired` or `abandoned`.
            reason: by default what the status means: `completed`, `exception`, `cancelled`, ...

        Returns:
            Whether this call ended it; False if it had ended before.

        Raises:
            InvalidValueError: the status or the reason is not one of those.
        """
        reason = ending(status, reason)
        live = self._now()
        return live is not None and bool(self._lifecycle.end(live, status, reason))

    def rotate(self, reason: str = "rotated") -> None:
        """Go on under a new id, with `session.previous_id`: after a login, or when a job starts over.

        Args:
            reason: why, as an attribute of the old session's span.

        Raises:
            InvalidValueError: `reason` cannot be a name.
        """
        _values.label("reason", reason)
        live = self._usable("rotate")
        if live is None:
            return
        self._lifecycle.recorder.attributes(live, {sc.ROTATION_REASON: reason})
        inside = _context.find() is self
        token = otel_context.attach(self._outer) if self._outer is not None else None
        try:
            self._live = self._lifecycle.rotate(live)
        finally:
            if token is not None:
                otel_context.detach(token)
        if inside and self._outer is not None:
            # No detach of the old context: leaving the block restores what was there before it, whatever came between.
            otel_context.attach(self._context())

    # -- as a context manager -----------------------------------------------------------------------------------------

    def __enter__(self) -> Session:
        live = self._usable("with")
        if live is None:
            return self
        if self._token is not None:
            raise InvalidValueError(
                f"the session {self.id} is entered already through this handle: call start() or resume() for another"
            )
        if live.span is None:
            if not self._lifecycle.enter(live):
                return self
            self._join(live)
        self._outer = otel_context.get_current()
        self._token = otel_context.attach(self._context())
        return self

    def __exit__(
        self, exc_type: builtins.type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        token, live = self._token, self._live
        if live is None or token is None:
            return
        self._token = None
        otel_context.detach(token)
        if live.beginning.topology == "scoped":
            self._finish(exc)
        else:
            self._lifecycle.leave(live)
            if isinstance(exc, Exception) and live.latest.ended is None:
                self._lifecycle.recorder.error(live.latest, exc, None, {})

    async def __aenter__(self) -> Session:
        return self.__enter__()

    async def __aexit__(
        self, exc_type: builtins.type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        # A coroutine that is closed cannot wait any more.
        if self._token is None or isinstance(exc, GeneratorExit) or not self._may_block():
            self.__exit__(exc_type, exc, tb)
            return
        token, self._token = self._token, None
        otel_context.detach(token)
        await self._finish_async(exc)

    # -- for the decorators and the middleware of this package --------------------------------------------------------

    def _enter_scoped(self) -> None:
        """`__enter__` of a scoped session that has just begun: nothing about it can be wrong."""
        live = self._live
        assert live is not None
        assert live.outer is not None
        self._outer = outer = live.outer
        self._token = otel_context.attach(
            _context.holding(self, outer) if live.span is None else _context.around(self, live.span, outer)
        )

    def _context(self) -> Context:
        """The context in which this session is the current one.

        A durable session's reserved span becomes the parent of what is done in it only where no trace is under way:
        requests keep their own traces and are linked.
        """
        live = self._live
        if live is None:
            return _context.holding(self)
        if live.span is not None:
            return _context.around(self, live.span, otel_context.get_current())
        if trace.get_current_span().get_span_context().is_valid:
            return _context.holding(self)
        if self._origin is not None and trace.get_current_span(self._origin).get_span_context().is_valid:
            return _context.holding(self, self._origin)
        return _context.holding(self, self._lifecycle.telemetry.reserved_context(live.beginning, live.last_ns))

    def _join(self, live: Live) -> None:
        """Tie the current span to this durable session, unless that is done."""
        inside = _context.find()
        if inside is None or inside.id != live.beginning.id:
            with guarded("link the current span to the session"):
                self._lifecycle.telemetry.join(trace.get_current_span(), live.beginning, live.last_ns)

    @contextlib.contextmanager
    def _step(self) -> Iterator[None]:
        """Attach for one step of something that is left and entered again, by several threads perhaps."""
        if self._live is not None and self._outer is None:
            self._outer = otel_context.get_current()
        token = otel_context.attach(self._context())
        try:
            yield
        finally:
            otel_context.detach(token)

    def _finish(self, exc: BaseException | None) -> None:
        """End a scoped session as its block or call was left."""
        live = self._live
        if live is None or live.ended is not None:
            return
        exc = exc or self._failure
        if exc is None:
            self._lifecycle.end(live, "success", "completed")
            return
        status, reason = outcome(exc)
        if status == "error":
            self._lifecycle.recorder.error(live, exc, None, {})
        self._lifecycle.end(live, status, reason)

    async def _store_async(self) -> None:
        """Have the store told of a scoped session that began without that, and the event loop does not wait for it."""
        if self._may_block():
            await self._lifecycle.threads.call(self._lifecycle.ledger.store_scoped, self._live)

    async def _finish_async(self, exc: BaseException | None) -> None:
        """`_finish`, and the event loop does not wait for a store."""
        if self._may_block():
            await self._lifecycle.threads.call(self._finish, exc)
        else:
            self._finish(exc)

    def _may_block(self) -> bool:
        """Whether `_finish` may have to wait for a store: it ends here, and others are to see that."""
        live = self._live
        if live is None or self._lifecycle.ledger.shared is None:
            return False
        return live.ended is None and live.beginning.topology == "scoped"

    def _left(self, exc: BaseException | None, *, last: bool, outermost: bool) -> None:
        """A method of an object whose life is this session has returned; `last` says that it ends the session.

        An exception is an error of the session when it leaves the object: the outermost of its methods reports it.
        """
        live = self._live
        if last:
            self._finish(exc)
        elif outermost and isinstance(exc, Exception) and not isinstance(exc, _ENDS_ITERATION) and self.is_active:
            self._lifecycle.recorder.error(live, exc, None, {})

    async def _left_async(self, exc: BaseException | None, *, last: bool, outermost: bool) -> None:
        """`_left`, and the event loop does not wait for a store."""
        if last and not isinstance(exc, GeneratorExit):
            await self._finish_async(exc)
        else:
            self._left(exc, last=last, outermost=outermost)

    def _abandon(self) -> None:
        """Nobody holds it any more, and nobody has ended it."""
        if self._live is not None:
            self._lifecycle.end(self._live, "cancelled", "cancelled")


NO_SESSION: Final = Session(None, None)


def current_session() -> Session:
    """The session that is current here, or a session on which every call does nothing. Never None."""
    return _context.find() or NO_SESSION


def outcome(exc: BaseException | None) -> tuple[Status, EndReason]:
    """How a session ends whose block or call was left with `exc`."""
    if exc is None or (isinstance(exc, SystemExit) and not exc.code):
        return "success", "completed"
    if isinstance(exc, Exception | SystemExit) and not isinstance(exc, CancelledError):
        return "error", "exception"
    # CancelledError, KeyboardInterrupt, GeneratorExit, and what other event loops use to cancel.
    return "cancelled", "cancelled"


def ending(status: Status, reason: EndReason | None) -> EndReason:
    """Check a status and the reason for it; complete the reason.

    Raises:
        InvalidValueError: one of them is not known.
    """
    if not isinstance(status, str) or status not in _ENDINGS:
        raise InvalidValueError(f"{_values.shown(status)} cannot end a session: use one of {', '.join(_ENDINGS)}")
    known = {*_ENDINGS.values(), "idle_timeout", "rotated", "logout", "shutdown"}
    if reason is not None and (not isinstance(reason, str) or reason not in known):
        raise InvalidValueError(
            f"{_values.shown(reason)} cannot be an end reason: use one of {', '.join(sorted(known))}"
        )
    return reason or _ENDINGS[status]
