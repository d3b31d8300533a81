"""What one session adds up to."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ._consumption import total

if TYPE_CHECKING:
    from ._models import SessionRecord

_NS: Final = 1_000_000_000
_DERIVED: Final = (
    "message_count", "user_messages", "assistant_messages", "total_tokens", "tokens_per_message", "total_cost",
    "currency", "idle_time", "engagement_ratio",
)  # fmt: skip


class SessionStatistics(NamedTuple):
    """What a session adds up to at one moment. All of it is read off running sums; durations are seconds."""

    session_id: str
    """Empty outside a session; then everything else is zero, or None."""
    requests: int
    events: int
    errors: int
    turns: int
    average_response_time: float | None
    """From the user's message to the answer; None without turns."""
    messages: Mapping[str, int]
    """How many, by role."""
    last_message_at: dt.datetime | None
    conversation_duration: float
    """From the first message to the last one."""
    tokens: Mapping[str, int]
    """How many `Turn.tokens` has counted, by type."""
    cost: Mapping[str, float]
    """By currency."""
    usage: Mapping[str, float]
    """What was used, by name, limited or not: by `use` and `count`, and `tokens` and `cost` (US dollars) by turns."""
    duration: float
    """From the start to the end, or to the moment asked for."""
    active_time: float
    """Of a scoped session, which is a block, a call or the life of an object, all of it. Of a durable one requests,
    blocks and turns, and what lay between activities that were not further apart than the setting `active_gap`.
    """

    @classmethod
    def of(cls, record: SessionRecord, at_ns: int | None = None) -> SessionStatistics:
        """Those of a record; see `SessionRecord.statistics`."""
        totals = record.totals
        first_ns, last_ns = totals.first_message_ns or totals.last_message_ns, totals.last_message_ns
        until_ns = totals.last_activity_ns if record.ended_ns is None else record.ended_ns
        if record.is_active and at_ns is not None:
            until_ns = at_ns
        # Not negative, though the wall clock may have been set back.
        duration = max(0, until_ns - record.beginning.started_ns) / _NS
        return cls(
            session_id=record.id,
            requests=totals.requests,
            events=totals.events,
            errors=totals.errors,
            turns=totals.turns,
            average_response_time=totals.turn_ns / totals.turns / _NS if totals.turns else None,
            messages=_whole(totals.messages),
            last_message_at=moment(last_ns) if last_ns else None,
            conversation_duration=(last_ns - first_ns) / _NS,
            tokens=_whole(totals.tokens),
            cost=dict(totals.cost or {}),
            usage=dict(totals.usage or {}),
            duration=duration,
            active_time=duration if record.beginning.topology == "scoped" else min(duration, totals.active_ns / _NS),
        )

    @property
    def message_count(self) -> int:
        """All messages."""
        return sum(self.messages.values())

    @property
    def user_messages(self) -> int:
        """The messages of the user."""
        return self.messages.get("user", 0)

    @property
    def assistant_messages(self) -> int:
        """The messages of the assistant."""
        return self.messages.get("assistant", 0)

    @property
    def total_tokens(self) -> int:
        """All tokens, each once: what was read from a cache is part of the input, what was reasoned of the output."""
        return int(total(self.tokens))

    @property
    def tokens_per_message(self) -> float | None:
        """On average; None without messages."""
        return self.total_tokens / self.message_count if self.messages else None

    @property
    def total_cost(self) -> float:
        """The cost, in `currency`. Of several currencies, which cannot be added up, the largest sum."""
        return max(self.cost.values(), default=0.0)

    @property
    def currency(self) -> str | None:
        """The currency of `total_cost`; None if nothing has cost anything."""
        return max(self.cost, key=self.cost.__getitem__, default=None)

    @property
    def idle_time(self) -> float:
        """How much of the duration was not active."""
        return self.duration - self.active_time

    @property
    def engagement_ratio(self) -> float | None:
        """The active time's share of the duration; None if no time has passed."""
        return self.active_time / self.duration if self.duration else None

    def to_dict(self) -> dict[str, Any]:
        """JSON-compatible values, the derived ones included."""
        found = self._asdict() | {name: getattr(self, name) for name in _DERIVED}
        if self.last_message_at is not None:
            found["last_message_at"] = self.last_message_at.isoformat()
        return found


def moment(time_ns: int) -> dt.datetime:
    """The time of nanoseconds since the epoch, in UTC; microseconds are what it can say."""
    return dt.datetime.fromtimestamp(time_ns // _NS, dt.timezone.utc).replace(microsecond=time_ns % _NS // 1000)


def _whole(counts: Mapping[str, float] | None) -> dict[str, int]:
    return {name: int(count) for name, count in (counts or {}).items()}
