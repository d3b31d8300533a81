"""The expressions from which rules are made."""

from __future__ import annotations

from typing import Final

from . import promql as pq
from .foreign import Collector, Prometheus

KNOWN_FOR: Final = "1h"
"""For how long before a window a series is looked for, to tell one that is new from one that was away."""

COLLECTOR: Final = "collector"
"""The label by which several collectors are told apart, where there are several: it is of no series itself."""


def total(expression: str, *by: str) -> str:
    """The sum of series, by labels."""
    return f"sum by ({', '.join(by)}) ({expression})"


def watched(window: str) -> str:
    """The series of processes of which what is new within a window is known to be new; see `recordings`."""
    return f"app_session:process:watched{window}"


def fresh(chosen: str, window: str, since: str) -> str:
    """What new counters began with in a window: those that were not there for an hour before, of what `since` says.

    A process that now sends to another collector has not begun anew.
    """
    was_there = f"present_over_time({chosen}[{KNOWN_FOR}] offset {window})"
    return f"""\
(min_over_time({chosen}[{window}]) unless ignoring ({COLLECTOR}) {was_there})
        and on ({pq.JOB}, instance) {since}"""


def increase(series: str, window: str, *by: str, where: str = "", own: bool = False) -> str:
    """By how much counters grew in a window, by labels; what a new one begins with counts as growth.

    `increase` alone sees nothing of it: a counter that comes into being with its first finding, or that the process of
    a batch job leaves behind with its final value, has one value only.

    Args:
        series: the counter.
        window: how long it is looked at, as Prometheus writes durations.
        by: the labels.
        where: which series of that name.
        own: whether it is a collector's own, whose target it is, and not that of a process that sends to it.
    """
    chosen = series + pq.selector(where)
    since = f'({Prometheus.UP}{{job="{Collector.JOB}"}} offset {window} == 1)' if own else watched(window)
    # Both may answer for one series, so they are told apart by a label until they are added up.
    return f"""\
sum by ({", ".join(by)}) (
    label_replace(increase({chosen}[{window}]), "part", "grown", "", "")
  or
    label_replace(
      {fresh(chosen, window, since)},
      "part", "new", "", ""
    )
)"""


def share(part: str, whole: str) -> str:
    """What share of `whole` is `part`, which may lack what is zero; nothing where there is nothing of `whole`."""
    return f"({part} or {whole} * 0) / ({whole} > 0)"


def quantile(q: float, buckets: str) -> str:
    """A quantile of buckets; nothing if nothing was observed, for one NaN makes every mean over time NaN."""
    return f"histogram_quantile({q:g}, {buckets}) >= 0"
