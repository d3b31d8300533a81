"""What there is to know of a store itself, not of the sessions in it."""

from __future__ import annotations

from typing import NamedTuple


class Facts(NamedTuple):
    """A store, as it was looked at."""

    version: int
    """Of what is stored: of the schema, of the format."""
    bytes: int | None
    """How much it takes; of a server, all that it holds. None if it does not say."""
    clock_ns: int | None
    """The time by its own clock; None if it has none but ours."""
    changed_ns: int | None
    """When it was written last; None if it does not know."""
    evicts: bool
    """Whether it may let go of what it was to keep."""
    owed: int
    """How many ended sessions wait for their export."""
    oldest_owed_ns: int | None
    """When the first of those ended."""
    obstacle: str | None = None
    """What keeps this user from writing, where that is not what it was opened for; None if nothing does."""
