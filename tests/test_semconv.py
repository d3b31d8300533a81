"""The catalogue of names keeps OpenTelemetry's naming rules."""

from __future__ import annotations

import re
from itertools import combinations

import pytest
from opentelemetry.semconv._incubating.attributes import (
    enduser_attributes,
    gen_ai_attributes,
    session_attributes,
)
from opentelemetry.semconv.attributes import error_attributes, exception_attributes

from otel_sessions import _semconv as sc

METRICS = pytest.mark.parametrize("metric", sc.METRICS, ids=[metric.name for metric in sc.METRICS])

ATTRIBUTES = {
    name: value
    for name, value in vars(sc).items()
    if name.isupper()
    and isinstance(value, str)
    and not name.startswith("EVENT_")
    and not name.endswith("_PREFIX")
    and name not in {"SCOPE_NAME", "SCHEMA_URL", "OTHER"}
} | {name: getattr(sc, name) for name in ("EVENT_COUNT", "EVENT_DROPPED_COUNT", "EVENT_NAME", "EVENT_MESSAGE")}

EVENTS = {
    value
    for name, value in vars(sc).items()
    if name.startswith("EVENT_") and name not in ATTRIBUTES and isinstance(value, str)
}

# Written by hand, from the catalogue of signals: name, kind, unit, what Prometheus calls it.
CATALOGUE = {
    "app_session.starts": ("counter", "{session}", "app_session_starts_total"),
    "app_session.active": ("observable_up_down_counter", "{session}", "app_session_active"),
    "app_session.user.active": ("observable_gauge", "{session}", "app_session_user_active"),
    "app_session.duration": ("histogram", "s", "app_session_duration_seconds"),
    "app_session.requests": ("counter", "{request}", "app_session_requests_total"),
    "app_session.events": ("counter", "{event}", "app_session_events_total"),
    "app_session.errors": ("counter", "{error}", "app_session_errors_total"),
    "app_session.turn.duration": ("histogram", "s", "app_session_turn_duration_seconds"),
    "app_session.messages": ("counter", "{message}", "app_session_messages_total"),
    "app_session.engagement_ratio": ("histogram", "1", "app_session_engagement_ratio"),
    "app_session.token.usage": ("counter", "{token}", "app_session_token_usage_total"),
    "app_session.cost": ("counter", "{currency}", "app_session_cost_total"),
    "app_session.limit.decisions": ("counter", "{decision}", "app_session_limit_decisions_total"),
    "app_session.quota.usage": ("counter", "{unit}", "app_session_quota_usage_total"),
    "app_session.quota.limit": ("observable_gauge", "{unit}", "app_session_quota_limit"),
    "app_session.quota.utilization_ratio": ("observable_gauge", "1", "app_session_quota_utilization_ratio"),
    "app_session.quota.actors": ("observable_gauge", "{actor}", "app_session_quota_actors"),
    "app_session.quota.time_to_exhaustion": (
        "observable_gauge",
        "s",
        "app_session_quota_time_to_exhaustion_seconds",
    ),
    "app_session.lease.active": ("observable_up_down_counter", "{lease}", "app_session_lease_active"),
    "app_session.lease.limit": ("observable_gauge", "{lease}", "app_session_lease_limit"),
    "app_session.platform_switch.duration": ("histogram", "s", "app_session_platform_switch_duration_seconds"),
    "app_session.findings": ("counter", "{finding}", "app_session_findings_total"),
    "app_session.access_failures": ("counter", "{attempt}", "app_session_access_failures_total"),
    "app_session.store.operation.duration": ("histogram", "s", "app_session_store_operation_duration_seconds"),
    "app_session.store.pending": ("observable_gauge", "{delta}", "app_session_store_pending"),
    "app_session.dropped": ("counter", "{record}", "app_session_dropped_total"),
    "app_session.up": ("observable_gauge", "{instance}", "app_session_up"),
}


class TestMetrics:
    """Every metric, by the rules for metrics."""

    def test_are_those_of_the_catalogue(self) -> None:
        """Name, kind, unit and Prometheus name of each metric are what was agreed on."""
        assert CATALOGUE == {metric.name: (metric.kind, metric.unit, metric.prometheus_name) for metric in sc.METRICS}

    def test_all_constants_are_listed(self) -> None:
        """`METRICS` leaves none out and holds none twice."""
        constants = [value for value in vars(sc).values() if isinstance(value, sc.Metric)]
        assert sorted(constants) == sorted(sc.METRICS)
        assert len(sc.METRICS) == len(set(sc.METRICS))

    @METRICS
    def test_name(self, metric: sc.Metric) -> None:
        """Lower-case words in our namespace; neither `total` nor a unit in them."""
        assert re.fullmatch(r"app_session(\.[a-z]+(_[a-z]+)*)+", metric.name)
        assert len(metric.name) <= 63
        words = set(re.split(r"[._]", metric.name))
        assert words.isdisjoint({"total", "seconds", "second", "ms", "milliseconds", "bytes", "percent", "number"})

    @METRICS
    def test_unit(self, metric: sc.Metric) -> None:
        """UCUM: seconds, bytes, one, or an annotation in the singular; what has the unit one is called a ratio."""
        assert re.fullmatch(r"s|By|1|\{[a-z]+[a-rt-z]\}", metric.unit)
        assert (metric.unit == "1") == metric.name.endswith("_ratio")

    @METRICS
    def test_number(self, metric: sc.Metric) -> None:
        """Counters of things are in the plural; gauges and up-down counters are not, but those that count people."""
        last = re.split(r"[._]", metric.name)[-1]
        if metric.kind == "counter":
            assert last.endswith("s") or last in {"usage", "cost", "dropped"}
        else:
            assert not last.endswith("s") or metric is sc.QUOTA_ACTORS

    @METRICS
    def test_description(self, metric: sc.Metric) -> None:
        """A sentence."""
        assert metric.description[0].isupper() or metric.description[0].isdigit()
        assert metric.description.endswith(".")

    @METRICS
    def test_attributes(self, metric: sc.Metric) -> None:
        """Known ones, each once, none that names a session, a user, an address or a text."""
        assert len(metric.attributes) == len(set(metric.attributes))
        assert set(metric.attributes) <= set(ATTRIBUTES.values())
        unbounded = {
            sc.SESSION_ID,
            sc.SESSION_PREVIOUS_ID,
            sc.ENDUSER_PSEUDO_ID,
            sc.PARENT_ID,
            sc.EVENT_MESSAGE,
            sc.EXCEPTION_MESSAGE,
            sc.EXCEPTION_STACKTRACE,
        }
        assert unbounded.isdisjoint(metric.attributes)

    @METRICS
    def test_buckets(self, metric: sc.Metric) -> None:
        """Histograms, and they alone, have buckets: floats that ascend."""
        assert (metric.kind == "histogram") == (metric.buckets is not None)
        buckets = metric.buckets or ()
        assert all(isinstance(bound, float) for bound in buckets)
        assert list(buckets) == sorted(set(buckets))

    def test_buckets_that_alerts_rely_on(self) -> None:
        """Response times have bounds at 2, 10 and 30 seconds, ratios at a tenth."""
        assert {2.0, 10.0, 30.0} <= set(sc.TURN_BUCKETS)
        assert 0.1 in sc.RATIO_BUCKETS
        assert (0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 120) == sc.TURN_BUCKETS
        assert (
            0.1, 1, 5, 10, 30, 60, 300, 900, 1800, 3600, 7200, 14400, 28800, 86400, 604800,
        ) == sc.DURATION_BUCKETS  # fmt: skip

    def test_no_name_is_the_namespace_of_another(self) -> None:
        """A metric cannot be both a value and a folder of values."""
        names = [metric.name for metric in sc.METRICS]
        assert [] == [(a, b) for a in names for b in names if b.startswith(f"{a}.")]

    def test_prometheus_names_do_not_collide(self) -> None:
        """Two metrics never become one in Prometheus, nor one the series of another's histogram."""
        series = [
            f"{metric.prometheus_name}{suffix}"
            for metric in sc.METRICS
            for suffix in (("_bucket", "_sum", "_count") if metric.kind == "histogram" else ("",))
        ]
        assert len(series) == len(set(series))
        assert all(re.fullmatch(r"[a-z_:][a-z0-9_:]*", name) for name in series)

    @pytest.mark.parametrize(
        ("metric", "expected"),
        [
            (sc.Metric("a.size", "histogram", "By", "X.", ()), "a_size_bytes"),
            (sc.Metric("a.sent", "counter", "By", "X.", ()), "a_sent_bytes_total"),
            (sc.Metric("a.wait", "counter", "s", "X.", ()), "a_wait_seconds_total"),
            (sc.Metric("a.b_ratio", "observable_gauge", "1", "X.", ()), "a_b_ratio"),
            (sc.Metric("a.b", "observable_gauge", "{thing}", "X.", ()), "a_b"),
        ],
    )
    def test_prometheus_translation(self, metric: sc.Metric, expected: str) -> None:
        """Dots become underscores, units suffixes, annotations vanish, counters end in `_total`."""
        assert expected == metric.prometheus_name


class TestAttributes:
    """Attribute names, by the rules for attributes."""

    def test_those_of_opentelemetry_are_spelt_as_it_spells_them(self) -> None:
        """Each constant is equal to the semantic conventions' own."""
        assert {
            "SESSION_ID": session_attributes.SESSION_ID,
            "SESSION_PREVIOUS_ID": session_attributes.SESSION_PREVIOUS_ID,
            "ENDUSER_PSEUDO_ID": enduser_attributes.ENDUSER_PSEUDO_ID,
            "ERROR_TYPE": error_attributes.ERROR_TYPE,
            "EXCEPTION_TYPE": exception_attributes.EXCEPTION_TYPE,
            "EXCEPTION_MESSAGE": exception_attributes.EXCEPTION_MESSAGE,
            "EXCEPTION_STACKTRACE": exception_attributes.EXCEPTION_STACKTRACE,
            "GEN_AI_REQUEST_MODEL": gen_ai_attributes.GEN_AI_REQUEST_MODEL,
            "GEN_AI_TOKEN_TYPE": gen_ai_attributes.GEN_AI_TOKEN_TYPE,
        } == {name: value for name, value in ATTRIBUTES.items() if not value.startswith("app_session.")}

    @pytest.mark.parametrize("name", sorted(ATTRIBUTES.values()))
    def test_name(self, name: str) -> None:
        """Lower-case words in dotted namespaces."""
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*(\.[a-z]+(_[a-z]+)*)+", name)
        assert "total" not in name

    def test_no_name_is_the_namespace_of_another(self) -> None:
        """`a.b` and `a.b.c` cannot both be attributes."""
        prefixes = {value.rstrip(".") for name, value in vars(sc).items() if name.endswith("_PREFIX")}
        names = {*ATTRIBUTES.values(), *prefixes}
        assert [] == [(a, b) for a in names for b in names if b.startswith(f"{a}.")]

    def test_each_once(self) -> None:
        """No two constants mean the same attribute."""
        assert [] == [(a, b) for a, b in combinations(ATTRIBUTES, 2) if ATTRIBUTES[a] == ATTRIBUTES[b]]


class TestEvents:
    """Event names."""

    def test_are_those_of_the_catalogue(self) -> None:
        """Two are OpenTelemetry's, one is its exception, the others are ours."""
        assert {
            "session.start",
            "session.end",
            "exception",
            "app_session.startup",
            "app_session.access",
            "app_session.alert",
            "app_session.progress",
            "app_session.platform_switch",
            "app_session.limit.threshold",
            "app_session.limit.rejected",
            "app_session.finding",
        } == EVENTS

    def test_built_in_ones_are_counted_by_name(self) -> None:
        """What is recorded in a session counts by its name; start and end have metrics, and some are no session's."""
        of_the_process = {"app_session.startup", "app_session.alert", "app_session.access"}
        assert EVENTS - {"session.start", "session.end"} - of_the_process == sc.BUILT_IN_EVENTS

    def test_nothing_of_ours_is_in_the_namespace_of_opentelemetry(self) -> None:
        """`session.` holds its two attributes and its two events, nothing else."""
        everything = {*ATTRIBUTES.values(), *EVENTS, *(metric.name for metric in sc.METRICS)}
        assert {"session.id", "session.previous_id", "session.start", "session.end"} == {
            name for name in everything if name.startswith("session.")
        }
        reserved = ("otel.", "app.", "session_", "user.", "http.", "server.", "service.")
        assert [] == [name for name in everything if name.startswith(reserved)]


class TestScope:
    """The instrumentation scope."""

    def test_says_that_it_is_in_development(self) -> None:
        """The schema URL has the suffix of what may still change."""
        assert "otel_sessions" == sc.SCOPE_NAME
        assert sc.SCHEMA_URL.startswith("https://")
        assert sc.SCHEMA_URL.endswith("-dev")
