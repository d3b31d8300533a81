"""`otel-sessions show`: one session, and what happened in it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Final, cast

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from .. import QuotaStatus
from .. import _semconv as sc
from ..reports import Entry, Timeline, history, timeline
from ..reports._figures import duration, money, percent
from ..security.redaction import redact
from ._failure import Failure, Misuse
from ._filters import meant
from ._output import AsJson, cell, console, facts, heading, plain, print_parts, table, write_json
from ._sessions import amounts, colored, moment, used
from ._store import StoreUrl, opened

_OURS: Final = "app_session."
_NO_TRACE: Final = "none: it began where no OpenTelemetry SDK was set up"
_SHORTEST: Final = 8
"""Characters of an id that stand for it, if no other one begins with them."""
_AMONG: Final = 10_000
"""How many sessions are looked through for it, the active ones first."""
_MOST_NAMED: Final = 10
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
    _check_trace_url(trace_url)
    with opened(store):
        found = timeline(session_id) or timeline(_completed(session_id))
        if found is None:  # pragma: no cover - it was forgotten between two questions
            raise _unknown(session_id)
    told = found.to_dict()
    link = told["trace_url"] = _link(trace_url, told["session"])
    if as_json:
        write_json(told)
        return
    out = console()
    print_parts(out, _parts(found, told, link, wants_link=trace_url is not None))


def _check_trace_url(template: str | None) -> None:
    if template is None:
        return
    shown = f"--trace-url {plain(redact(template))}"
    if not template.lower().startswith(("http://", "https://")):
        # It becomes a link, and there are addresses that do something.
        raise Misuse(f"{shown}: use an address that begins with http:// or https://")
    if "{trace_id}" not in template:
        raise Misuse(f"{shown}: write {{trace_id}} where the id of the trace belongs")


def _completed(beginning: str) -> str:
    """The id that begins so.

    Raises:
        Failure: none does, or several do.
    """
    if len(beginning) < _SHORTEST:
        raise _unknown(beginning)
    found = {each.id: each for each in history(active=True, limit=_AMONG) if each.id.startswith(beginning)}
    if not found:
        raise _unknown(beginning)
    if len(found) > 1:
        named = ", ".join(f"{plain(each.id)} ({plain(each.type)})" for each in list(found.values())[:_MOST_NAMED])
        more = f" and {len(found) - _MOST_NAMED:,} more" if len(found) > _MOST_NAMED else ""
        raise Failure(
            f"{len(found):,} sessions have ids that begin with {plain(beginning)}: {named}{more}; write more of it"
        )
    return next(iter(found))


def _unknown(session_id: str) -> Failure:
    return Failure(
        f"nothing is known of a session {plain(session_id)}: `otel-sessions list` says which there are; what has ended "
        "is forgotten when the store's retention is over"
    )


def _link(template: str | None, session: Mapping[str, Any]) -> str | None:
    """The address of the session's trace. Only the template is redacted: an id may look like anything."""
    if template is None or session["trace_id"] is None:
        return None
    found = redact(template).replace("{trace_id}", session["trace_id"])
    return found.replace("{span_id}", session["span_id"])


def _parts(found: Timeline, told: Mapping[str, Any], link: str | None, *, wants_link: bool) -> Iterator[RenderableType]:
    session = told["session"]
    trace = link or session["trace_id"] or (_NO_TRACE if wants_link else None)
    if link is not None and found.record.is_active:
        trace = f"{link} (the session's own span is sent when it ends)"
    yield Group(heading(f"Session {session['id']}"), facts(_identity(session, trace)))
    yield facts(_counts(session))
    if found.quotas:
        yield _quotas(found.quotas)
    elif found.record.is_active and found.quotas is None:
        yield (
            f"How its quotas stand is not known here: no tier {plain(session['tier'])} is configured. Set "
            "OTEL_SESSIONS_TIERS to the application's tiers."
        )
    # Its own quotas are among the others, if it is known how those stand.
    own = [limit for limit in told["limits"] if limit["kind"] != "quota" or not found.quotas]
    if own:
        heads = ["own limit", "kind", "at most"]
        yield table(heads, [(limit["name"], limit["kind"], limit["limit"]) for limit in own])
    if session["attributes"]:
        rows = [(name, _clipped(_typed(value))) for name, value in session["attributes"].items()]
        yield table(["attribute", "value"], rows, prose=True)
    yield _timeline(found)


def _identity(session: Mapping[str, Any], trace: str | None) -> Mapping[str, object]:
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
        "duration": f"{duration(session['duration'])}, of that {duration(session['active_time'])} active",
        "kind": f"{session['topology']} session",
        "in session": session["parent_id"],
        "after session": session["previous_id"],
        "trace": trace,
        "span": session["span_id"],
    }
    return {name: value for name, value in known.items() if value is not None}


def _counts(session: Mapping[str, Any]) -> Mapping[str, object]:
    error = ": ".join(filter(None, (session["error_type"], session["error_message"])))
    known = {
        "requests": session["requests"],
        "turns": session["turns"],
        "response time": duration(session["average_response_time"]),
        "messages": amounts(session["messages"]),
        "tokens": amounts(session["tokens"]),
        "cost": money(session["cost"]) if session["cost"] else None,
        "used": amounts(session["usage"]),
        "events": session["events"],
        "errors": f"{session['errors']:,}" + (f", the last: {_value(error)}" if error else ""),
    }
    return {name: value for name, value in known.items() if value is not None}


def _quotas(quotas: Sequence[QuotaStatus]) -> RenderableType:
    heads = ["quota", "per", "of the", "used", "limit", "share", "used up in"]
    rows = [
        (
            quota.name,
            quota.window,
            quota.scope,
            "unknown" if quota.used is None else used(quota.name, quota.used),
            "none" if quota.limit is None else used(quota.name, quota.limit),
            percent(None if quota.percentage is None else quota.percentage / 100),
            duration(quota.forecast.seconds),
        )
        for quota in quotas
    ]
    return table(heads, rows)


def _timeline(found: Timeline) -> RenderableType:
    rows: list[tuple[object, object]] = [(_offset(each.offset), _what(each)) for each in found.entries]
    if found.missing_events:
        missing = f"{found.missing_events:,} more of its events are not in the store: see the span, and the log"
        rows.append((Text(), cell(missing, "italic")))
    if found.missing_uses:
        missing = f"{found.missing_uses:,} more of its uses are not in the store, but for their sums"
        rows.append((Text(), cell(missing, "italic")))
    return table(["after", "what happened"], rows, prose=True)


def _offset(offset: float) -> str:
    """How long after the start."""
    return f"{'-' if offset < 0 else ''}{duration(abs(offset))}"


def _what(entry: Entry) -> Text:
    attributes = dict(entry.attributes)
    what = {"use": "used "}.get(entry.kind, "") + plain(entry.name)
    style = "red" if entry.name == sc.EVENT_EXCEPTION else "bold"
    found = Text(what, style=style)
    if entry.kind == "use":
        amount = cast("float", attributes.pop(sc.LIMIT_AMOUNT))
        found.append(f" {used(entry.name, amount)}")
    if (message := attributes.pop(sc.EVENT_MESSAGE, None)) is not None:
        found.append(f" {_value(message)}")
    for name, value in attributes.items():
        found.append(f" {plain(name.removeprefix(_OURS))}=", style="dim")
        found.append(_stack(str(value)) if name == sc.EXCEPTION_STACKTRACE else _value(value))
    return found


def _stack(text: str) -> str:
    return f"({len(text.splitlines())} lines, see --json)"


def _typed(value: object) -> str:
    """The value of an attribute as `--attribute` takes it: JSON, and text that reads as nothing else."""
    if isinstance(value, str) and value == meant(value):
        return value
    return json.dumps(value, ensure_ascii=False)


def _value(value: object) -> str:
    return _clipped(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str))


def _clipped(value: str) -> str:
    shown = plain(value)
    return shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}... ({len(shown):,} characters, see --json)"
