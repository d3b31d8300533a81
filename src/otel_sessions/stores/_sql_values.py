"""Values as SQLite takes them."""

from __future__ import annotations

from ._schema import NEVER


def sql_text(value: str | None) -> str | bytes | None:
    """Text as SQLite takes it: what UTF-8 has no form for, lone surrogates, as bytes."""
    if value is None or value.isascii():
        return value
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-8", "surrogatepass")
    return value


def from_sql(value: str | bytes) -> str:
    """Invert `sql_text`."""
    return value if isinstance(value, str) else value.decode("utf-8", "surrogatepass")


def text_or_bytes(raw: bytes) -> str | bytes:
    """A text that was read; if it is no UTF-8, as it is."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw


def whole(time_ns: int) -> int:
    """A time to compare with, within the 64 bits that SQLite has."""
    return max(-NEVER, min(time_ns, NEVER))
