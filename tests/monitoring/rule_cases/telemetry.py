"""Cases of the way of the telemetry."""

from __future__ import annotations

from typing import Final

from .given import COLLECTOR, COLLECTORS, LIBRARY_UP, OF_TEMPO, OWN_UP, SHOP, TEMPO
from .model import Case, Fired

_WAITING: Final = "Items that otlp_grpc/tempo of collector:8888 has waiting and does not send."
_LOST: Final = "Items that otlp_grpc/tempo of collector:8888 lost in the last five minutes."

CASES: Final = (
    Case(
        "SessionTelemetryMissing",
        {LIBRARY_UP: "1x10 stale"},
        "15m",
        "16m",
        (
            Fired(
                "critical",
                SHOP,
                "true",
                "reports, or has ended in order",
                "shop/web has reported sessions within a day, did not say that it ends, and is silent now.",
            ),
        ),
    ),
    Case(
        "TelemetryCollectorDown",
        {f"up{{{COLLECTORS}}}": "1x10 0x90"},
        "12m",
        "13m",
        (
            Fired(
                "critical",
                COLLECTOR,
                "true",
                "can be scraped",
                "Prometheus does not reach collector:8888 (otel-collector).",
            ),
        ),
    ),
    Case(
        "TelemetryCollectorsDown",
        {'up{job="app-sessions", instance="collector:9464"}': "1x10 0x90"},
        "12m",
        "13m",
        (
            Fired(
                "critical",
                {"job": "app-sessions"},
                "true",
                "one of them can be scraped",
                "Prometheus reaches none of the collectors, or has none to scrape as the job that rules ask for.",
            ),
        ),
    ),
    Case(
        "TelemetryExportFailing",
        # Once, and never again.
        {**OWN_UP, f"otelcol_exporter_send_failed_spans_total{{{TEMPO}}}": "_x19 40x90"},
        "18m",
        "19m",
        (Fired("critical", OF_TEMPO, "40 records", "none is lost", _LOST),),
    ),
    Case(
        "TelemetryExportFailing",
        {
            **OWN_UP,
            f'otelcol_exporter_queue_size{{{TEMPO}, data_type="traces"}}': "50x90",
            f"otelcol_exporter_sent_spans_total{{{TEMPO}}}": "1000x90",
        },
        "4m",
        "5m",
        (Fired("error", OF_TEMPO, "50 records", "what waits is sent", _WAITING),),
    ),
    Case(
        "TelemetryExportFailing",
        {**OWN_UP, f"otelcol_exporter_enqueue_failed_spans_total{{{TEMPO}}}": "_x19 7x90"},
        "18m",
        "19m",
        (Fired("critical", OF_TEMPO, "7 records", "none is lost", _LOST),),
    ),
    Case(
        "TelemetryQueueFilling",
        {
            f'otelcol_exporter_queue_size{{{TEMPO}, data_type="traces"}}': "850x90",
            f'otelcol_exporter_queue_capacity{{{TEMPO}, data_type="traces"}}': "1000x90",
        },
        "4m",
        "5m",
        (
            Fired(
                "warning",
                OF_TEMPO,
                "85%",
                "80%",
                "The queue of otlp_grpc/tempo of collector:8888 is filled to this share.",
            ),
        ),
    ),
    Case(
        "TelemetryRefused",
        {
            **OWN_UP,
            f'otelcol_receiver_refused_spans_total{{{COLLECTORS}, receiver="otlp", transport="grpc"}}': "_x19 50x90",
        },
        "18m",
        "19m",
        (
            Fired(
                "warning",
                {**COLLECTOR, "receiver": "otlp"},
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
