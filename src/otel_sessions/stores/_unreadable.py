"""A record that cannot be read: an error of its own for who asks for it, and no reason to do without all the others."""

from __future__ import annotations

import logging
from typing import Final

from .._guard import log
from .._models import SessionRecord
from .._tally import Kind, Tally
from ..exceptions import StoreError

UNREADABLE: Final = (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError)
"""What comes of a text that is none of ours, or one of which something is missing."""


class UnreadableError(StoreError):
    """The record of one session cannot be read; nothing is wrong with the store otherwise."""


def tally_of(ended: SessionRecord) -> Tally:
    """What an ended session adds to sums.

    Raises:
        UnreadableError: something in its record is no number, or no text.
    """
    try:
        found = Tally.of(ended)
    except UNREADABLE as error:
        raise UnreadableError(f"the record of session {ended.id!r} cannot be added up: {error}") from error
    texts = (*Kind.of(ended), ended.user)
    if not found.is_sound or not all(each is None or isinstance(each, str) for each in texts):
        raise UnreadableError(f"the record of session {ended.id!r} cannot be added up: it holds what is no number")
    return found


def leave_out(store: str, session_id: str) -> None:
    """Say that a session is left out of what was done with several; at most once a minute, however many there are."""
    log.log(
        logging.ERROR,
        f"unreadable records of the {store} store",
        "The record of session %r in the %s store cannot be read. It is left out, with what is owed of it, and all "
        "others go on. `otel-sessions verify` names every such session, and removes them with --repair.",
        session_id,
        store,
    )
