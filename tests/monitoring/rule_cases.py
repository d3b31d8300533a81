"""For each alert: what makes it fire, when, and what it says then. Written down by hand, not computed from the "
"rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from monitoring import promql as pq
from otel_sessions import _semconv as sc

Step = Literal["1m", "5m"]
Value = str | tuple[str, str]
"""What is said; if versions 2 and 3 of Prometheus extrapolate to different numbers, by both."""


@dataclass(frozen=True)
class Fired:
    """An alert, as it fires."""

    severity: str
    labels: Mapping[str, str]
    value: Value
    threshold: str
    description: str


@dataclass(frozen=True)
class Case:
    """Series that make an alert fire, beginning with a certain minute."""

    alert: str
    series: Mapping[str, str]
    quiet: str | None
    """The last evaluation at which it does not fire."""
    fires: str
    """The next one."""
    fired: tuple[Fired, ...]
    every: Step = "1m"
    """How often rules are evaluated; there is a value of each series for each minute."""


@dataclass(frozen=True)
class Calm:
    """Series that look like a fault, and are none."""

    why: str
    alert: str
    series: Mapping[str, str]
    at: tuple[str, ...]
    every: Step = "1m"


_WEB: Final = 'job="shop/web", instance="a"'
_TYPED: Final = f'{_WEB}, app_session_type="chat"'
_CHAT: Final = {"job": "shop/web", "app_session_type": "chat"}
_JOB: Final = {"job": "shop/web"}
_QUOTA: Final = (
    'app_session_limit_name="tokens", app_session_tier="free", app_session_limit_window="day", '
    'app_session_limit_scope="user"'
)
_TOKENS: Final = {
    "job": "shop/web",
    "app_session_limit_name": "tokens",
    "app_session_tier": "free",
    "app_session_limit_window": "day",
    "app_session_limit_scope": "user",
}
_HOST: Final = {"job": "host", "instance": "box"}
_COLLECTOR: Final = {"job": "otel-collector", "instance": "collector:8888"}
_OWN: Final = 'job="otel-collector", instance="collector:8888"'
_OWN_UP: Final = {f"up{{{_OWN}}}": "1x90"}
_TEMPO: Final = f'{_OWN}, exporter="otlp_grpc/tempo"'
_OF_TEMPO: Final = {**_COLLECTOR, "exporter": "otlp_grpc/tempo"}

# In minutes: more than a day, after which something changes, between two evaluations.
_DAY: Final = 25 * 60 + 1
_LONG: Final = 26 * 60 + 1
_LONGER: Final = 27 * 60 + 1


def ended(status: str, reason: str, rate: int, minutes: int = 90) -> dict[str, str]:
    """Sessions that end, so many each minute."""
    name = pq.count(sc.DURATION)
    return {
        f'{name}{{{_TYPED}, app_session_status="{status}", app_session_end_reason="{reason}"}}': f"0+{rate}x{minutes}"
    }


def observed(metric: sc.Metric, low: float, high: float | None, values: str, labels: str = _TYPED) -> dict[str, str]:
    """A histogram whose observations all fall between two neighbouring buckets; `values` is how their number grows."""
    bounds = [f"{bound:g}" for bound in metric.buckets or () if bound > low] + ["+Inf"]
    none = [f"{bound:g}" for bound in metric.buckets or () if bound <= low]
    assert high is None or bounds[0] == f"{high:g}"
    quiet = "0x2000"
    return {
        **{f'{pq.bucket(metric)}{{{labels}, le="{bound}"}}': quiet for bound in none},
        **{f'{pq.bucket(metric)}{{{labels}, le="{bound}"}}': values for bound in bounds},
        f"{pq.count(metric)}{{{labels}}}": values,
    }


def changing(before: int, minutes: int, after: int) -> str:
    """A counter that grows by so much a minute, then by so much."""
    return f"0+{before}x{minutes} {before * minutes + after}+{after}x200"


def shifting(metric: sc.Metric, minutes: int, before: float, after: float, rate: int) -> dict[str, str]:
    """A histogram whose observations fall below one bound first, then between it and another one."""
    found: dict[str, str] = {}
    for bound in [*(metric.buckets or ()), float("inf")]:
        le = "+Inf" if bound == float("inf") else f"{bound:g}"
        if bound < before:
            values = "0x2000"
        elif bound < after:
            values = f"0+{rate}x{minutes} {rate * minutes}x200"
        else:
            values = f"0+{rate}x{minutes + 200}"
        found[f'{pq.bucket(metric)}{{{_TYPED}, le="{le}"}}'] = values
    found[f"{pq.count(metric)}{{{_TYPED}}}"] = f"0+{rate}x{minutes + 200}"
    return found


SESSIONS: Final = (
    Case(
        "SessionErrorRateHigh",
        {**ended("success", "completed", 24), **ended("error", "exception", 6)},
        "5m",
        "6m",
        (
            Fired(
                "error",
                _CHAT,
                "20%",
                "10%",
                "Of the chat sessions of shop/web that ended in the last five minutes, too many ended in an error.",
            ),
        ),
    ),
    Case(
        "SessionErrorBudgetBurn",
        {**ended("success", "completed", 24), **ended("error", "exception", 6)},
        "2m",
        "3m",
        (
            Fired(
                "critical",
                _CHAT,
                "20 times",
                "14.4 times",
                "Errors of chat sessions of shop/web over an hour, and still, in terms of what the objective allows.",
            ),
        ),
    ),
    Case(
        "SessionErrorBudgetBurn",
        {**ended("success", "completed", 92), **ended("error", "exception", 8)},
        "15m",
        "16m",
        (
            Fired(
                "warning",
                _CHAT,
                "8 times",
                "6 times",
                "Errors of chat sessions of shop/web over six hours, and still, in terms of what the objective allows.",
            ),
        ),
    ),
    Case(
        "SessionCrashFreeRateLow",
        {**ended("success", "completed", 48), **ended("abandoned", "crashed", 2)},
        "5m",
        "6m",
        (
            Fired(
                "error",
                _CHAT,
                "96%",
                "99%",
                "The share of chat sessions of shop/web in the last hour that did not end by a crash of their process.",
            ),
        ),
    ),
    Case(
        "SessionCreationDrop",
        {f"{pq.name(sc.STARTS)}{{{_TYPED}}}": changing(1, _DAY, 0)},
        "25h45m",
        "25h50m",
        (
            Fired(
                "warning",
                _CHAT,
                ("0.1833 times", "0.1695 times"),
                "0.5 times",
                "The chat sessions of shop/web that started in the last hour, in terms of the same hour yesterday.",
            ),
        ),
        "5m",
    ),
    Case(
        "SessionCreationSpike",
        {f"{pq.name(sc.STARTS)}{{{_TYPED}}}": changing(1, _DAY, 10)},
        "25h25m",
        "25h30m",
        (
            Fired(
                "info",
                _CHAT,
                ("5.35 times", "5.424 times"),
                "3 times",
                "The chat sessions of shop/web that started in the last hour, in terms of the same hour yesterday.",
            ),
        ),
        "5m",
    ),
    Case(
        "SessionActiveHigh",
        {
            f"{pq.name(sc.ACTIVE)}{{{_TYPED}}}": "60x90",
            f'{pq.name(sc.ACTIVE)}{{job="shop/web", instance="b", app_session_type="chat"}}': "41x90",
        },
        "4m",
        "5m",
        (Fired("warning", _JOB, "101 sessions", "100 sessions", "Sessions that shop/web has open."),),
    ),
    Case(
        "SessionUserSessionsHigh",
        {
            f"app_session_user_active{{{_WEB}}}": "6x90",
            'app_session_user_active{job="shop/web", instance="b"}': "2x90",
        },
        "4m",
        "5m",
        (Fired("warning", _JOB, "6 sessions", "5 sessions", "Sessions that one user of shop/web has open."),),
    ),
    Case(
        "SessionDurationAnomalous",
        shifting(sc.DURATION, _LONG, 30, 300, 1),
        "27h",
        "27h5m",
        (
            Fired(
                "info",
                _CHAT,
                "9 times",
                "2 times",
                "The median duration of chat sessions of shop/web, in terms of the week before yesterday.",
            ),
        ),
        "5m",
    ),
)

CONVERSATIONS: Final = (
    Case(
        "SessionResponseSlow",
        observed(sc.TURN_DURATION, 2, 5, "0+30x90"),
        "5m",
        "6m",
        (
            Fired(
                "warning",
                _CHAT,
                "4.85s",
                "2s",
                "Response time that 95 % of the turns in chat sessions of shop/web stay under.",
            ),
        ),
    ),
    Case(
        "SessionResponseMeanHigh",
        {
            **observed(sc.TURN_DURATION, 10, 30, "0+30x90"),
            f"{pq.total(sc.TURN_DURATION)}{{{_TYPED}}}": "0+360x90",
        },
        "5m",
        "6m",
        (Fired("error", _CHAT, "12s", "10s", "Mean response time in chat sessions of shop/web."),),
    ),
    Case(
        "SessionResponseSingleSlow",
        observed(sc.TURN_DURATION, 30, 60, "_x19 1x90"),
        "18m",
        "19m",
        (
            Fired(
                "warning",
                _CHAT,
                "1m 0s",
                "30s",
                "A turn in a chat session of shop/web took up to this long, the upper bound of its bucket.",
            ),
        ),
    ),
    Case(
        "SessionResponseDegraded",
        shifting(sc.TURN_DURATION, _DAY, 1, 2, 30),
        "25h15m",
        "25h20m",
        (
            Fired(
                "warning",
                _CHAT,
                "2 times",
                "1.5 times",
                "Response time (95 %) in chat sessions of shop/web, in terms of the same hour yesterday.",
            ),
        ),
        "5m",
    ),
    Case(
        "SessionEngagementLow",
        {
            f"{pq.count(sc.ENGAGEMENT_RATIO)}{{{_TYPED}}}": "0+40x90",
            f"{pq.total(sc.ENGAGEMENT_RATIO)}{{{_TYPED}}}": "0+2x90",
        },
        "15m",
        "16m",
        (
            Fired(
                "info", _CHAT, "5%", "10%", "The active share of chat sessions of shop/web that ended in the last hour."
            ),
        ),
    ),
)

_USED: Final = "Of tokens, per day, one user of the tier free in shop/web has used this share."


def _decided(kind: str, name: str, result: str, rate: int) -> dict[str, str]:
    labels = (
        f'{_WEB}, app_session_limit_kind="{kind}", app_session_limit_name="{name}", '
        f'app_session_limit_result="{result}", app_session_tier="free"'
    )
    return {f"{pq.name(sc.LIMIT_DECISIONS)}{{{labels}}}": f"0+{rate}x90"}


LIMITS: Final = (
    Case(
        "SessionQuotaNearLimit",
        {
            f"{pq.name(sc.QUOTA_UTILIZATION_RATIO)}{{{_WEB}, {_QUOTA}}}": "0.8x90",
            # What another process left behind when it stopped reporting for all.
            f'{pq.name(sc.QUOTA_UTILIZATION_RATIO)}{{job="shop/web", instance="b", {_QUOTA}}}': "0.7x90",
        },
        "4m",
        "5m",
        (Fired("warning", _TOKENS, "80%", "75%", _USED),),
    ),
    Case(
        "SessionQuotaNearLimit",
        {f"{pq.name(sc.QUOTA_UTILIZATION_RATIO)}{{{_WEB}, {_QUOTA}}}": "0.95x90"},
        "4m",
        "5m",
        (Fired("warning", _TOKENS, "95%", "75%", _USED), Fired("critical", _TOKENS, "95%", "90%", _USED)),
    ),
    Case(
        "SessionQuotaExhaustionPredicted",
        {f"{pq.name(sc.QUOTA_TIME_TO_EXHAUSTION)}{{{_WEB}, {_QUOTA}}}": "7200x90"},
        "9m",
        "10m",
        (
            Fired(
                "warning",
                _TOKENS,
                "2h 0m 0s",
                "4h 0m 0s",
                "Time until one user of the tier free in shop/web will have used up tokens, per day.",
            ),
        ),
    ),
    Case(
        "SessionRefusalsHigh",
        {**_decided("rate", "upload", "allowed", 27), **_decided("rate", "upload", "rejected", 3)},
        "10m",
        "11m",
        (
            Fired(
                "warning",
                {
                    "job": "shop/web",
                    "app_session_limit_kind": "rate",
                    "app_session_limit_name": "upload",
                    "app_session_tier": "free",
                },
                "10%",
                "5%",
                "Of what was asked of the limit upload (rate, tier free) in shop/web, this share was refused.",
            ),
        ),
    ),
    Case(
        "SessionLeasesSaturated",
        {
            **_decided("concurrency", "export", "near_limit", 48),
            **_decided("concurrency", "export", "allowed", 2),
            f'{pq.name(sc.LEASE_LIMIT)}{{{_WEB}, app_session_limit_name="export", app_session_tier="free"}}': "10x90",
        },
        "5m",
        "6m",
        (
            Fired(
                "warning",
                {"job": "shop/web", "app_session_limit_name": "export", "app_session_tier": "free"},
                "96%",
                "90%",
                "Of the slots of export (tier free) asked for in shop/web, this share was among the last quarter.",
            ),
        ),
    ),
)

SECURITY: Final = (
    Case(
        "SessionSuspiciousActivity",
        {
            f'{pq.name(sc.FINDINGS)}{{{_WEB}, app_session_finding_kind="scraping", app_session_finding_severity="warn"}}': (
                "_x19 5x90"
            ),
        },
        "18m",
        "19m",
        (
            Fired(
                "error", _JOB, "5 findings", "5 findings", "Findings in sessions of shop/web in the last ten minutes."
            ),
        ),
    ),
    Case(
        "SessionAccessFailuresHigh",
        {f'{pq.name(sc.ACCESS_FAILURES)}{{{_TYPED}, app_session_access_failure_reason="forbidden"}}': "_x19 25x90"},
        "18m",
        "19m",
        (
            Fired(
                "warning",
                _JOB,
                "25 failures",
                "20 failures",
                "Requests to shop/web in the last ten minutes that were answered with 401 or 403.",
            ),
        ),
    ),
)

_FILE: Final = {**_HOST, "file_name": "sync.log", "file_path": "/var/log/sync.log"}

RESOURCES: Final = (
    Case(
        "SessionLogGrowthHigh",
        {
            'file_size_bytes{job="host", instance="box", file_name="sync.log", file_path="/var/log/sync.log"}': (
                "1000000x19 1645100x90"
            ),
        },
        "19m",
        "20m",
        (Fired("warning", _FILE, "64.51%", "50%", "/var/log/sync.log on box has grown by this share in ten minutes."),),
    ),
    Case(
        "SessionHostMemoryHigh",
        {'system_memory_utilization_ratio{job="host", instance="box", state="used"}': "0.95x90"},
        "9m",
        "10m",
        (Fired("warning", _HOST, "95%", "90%", "Memory of box that is used."),),
    ),
    Case(
        "SessionHostCpuHigh",
        {
            'system_cpu_utilization_ratio{job="host", instance="box", state="idle"}': "0.02x90",
            'system_cpu_utilization_ratio{job="host", instance="box", state="wait"}': "0.01x90",
            'system_cpu_utilization_ratio{job="host", instance="box", state="user"}': "0.97x90",
        },
        "9m",
        "10m",
        (Fired("warning", _HOST, "97%", "90%", "The share of time that the processors of box are busy."),),
    ),
)


def _called(rate: int, error: str = "") -> dict[str, str]:
    labels = f'{_WEB}, app_session_store_operation_name="merge", app_session_store_name="redis"'
    return {f"{pq.count(sc.STORE_OPERATION_DURATION)}{{{labels}{error}}}": f"0+{rate}x90"}


STORES: Final = (
    Case(
        "SessionStoreFailing",
        {**_called(45), **_called(5, ', error_type="_OTHER"')},
        "5m",
        "6m",
        (
            Fired(
                "error",
                {"job": "shop/web", "app_session_store_name": "redis"},
                "10%",
                "1%",
                "The share of the calls of shop/web to the redis store that failed.",
            ),
        ),
    ),
    Case(
        "SessionStorePendingHigh",
        {f'{pq.name(sc.STORE_PENDING)}{{{_WEB}, app_session_store_name="redis"}}': "1500x90"},
        "9m",
        "10m",
        (
            Fired(
                "warning",
                {"job": "shop/web", "app_session_store_name": "redis"},
                "1500 sessions",
                "1000 sessions",
                "Sessions of shop/web whose counts have been waiting for the redis store for ten minutes.",
            ),
        ),
    ),
    Case(
        "SessionRecordsDropped",
        {f'{pq.name(sc.DROPPED)}{{{_WEB}, app_session_drop_reason="store_unavailable"}}': "_x19 3x90"},
        "18m",
        "19m",
        (
            Fired(
                "warning",
                {"job": "shop/web", "app_session_drop_reason": "store_unavailable"},
                "3 records",
                "0 records",
                "What was dropped in shop/web in the last ten minutes because of store_unavailable.",
            ),
        ),
    ),
)

_UP: Final = f'{pq.name(sc.UP)}{{{_WEB}, app_session_store_name="memory"}}'
_WAITING: Final = "Items that otlp_grpc/tempo of collector:8888 has waiting and does not send, or that were refused."

TELEMETRY: Final = (
    Case(
        "SessionTelemetryMissing",
        {_UP: "1x10 stale"},
        "15m",
        "16m",
        (
            Fired(
                "critical",
                _JOB,
                "true",
                "reports, or has ended in order",
                "shop/web has reported sessions within a day, did not say that it ends, and is silent now.",
            ),
        ),
    ),
    Case(
        "TelemetryCollectorDown",
        {f"up{{{_OWN}}}": "1x10 0x90"},
        "12m",
        "13m",
        (
            Fired(
                "critical",
                _COLLECTOR,
                "true",
                "can be scraped",
                "Prometheus does not reach collector:8888 (otel-collector).",
            ),
        ),
    ),
    Case(
        "TelemetryExportFailing",
        {**_OWN_UP, f"otelcol_exporter_send_failed_spans_total{{{_TEMPO}}}": "_x19 40+40x90"},
        "23m",
        "24m",
        (Fired("error", _OF_TEMPO, "200 records", "none is refused, and what waits is sent", _WAITING),),
    ),
    Case(
        "TelemetryExportFailing",
        {
            **_OWN_UP,
            f'otelcol_exporter_queue_size{{{_TEMPO}, data_type="traces"}}': "50x90",
            f"otelcol_exporter_sent_spans_total{{{_TEMPO}}}": "1000x90",
        },
        "4m",
        "5m",
        (Fired("error", _OF_TEMPO, "50 records", "none is refused, and what waits is sent", _WAITING),),
    ),
    Case(
        "TelemetryExportFailing",
        {**_OWN_UP, f"otelcol_exporter_enqueue_failed_spans_total{{{_TEMPO}}}": "_x19 7x90"},
        "18m",
        "19m",
        (
            Fired(
                "critical",
                _OF_TEMPO,
                "7 records",
                "none is lost",
                "Items that otlp_grpc/tempo of collector:8888 could not queue in the last five minutes, and lost.",
            ),
        ),
    ),
    Case(
        "TelemetryQueueFilling",
        {
            f'otelcol_exporter_queue_size{{{_TEMPO}, data_type="traces"}}': "850x90",
            f'otelcol_exporter_queue_capacity{{{_TEMPO}, data_type="traces"}}': "1000x90",
        },
        "4m",
        "5m",
        (
            Fired(
                "warning",
                _OF_TEMPO,
                "85%",
                "80%",
                "The queue of otlp_grpc/tempo of collector:8888 is filled to this share.",
            ),
        ),
    ),
    Case(
        "TelemetryRefused",
        {f'otelcol_receiver_refused_spans_total{{{_OWN}, receiver="otlp", transport="grpc"}}': "0+10x90"},
        "5m",
        "6m",
        (
            Fired(
                "warning",
                {**_COLLECTOR, "receiver": "otlp"},
                "50 records",
                "none is refused",
                "Items that otlp of collector:8888 refused in the last five minutes.",
            ),
        ),
    ),
    Case(
        "TelemetryRulesFailing",
        {'prometheus_rule_evaluation_failures_total{job="prometheus", instance="p", rule_group="g"}': "0+1x90"},
        "5m",
        "6m",
        (
            Fired(
                "error",
                {"job": "prometheus", "instance": "p", "rule_group": "g"},
                "5 times",
                "none fails",
                "Evaluations of g that failed in the last five minutes.",
            ),
        ),
    ),
    Case(
        "TelemetryWatchdog",
        {},
        None,
        "0m",
        (
            Fired(
                "info",
                {},
                "true",
                "always fires",
                "This alert always fires. Whoever watches for it notices when it stops.",
            ),
        ),
    ),
)

_UNUSUAL: Final = "compared with the last 26 hours and the same hour of the day and the week before."

ANOMALIES: Final = (
    Case(
        "SessionCreationAnomalous",
        {f"{pq.name(sc.STARTS)}{{{_TYPED}}}": changing(20, _LONGER, 200)},
        "27h10m",
        "27h15m",
        (
            Fired(
                "info",
                _CHAT,
                ("9.255 times", "9.204 times"),
                "within the usual",
                f"The number, in terms of its mean, of started chat sessions of shop/web, {_UNUSUAL}",
            ),
        ),
        "5m",
    ),
    Case(
        "SessionResponseAnomalous",
        shifting(sc.TURN_DURATION, _LONGER, 1, 10, 30),
        "27h10m",
        "27h15m",
        (
            Fired(
                "info",
                _CHAT,
                ("9.208 times", "9.204 times"),
                "within the usual",
                f"The response time (95 %), in terms of its mean, in chat sessions of shop/web, {_UNUSUAL}",
            ),
        ),
        "5m",
    ),
)

CASES: Final = (
    *SESSIONS, *CONVERSATIONS, *LIMITS, *SECURITY, *RESOURCES, *STORES, *TELEMETRY, *ANOMALIES,
)  # fmt: skip

CALM: Final = (
    Calm("a job that ends in order", "SessionTelemetryMissing", {_UP: "1x5 0x5 stale"}, ("11m", "20m", "60m")),
    Calm("few sessions, all in error", "SessionErrorRateHigh", ended("error", "exception", 1), ("10m", "30m", "60m")),
    Calm(
        "series that come back after the application was cut off from the collector",
        "SessionSuspiciousActivity",
        {f'{pq.name(sc.FINDINGS)}{{{_WEB}, app_session_finding_kind="scraping"}}': "0x5 200x20 stale _x20 200x40"},
        ("20m", "50m", "60m"),
    ),
    Calm(
        "counters that are old when the monitoring begins",
        "SessionSuspiciousActivity",
        {f'{pq.name(sc.FINDINGS)}{{{_WEB}, app_session_finding_kind="scraping"}}': "200x90"},
        ("0m", "5m", "9m", "10m", "11m", "60m"),
    ),
    Calm(
        "counters that are old when the collector comes back",
        "SessionSuspiciousActivity",
        {
            f'{pq.name(sc.FINDINGS)}{{{_WEB}, app_session_finding_kind="scraping"}}': "_x30 200x60",
            'up{job="app-sessions", instance="collector:9464"}': "0x29 1x60",
        },
        ("30m", "35m", "39m", "60m"),
    ),
    Calm(
        "a file that is rotated",
        "SessionLogGrowthHigh",
        {'file_size_bytes{job="host", instance="box", file_path="/l"}': "1000000x19 20000+5000x60"},
        ("20m", "25m", "30m", "36m"),
    ),
    Calm(
        "a steady day, and the first of them",
        "SessionCreationAnomalous",
        {f"{pq.name(sc.STARTS)}{{{_TYPED}}}": "0+20x1700"},
        ("5m", "1h", "3h", "24h", "27h"),
        "5m",
    ),
    Calm(
        "a concurrency limit of one slot that is used",
        "SessionLeasesSaturated",
        {
            **_decided("concurrency", "export", "near_limit", 50),
            f'{pq.name(sc.LEASE_LIMIT)}{{{_WEB}, app_session_limit_name="export", app_session_tier="free"}}': "1x90",
        },
        ("10m", "30m"),
    ),
    Calm(
        "a limit on trial",
        "SessionRefusalsHigh",
        {**_decided("rate", "upload", "allowed", 10), **_decided("rate", "upload", "shadow_rejected", 20)},
        ("15m", "30m"),
    ),
)
