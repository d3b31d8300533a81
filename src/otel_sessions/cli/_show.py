"""`otel-sessions show`: one session, and what happened in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Final, cast

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from .. import QuotaStatus
from .. import _semconv as sc
from ..reports import Entry, Timeline, timeline
from ..security.redaction import redact
from ._failure import Failure, explained
from ._output import AsJson, cell, console, facts, heading, percent, plain, print_parts, seconds, table, write_json
from ._sessions import colored, moment, number
from ._store import StoreUrl, opened

_OURS: Final = "app_session."
_MINUTE: Final = 60
_NARROW: Final = 80
_LONGEST: Final = 300
"""Characters of a value that are shown to a person."""

TraceUrl = Annotated[
    str | None,
    typer.Option(
        envvar="OTEL_SESSIONS_TRACE_URL",
        metavar="URL",
        help="Where traces are looked at: https://host/trace/{trace_id}.",
        show_default=False,
    ),
]


def show(
    session_id: Annotated[str, typer.Argument(metavar="ID", help="The session's id: session.id.", show_default=False)],
    *,
    store: StoreUrl = None,
    trace_url: TraceUrl = None,
    as_json: AsJson = False,
) -> None:
    """One session: what it adds up to, and what happened in it, in order.

    For example: otel-sessions show conversation-42 --trace-url 'http://localhost:16686/trace/{trace_id}'
    """
    with explained(), opened(store):
        if trace_url is not None and "{trace_id}" not in trace_url:
            raise Failure(
                f"--trace-url {plain(redact(trace_url))}: write {{trace_id}} where the id of the trace belongs"
            )
        found = timeline(session_id)
        if found is None:
            raise Failure(
                f"nothing is known of a session {plain(session_id)}: `otel-sessions list` says which there are; what "
                "has ended is forgotten when the store's retention is over"
            )
    told = found.to_dict()
    link = told["trace_url"] = _link(trace_url, told["session"])
    if as_json:
        write_json(told)
        return
    out = console()
    print_parts(out, _parts(found, told, link, out.width))


def _link(template: str | None, session: Mapping[str, Any]) -> str | None:
    """The address of the session's trace. Only the template is redacted: an id may look like anything."""
    if template is None or session["trace_id"] is None:
        return None
    found = redact(template).replace("{trace_id}", session["trace_id"])
    return found.replace("{span_id}", session["span_id"])


def _parts(found: Timeline, told: Mapping[str, Any], link: str | None, width: int) -> Iterator[RenderableType]:
    session = told["session"]
    yield Group(heading(f"Session {session['id']}"), facts(_identity(session, link)))
    yield facts(_counts(session))
    if found.quotas:
        yield _quotas(found.quotas, width)
    # Its own quotas are among the others, if it is known how those stand.
    own = [limit for limit in told["limits"] if limit["kind"] != "quota" or not found.quotas]
    if own:
        heads = ["own limit", "kind", "at most"]
        yield table(heads, [(limit["name"], limit["kind"], limit["limit"]) for limit in own])
    if session["attributes"]:
        yield table(["attribute", "value"], [(name, _value(value)) for name, value in session["attributes"].items()])
    yield _timeline(found)


def _identity(session: Mapping[str, Any], link: str | None) -> Mapping[str, object]:
    status, reason = colored(session["status"]), session["end_reason"]
    known = {
        "type": session["type"],
        "status": status if reason is None else status + Text(f", {plain(reason)}"),
        "user": session["user"],
        "tier": session["tier"],
        "platform": session["platform"],
        "started": f"{moment(session['started'])} UTC",
        "ended": session["ended"] and f"{moment(session['ended'])} UTC",
        "last activity": f"{moment(session['last_activity'])} UTC",
        "duration": f"{seconds(session['duration'])}, of that {seconds(session['active_time'])} active",
        "kind": f"{session['topology']} session",
        "in session": session["parent_id"],
        "after session": session["previous_id"],
        "trace": link or session["trace_id"],
        "span": session["span_id"],
    }
    return {name: value for name, value in known.items() if value is not None}


def _counts(session: Mapping[str, Any]) -> Mapping[str, object]:
    error = ": ".join(filter(None, (session["error_type"], session["error_message"])))
    known = {
        "requests": session["requests"],
        "turns": session["turns"],
        "response time": seconds(session["average_response_time"]),
        "messages": _amounts(session["messages"]),
        "tokens": _amounts(session["tokens"]),
        "cost": _amounts(session["cost"]),
        "used": _amounts(session["usage"]),
        "events": session["events"],
        "errors": f"{session['errors']:,}" + (f", the last: {_value(error)}" if error else ""),
    }
    return {name: value for name, value in known.items() if value is not None}


def _amounts(amounts: Mapping[str, float]) -> str | None:
    return ", ".join(f"{number(amount) or '0'} {plain(name)}" for name, amount in amounts.items()) or None


def _quotas(quotas: Sequence[QuotaStatus], width: int) -> RenderableType:
    heads = ["quota", "per", "of the", "used", "limit", "share", "used up in"]
    wanted = range(len(heads)) if width >= _NARROW else (0, 1, 5)
    rows = [
        (
            quota.name,
            quota.window,
            quota.scope,
            "unknown" if quota.used is None else number(quota.used) or "0",
            "none" if quota.limit is None else number(quota.limit) or "0",
            percent(None if quota.percentage is None else quota.percentage / 100),
            seconds(quota.forecast.seconds),
        )
        for quota in quotas
    ]
    return table([heads[at] for at in wanted], [[row[at] for at in wanted] for row in rows])


def _timeline(found: Timeline) -> RenderableType:
    rows: list[tuple[object, object]] = [(_offset(each.offset), _what(each)) for each in found.entries]
    if found.missing_events:
        missing = f"{found.missing_events:,} more of its events are not in the store: see the span, and the log"
        rows.append((Text(), cell(missing, "italic")))
    if found.missing_uses:
        missing = f"{found.missing_uses:,} more of its uses are not in the store, but for their sums"
        rows.append((Text(), cell(missing, "italic")))
    return table(["after", "what happened"], rows)


def _offset(offset: float) -> str:
    """How long after the start; to the millisecond, as long as nobody counts in minutes."""
    shown = f"{abs(offset):.3f} s" if abs(offset) < _MINUTE else seconds(abs(offset))
    return f"-{shown}" if offset < 0 else f"{shown}"


def _what(entry: Entry) -> Text:
    attributes = dict(entry.attributes)
    what = {"use": "used "}.get(entry.kind, "") + plain(entry.name)
    style = "red" if entry.name == sc.EVENT_EXCEPTION else "bold"
    found = Text(what, style=style)
    if entry.kind == "use":
        amount = cast("float", attributes.pop(sc.LIMIT_AMOUNT))
        found.append(f" {number(amount) or '0'}")
    if (message := attributes.pop(sc.EVENT_MESSAGE, None)) is not None:
        found.append(f" {_value(message)}")
    for name, value in attributes.items():
        found.append(f" {plain(name.removeprefix(_OURS))}=", style="dim")
        found.append(_stack(str(value)) if name == sc.EXCEPTION_STACKTRACE else _value(value))
    return found


def _stack(text: str) -> str:
    return f"({len(text.splitlines())} lines, see --json)"


def _value(value: object) -> str:
    shown = plain(", ".join(map(str, value)) if isinstance(value, list | tuple) else value)
    return shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}... ({len(shown):,} characters, see --json)"
