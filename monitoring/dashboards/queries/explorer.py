"""One session: its spans in Tempo, its logs in Loki, and the sessions around it."""

from __future__ import annotations

from typing import Final

from otel_sessions import _semconv as sc

from ...promql import label

_ID: Final = '"$session_id"'
_SHOWN: Final = ", ".join(
    f"span.{one}" for one in (sc.SESSION_ID, sc.TYPE, sc.STATUS, sc.END_REASON, sc.PLATFORM, sc.ERROR_COUNT)
)
_IS_SESSION: Final = f"span.{sc.TOPOLOGY} != nil"
"""The spans of sessions have a topology, and no others do."""

SESSION = f"{{ span.{sc.SESSION_ID} = {_ID} && {_IS_SESSION} }} | select({_SHOWN})"
SPANS = f"{{ span.{sc.SESSION_ID} = {_ID} }} | select(span.{sc.SESSION_ID}, status, span.{sc.ERROR_TYPE})"
AROUND = (
    f"{{ (span.{sc.PARENT_ID} = {_ID} || span.{sc.SESSION_PREVIOUS_ID} = {_ID}) && {_IS_SESSION} }} | select({_SHOWN})"
)


def _latest(condition: str) -> str:
    """The latest sessions of which that is so; without the hint Tempo answers with the first that it finds."""
    found = f'{{ {_IS_SESSION} && {condition} && resource.service.name =~ "$service" }}'
    return f"{found} | select({_SHOWN}) with (most_recent=true)"


RECENT = _latest(f'span.{sc.TYPE} =~ "$type"')
FAILED = _latest(f'span.{sc.STATUS} = "error"')

# Without an id nothing is shown: an empty one would be that of every record that has none.
LOGS = f'{{service_name=~"$service"}} | {label(sc.SESSION_ID)}="$session_id" | {label(sc.SESSION_ID)}!=""'
LOG_COUNTS = f"sum by (detected_level) (count_over_time({LOGS} [$__interval]))"
