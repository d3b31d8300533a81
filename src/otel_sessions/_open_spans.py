"""The spans under way in sessions: which session and turn each belongs to, and what was counted already below it."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from ._genai import Kind, is_tool

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import Span
    from opentelemetry.trace import SpanContext

    from ._session import Session
    from ._turn import Turn

_MAX_OPEN: Final = 10_000
_MAX_COUNTED: Final = 1_000


OpenSpan: TypeAlias = "tuple[SpanContext | None, Session, Turn | None, weakref.ref[Span], bool]"
"""What is kept of every span that was started in a session: its parent, the session, the turn, the span itself as long
as anybody has it, and whether a hook started it."""
NOTHING: Final[Collection[Kind | None]] = frozenset()


class OpenSpans:
    """The spans under way in sessions, by span id.

    It is one for all processors of a process: a span that two of them hear of is counted by the first. A span that
    never ends gives way to later ones at some time, and counts for nothing then.
    """

    def __init__(self) -> None:
        self._open: dict[int, OpenSpan] = {}
        self._below: dict[int, set[Kind | None]] = {}
        """What was counted of the spans that are descendants of one that is open."""
        self._counted: dict[int, None] = {}

    def begin(self, span_id: int, span: OpenSpan) -> None:
        """A span has started."""
        held = self._open
        if len(held) >= _MAX_OPEN:
            self._below.pop(_drop_oldest(held), None)
        held[span_id] = span

    def end(self, span_id: int) -> OpenSpan | None:
        """A span has ended; None if it started in no session, or another processor has heard of it before."""
        return self._open.pop(span_id, None)

    def below(self, span_id: int) -> Collection[Kind | None]:
        """What was counted below a span that has ended; asked once."""
        return self._below.pop(span_id, NOTHING) if self._below else NOTHING

    def count(self, span_id: int, span: OpenSpan, kind: Kind | None, below: Collection[Kind | None]) -> bool:
        """Count a span for those above it; False if its tokens were counted with one of those, or below it.

        A call of a model and one for embeddings are not the same, though one be made in the other. Nor does a call tell
        of what a tool consumes that it has executed.
        """
        if below and (kind is None or None in below or kind in below):
            return False
        above = self._above(span)
        if above is None:
            return False
        for each in above:
            self._below.setdefault(each, set()).add(kind)
        if len(self._counted) >= _MAX_COUNTED:
            _drop_oldest(self._counted)
        self._counted[span_id] = None
        return True

    def _above(self, span: OpenSpan) -> list[int] | None:
        """The spans above that have not ended, up to a tool; None if one that has ended was counted."""
        found = []
        up: OpenSpan | None = span
        while up is not None and up[0] is not None:
            span_id = up[0].span_id
            if span_id in self._counted:
                return None
            up = self._open.get(span_id)
            if up is not None:
                if _is_tool(up[3]()):
                    break
                found.append(span_id)
        return found


def _is_tool(span: Span | None) -> bool:
    return span is not None and is_tool(span.name, span.attributes or {})


def _drop_oldest(spans: dict[int, Any]) -> int:
    oldest = 0
    # Another thread may just be doing the same.
    with contextlib.suppress(RuntimeError, StopIteration):
        oldest = next(iter(spans))
        spans.pop(oldest, None)
    return oldest
