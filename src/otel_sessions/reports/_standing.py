"""Where a session stands in a history, and the token by which the next page begins there."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from .. import _values
from .._models import SessionRecord
from ..exceptions import InvalidValueError

_TIME: Final = re.compile(r"[0-9]{1,19}")
_NEVER: Final = 2**63
"""Nanoseconds that no store can count."""
_ACTIVE: Final = "active:"


class Standing(NamedTuple):
    """Where a session stands among those that are shown, which are sorted by this, the greatest first."""

    is_active: bool
    time_ns: int
    session_id: str

    @classmethod
    def of(cls, record: SessionRecord) -> Standing:
        """That of a session: by its start while it is active, by its end then."""
        time_ns = record.beginning.started_ns if record.ended_ns is None else record.ended_ns
        return cls(record.ended_ns is None, time_ns, record.id)

    @property
    def token(self) -> str:
        """It as text."""
        return f"{_ACTIVE if self.is_active else ''}{self.time_ns}:{self.session_id}"

    @classmethod
    def read(cls, token: str) -> Standing:
        """Invert `token`.

        Raises:
            InvalidValueError: it is none.
        """
        text = str(token)
        time, _, session_id = text.removeprefix(_ACTIVE).partition(":")
        if not _TIME.fullmatch(time) or int(time) >= _NEVER or not session_id:
            raise InvalidValueError(f"after={_values.shown(token)}: use what `next` of the page before says")
        return cls(text.startswith(_ACTIVE), int(time), session_id)
