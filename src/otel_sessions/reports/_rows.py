"""One session as a line of JSON, or as a row of CSV that a spreadsheet can open without harm."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

COLUMNS: Final = (
    "id", "type", "status", "end_reason", "topology", "started", "ended", "last_activity", "user", "tier", "platform",
    "parent_id", "previous_id", "trace_id", "span_id", "attributes", "error_type", "error_message", "requests",
    "events", "errors", "turns", "average_response_time", "messages", "last_message_at", "conversation_duration",
    "tokens", "cost", "usage", "duration", "active_time", "message_count", "user_messages", "assistant_messages",
    "total_tokens", "tokens_per_message", "total_cost", "currency", "idle_time", "engagement_ratio",
)  # fmt: skip
"""The columns of CSV, in this order; later versions only add some at the end."""

_SIGNS: Final = (
    "=+\\-@\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}\N{FULLWIDTH HYPHEN-MINUS}\N{FULLWIDTH COMMERCIAL AT}"
)
"""What a cell begins with that a spreadsheet may take for a formula: https://owasp.org/www-community/attacks/CSV_Injection."""
_ENDS: Final = ";|\t\r\n\u2028\u2029"
"""What ends a cell where the separator is no comma; then the quotes around a whole cell do not keep it together."""
_FORMULA: Final = re.compile(f'^(?=[\t\r\n])|(?:^|[{_ENDS}]"*)(?=[{_SIGNS}])')
"""The place before one in a text. Two quotes at the beginning of a cell are an empty text, after which it may go on."""
_FORMULA_IN_JSON: Final = re.compile(f"(?<=[{_ENDS}])[{_SIGNS}]")
"""The first sign of one in JSON, which begins with a brace, and has a backslash before each quote in a text."""

_UNSEEN: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""What RFC 4180 has no place for, what a terminal obeys, what turns writing round, and what UTF-8 cannot say."""


_to_line: Final = json.JSONEncoder(allow_nan=False).encode
_to_text: Final = json.JSONEncoder(allow_nan=False, ensure_ascii=False).encode


def json_line(found: Mapping[str, Any]) -> str:
    """A described session as JSON in one line, all of it ASCII."""
    return f"{_json(_to_line, found)}\n"


def csv_row(found: Mapping[str, Any]) -> list[str | int | float]:
    """A described session as the cells of `COLUMNS`."""
    return [_cell(found[name]) for name in COLUMNS]


def _cell(value: Any) -> str | int | float:
    if value is None:
        return ""
    if isinstance(value, int | float):
        return value
    if isinstance(value, dict):
        return _UNSEEN.sub(_escaped, _FORMULA_IN_JSON.sub(_escaped, _json(_to_text, value)))
    shown = _UNSEEN.sub(lambda found: ascii(found[0])[1:-1], value)
    return _FORMULA.sub(r"\g<0>'", shown)


def _escaped(found: re.Match[str]) -> str:
    """As JSON says it otherwise."""
    return f"\\u{ord(found[0]):04x}"


def _json(encode: Callable[[Any], str], value: Any) -> str:
    try:
        return encode(value)
    except ValueError:
        return encode(_finite(value))


def _finite(value: Any) -> Any:
    """What JSON can say: it knows no infinity."""
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
