"""Whether everything arrived, and fits together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from .. import _semconv as sc
from ..testing import ReceivedSpan
from ._harvest import Harvest
from ._scenarios import Scenario

_IDENTIFYING: Final = frozenset({sc.SESSION_ID, sc.SESSION_PREVIOUS_ID, sc.ENDUSER_PSEUDO_ID})


class Check(NamedTuple):
    """One statement about what was received, and whether it is true."""

    holds: bool
    statement: str


def checks(harvest: Harvest, scenarios: Sequence[Scenario]) -> list[Check]:
    """Everything that must be true after `scenarios` have run."""
    return [
        *(_outcomes(harvest, scenario) for scenario in scenarios),
        _one_span_each(harvest),
        _events(harvest),
        *(_requests(harvest, scenario) for scenario in scenarios if scenario.visits),
        _starts(harvest),
        _no_identity(harvest),
    ]


def arrived(harvest: Harvest, scenarios: Iterable[Scenario]) -> bool:
    """Whether all sessions of `scenarios` have ended, and their requests are there."""
    return all(
        not scenario.outcomes - harvest.outcomes(scenario.service)
        and len(harvest.requests(scenario.service)) >= scenario.requests
        for scenario in scenarios
    )


def _outcomes(harvest: Harvest, scenario: Scenario) -> Check:
    received = harvest.outcomes(scenario.service)
    if received == scenario.outcomes:
        return Check(True, f"{scenario.name}: all {received.total()} sessions arrived, and ended as they should")
    wrong = [*_listed("missing", scenario.outcomes - received), *_listed("unexpected", received - scenario.outcomes)]
    return Check(False, f"{scenario.name}: {'; '.join(wrong)}")


def _listed(what: str, outcomes: Counter[tuple[str, str, str]]) -> list[str]:
    return [f"{what}: {count} x {' '.join(outcome)}" for outcome, count in outcomes.items()]


def _one_span_each(harvest: Harvest) -> Check:
    seen = Counter(span.attributes[sc.SESSION_ID] for span in harvest.sessions)
    twice = [str(session_id) for session_id, count in seen.items() if count > 1]
    if twice:
        return Check(False, f"sessions with more than one span: {', '.join(twice)}")
    return Check(True, f"{len(seen)} sessions, one span each")


def _events(harvest: Harvest) -> Check:
    silent = [
        str(span.attributes[sc.SESSION_ID])
        for span in harvest.sessions
        if not {sc.EVENT_SESSION_START, sc.EVENT_SESSION_END} <= {log.event_name for log in harvest.events(span)}
    ]
    if silent:
        return Check(False, f"sessions without a session.start or session.end event: {', '.join(silent)}")
    return Check(True, "every session has its session.start and session.end events")


def _requests(harvest: Harvest, scenario: Scenario) -> Check:
    spans = {(span.trace_id, span.span_id): span.attributes[sc.SESSION_ID] for span in harvest.sessions}
    requests = harvest.requests(scenario.service)
    linked = [span for span in requests if _links_to_its_session(span, spans)]
    return Check(
        len(linked) == scenario.requests,
        f"{scenario.name}: {len(linked)} of {scenario.requests} requests link to the span of their session",
    )


def _links_to_its_session(request: ReceivedSpan, sessions: dict[tuple[str, str], object]) -> bool:
    return any(sessions.get(link, "") == request.attributes.get(sc.SESSION_ID) for link in request.links)


def _starts(harvest: Harvest) -> Check:
    if not harvest.tells_processes_apart:
        # What two workers count comes as one series, now from the one and now from the other.
        return Check(True, f"the metric {sc.STARTS.name} came; older SDKs do not say which of several workers counted")
    started = int(sum(series.value for series in harvest.series(sc.STARTS)))
    return Check(
        started == len(harvest.sessions),
        f"the metric {sc.STARTS.name} counts {started} sessions, and {len(harvest.sessions)} spans of sessions came",
    )


def _no_identity(harvest: Harvest) -> Check:
    telling = sorted({point.name for point in harvest.points if _IDENTIFYING & point.attributes.keys()})
    if telling:
        return Check(False, f"metrics with the id of a session or a user: {', '.join(telling)}")
    return Check(True, f"no id of a session or a user on any of {len(harvest.points)} series of metrics")
