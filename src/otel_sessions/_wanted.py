"""Which sessions somebody asks for."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ._models import AttributeValue, EndReason, SessionRecord, Status


class Place(NamedTuple):
    """Where an ended session stands among all of them, which are sorted by this, the greatest first."""

    ended_ns: int
    session_id: str

    @classmethod
    def of(cls, record: SessionRecord) -> Place:
        """That of an ended session."""
        return cls(record.ended_ns or 0, record.id)


class Wanted(NamedTuple):
    """What they have in common; None stands for anything."""

    type: str | None = None
    user: str | None = None
    """The pseudonym."""
    status: Status | None = None
    reason: EndReason | None = None
    tier: str | None = None
    attributes: Mapping[str, AttributeValue] | None = None
    """Attributes that they have with these values, and perhaps others. True is not 1; 1 is 1.0."""
    since_ns: int | None = None
    """They ended then or later."""
    until_ns: int | None = None
    """They ended earlier."""

    def fits(self, record: SessionRecord) -> bool:
        """Whether a session is one of them. One that is active is yet to end: not for a reason, nor by `until_ns`."""
        ended_ns = math.inf if record.ended_ns is None else record.ended_ns
        return (
            self.type in {None, record.type}
            and self.user in {None, record.user}
            and self.status in {None, record.status}
            and self.reason in {None, record.end_reason}
            and self.tier in {None, record.tier}
            and (self.since_ns is None or ended_ns >= self.since_ns)
            and (self.until_ns is None or ended_ns < self.until_ns)
            and (not self.attributes or _have(record.attributes, self.attributes))
        )


def _have(attributes: Mapping[str, AttributeValue], wanted: Mapping[str, AttributeValue]) -> bool:
    return all(name in attributes and _same(attributes[name], value) for name, value in wanted.items())


def _same(one: object, other: object) -> bool:
    """Whether two values are: Python takes True to be 1, and JSON does not."""
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    return one == other and isinstance(one, bool) == isinstance(other, bool)
