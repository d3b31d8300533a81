"""The expressions from which rules are made."""

from __future__ import annotations

from typing import Final

from . import promql as pq
from .foreign import Prometheus

KNOWN_FOR: Final = "1h"
"""For how long before a window a series is looked for, to tell one that is new from one that was away."""


def total(expression: str, *by: str) -> str:
    """The sum of series, by labels."""
    return f"sum by ({', '.join(by)}) ({expression})"


def increase(series: str, window: str, *by: str, where: str = "", scraped: str = Prometheus.SESSIONS_JOB) -> str:
    """By how much counters grew in a window, by labels; what a new one begins with counts as growth.

    `increase` alone sees nothing of it: a counter that comes into being with its first finding, or that the process of
    a batch job leaves behind with its final value, has one value only. A series is new if it was not there for an hour
    before the window; and as after a standstill of the monitoring all of them would be new, only if the job `scraped`
    was scraped when the window began.
    """
    chosen = series + pq.selector(where)
    # Both may answer for one series, so they are told apart by a label until they are added up.
    return f"""\
sum by ({", ".join(by)}) (
    label_replace(increase({chosen}[{window}]), "part", "grown", "", "")
  or
    label_replace(
      (min_over_time({chosen}[{window}]) unless present_over_time({chosen}[{KNOWN_FOR}] offset {window}))
        and on () ({Prometheus.UP}{{job="{scraped}"}} offset {window} == 1),
      "part", "new", "", ""
    )
)"""


def share(part: str, whole: str) -> str:
    """What share of `whole` is `part`, which may lack what is zero; nothing where there is nothing of `whole`."""
    return f"({part} or {whole} * 0) / ({whole} > 0)"


def quantile(q: float, buckets: str) -> str:
    """A quantile of buckets; nothing if nothing was observed, for one NaN makes every mean over time NaN."""
    return f"histogram_quantile({q:g}, {buckets}) >= 0"
