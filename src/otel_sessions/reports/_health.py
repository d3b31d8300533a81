"""How the sessions are: the questions that alerts ask, answered by the process itself."""

from __future__ import annotations

from collections.abc import Mapping

from .. import _runtime, _thresholds, _values
from .._health_check import HealthAlert, HealthReport
from .._statistics import moment
from ..exceptions import ConfigurationError, InvalidValueError


def health(*, thresholds: Mapping[str, float] | None = None, in_process: bool = True) -> HealthReport:
    """How the sessions are that this process and its store know of.

    There is a check for each alert that can be judged without a monitoring system, by the same thresholds: the setting
    `thresholds` changes them. What needs more than is known yet is `ok`, and says so. It asks the store some questions,
    and takes no longer than one that is not answered; in async code, have a thread call it.

    Args:
        thresholds: numbers by name, which go before those of the setting.
        in_process: False: only what is in the store, for a process that does nothing but look at it.

    Raises:
        InvalidValueError: there is no threshold of such a name, or its value is no number.
    """
    try:
        checked = _thresholds.check(thresholds or {})
    except ConfigurationError as error:
        raise InvalidValueError(f"thresholds: {error}") from error
    runtime = _runtime.get()
    if not runtime.enabled:
        return HealthReport.of(moment(runtime.lifecycle.clock.time_ns()), ())
    return runtime.judge.report(thresholds=checked, in_process=in_process)


def alerts(limit: int = 100) -> list[HealthAlert]:
    """What the health checks in the background have raised and resolved, the latest first.

    There are none unless the setting `health_interval` says how often they are made. The last 1,000 are remembered.

    Args:
        limit: how many at most.

    Raises:
        InvalidValueError: the limit is no whole number from 1 on.
    """
    limit = _values.whole("the number of alerts", limit)
    monitor = _runtime.get().monitor
    return [] if monitor is None else monitor.alerts(limit)
