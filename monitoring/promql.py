"""The names of `otel_sessions._semconv` as Prometheus has them."""

from __future__ import annotations

from typing import Final

from otel_sessions import _semconv as sc
from otel_sessions._semconv import Metric

JOB: Final = "job"
"""`service.namespace/service.name`; with `instance`, which is `service.instance.id`, all that every series has."""


def label(attribute: str) -> str:
    """The label that an attribute becomes: every character that a label may not have is an underscore."""
    return attribute.replace(".", "_").replace("-", "_")


def labels(*attributes: str) -> str:
    """The labels of attributes, for a `by` clause."""
    return ", ".join(map(label, attributes))


def name(metric: Metric) -> str:
    """The series of a counter or a gauge.

    Raises:
        ValueError: It is a histogram, which has no series of its own name.
    """
    if metric.kind == "histogram":
        raise ValueError(f"{metric.name} is a histogram: ask for its bucket, its count or its sum")
    return metric.prometheus_name


def bucket(metric: Metric) -> str:
    """The series of a histogram's buckets."""
    return _part(metric, "bucket")


def count(metric: Metric) -> str:
    """The series that counts a histogram's observations."""
    return _part(metric, "count")


def total(metric: Metric) -> str:
    """The series that adds up a histogram's observations."""
    return _part(metric, "sum")


def series(metric: Metric) -> tuple[str, ...]:
    """Every series that a metric has in Prometheus."""
    if metric.kind == "histogram":
        return bucket(metric), count(metric), total(metric)
    return (name(metric),)


def selector(*matchers: str) -> str:
    """The matchers in braces; nothing if there are none."""
    return f"{{{', '.join(filter(None, matchers))}}}" if any(matchers) else ""


def _part(metric: Metric, part: str) -> str:
    if metric.kind != "histogram":
        raise ValueError(f"{metric.name} is a {metric.kind}, which has no {part}")
    return f"{metric.prometheus_name}_{part}"


SERIES: Final = frozenset(one for metric in sc.METRICS for one in series(metric))
"""Every series that this package makes, the users' own metrics apart."""
