"""Write the generated parts of the documentation: settings, tiers, faults of the demo, and the catalogue of signals.

`python docs/generate.py` writes them; with `--check` it writes nothing and fails if something would change. A part
stands between `<!-- generated: NAME -->` and `<!-- end -->`; everything else on a page is written by hand.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from otel_sessions import _semconv as sc
from otel_sessions._config import ENV_PREFIX, FIELDS
from otel_sessions._health.judge import RULES, UNREACHABLE
from otel_sessions._health.rule import Rule
from otel_sessions._thresholds import THRESHOLDS
from otel_sessions.demo.traffic import FAULTS
from otel_sessions.limits import READY, Concurrency, Limit, Quota, Tier
from otel_sessions.limits.policy import TOTAL
from otel_sessions.security.redaction import redact

DOCS: Final = Path(__file__).parent
ELSEWHERE: Final = frozenset({"monitoring.md", "runbook.md"})
"""The pages whose generated parts `python -m monitoring` writes."""

_PART: Final = re.compile(r"(<!-- generated: (?P<name>[a-z]+) -->\n).*?(<!-- end -->)", re.DOTALL)

_SPAN: Final = "session span"
_START: Final = "session span, all events"
_END: Final = "session span, `session.end`"

ATTRIBUTES: Final[dict[str, tuple[str, str]]] = {
    sc.SESSION_ID: (
        "every span and log made in a session, all events; never metrics",
        "The session's id. Semantic conventions.",
    ),
    sc.SESSION_PREVIOUS_ID: ("session span, `session.start`", "The session that this one continues."),
    sc.ENDUSER_PSEUDO_ID: (f"{_START}, `app_session.access`; never metrics", "The user's pseudonym, a keyed hash."),
    sc.TYPE: (f"{_START}, first span of a request, metrics", "The session's type."),
    sc.TIER: (f"{_SPAN}, metrics", "The set of limits that applies."),
    sc.STATUS: (f"{_END}, metrics", "How it ended: `success`, `error`, `cancelled`, `expired`, `abandoned`."),
    sc.END_REASON: (f"{_END}, metrics", "Why it ended; see [concepts](concepts.md#how-a-session-ends)."),
    sc.ROTATION_REASON: (_END, "Why it goes on under a new id: what `rotate()` was told."),
    sc.TOPOLOGY: (_SPAN, "`scoped` or `durable`."),
    sc.PLATFORM: (_SPAN, "Where it was used last: `web`, `mobile`, `api`, ..."),
    sc.PARENT_ID: (_SPAN, "The session in which it was started."),
    sc.PART_NUMBER: (
        "session span",
        "The number of the part, from 1, if `max_span_duration` is set and the session is durable.",
    ),
    sc.REQUEST_COUNT: (_END, "Requests, if there were any or it was durable."),
    sc.EVENT_COUNT: (_END, "Events, errors included."),
    sc.EVENT_DROPPED_COUNT: (_END, "Events that a durable session had too many of to keep for its span."),
    sc.ERROR_COUNT: (_END, "Errors, handled ones included."),
    sc.TURN_COUNT: (_END, "Turns, if there were any."),
    sc.MESSAGE_COUNT: (_END, "Messages, if there were any."),
    sc.TURN_MEAN_DURATION: (_END, "Seconds from the user's message to the answer, on average."),
    sc.COST_AMOUNT: (_END, "The cost; of several currencies, the largest sum."),
    sc.COST_CURRENCY: (_END, "Its currency, ISO 4217."),
    sc.EVENT_NAME: ("metrics", "The name of a built-in event, `_OTHER` for your own."),
    sc.EVENT_MESSAGE: ("events", "The text given with an event, redacted; the log event has it as its body too."),
    sc.MESSAGE_ROLE: ("metrics", "`user`, `assistant`, `system`, `tool`."),
    sc.LIMIT_KIND: ("limit events, metrics", "`quota`, `rate` or `concurrency`."),
    sc.LIMIT_NAME: ("limit events, metrics", "The name of the limit: `tokens`, `upload`, ..."),
    sc.LIMIT_RESULT: ("metrics", "`allowed`, `near_limit` from 75 % on, `rejected`, `shadow_rejected`."),
    sc.LIMIT_WINDOW: ("limit events, metrics", "The quota's `total`, `day`, `month`, `24 hours`; a rate's in seconds."),
    sc.LIMIT_SCOPE: ("limit events, metrics", "Whose it is: the `session`'s, `user`'s or `tenant`'s."),
    sc.LIMIT_AMOUNT: ("`app_session.limit.rejected`", "How much was asked for."),
    sc.LIMIT_USED: ("limit events", "How much was used at that time."),
    sc.LIMIT_CAPACITY: ("limit events", "How much there is."),
    sc.LIMIT_THRESHOLD: ("`app_session.limit.threshold`", "The share that was crossed: 0.75 or 0.9."),
    sc.LIMIT_SHADOW: ("`app_session.limit.rejected`", "True: it was allowed nevertheless, the limit is not enforced."),
    sc.OPERATION: ("`app_session.limit.rejected`", "What it was asked for, as `use(..., operation=)` was told."),
    sc.QUOTA_BAND: ("metrics", "`below` 75 %, `warning`, `critical` from 90 % on, `exhausted`."),
    sc.FINDING_KIND: ("`app_session.finding`, metrics", "What `suspicious()` was told."),
    sc.FINDING_SCORE: ("`app_session.finding`", "How sure it is, 0 to 1."),
    sc.FINDING_SEVERITY: ("`app_session.finding`, metrics", "`info`, `warn` from 0.5, `error` from 0.8."),
    sc.PLATFORM_FROM: ("`app_session.platform_switch`, metrics", "The platform that was left."),
    sc.PLATFORM_TO: ("`app_session.platform_switch`, metrics", "The platform that it moved to."),
    sc.ACCESS_FAILURE_REASON: ("metrics", "`unauthorized` (401) or `forbidden` (403)."),
    sc.ACCESS_RESOURCE: (
        "`app_session.access`",
        "What was asked for over HTTP: `health`, `statistics`, `sessions`, `session`, `mine`.",
    ),
    sc.ACCESS_ROLE: ("`app_session.access`", "`operator` or `owner`; absent if nobody was recognized."),
    sc.ACCESS_RESULT: ("`app_session.access`", "`granted`, `refused`, `not_found`, or `failed`."),
    sc.ACCESS_SESSION_ID: ("`app_session.access`", "The session that was asked for."),
    sc.STORE: ("metrics", "Which store: `memory`."),
    sc.STORE_OPERATION: ("metrics", "What the store was asked to do."),
    sc.DROP_REASON: ("metrics", "Why something was dropped; see [troubleshooting](troubleshooting.md)."),
    sc.ALERT_TYPE: ("`app_session.alert`", "The name of the check: `SessionErrorRateHigh`."),
    sc.ALERT_COMPONENT: ("`app_session.alert`", "What it is about: `sessions`, `limits`, `store`, ..."),
    sc.ALERT_VALUE: ("`app_session.alert`", "The value that was found."),
    sc.ALERT_THRESHOLD: ("`app_session.alert`", "What it is compared with."),
    sc.ALERT_SUBJECT: ("`app_session.alert`", "What the value is of: a type of session, a limit, a reason."),
    sc.ALERT_RESOLVED: ("`app_session.alert`", "True: the check is ok again."),
    sc.ERROR_TYPE: (
        f"{_END} if the status is `error`, metrics",
        "The exception's type, the status of a failed request, or the name given.",
    ),
    sc.EXCEPTION_TYPE: ("`exception`", "The exception's type."),
    sc.EXCEPTION_MESSAGE: ("`exception`", "Its message, redacted."),
    sc.EXCEPTION_STACKTRACE: ("`exception`", "Its stack trace, redacted."),
    sc.GEN_AI_REQUEST_MODEL: (
        "metrics",
        "The model that `turn()` was told, or a span of a GenAI instrumentation says.",
    ),
    sc.GEN_AI_TOKEN_TYPE: (
        "metrics",
        "`input`, `output`; their parts `cache_read`, `cache_write`, `reasoning`; or what else `tokens()` was told.",
    ),
}

EVENTS: Final[dict[str, str]] = {
    sc.EVENT_SESSION_START: "A session has started. Semantic conventions; a log event only.",
    sc.EVENT_SESSION_END: "A session has ended; carries its summary. Semantic conventions; a log event only.",
    sc.EVENT_EXCEPTION: "An error, handled or not.",
    sc.EVENT_PROGRESS: "How far a session has come: `progress()`.",
    sc.EVENT_PLATFORM_SWITCH: "A session moved to another platform: `switch_platform()`.",
    sc.EVENT_LIMIT_THRESHOLD: "A use crossed 75 % or 90 % of a quota. Always a log event.",
    sc.EVENT_LIMIT_REJECTED: "A limit refused something, or would have. Always a log event.",
    sc.EVENT_FINDING: "Suspicious activity: `suspicious()`. Always a log event, so that it survives trace sampling.",
    sc.EVENT_ALERT: "A health check has changed, if `health_interval` is set. A log event only.",
    sc.EVENT_ACCESS: "Somebody asked for sessions or figures [over HTTP](http.md). A log event only.",
    sc.EVENT_STARTUP: "The library runs in this process; carries the main settings. A log event only.",
}

DROPS: Final[dict[str, str]] = {
    sc.Drop.STORE_UNAVAILABLE: "the store was away for so long that what it has to be told of passed a bound",
    sc.Drop.HOOKS_BEHIND: "there was more to tell the hooks than they took in time, or by the end of the process",
    sc.Drop.SESSION_ENDED: "something was done with a session that had ended",
    sc.Drop.INVALID_ATTRIBUTE: "an attribute's value was neither text, boolean, number nor a sequence of one of them",
    sc.Drop.ATTRIBUTE_LIMIT: "a session was given more attributes than it keeps",
    sc.Drop.OWN_METRIC_LIMIT: "there were more histograms of your own than there may be",
    sc.Drop.INTERNAL_ERROR: "the library itself failed, or what it asks of yours (`identify`, `redact`); the log says "
    "where",
}

_NOT_SIGNALS: Final = frozenset({sc.SCOPE_NAME, sc.SCHEMA_URL, sc.OTHER, sc.USAGE_PREFIX, sc.CONFIG_PREFIX})
_COMPARED: Final = {">": "more than", ">=": "at least", "<": "less than"}
_PLAIN_TYPES: Final = {"Redactor": "Callable[[str], str]", "EventMode": "str", "LimitFailure": "str"}


def settings() -> str:
    """Every setting, from the fields of `Settings`."""
    heads = ("setting", "variable", "type", "default", "what it does")
    return _table(heads, (_setting(name) for name in FIELDS))


def _setting(name: str) -> tuple[str, ...]:
    field = FIELDS[name]
    variable = f"`{ENV_PREFIX}{name.upper()}`" if field.metadata["env"] else "only as an argument"
    default = "the built-in patterns" if field.default is redact else f"`{_literal(field.default)}`"
    kind = _PLAIN_TYPES.get(str(field.type), str(field.type))
    return f"`{name}`", variable, f"`{kind}`", default, field.metadata["doc"]


def _literal(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)


def metrics() -> str:
    """Every metric."""
    heads = ("metric", "instrument", "unit", "attributes", "in Prometheus", "what it says")
    return _table(heads, map(_metric, sc.METRICS))


def _metric(metric: sc.Metric) -> tuple[str, ...]:
    return (
        f"`{metric.name}`",
        metric.kind.replace("_", " "),
        f"`{metric.unit}`",
        ", ".join(f"`{name}`" for name in metric.attributes),
        f"`{metric.prometheus_name}`",
        metric.description,
    )


def buckets() -> str:
    """The buckets of every histogram."""
    rows = ((f"`{m.name}`", " ".join(f"{bound:g}" for bound in m.buckets)) for m in sc.METRICS if m.buckets)
    return _table(("histogram", "buckets"), rows)


def attributes() -> str:
    """Every attribute."""
    rows = [(f"`{name}`", where, what) for name, (where, what) in sorted(ATTRIBUTES.items())]
    rows += [
        (f"`{sc.USAGE_PREFIX}<name>`", _END, "How much was used of something: `tokens`."),
        (f"`{sc.CONFIG_PREFIX}<setting>`", "`app_session.startup`", "What that setting is."),
    ]
    return _table(("attribute", "on", "what it says"), rows)


def events() -> str:
    """Every event."""
    return _table(("event", "what it says"), ((f"`{name}`", what) for name, what in EVENTS.items()))


def tiers() -> str:
    """Every limit of the tiers that come ready."""
    limits = [limit for tier in READY.values() for limit in tier.limits]
    kinds = list(dict.fromkeys((type(limit), limit.name, *_extent(limit)) for limit in limits))
    rows = ((f"`{name}`", what, *(_allowed(tier, kind, name) for tier in READY.values())) for kind, name, what in kinds)
    return _table(("limit", "whose", *(f"`{name}`" for name in READY)), rows)


def _extent(limit: Limit) -> tuple[str]:
    """In what time, and whose."""
    if isinstance(limit, Quota):
        return (f"a {limit.scope}, in total" if limit.per == TOTAL else f"a {limit.scope}, per {limit.per}",)
    return (f"a {limit.scope}" + (", at once" if isinstance(limit, Concurrency) else ""),)


def _allowed(tier: Tier, kind: type[Limit], name: str) -> str:
    (found,) = (limit.limit for limit in tier.limits if isinstance(limit, kind) and limit.name == name)
    if isinstance(found, str):
        return found
    return "not limited" if found is None else f"{int(found):,}"


def drops() -> str:
    """Every reason for which something is dropped."""
    return _table((f"`{sc.DROP_REASON}`", "what happened"), ((f"`{name}`", what) for name, what in DROPS.items()))


def faults() -> str:
    """Everything that the demo's traffic can be told to do wrong."""
    return _table(("fault", "what goes wrong"), ((f"`{fault.name}`", fault.about) for fault in FAULTS.values()))


def checks() -> str:
    """Everything that is checked."""
    heads = ("check", "component", "severity", "when", "judged by")
    return _table(heads, map(_rule, RULES))


def _rule(rule: Rule) -> tuple[str, ...]:
    return (
        f"[{rule.type}](runbook.md#{rule.type.lower()})",
        rule.component,
        rule.severity,
        f"{_COMPARED[rule.comparison]} `{rule.threshold.name}`",
        "both" if rule.type == UNREACHABLE else "this process" if rule.here_only else "the store",
    )


def thresholds() -> str:
    """Every number that checks compare with."""
    heads = ("threshold", "default", "unit", "what it is compared with")
    return _table(heads, ((f"`{each.name}`", f"{each.value:.10g}", each.unit, each.about) for each in THRESHOLDS))


PARTS: Final[dict[str, Callable[[], str]]] = {
    "settings": settings,
    "metrics": metrics,
    "buckets": buckets,
    "attributes": attributes,
    "events": events,
    "drops": drops,
    "faults": faults,
    "tiers": tiers,
    "checks": checks,
    "thresholds": thresholds,
}


def undescribed() -> set[str]:
    """The names in `_semconv` that this file says nothing about, and those it describes although they are gone."""
    constants = {**vars(sc), **vars(sc.Drop)}
    named = {value for name, value in constants.items() if name.isupper() and isinstance(value, str)}
    return (named - _NOT_SIGNALS) ^ (ATTRIBUTES.keys() | EVENTS.keys() | DROPS.keys())


def generated(text: str) -> str:
    """A page with its generated parts made anew."""
    return _PART.sub(lambda found: f"{found[1]}{PARTS[found['name']]()}{found[3]}", text)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write or check all pages; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, fail if something would change")
    check = parser.parse_args(arguments).check
    if names := sorted(undescribed()):
        print(f"docs/generate.py and _semconv.py disagree about: {', '.join(names)}", file=sys.stderr)
        return 1
    stale = []
    for page in sorted(page for page in DOCS.glob("*.md") if page.name not in ELSEWHERE):
        text = page.read_text(encoding="utf-8")
        new = generated(text)
        if new != text:
            stale.append(page.name)
            if not check:
                page.write_text(new, encoding="utf-8")
    if stale:
        print(f"{'out of date' if check else 'written'}: {', '.join(stale)}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
