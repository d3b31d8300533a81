"""Plain values: what is known of a session. Nothing here does I/O, knows a clock or emits telemetry."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from ._operations import bounded, known_as
from ._statistics import SessionStatistics
from ._uses import MAX_USES, Use

AttributeValue: TypeAlias = (
    "str | bool | int | float | tuple[str, ...] | tuple[bool, ...] | tuple[int, ...] | tuple[float, ...]"
)
Attributes: TypeAlias = "Mapping[str, AttributeValue]"
Status = Literal["active", "success", "error", "cancelled", "expired", "abandoned"]
EndReason = Literal[
    "completed", "exception", "cancelled", "idle_timeout", "max_duration", "crashed", "rotated", "logout", "shutdown",
]  # fmt: skip
Topology = Literal["scoped", "durable"]
Role = Literal["user", "assistant", "system", "tool"]

MAX_EVENTS = 128
"""How many events a durable session keeps for its span: the SDK's own default limit of events per span."""

_PART: Final = "#part="


class Reservation(NamedTuple):
    """The identity of a span that will be emitted later, with the sampler's decision about it.

    `decision` is the value of `opentelemetry.sdk.trace.sampling.Decision`: 0 drop, 1 record only, 2 record and sample.
    """

    trace_id: int
    span_id: int
    trace_flags: int
    trace_state: str
    decision: int
    attributes: Attributes | None = None
    """What the sampler wants on the span."""
    parent_span_id: int = 0
    """The span of the same trace that it is a child of; 0 for a root."""

    def of_part(self, number: int) -> Reservation:
        """The span of a later part of the session: in the same trace, a child of the first part's.

        It follows from the first one, so no process has to be told.
        """
        if number == 1:
            return self
        seed = f"{self.trace_id:032x}/{self.span_id:016x}/{number}".encode()
        span_id = int.from_bytes(hashlib.blake2b(seed, digest_size=8).digest(), "big")
        return self._replace(span_id=span_id or 1, parent_span_id=self.span_id)

    def to_dict(self) -> dict[str, Any]:
        """The reservation as JSON-compatible values, ids in the hexadecimal form of the W3C trace context."""
        return {
            "trace_id": f"{self.trace_id:032x}",
            "span_id": f"{self.span_id:016x}",
            "trace_flags": self.trace_flags,
            "trace_state": self.trace_state,
            "decision": self.decision,
            "attributes": dict(self.attributes) if self.attributes else None,
            "parent_span_id": f"{self.parent_span_id:016x}",
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Reservation:
        """Invert `to_dict`."""
        return cls(
            int(data["trace_id"], 16),
            int(data["span_id"], 16),
            data["trace_flags"],
            data["trace_state"],
            data["decision"],
            _attributes(data["attributes"]),
            int(data["parent_span_id"], 16),
        )


class Event(NamedTuple):
    """Something that happened in a session, at a time in nanoseconds since the epoch."""

    name: str
    time_ns: int
    attributes: Attributes


class Beginning(NamedTuple):
    """What is fixed when a session starts. A tuple of plain values, so a million of them cost the collector nothing.

    Times are nanoseconds since the epoch (UTC), timeouts are nanoseconds; a timeout of None never strikes.
    """

    id: str
    type: str
    topology: Topology
    started_ns: int
    key: str | None = None
    user: str | None = None
    tier: str | None = None
    platform: str | None = None
    parent_id: str | None = None
    previous_id: str | None = None
    attributes: Attributes | None = None
    idle_timeout_ns: int | None = None
    max_duration_ns: int | None = None
    reservation: Reservation | None = None
    owner: str | None = None
    """The process that a scoped session in a shared store lives in."""
    max_span_ns: int | None = None
    """How long a part of a durable session is: each has a span of its own. None: its one span covers all of it."""
    part: int | None = None
    """In the record of a part that is over while the session goes on: its number."""

    def part_at(self, time_ns: int) -> int:
        """The number, from 1, of the part that a time falls into."""
        if self.max_span_ns is None:
            return 1
        return 1 + max(0, (time_ns - self.started_ns) // self.max_span_ns)

    def part_started_ns(self, number: int) -> int:
        """When a part began: where the one before it ended."""
        return self.started_ns + (number - 1) * (self.max_span_ns or 0)

    def as_part(self, number: int) -> Beginning:
        """What is fixed of one part, for a record of its own, which nobody finds by the session's id or key."""
        return self._replace(id=f"{self.id}{_PART}{number}", key=None, part=number)

    def of_session(self) -> Beginning:
        """Invert `as_part`, but for the key."""
        return self._replace(id=self.id.rpartition(_PART)[0], part=None)

    def to_dict(self) -> dict[str, Any]:
        """All fields as JSON-compatible values."""
        data = self._asdict()
        data["attributes"] = dict(self.attributes) if self.attributes else None
        data["reservation"] = self.reservation.to_dict() if self.reservation else None
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Beginning:
        """Invert `to_dict`; lists of attributes become tuples again. What only a later version knows is left out."""
        fields = {name: value for name, value in data.items() if name in cls._fields}
        fields["attributes"] = _attributes(fields["attributes"])
        if fields.get("reservation"):
            fields["reservation"] = Reservation.from_dict(fields["reservation"])
        return cls(**fields)


def _attributes(data: Mapping[str, Any] | None) -> dict[str, AttributeValue] | None:
    return {key: _tuples(value) for key, value in data.items()} if data else None


def _tuples(value: Any) -> AttributeValue:
    return tuple(value) if isinstance(value, list) else value


Sums: TypeAlias = Literal["messages", "tokens", "usage", "operations", "operation_counts", "cost"]

_COUNTS = ("requests", "events", "errors", "turns", "turn_ns", "active_ns", "dropped_events", "dropped_uses")
_SUMS: Final[tuple[Sums, ...]] = ("messages", "tokens", "usage", "operations", "operation_counts", "cost")
_LATEST = ("user", "platform", "error")
_TIMES = ("last_activity_ns", "first_message_ns", "last_message_ns")
_ALL = (*_COUNTS, *_SUMS, *_LATEST, *_TIMES, "recent", "uses", "attributes", "limits")


class Totals:
    """Running sums of a session; a delta of them has the same form.

    Sums, maxima, minima, events and uses merge commutatively, so any process may send its share in any order; which
    operations are known by name, should there be too many, depends on it. Of values that replace each other (user,
    platform, last error, attributes) those of the delta with the later activity stay.
    The defaults live on the class: a new one costs next to nothing.
    """

    requests: int = 0
    events: int = 0
    errors: int = 0
    turns: int = 0
    turn_ns: int = 0
    active_ns: int = 0
    dropped_events: int = 0
    dropped_uses: int = 0
    messages: dict[str, float] | None = None
    tokens: dict[str, float] | None = None
    usage: dict[str, float] | None = None
    """What was used, by name, limited or not: what was asked for and counted, and the tokens and the cost of turns."""
    operations: dict[str, float] | None = None
    """What was used by which operation: the amounts by `<operation>|<name>`. Beyond 100 operations the rest is
    `_OTHER`, here and in the counts.
    """
    operation_counts: dict[str, float] | None = None
    """How often each operation used something; under the empty text, how often that was done without naming one."""
    cost: dict[str, float] | None = None
    user: str | None = None
    platform: str | None = None
    error: tuple[str, str | None] | None = None
    """The type and the message of the last error."""
    first_message_ns: int = 0
    last_message_ns: int = 0
    recent: deque[Event] | None = None
    uses: list[str] | None = None
    """The last single uses, as lines, see `Use`."""
    attributes: dict[str, AttributeValue] | None = None
    limits: dict[str, dict[str, Any]] | None = None
    """The session's own limits, by kind and name: what they are made of."""

    def __init__(self, last_activity_ns: int = 0) -> None:
        self.last_activity_ns = last_activity_ns

    @property
    def is_empty(self) -> bool:
        """Whether it says no more than when the session was active."""
        return vars(self).keys() <= {"last_activity_ns", "active_ns"}

    def add_to(self, sums: Sums, name: str, amount: float) -> None:
        """Add `amount` to one named sum."""
        held: dict[str, float] | None = getattr(self, sums)
        if held is None:
            setattr(self, sums, {name: amount})
        else:
            held[name] = held.get(name, 0) + amount

    def append(self, event: Event) -> None:
        """Keep `event` for the session's span; the oldest gives way and is counted as dropped."""
        if self.recent is None:
            self.recent = deque(maxlen=MAX_EVENTS)
        if len(self.recent) == MAX_EVENTS:
            self.dropped_events += 1
        self.recent.append(event)

    def add_message(self, role: str, time_ns: int) -> None:
        """Count a message."""
        self.add_to("messages", role, 1)
        self._stretch_conversation(time_ns, time_ns)

    def add_operation(self, operation: str | None) -> None:
        """Count that something was used, by an operation or without naming one."""
        self.add_to("operation_counts", known_as(operation or "", self.operation_counts), 1)

    def add_usage(self, name: str, amount: float, operation: str | None = None) -> None:
        """Add what was used to the sums."""
        self.add_to("usage", name, amount)
        if operation is not None:
            self.add_to("operations", f"{known_as(operation, self.operation_counts)}|{name}", amount)

    def add_use(self, use: Use) -> None:
        """Keep a single use for the usage history; the oldest gives way and is counted as dropped."""
        if self.uses is None:
            self.uses = []
        self.uses.append(use.line())
        if len(self.uses) > MAX_USES:
            del self.uses[0]
            self.dropped_uses += 1

    def merge(self, delta: Totals) -> None:
        """Add everything that `delta` holds."""
        self.add_sums(delta)
        if self.operation_counts and (delta.operation_counts or delta.operations):
            self.operation_counts, self.operations = bounded(self.operation_counts, self.operations)
        newer = delta.last_activity_ns >= self.last_activity_ns
        self.last_activity_ns = max(self.last_activity_ns, delta.last_activity_ns)
        if delta.last_message_ns:
            self._stretch_conversation(delta.first_message_ns or delta.last_message_ns, delta.last_message_ns)
        if delta.recent:
            self._merge_events(delta.recent)
        if delta.uses:
            self._merge_uses(delta.uses)
        for name in ("attributes", "limits"):
            mine, theirs = getattr(self, name) or {}, getattr(delta, name)
            if theirs:
                setattr(self, name, {**mine, **theirs} if newer else {**theirs, **mine})
        for name in _LATEST:
            mine, theirs = getattr(self, name), getattr(delta, name)
            if theirs is not None and (newer or mine is None):
                setattr(self, name, theirs)

    def add_sums(self, delta: Totals) -> None:
        """Add the counts and the sums that `delta` holds, and nothing else."""
        for name in _COUNTS:
            if added := getattr(delta, name):
                setattr(self, name, getattr(self, name) + added)
        for sums in _SUMS:
            for name, amount in (getattr(delta, sums) or {}).items():
                self.add_to(sums, name, amount)

    def _stretch_conversation(self, first_ns: int, last_ns: int) -> None:
        self.last_message_ns = max(self.last_message_ns, last_ns)
        self.first_message_ns = min(self.first_message_ns or first_ns, first_ns)

    def _merge_events(self, events: deque[Event]) -> None:
        """Keep the newest of both."""
        both = sorted((*(self.recent or ()), *events), key=lambda event: event.time_ns)
        self.dropped_events += max(0, len(both) - MAX_EVENTS)
        self.recent = deque(both, maxlen=MAX_EVENTS)

    def _merge_uses(self, uses: list[str]) -> None:
        """Keep the newest of both."""
        both = sorted((*(self.uses or ()), *uses))
        self.dropped_uses += max(0, len(both) - MAX_USES)
        self.uses = both[-MAX_USES:]

    def copy(self) -> Totals:
        """An independent copy."""
        other = Totals(self.last_activity_ns)
        other.merge(self)
        return other

    def to_dict(self) -> dict[str, Any]:
        """All fields that are not zero or empty, as JSON-compatible values."""
        data = {name: value for name in _ALL if (value := getattr(self, name))}
        if self.error:
            data["error"] = list(self.error)
        if self.recent:
            data["recent"] = [[e.name, e.time_ns, dict(e.attributes)] for e in self.recent]
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Totals:
        """Invert `to_dict`."""
        totals = cls()
        for name, value in data.items():
            if name == "recent":
                events = (Event(n, t, {k: _tuples(v) for k, v in a.items()}) for n, t, a in value)
                totals.recent = deque(events, maxlen=MAX_EVENTS)
            elif name == "error":
                totals.error = (value[0], value[1])
            elif name == "attributes":
                totals.attributes = {k: _tuples(v) for k, v in value.items()}
            else:
                setattr(totals, name, value)
        return totals

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Totals) and self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]  # mutable

    def __repr__(self) -> str:
        return f"Totals({', '.join(f'{k}={v!r}' for k, v in self.to_dict().items())})"


class SessionRecord(NamedTuple):
    """The stored state of one session, as it was when it was read.

    Times are nanoseconds since the epoch (UTC).
    """

    beginning: Beginning
    totals: Totals
    status: Status = "active"
    end_reason: EndReason | None = None
    ended_ns: int | None = None

    @property
    def id(self) -> str:
        """The session's id: what telemetry shows as `session.id`."""
        return self.beginning.id

    @property
    def type(self) -> str:
        """The session's type."""
        return self.beginning.type

    @property
    def tier(self) -> str | None:
        """The name of the set of limits that applies."""
        return self.beginning.tier

    @property
    def user(self) -> str | None:
        """The pseudonym of the session's user, when one is known."""
        return self.totals.user or self.beginning.user

    @property
    def platform(self) -> str | None:
        """Where the session is used now: `web`, `mobile`, ..."""
        return self.totals.platform or self.beginning.platform

    @property
    def attributes(self) -> dict[str, AttributeValue]:
        """The attributes given at the start and since."""
        return {**(self.beginning.attributes or {}), **(self.totals.attributes or {})}

    @property
    def is_active(self) -> bool:
        """Whether the session had not ended."""
        return self.status == "active" and self.ended_ns is None

    @property
    def duration_seconds(self) -> float | None:
        """From start to end, in seconds; None while the session is active."""
        return None if self.ended_ns is None else (self.ended_ns - self.beginning.started_ns) / 1e9

    def statistics(self, at_ns: int | None = None) -> SessionStatistics:
        """What the session adds up to.

        Args:
            at_ns: up to when an active session is looked at; its last activity if not given, for a record does not know
                the time. An ended one is looked at up to its end.
        """
        return SessionStatistics.of(self, at_ns)

    def to_dict(self) -> dict[str, Any]:
        """JSON-compatible values that `from_dict` reads back."""
        return {
            **self.beginning.to_dict(),
            "totals": self.totals.to_dict(),
            "status": self.status,
            "end_reason": self.end_reason,
            "ended_ns": self.ended_ns,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> SessionRecord:
        """Invert `to_dict`.

        Raises:
            KeyError: a field is absent.
        """
        fields = dict(data)
        return cls(
            totals=Totals.from_dict(fields.pop("totals")),
            status=fields.pop("status"),
            end_reason=fields.pop("end_reason"),
            ended_ns=fields.pop("ended_ns"),
            beginning=Beginning.from_dict(fields),
        )
