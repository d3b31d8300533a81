"""The few forms that expressions have."""

from __future__ import annotations

from typing import Final

from otel_sessions import _semconv as sc

from ...expressions import COLLECTOR, fresh, watched
from ...promql import label, labels, selector

WINDOW: Final = "$__rate_interval"
RANGE: Final = "$__range"
ALERT_WINDOW: Final = "10m"
"""The window of alerts that count: what is compared with their thresholds is counted in the same."""

JOB: Final = 'job=~"$job"'
TYPE: Final = f'{label(sc.TYPE)}=~"$type"'
SESSIONS: Final = (JOB, TYPE)
"""What a panel on sessions shows: those of the chosen applications and types."""

MINUTE: Final = "1m"
"""How long a new counter is looked at, minute by minute, for what it began with."""


def of(series: str, *where: str) -> str:
    """A series of the chosen applications."""
    return series + selector(*(where or (JOB,)))


def gauge(series: str, *where: str) -> str:
    """A gauge of the chosen applications; who has sent to another collector until lately is not there twice."""
    return f"max without ({COLLECTOR}) ({of(series, *where)})"


def recorded(series: str, *where: str) -> str:
    """What a recording rule says of the chosen applications, in all."""
    return f"sum ({of(series, *where)})"


def highest(series: str, *attributes: str, where: tuple[str, ...] = (JOB,)) -> str:
    """Where it is highest: the alert on it fires for each application and type by itself."""
    return f"max{_by(*attributes)} ({of(series, *where)})"


def lowest(series: str, *attributes: str, where: tuple[str, ...] = (JOB,)) -> str:
    """Where it is lowest."""
    return f"min{_by(*attributes)} ({of(series, *where)})"


def grown(series: str, *attributes: str, where: tuple[str, ...] = (JOB,), window: str = RANGE) -> str:
    """How much a counter grew in a window; in the time that is shown, if none is said.

    `increase` alone sees nothing of what a new counter begins with: that of a first error has one value only, and so
    has all that the process of a batch job leaves behind. What is new counts as growth if its process was known a
    minute before, or is new itself: after a standstill of the monitoring everything would seem new.
    """
    chosen = of(series, *where)
    # The first value it had in that minute: what it grew by since then is in `increase`.
    new = " ".join(fresh(chosen, MINUTE, of(watched(MINUTE))).split())
    return (
        f"sum{_by(*attributes)} ("
        # Both may answer for one series, so they are told apart by a label until they are added up.
        f'label_replace(increase({chosen}[{window}]), "part", "grown", "", "")'
        f' or label_replace(sum_over_time(({new})[{window}:1m]), "part", "new", "", "")'
        ")"
    )


def per_second(series: str, *attributes: str, where: tuple[str, ...] = (JOB,)) -> str:
    """How much a counter grows in a second."""
    return f"1000 * {grown(series, *attributes, where=where, window=WINDOW)} / $__rate_interval_ms"


def per_minute(series: str, *attributes: str, where: tuple[str, ...] = (JOB,)) -> str:
    """How much a counter grows in a minute."""
    return f"60000 * {grown(series, *attributes, where=where, window=WINDOW)} / $__rate_interval_ms"


def share(part: str, whole: str) -> str:
    """A part of a whole: 0 where there is no such part, and nothing where there is nothing to share."""
    return f"({part} or 0 * {whole}) / ({whole} > 0)"


def quantile(rank: float, bucket: str, *attributes: str, where: tuple[str, ...] = (JOB,), window: str = WINDOW) -> str:
    """What this share of all observations is at most; nothing if there were none."""
    return f"histogram_quantile({rank}, {grown(bucket, 'le', *attributes, where=where, window=window)}) >= 0"


def top(expression: str, number: int = 10) -> str:
    """The greatest ones."""
    return f"topk({number}, {expression})"


def or_zero(expression: str) -> str:
    """It, or 0 where there is nothing."""
    return f"{expression} or vector(0)"


def _by(*attributes: str) -> str:
    return f" by ({labels(*attributes)})" if attributes else ""
