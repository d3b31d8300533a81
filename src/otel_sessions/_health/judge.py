"""Looking at everything, and saying how it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Final

from .._guard import swallow
from .._health_check import SEVERITIES, HealthCheck, HealthReport, Severity
from .._statistics import moment
from ..exceptions import ConfigurationError, StoreError
from . import limits, process, sessions
from .evidence import Evidence
from .rule import COMPARED, Rule, Value

if TYPE_CHECKING:
    from .._lifecycle import Lifecycle
    from .minutes import Minutes

RULES: Final[tuple[Rule, ...]] = (*sessions.RULES, *limits.RULES, *process.RULES)

UNREACHABLE: Final = "SessionStoreFailing"
"""What is wrong if the store fails; meanwhile nobody knows how the checks are that ask it.

Each process looks for itself: one that cannot reach the store may be alone in that, and does not know whether it leads.
"""

_REPORT: Final = "Look into the log, which has the stack trace, and report it if it does not end in a store of yours."
"""What to do if a check fails itself."""


class Judge:
    """Says how the sessions of this process and its store are.

    Args:
        lifecycle: the sessions.
        minutes: what this process has counted lately.
        rules: what is checked; those of one type stand beside each other.
    """

    def __init__(self, lifecycle: Lifecycle, minutes: Minutes, rules: Sequence[Rule] = RULES) -> None:
        self._lifecycle = lifecycle
        self._minutes = minutes
        self._rules = rules
        self._thresholds = lifecycle.settings.thresholds or {}

    def report(
        self, *, thresholds: Mapping[str, float] | None = None, in_process: bool = True, in_store: bool = True
    ) -> HealthReport:
        """Look at everything now.

        Args:
            thresholds: numbers that go before those of the settings.
            in_process: whether this process is looked at as well, and not only the store.
            in_store: whether the store is looked at as well, and not only this process.
        """
        evidence = Evidence(
            self._lifecycle,
            {**self._thresholds, **(thresholds or {})},
            self._minutes.lately if in_process else None,
            self._minutes.machine,
        )
        asked = [
            rule
            for rule in self._rules
            if (in_process if rule.here_only else in_store) or (rule.type == UNREACHABLE and in_process)
        ]
        checks = (_judged(list(rules), evidence) for _, rules in groupby(asked, lambda rule: rule.type))
        return HealthReport.of(moment(evidence.now_ns), tuple(checks))


def _judged(rules: Sequence[Rule], evidence: Evidence) -> HealthCheck:
    """One check, by the rules of its type: the most severe one that applies."""
    mildest, now = min(rules, key=_severity), evidence.now_ns
    severity: Severity = "ok"
    try:
        rule, worst = _decided(rules, evidence)
        if worst is not None:
            severity = rule.severity if _applies(rule, worst, evidence) else "ok"
            return _check(rule, severity, now, evidence.at(rule.threshold), worst)
        reason = mildest.unknown
    except StoreError:
        reason = "the store cannot be asked"
    except ConfigurationError as error:
        reason = str(error)
    except Exception as exc:  # noqa: BLE001 - a check that fails is shown, and the others go on
        swallow(f"check {mildest.type}", exc)
        # Its text is for the log: it may name a session, a user or an address.
        mildest = mildest._replace(action=_REPORT)
        severity, reason = "error", f"the check itself failed: {type(exc).__name__}"
    return _check(mildest, severity, now, evidence.at(mildest.threshold), None, reason)


def _decided(rules: Sequence[Rule], evidence: Evidence) -> tuple[Rule, Value | None]:
    """The most severe rule that applies; else the mildest that could be judged."""
    found: tuple[Rule, Value | None] = rules[0], None
    for rule in sorted(rules, key=_severity, reverse=True):
        worst = _worst(rule, rule.measure(evidence))
        if worst is not None:
            found = rule, worst
            if _applies(rule, worst, evidence):
                break
    return found


def _severity(rule: Rule) -> int:
    return SEVERITIES.index(rule.severity)


def _applies(rule: Rule, value: Value, evidence: Evidence) -> bool:
    return COMPARED[rule.comparison](value.amount, evidence.at(rule.threshold))


def _worst(rule: Rule, values: Iterable[Value]) -> Value | None:
    chosen = min if rule.comparison == "<" else max
    return chosen(values, key=lambda value: value.amount, default=None)


def _check(
    rule: Rule, severity: Severity, time_ns: int, threshold: float, value: Value | None, reason: str | None = None
) -> HealthCheck:
    return HealthCheck(
        timestamp=moment(time_ns),
        type=rule.type,
        severity=severity,
        component=rule.component,
        current_value=None if value is None else value.amount,
        threshold=threshold,
        recommended_action=rule.action,
        unit=rule.threshold.unit,
        subject=None if value is None else value.subject,
        reason=reason if value is None else value.reason,
    )
