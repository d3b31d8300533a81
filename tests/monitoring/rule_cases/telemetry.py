"""Cases of the way of the telemetry."""

from __future__ import annotations

from typing import Final

from .given import COLLECTOR, COLLECTORS, LIBRARY_UP, OF_TEMPO, OWN_UP, SHOP, TEMPO
from .model import Case, Fired

_WAITING: Final = "Items that otlp_grpc/tempo of collector:8888 has waiting and does not send, or that were refused."

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
        "TelemetryExportFailing",
        {**OWN_UP, f"otelcol_exporter_send_failed_spans_total{{{TEMPO}}}": "_x19 40+40x90"},
        "23m",
        "24m",
        (Fired("error", OF_TEMPO, "200 records", "none is refused, and what waits is sent", _WAITING),),
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
        (Fired("error", OF_TEMPO, "50 records", "none is refused, and what waits is sent", _WAITING),),
    ),
    Case(
        "TelemetryExportFailing",
        {**OWN_UP, f"otelcol_exporter_enqueue_failed_spans_total{{{TEMPO}}}": "_x19 7x90"},
        "18m",
        "19m",
        (
            Fired(
                "critical",
                OF_TEMPO,
                "7 records",
                "none is lost",
                "Items that otlp_grpc/tempo of collector:8888 could not queue in the last five minutes, and lost.",
            ),
        ),
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
        {f'otelcol_receiver_refused_spans_total{{{COLLECTORS}, receiver="otlp", transport="grpc"}}': "0+10x90"},
        "5m",
        "6m",
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
