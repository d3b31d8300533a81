"""How sessions end: because somebody says so, because nobody comes any more, because the process stops.

Whoever ends a session, exactly one of all processes emits its end: the one whose close the store accepts.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from opentelemetry.context import Context

from . import _collector
from . import _semconv as sc
from ._guard import dropped, swallow
from ._ledger import Ledger
from ._live import Live
from ._models import EndReason, SessionRecord, Status, Totals
from ._store_calls import Failed
from ._telemetry import Telemetry
from ._unstored import give_way
from .typing import Clock

_MAX_OWED: Final = 10_000


class _Closing(NamedTuple):
    """The end of a session that the store has to be told of."""

    live: Live
    status: Status
    reason: EndReason
    ended_ns: int
    delta: Totals | None
    said: bool = False
    """Whether its end has been emitted already."""
    unknown: bool = False
    """Whether the store never took the session: then it is told of all of it, with its end."""
    idle_since_ns: int | None = None
    """Since when it has been idle: an end that does not count if it has been used elsewhere."""

    def record(self) -> SessionRecord:
        """The session as far as it is known here."""
        totals = self.delta or Totals(self.live.last_ns)
        return SessionRecord(self.live.beginning, totals, self.status, self.reason, self.ended_ns)


class Endings:
    """Ends the sessions of one store, as one process sees them."""

    def __init__(self, ledger: Ledger, telemetry: Telemetry, clock: Clock) -> None:
        self._ledger = ledger
        self._store = ledger.store
        self._telemetry = telemetry
        self._clock = clock
        self.on_end: Callable[[SessionRecord, Live], None] = _nothing
        """Called for each session whose end is said here."""
        self.after_fork()

    def after_fork(self) -> None:
        """Owe nothing in a child process: what was to end is the parent's."""
        self._owed: deque[_Closing] = deque()
        self._left_behind: deque[tuple[Live, Status, EndReason]] = deque()

    def end(self, live: Live, status: Status, reason: EndReason) -> bool:
        """End a session.

        Returns:
            Whether this call ended it: False if it had ended before, here or elsewhere.
        """
        if _collector.thread is not None and _collector.collecting():
            self._left_behind.append((live, status, reason))
            return True
        if live.beginning.topology == "scoped":
            return live.ended is None and self._end_scoped(live, status, reason)
        # Whoever sees it ended and wants to know more waits for this lock, and then finds it closed in the store, too.
        with self._ledger.merging:
            with live.lock:
                if live.ended is not None:
                    return False
                if live.is_under_way:
                    # Until now.
                    self._ledger.touch(live)
                # From here on nothing enters it, so that nothing is counted that its end would miss.
                live.ended = status, reason
            ended_ns = max(self._clock.time_ns(), live.beginning.started_ns)
            closing = _Closing(live, status, reason, ended_ns, self._ledger.take(live))
            record = self._enter(closing)
            if record is None:
                # Somebody else was quicker, and says how it ended.
                self._correct(live)
                return False
            self._ledger.forget(live)
        if record is Failed.FAILED:
            self._owe(closing)
        else:
            self._say_ended(record, live)
        return True

    def _enter(self, closing: _Closing) -> SessionRecord | Failed | None:
        """Enter an end in the store; the result is the final record, None if somebody else was quicker."""
        live = closing.live
        if live.beginning.id in self._ledger.unstored and not self._ledger.unstored.store(live):
            self._end_unknown(closing)
            return closing.record()
        return self._close(closing)

    def _end_unknown(self, closing: _Closing) -> None:
        """End a session that the store never took: what is known here is all there is, and it is told of that later."""
        live = closing.live
        self._ledger.parts.finish(live, closing.ended_ns, closing.delta or Totals(live.last_ns))
        self._ledger.unstored.drop(live)
        self._owe(closing._replace(said=True, unknown=True))

    def _close(self, closing: _Closing) -> SessionRecord | Failed | None:
        return self._ledger.close(
            closing.live, closing.status, closing.reason, closing.ended_ns, closing.delta, closing.idle_since_ns
        )

    def _owe(self, closing: _Closing) -> None:
        """Tell the store later; beyond a bound the oldest is emitted as far as it is known, and the store not told."""
        if len(self._owed) >= _MAX_OWED:
            oldest = self._owed.popleft()
            dropped(sc.Drop.STORE_UNAVAILABLE)
            if not oldest.said:
                self._say_ended(oldest.record(), oldest.live)
        self._owed.append(closing)

    def settle(self) -> None:
        """Tell the store what it could not be told of when it ended, as long as it takes that.

        One at a time: who ends a session meanwhile waits for one of them, not for all.
        """
        for _ in range(len(self._owed)):
            with self._ledger.merging:
                # To the end of the queue if it fails: should the store refuse just this one, the others come next time.
                if not self._owed or not self._settle(self._owed.popleft()):
                    return
            give_way()

    def settle_one(self, live: Live) -> None:
        """Tell the store of the end of this session, if it could not be told of that."""
        with self._ledger.merging:
            for _ in range(len(self._owed)):
                closing = self._owed.popleft()
                if closing.live is live:
                    self._settle(closing)
                else:
                    self._owed.append(closing)

    def _settle(self, closing: _Closing) -> bool:
        record = self._store_unknown(closing) if closing.unknown else self._close(closing)
        if record is Failed.FAILED:
            self._owed.append(closing)
            return False
        if record is None:
            self._correct(closing.live)
        elif not closing.said:
            self._say_ended(record, closing.live)
        else:
            # Once more: before it was owed, nobody could say that it has been exported.
            self._ledger.note_export(record)
        return True

    def _store_unknown(self, closing: _Closing) -> SessionRecord | Failed | None:
        """Store a session that is over; if the store knew it all the same, close it there."""
        record = closing.record()
        if self._ledger.shared is None:
            # Nobody else sees it before it is closed.
            if self._ledger.call("create", self._store.create, record.beginning, failed=Failed.FAILED) is Failed.FAILED:
                return Failed.FAILED
            return self._close(closing)
        granted = self._ledger.owe(record)
        if granted is None:
            return Failed.FAILED
        # If it has been stored when it began, that answer was lost.
        return record if granted else self._close(closing)

    def _end_scoped(self, live: Live, status: Status, reason: EndReason) -> bool:
        # Whoever removes it from the open ones ends it: another thread, or the parent of a forked process, does not.
        if self._ledger.open.pop(live.beginning.id, None) is None:
            return False
        live.ended = status, reason
        live.operations = 0
        began = live.beginning
        ended_ns = began.started_ns + self._clock.monotonic_ns() - live.started_monotonic_ns
        delta = live.delta
        delta.last_activity_ns = ended_ns
        if self._ledger.shared is None:
            record: SessionRecord | None = self._ledger.past.remember(
                SessionRecord(began, delta, status, reason, ended_ns)
            )
        else:
            record = self._end_shared(_Closing(live, status, reason, ended_ns, self._ledger.take(live), said=True))
        if record is not None:
            self._say_ended(record, live)
        return True

    def _end_shared(self, closing: _Closing) -> SessionRecord | None:
        """Enter the end of a scoped session; None if another process thought that this one was gone, and ended it."""
        with self._ledger.merging:
            record = self._enter(closing)
        if record is Failed.FAILED:
            self._owe(closing)
        elif record is not None:
            return record
        elif isinstance(
            self._ledger.call("get", self._store.get, closing.live.beginning.id, failed=None), SessionRecord
        ):
            self._ledger.forget(closing.live)
            return None
        # A store that is out of reach, or has lost the session, does not silence it: its span is here.
        return closing.record()

    def end_left_behind(self) -> None:
        """End what the garbage collector found."""
        while self._left_behind:
            self.end(*self._left_behind.popleft())

    def _say_ended(self, record: SessionRecord, live: Live) -> None:
        try:
            ended_ns = record.beginning.started_ns if record.ended_ns is None else record.ended_ns
            self._telemetry.ended(record, self.span_context(live, ended_ns), live.span)
            self._ledger.note_export(record)
            self.on_end(record, live)
        except Exception as exc:  # noqa: BLE001 - the guard, without its frame: this is the hot path
            swallow("emit the end of a session", exc)

    def abandon(self, record: SessionRecord, last_sign_ns: int) -> bool:
        """End the scoped session of a process that is gone, at its last sign of life.

        Returns:
            Whether it has ended: False if the store could not be told.
        """
        ended_ns = max(record.totals.last_activity_ns, last_sign_ns)
        live = Live.of(record)
        ended = self._ledger.close(live, "abandoned", "crashed", ended_ns, None)
        if isinstance(ended, SessionRecord):
            live.ended = "abandoned", "crashed"
            self._say_ended(ended, live)
        return ended is not Failed.FAILED

    def resend(self, record: SessionRecord) -> None:
        """Emit an end once more, of a session or a part, which a process has entered that is gone: perhaps it has not
        come to exporting that.
        """
        try:
            if record.beginning.part is None:
                self._telemetry.resend(record)
            else:
                self._telemetry.part_ended(record)
        except Exception as exc:  # noqa: BLE001 - the guard, without its frame
            swallow("emit the end of a session again", exc)
        self._ledger.note_export(record)

    def span_context(self, live: Live, time_ns: int | None = None) -> Context | None:
        """A context in which the session's span, live or reserved, is the current one; None if there is no span.

        Of several parts it is the one at `time_ns`; if that is not given, the last in which something happened here.
        """
        if live.span is not None:
            return live.context
        return self._telemetry.reserved_context(live.beginning, live.last_ns if time_ns is None else time_ns)

    def expire(self, records: Iterable[SessionRecord], now: int) -> None:
        """End the sessions of `records`, which were due at `now`, unless they have been used since."""
        for record in records:
            began, last = record.beginning, record.totals.last_activity_ns
            too_old = None if began.max_duration_ns is None else began.started_ns + began.max_duration_ns
            with self._ledger.merging:
                live = self._ledger.recent.of(record)
                if too_old is not None and too_old <= now and too_old <= last + (began.idle_timeout_ns or now):
                    self._expire_old(live, too_old)
                else:
                    self._expire_idle(live, last)

    def expire_unstored(self, now: int) -> None:
        """End the sessions that no store knows, and that none will ever call due."""
        for live in self._ledger.unstored.all():
            idle, longest = live.beginning.idle_timeout_ns, live.beginning.max_duration_ns
            idle_until = None if idle is None or live.operations else live.last_ns + idle
            old_at = None if longest is None else live.beginning.started_ns + longest
            if old_at is not None and old_at <= now and (idle_until is None or old_at <= idle_until):
                self._end_unstored(live, "max_duration", old_at)
            elif idle_until is not None and idle_until <= now:
                self._end_unstored(live, "idle_timeout", live.last_ns)

    def _end_unstored(self, live: Live, reason: EndReason, ended_ns: int) -> None:
        with self._ledger.merging:
            with live.lock:
                if live.ended is not None:
                    return
                live.ended = "expired", reason
            closing = _Closing(live, "expired", reason, ended_ns, self._ledger.take(live))
            self._end_unknown(closing)
            self._ledger.forget(live)
        self._say_ended(closing.record(), live)

    def _expire_old(self, live: Live, too_old_ns: int) -> None:
        with live.lock:
            if live.ended is not None:
                return
            live.ended = "expired", "max_duration"
        self._end_expired(_Closing(live, "expired", "max_duration", too_old_ns, self._ledger.take(live)))

    def _expire_idle(self, live: Live, last_ns: int) -> None:
        with live.lock:
            if live.ended is not None or live.operations or live.last_ns > last_ns:
                return
            # From here on nothing enters it, so that no request can be lost between this look and the end.
            live.ended = "expired", "idle_timeout"
        # The session ended when it was last used; the pause after that is not part of it.
        self._end_expired(_Closing(live, "expired", "idle_timeout", last_ns, None, idle_since_ns=last_ns))

    def _end_expired(self, closing: _Closing) -> None:
        record = self._close(closing)
        if record is None:
            self._correct(closing.live)
            return
        self._ledger.forget(closing.live)
        if record is Failed.FAILED:
            # The store may have done it all the same, and its answer was lost: asked again, it says so.
            self._owe(closing)
        else:
            self._say_ended(record, closing.live)

    def _correct(self, live: Live) -> None:
        """It did not end here: it was used or ended elsewhere meanwhile."""
        stored = self._ledger.call("get", self._store.get, live.beginning.id, failed=Failed.FAILED)
        if isinstance(stored, SessionRecord) and stored.end_reason is not None:
            live.ended = stored.status, stored.end_reason
        elif stored is not None:
            live.ended = None
        self._ledger.forget(live)

    def give_up(self) -> None:
        """Say what is known of the sessions whose end the store could not be told of to the last, and drop the rest."""
        self.settle()
        for closing in self._owed:
            if closing.unknown:
                # By this process's own telemetry: it may be nobody's current one any more.
                self._telemetry.metrics.dropped.add(1, sc.Drop.STORE_UNAVAILABLE)
            if not closing.said:
                self._say_ended(closing.record(), closing.live)


def _nothing(_record: SessionRecord, _live: Live) -> None:
    """Until somebody wants to know."""
