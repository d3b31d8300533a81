"""How a session is written in Redis. The scripts do not look into the JSON: all sums are made in Python, and exact."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from .._models import Beginning, SessionRecord, Totals
from .._tally import Kind, Tally, hour_of
from ._unreadable import UNREADABLE, UnreadableError, tally_of

Fields = dict[bytes, bytes]

_MS: Final = 1_000_000
STAMP_DIGITS: Final = 20
_LAST_STAMP: Final = 10**STAMP_DIGITS - 1
_RESOLVED_NS: Final = 3_600_000_000_000
"""After that time nobody repeats a merge any more, and none arrives late."""


def encode(text: str) -> bytes:
    """Any text at all, lone surrogates too."""
    return text.encode("utf-8", "surrogatepass")


def decode(raw: bytes) -> str:
    """Invert `encode`."""
    return raw.decode("utf-8", "surrogatepass")


def optional(text: str | None) -> bytes:
    """What may be absent, as the scripts read it."""
    return b"" if text is None else b"=" + encode(text)


def stamp(time_ns: int) -> str:
    """A time that is compared as text."""
    return f"{min(max(0, time_ns), _LAST_STAMP):0{STAMP_DIGITS}d}"


def dumps(value: Any) -> str:
    """Compact JSON; integers of any size and floats keep their value and their type."""
    return json.dumps(value, separators=(",", ":"))


def dump_beginning(beginning: Beginning) -> str:
    """All fields that are not None."""
    return dumps({name: value for name, value in beginning.to_dict().items() if value is not None})


def dump_kind(beginning: Beginning) -> str:
    """What active sessions are counted by."""
    return dumps([beginning.type, beginning.tier])


def load_kind(raw: bytes) -> tuple[str, str | None]:
    """Invert `dump_kind`."""
    kind, tier = json.loads(raw)
    return kind, tier


def fields(raw: list[bytes]) -> Fields:
    """What HGETALL returned."""
    return dict(zip(raw[::2], raw[1::2], strict=True))


def record(raw: list[bytes]) -> SessionRecord | None:
    """The session, or None if nothing is stored.

    Raises:
        UnreadableError: what is stored is not a session.
    """
    return _record(fields(raw))


def _record(stored: Fields) -> SessionRecord | None:
    # A hash without a beginning is none of ours, or a part that somebody else has left of one.
    if b"b" not in stored:
        return None
    try:
        beginning = Beginning.from_dict({"attributes": None, **json.loads(stored[b"b"])})
        totals = Totals(beginning.started_ns)
        for delta in _deltas(stored).values():
            totals.merge(delta)
        status = json.loads(stored[b"e"]) if b"e" in stored else ("active", None, None)
        return SessionRecord(beginning, totals, *status)
    except UNREADABLE as error:
        raise UnreadableError(
            "redis: the record of a session cannot be read; `otel-sessions verify` says which"
        ) from error


class End(NamedTuple):
    """How a session is to end."""

    how: str
    """Status, reason and time."""
    delta: str | None
    """What is added."""
    writer: str
    replaced: int | None
    """From which number on a merge of the writer, if it was done, is part of the delta."""


class Foreseen(NamedTuple):
    """A session as it will be when it has ended, unless it changes before."""

    record: SessionRecord | None
    """None if it is not active."""
    seen: tuple[bytes, ...] = (b"", b"", b"")
    """Other ones, if it has changed."""


def foresee(raw: list[bytes], end: End) -> Foreseen:
    """What `close.lua` will make of what is stored.

    Raises:
        StoreError: it is not a session.
    """
    stored = fields(raw)
    if b"b" not in stored or b"e" in stored:
        return Foreseen(None)
    seen = tuple(stored.get(name, b"") for name in (b"c", b"q", b"g"))
    stored[b"e"] = encode(end.how)
    if end.delta is not None:
        number, _, place = stored.get(b"w:" + encode(end.writer), b"").partition(b":")
        if end.replaced is not None and number and int(number) >= end.replaced:
            stored.pop(b"d" + place, None)
        stored[b"d%d" % (int(stored.get(b"q", 0)) + 1)] = encode(end.delta)
    return Foreseen(_record(stored), seen)


def _deltas(stored: Fields) -> dict[bytes, Totals]:
    """What is to be added up, in its order, by field."""
    places = sorted(int(name[1:]) for name in stored if name[:1] == b"d")
    names = [b"t"] * (b"t" in stored) + [b"d%d" % place for place in places]
    return {name: Totals.from_dict(json.loads(stored[name])) for name in names}


class Sums(NamedTuple):
    """What an ended session adds to the sums of its hour; a part of a session adds nothing."""

    hour: int
    user: str | None = None
    whole: tuple[bytes | str, ...] = ()
    """Fields and whole numbers, in turn."""
    part: tuple[bytes | str, ...] = ()
    """Fields and other numbers."""
    greatest: tuple[bytes | str, ...] = ()
    """Fields and texts, of which the greatest stays."""

    @property
    def arguments(self) -> list[bytes | str | int]:
        """As the script takes them."""
        sums = (*self.whole, *self.part, *self.greatest)
        return [self.hour, optional(self.user), len(self.whole), len(self.part), len(self.greatest), *sums]


def sums(ended: SessionRecord | None) -> Sums:
    """Those of a session.

    Raises:
        UnreadableError: what is stored of it cannot be added up.
    """
    if ended is None or ended.is_active or ended.beginning.part is not None:
        return Sums(0)
    whole: list[bytes | str] = []
    part: list[bytes | str] = []
    *added, greatest = _fields(Kind.of(ended), tally_of(ended))
    for field, amount in added:
        (whole if isinstance(amount, int) else part).extend((field, repr(amount)))
    return Sums(hour_of(ended.ended_ns or 0), ended.user, tuple(whole), tuple(part), _pair(*greatest))


def hash_of(tallies: Mapping[Kind, Tally]) -> list[bytes]:
    """The sums of one hour as the fields of a hash, and their values, in turn."""
    found: list[bytes] = []
    for kind, tally in tallies.items():
        for field, value in _fields(kind, tally):
            found += _pair(field, value)
    return found


def _pair(field: bytes, value: float | str) -> tuple[bytes, bytes]:
    return field, encode(value if isinstance(value, str) else repr(value))


def _fields(kind: Kind, tally: Tally) -> Iterator[tuple[bytes, float | str]]:
    """The fields of the sums of a kind, of which there are some; the last is the longest session, as text."""
    prefix = dumps(kind)
    for name, value in tally.to_dict().items():
        if name != "longest":
            for key, amount in value.items() if isinstance(value, dict) else [(None, value)]:
                yield encode("\n".join([prefix, name] if key is None else [prefix, name, str(key)])), amount
    if tally.longest is not None:
        yield encode(f"{prefix}\nlongest"), f"{stamp(tally.longest[0])}:{tally.longest[1]}"


def tallies(raw: list[bytes]) -> list[tuple[Kind, Tally]]:
    """The sums of one hour, or one day."""
    found: dict[str, dict[str, Any]] = {}
    for field, value in fields(raw).items():
        # The kind is JSON, which has no line breaks.
        kind, name, *key = decode(field).split("\n", 2)
        held = found.setdefault(kind, {})
        if name == "longest":
            duration, _, session_id = decode(value).partition(":")
            held[name] = int(duration), session_id
        elif key:
            held.setdefault(name, {})[key[0]] = _number(value)
        else:
            held[name] = _number(value)
    return [(Kind._make(json.loads(kind)), Tally.from_dict(held)) for kind, held in found.items()]


def user_counts(raw: bytes) -> dict[str, int]:
    """How many sessions the users of an hour have."""
    told = json.loads(decode(raw))
    return dict(zip(told[::2], map(int, told[1::2]), strict=True))


def _number(value: bytes) -> float:
    return int(value) if value.lstrip(b"-").isdigit() else float(value)


class Compaction(NamedTuple):
    """Sums, and the fields whose place they take."""

    times: bytes
    sums: str
    replaced: list[bytes]

    @property
    def arguments(self) -> list[bytes | str | int]:
        """As the script takes them."""
        return [self.times, self.sums, len(self.replaced), *self.replaced]


def compaction(raw: list[bytes]) -> Compaction | None:
    """Add up all deltas but each writer's last one, which it may have to repeat; None if they cannot be read."""
    try:
        return _compaction(fields(raw))
    except UNREADABLE:
        return None


def _compaction(stored: Fields) -> Compaction:
    deltas = _deltas(stored)
    newest = max(delta.last_activity_ns for delta in deltas.values())
    replaced = []
    for writer, place in _last_places(stored).items():
        if newest - deltas[place].last_activity_ns > _RESOLVED_NS:
            replaced.append(writer)
        else:
            del deltas[place]
    sums = Totals()
    for delta in deltas.values():
        sums.merge(delta)
    replaced += [name for name in deltas if name != b"t"]
    return Compaction(stored.get(b"g", b"0"), dumps(sums.to_dict()), replaced)


def _last_places(stored: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    """The field of each writer's last delta."""
    return {name: b"d" + value.partition(b":")[2] for name, value in stored.items() if name[:2] == b"w:"}


def milliseconds(duration_ns: int | None) -> str:
    """A duration that Redis counts in milliseconds; '' for none."""
    return "" if duration_ns is None else str(min(duration_ns // _MS, 10**14))


def latest_ms(beginning: Beginning) -> str:
    """When the maximum duration has passed; '' for never."""
    longest = beginning.max_duration_ns
    return "" if longest is None else milliseconds(beginning.started_ns + longest)
