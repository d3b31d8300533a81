"""The life of a session: start, resume, rotate.

This is where it is decided when a session begins and goes on; how it ends stands in `_endings`, what is done without
being asked in `_upkeep`. What is then said about a session is the emitter's job, and where it is kept is the store's.
"""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Final

from opentelemetry import context as otel_context

from . import _collector, _context
from ._config import Settings
from ._endings import Endings
from ._guard import guarded, log, swallow
from ._ledger import Ledger
from ._limiting.gauges import LimitGauges
from ._limiting.limiter import Limiter
from ._live import Live
from ._meter import Meter
from ._models import Attributes, Beginning, EndReason, SessionRecord, Status, Totals
from ._prices import PriceList
from ._recorder import Recorder
from ._recovery import Recovery
from ._store_calls import Failed
from ._telemetry import Telemetry
from .security.pseudonyms import Pseudonyms
from .typing import Clock

if TYPE_CHECKING:
    from ._threads import Threads

_NS: Final = 1_000_000_000


class SystemClock:
    """The clocks of the operating system."""

    time_ns = staticmethod(time.time_ns)
    monotonic_ns = staticmethod(time.monotonic_ns)


class Lifecycle:
    """The sessions of one store, as one process sees them."""

    def __init__(self, settings: Settings, ledger: Ledger, telemetry: Telemetry, clock: Clock) -> None:
        self.settings = settings
        self.ledger = ledger
        self.store = ledger.store
        self.telemetry = telemetry
        self.clock = clock
        self.used = False
        self.on_first_use: Callable[[], None] = _nothing
        self.endings = Endings(ledger, telemetry, clock)
        self.span_context = self.endings.span_context
        self.recovery = Recovery(
            ledger,
            self.endings,
            telemetry,
            clock,
            timeout=settings.crash_timeout,
            in_thread=settings.background,
        )
        self.recorder = Recorder(ledger, telemetry, clock, settings.redact)
        self.limiter = Limiter(
            settings,
            ledger,
            telemetry,
            clock,
            self.recorder,
            pseudonyms=lambda: self.pseudonyms,
            outside=self._outside,
        )
        self.endings.on_end = self.limiter.forget
        self.gauges = LimitGauges(ledger, telemetry, self.limiter)
        self.meter = Meter(
            self.recorder,
            self.limiter,
            PriceList(enabled=settings.prices),
            apart=self._apart,
            outside=self._elsewhere,
        )
        self._idle_ns = None if settings.idle_timeout is None else int(settings.idle_timeout * _NS)
        self._longest_ns = None if settings.max_duration is None else int(settings.max_duration * _NS)
        self._max_span_ns = None if settings.max_span_duration is None else int(settings.max_span_duration * _NS)
        self._makeshift = False
        """Whether pseudonyms are made with a key that only this process knows."""
        self._begin()

    def _begin(self) -> None:
        # Not the module's generator: an application that seeds it for its own purposes must not repeat our ids.
        self._random = random.Random(os.urandom(32))  # noqa: S311 - an id is unique, not secret; what clients hold is
        vars(self).pop("threads", None)

    async def _outside(self, function: Callable[[], None]) -> None:
        """Call something that may have to wait for the store, and the event loop does not."""
        if self.ledger.shared is None:
            function()
        else:
            await self._elsewhere(function)

    async def _elsewhere(self, function: Callable[[], None]) -> None:
        """Call something that takes long, and the event loop does not wait for it."""
        await self.threads.call(function)

    def _apart(self, function: Callable[[], None]) -> bool:
        """Have something called in a thread that nobody waits for; False if no event loop runs here."""
        return "asyncio" in sys.modules and self.threads.start(function)

    @cached_property
    def threads(self) -> Threads:
        """Where async code has the store waited for."""
        from ._threads import Threads  # noqa: PLC0415 - asyncio loads on use

        return Threads()

    @cached_property
    def pseudonyms(self) -> Pseudonyms:
        """The deployment's pseudonyms: of the configured key, else of one that the store keeps."""
        key = self.settings.pseudonym_key
        if key is not None:
            return Pseudonyms(key.encode())
        if self.store.shared:
            log.warn(
                "pseudonym key",
                "Users' pseudonyms are made with a key that the %s store keeps beside the data; set "
                "OTEL_SESSIONS_PSEUDONYM_KEY to a secret of your own to protect them better.",
                self.store.name,
            )
        kept = self.ledger.call("secret", self.store.secret, failed=None)
        self._makeshift = kept is None
        return Pseudonyms(kept or os.urandom(32))

    def replace_makeshift(self) -> None:
        """Ask the store for its key if it could not be asked before: other processes know our clients by that."""
        if not self._makeshift:
            return
        kept = self.ledger.call("secret", self.store.secret, failed=None)
        if kept is not None:
            self.pseudonyms = Pseudonyms(kept)
            self._makeshift = False

    def mint(self) -> str:
        """A new session id: 128 random bits."""
        return "%032x" % self._random.getrandbits(128)  # noqa: UP031 - a third faster than an f-string

    # -- scoped sessions ----------------------------------------------------------------------------------------------

    def begin_scoped(
        self,
        session_type: str,
        user: str | None = None,
        tier: str | None = None,
        platform: str | None = None,
        attributes: Attributes | None = None,
        previous_id: str | None = None,
    ) -> Live:
        """Begin a session that lives in this process, with a live span.

        The caller attaches `context`, and has `Ledger.store_scoped` done: that may have to wait.
        """
        if not self.used:
            self.on_first_use()
        now = self.clock.time_ns()
        outer = otel_context.get_current()
        parent = _context.find(outer)
        parent_id = None if parent is None else parent.id
        beginning = Beginning(
            self.mint(), session_type, "scoped", now, None, user, tier, platform, parent_id, previous_id, attributes
        )
        live = Live(beginning, now, operations=1, started_monotonic_ns=self.clock.monotonic_ns(), outer=outer)
        try:
            live.span = self.telemetry.start_span(beginning)
            if self.ledger.owner is not None:
                # Should this process not come to its end, another one emits that span.
                reservation = self.telemetry.reservation_of(live.span, beginning)
                live.beginning = beginning._replace(owner=self.ledger.owner, reservation=reservation)
        except Exception as exc:  # noqa: BLE001 - the guard, without its frame: this is the hot path
            swallow("start the span of a session", exc)
        self.ledger.begin(live)
        self.telemetry.started(beginning, lambda: live.context)
        return live

    # -- durable sessions ---------------------------------------------------------------------------------------------

    def start(
        self,
        session_type: str,
        *,
        key: str | None,
        session_id: str | None = None,
        user: str | None = None,
        tier: str | None = None,
        platform: str | None = None,
        attributes: Attributes | None = None,
        idle_timeout: float | None = None,
        max_duration: float | None = None,
    ) -> Live:
        """The active session under `key`, or a new one. Without a key it is always a new one.

        Timeouts are seconds; those of the settings if not given.
        """
        if key is not None:
            found = self.resume(key)
            if found is not None:
                return found
        if not self.used:
            self.on_first_use()
        previous_id = None if key is None else self.ledger.call("previous", self.store.previous, key, failed=None)
        if session_id is not None and previous_id is None and self._is_used(session_id):
            previous_id = session_id
        if session_id is None or previous_id is not None:
            session_id = self.mint()
        now = self.clock.time_ns()
        parent = _context.find()
        beginning = Beginning(
            session_id,
            session_type,
            "durable",
            now,
            key=key if key is not None else f"id:{session_id}",
            user=user,
            tier=tier,
            platform=platform,
            parent_id=None if parent is None else parent.id,
            previous_id=previous_id,
            attributes=attributes,
            idle_timeout_ns=self._idle_ns if idle_timeout is None else int(idle_timeout * _NS),
            max_duration_ns=self._longest_ns if max_duration is None else int(max_duration * _NS),
            max_span_ns=self._max_span_ns,
        )
        return self._create(beginning)

    def _is_used(self, session_id: str) -> bool:
        """Whether a session had that id before: then it is not given again."""
        if self.ledger.recent.has_ended(session_id):
            return True
        return self.ledger.get(session_id) is not None

    def _create(self, beginning: Beginning) -> Live:
        with guarded("reserve the span of a session"):
            beginning = self.telemetry.reserve(beginning)
        with self.ledger.merging:
            taken = self.ledger.call("create", self.store.create, beginning, failed=Failed.FAILED)
            if not isinstance(taken, SessionRecord):
                live = self.ledger.recent.keep(Live(beginning, beginning.started_ns))
                if taken is Failed.FAILED:
                    self.ledger.unstored.keep(live)
        if isinstance(taken, SessionRecord) and not taken.is_active:
            # Its id was used up between the look and now; the key goes on under another one.
            return self._create(beginning._replace(id=self.mint(), previous_id=taken.id, reservation=None))
        if isinstance(taken, SessionRecord):
            # Another thread or process was quicker; what was reserved here was never seen by anybody.
            return self._join_or_succeed(beginning, taken)
        self.telemetry.started(beginning, lambda: self.span_context(live))
        return live

    def _join_or_succeed(self, beginning: Beginning, taken: SessionRecord) -> Live:
        """The session that has the key of `beginning`; if that is over by now, the one that follows it."""
        found = self._find(taken.beginning.key or f"id:{taken.id}")
        if found is not None:
            return found
        return self._create(beginning._replace(id=self.mint(), previous_id=taken.id, reservation=None))

    def has_at_hand(self, key: str) -> bool:
        """Whether `start` and `resume` need not ask the store about `key`."""
        live = self.ledger.recent.get(key)
        return live is not None and live.ended is None and not self._seems_expired(live, self.clock.time_ns())

    def resume(self, key: str) -> Live | None:
        """The active session under `key`; it is not touched by this."""
        if not self.used:
            self.on_first_use()
        live = self.ledger.recent.get(key)
        now = self.clock.time_ns()
        if live is not None:
            if live.ended is None and not self._seems_expired(live, now):
                return live
            self.ledger.flush()
            self.ledger.recent.drop(live)
        live = self._find(key)
        if live is None:
            return None
        if self._seems_expired(live, now):
            self.endings.expire([SessionRecord(live.beginning, Totals(live.last_ns))], now)
            return None
        return live

    def _find(self, key: str) -> Live | None:
        """The active session that the store has under `key`."""
        # Under the lock of endings: what is found active here is not ended before this process knows that it holds it.
        with self.ledger.merging:
            record = self.ledger.call("find", self.store.find, key, failed=None)
            if record is None:
                return None
            live = self.ledger.recent.of(record)
            if live.ended is not None:
                # It has ended here, and the store could not be told of it then.
                self.endings.settle_one(live)
                return None
            return self.ledger.recent.keep(live)

    def resume_id(self, session_id: str) -> Live | None:
        """The active durable session with that `session.id`, whatever its key."""
        record = self.ledger.call("get", self.store.get, session_id, failed=None)
        if record is None or not record.is_active or record.beginning.topology != "durable":
            return None
        return self.resume(self.ledger.recent.of(record).key)

    def _seems_expired(self, live: Live, now: int) -> bool:
        idle, longest = live.beginning.idle_timeout_ns, live.beginning.max_duration_ns
        return (idle is not None and now - live.last_ns >= idle and not live.operations) or (
            longest is not None and now - live.beginning.started_ns >= longest
        )

    def enter(self, live: Live, *, requests: int = 0) -> bool:
        """A request or a block of the session begins: until it is left, the session is not idle.

        Returns:
            False if the session has just ended.
        """
        if not self.used:
            self.on_first_use()
        self.telemetry.bind()
        with live.lock:
            if live.ended is not None:
                return False
            self.ledger.touch(live, requests=requests, operations=1)
            return True

    def leave(self, live: Live) -> None:
        """A request or a block of the session is over; if it was rotated meanwhile, one of its successor."""
        while True:
            with live.lock:
                if live.successor is None:
                    self.ledger.touch(live, operations=-1)
                    return
                live = live.successor

    def end(self, live: Live, status: Status, reason: EndReason) -> bool:
        """End a session, with all that was measured in it. See `Endings.end`."""
        if _collector.thread is None or not _collector.collecting():
            self.limiter.measured.settle(live)
        return self.endings.end(live, status, reason)

    def rotate(self, live: Live) -> Live:
        """End a session as rotated and begin its successor under the same key, with `previous_id`."""
        with self.ledger.merging:
            return self._rotate(live)

    def _rotate(self, live: Live) -> Live:
        began = live.beginning
        if not self.end(live, "success", "rotated"):
            return live.latest
        if began.topology == "scoped":
            next_one = self.begin_scoped(began.type, live.user, began.tier, live.platform, began.attributes, began.id)
            self.ledger.store_scoped(next_one)
            return self.succeed(live, next_one)
        successor = began._replace(
            id=self.mint(),
            started_ns=self.clock.time_ns(),
            user=live.user,
            platform=live.platform,
            previous_id=began.id,
            reservation=None,
        )
        return self.succeed(live, self._create(successor))

    def succeed(self, live: Live, successor: Live) -> Live:
        """Hand on what is under way: requests that run in the rotated session go on in its successor."""
        with live.lock:
            operations, live.operations = live.operations, 0
            successor.turns, live.turns = successor.turns + live.turns, 0
            if successor.beginning.topology == "durable" and operations:
                self.ledger.touch(successor, operations=operations)
            if live.limits:
                successor.keep_limits(live.limits)
                self.ledger.mark(successor)
            # Last: from here on whoever leaves the old one leaves the new one.
            live.successor = successor
        return successor

    def after_fork(self) -> None:
        """Start afresh in a child process: what was open belongs to the parent."""
        self._begin()
        self.used = False
        self.endings.after_fork()
        self.ledger.after_fork()
        self.recovery.after_fork()
        self.limiter.after_fork()
        self.telemetry.after_fork()

    def close(self) -> None:
        """The threads in which the store was waited for end."""
        if "threads" in vars(self):
            self.threads.close()


def _nothing() -> None:
    """Until a runtime says what is to be done on first use."""
