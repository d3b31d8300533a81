"""The checks of sessions as such, and of conversations: all of it is in the store."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from .. import _thresholds as at
from .evidence import Evidence
from .past import Ended
from .rule import Rule, Value, whether

_FEW_SESSIONS: Final = "too few sessions have ended within the last two hours"
_FEW_TURNS: Final = "too few turns were in the sessions that have ended within the last two hours"
_NO_DAY: Final = (
    "too few sessions in the last hours, or in those of the day before, to compare them; or too many are active to "
    "look at each"
)
_DAY: Final = 24


def _errors(evidence: Evidence) -> Iterator[Value]:
    for session_type, ended in evidence.past.lately(sessions=evidence.at(at.ERROR_MIN_SESSIONS)):
        yield Value(ended.error_ratio, session_type)


def _crash_free(evidence: Evidence) -> Iterator[Value]:
    for session_type, ended in evidence.past.lately(sessions=evidence.at(at.ERROR_MIN_SESSIONS)):
        yield Value(1 - ended.crashed / ended.sessions, session_type)


def _burnt(evidence: Evidence, ended: Ended) -> float:
    """Errors in terms of what the objective allows."""
    return ended.error_ratio / (1 - evidence.at(at.SLO_OBJECTIVE))


def _burn_fast(evidence: Evidence) -> Iterator[Value]:
    for session_type, ended in evidence.past.lately(sessions=evidence.at(at.ERROR_MIN_SESSIONS)):
        yield Value(_burnt(evidence, ended), session_type)


def _burn_slow(evidence: Evidence) -> Iterator[Value]:
    """Over six hours, and still: what is over burns nothing any more."""
    for session_type, still in evidence.past.lately():
        long = evidence.past.ended(session_type, 6)
        if long.sessions >= evidence.at(at.ERROR_MIN_SESSIONS):
            yield Value(min(_burnt(evidence, long), _burnt(evidence, still)), session_type)


def _created(evidence: Evidence) -> Iterator[tuple[str, int, int]]:
    """How many sessions started in the last full hour, and in the same one of the day before, by type."""
    if evidence.records is None:
        return
    now = evidence.past.started(1, evidence.records)
    before = evidence.past.started(1 + _DAY, evidence.records)
    for session_type in sorted(now | before):
        yield session_type, now[session_type], before[session_type]


def _creation_drop(evidence: Evidence) -> Iterator[Value]:
    for session_type, now, before in _created(evidence):
        if before >= max(evidence.at(at.CREATION_MIN_RATE), 1):
            yield Value(now / before, session_type)


def _creation_spike(evidence: Evidence) -> Iterator[Value]:
    for session_type, now, before in _created(evidence):
        if now >= evidence.at(at.CREATION_MIN_RATE) and before:
            yield Value(now / before, session_type)


def _duration(evidence: Evidence) -> Iterator[Value]:
    """The median, in terms of that of the week before yesterday."""
    for session_type, ended in evidence.past.lately(sessions=evidence.at(at.BASELINE_MIN_SESSIONS)):
        usual = evidence.past.median_of_week(session_type)
        median = ended.tally.duration_quantile(0.5)
        if usual and median is not None:
            yield Value(median / usual, session_type)


def _response(ended: Ended) -> float:
    """The mean, in nanoseconds."""
    return ended.tally.turn_ns / ended.turns if ended.turns else 0.0


def _mean_response(evidence: Evidence) -> Iterator[Value]:
    for session_type, ended in evidence.past.lately(turns=max(evidence.at(at.MIN_TURNS), 1)):
        yield Value(_response(ended) / 1e9, session_type)


def _degraded(evidence: Evidence) -> Iterator[Value]:
    for session_type, ended in evidence.past.lately(turns=max(evidence.at(at.MIN_TURNS), 1)):
        before = _response(evidence.past.ended(session_type, _DAY + 1, _DAY))
        if before:
            yield Value(_response(ended) / before, session_type)


def _engagement(evidence: Evidence) -> Iterator[Value]:
    for session_type, ended in evidence.past.lately(sessions=evidence.at(at.BASELINE_MIN_SESSIONS)):
        if ended.tally.duration_ns:
            yield Value(ended.tally.active_ns / ended.tally.duration_ns, session_type)


RULES: Final = (
    Rule(
        "SessionErrorRateHigh",
        "error",
        "sessions",
        ">",
        at.ERROR_RATIO,
        "Find the error type that has grown, and compare its beginning with the last deployment.",
        _errors,
        _FEW_SESSIONS,
    ),
    Rule(
        "SessionErrorBudgetBurn",
        "critical",
        "sessions",
        ">",
        at.BURN_FAST,
        "Find the error type that has grown, and stop what causes it now.",
        _burn_fast,
        _FEW_SESSIONS,
    ),
    Rule(
        "SessionErrorBudgetBurn",
        "warning",
        "sessions",
        ">",
        at.BURN_SLOW,
        "Find the error type that has grown, and plan its repair for today.",
        _burn_slow,
        "too few sessions have ended within the last hours",
    ),
    Rule(
        "SessionCrashFreeRateLow",
        "error",
        "sessions",
        "<",
        at.CRASH_FREE,
        "Find out why processes died: out of memory, a signal, a fatal error in an extension.",
        _crash_free,
        _FEW_SESSIONS,
    ),
    Rule(
        "SessionCreationDrop",
        "warning",
        "sessions",
        "<",
        at.CREATION_DROP,
        "Check that users get in and jobs run: try it, then look at the way in and at the scheduler.",
        _creation_drop,
        _NO_DAY,
    ),
    Rule(
        "SessionCreationSpike",
        "info",
        "sessions",
        ">",
        at.CREATION_SPIKE,
        "Find out whether it is wanted: a campaign, a client in a loop, or an attack.",
        _creation_spike,
        _NO_DAY,
    ),
    Rule(
        "SessionActiveHigh",
        "warning",
        "sessions",
        ">",
        at.ACTIVE,
        "See whether sessions start more often or do not end, and set the threshold to what the service carries.",
        lambda evidence: whether(evidence.active),
        "",
    ),
    Rule(
        "SessionUserSessionsHigh",
        "warning",
        "sessions",
        ">",
        at.USER_SESSIONS,
        "Find the user, and decide whether it is a shared account, a client that forgets its cookie, or abuse.",
        lambda evidence: whether(evidence.most_of_a_user),
        "the store does not say how many sessions users have",
    ),
    Rule(
        "SessionDurationAnomalous",
        "info",
        "sessions",
        ">",
        at.DURATION,
        "See what sessions wait for: compare a long one's trace with one of last week.",
        _duration,
        "too few sessions in the last hours, or none in the week before yesterday",
    ),
    Rule(
        "SessionResponseMeanHigh",
        "error",
        "conversations",
        ">",
        at.RESPONSE_MEAN,
        "See whether one model is slow or all are, and switch to another if you can.",
        _mean_response,
        _FEW_TURNS,
    ),
    Rule(
        "SessionResponseDegraded",
        "warning",
        "conversations",
        ">",
        at.DEGRADATION,
        "Find out what has changed since yesterday: a deployment, a model, the length of prompts.",
        _degraded,
        "too few turns in the last hours, or none in those of the day before",
    ),
    Rule(
        "SessionEngagementLow",
        "info",
        "conversations",
        "<",
        at.ENGAGEMENT,
        "See whether users leave early; if they do not, shorten the idle timeout.",
        _engagement,
        _FEW_SESSIONS,
    ),
)
