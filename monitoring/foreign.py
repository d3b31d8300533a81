"""The series that others make: the collector's own, those of its receivers and connectors, and Prometheus' own.

Their names are those of a real scrape, with the collector and the configurations of this repository.
"""

from __future__ import annotations

from typing import Final


class Span:
    """What the connector `span_metrics` makes of spans, in `collector-config/collector.yaml`."""

    CALLS: Final = "traces_span_metrics_calls_total"
    DURATION_BUCKET: Final = "traces_span_metrics_duration_seconds_bucket"


class File:
    """What the receiver `file_stats` says of log files; the job is `host`."""

    SIZE: Final = "file_size_bytes"
    WRITTEN: Final = "file_mtime_seconds"
    NAME: Final = "file_name"
    PATH: Final = "file_path"


class Host:
    """What the receiver `host_metrics` says of the machine and its processes; the job is `host`."""

    CPU: Final = "system_cpu_utilization_ratio"
    PROCESSORS: Final = "system_cpu_logical_count"
    LOAD: Final = "system_cpu_load_average_1m"
    MEMORY: Final = "system_memory_utilization_ratio"
    MEMORY_USAGE: Final = "system_memory_usage_bytes"
    FILESYSTEM: Final = "system_filesystem_utilization_ratio"
    FILESYSTEM_USAGE: Final = "system_filesystem_usage_bytes"
    PROCESS_CPU: Final = "process_cpu_time_seconds_total"
    PROCESS_MEMORY: Final = "process_memory_usage_bytes"
    PROCESS_IO: Final = "process_disk_io_bytes_total"
    PROCESS_NAME: Final = "process_executable_name"
    PROCESS_ID: Final = "process_pid"
    DEVICE: Final = "device"


class Collector:
    """What the collector says of itself; the job is `otel-collector`."""

    JOB: Final = "otel-collector"
    ACCEPTED: Final = (
        "otelcol_receiver_accepted_spans_total",
        "otelcol_receiver_accepted_metric_points_total",
        "otelcol_receiver_accepted_log_records_total",
    )
    REFUSED: Final = (
        "otelcol_receiver_refused_spans_total",
        "otelcol_receiver_refused_metric_points_total",
        "otelcol_receiver_refused_log_records_total",
    )
    SENT: Final = (
        "otelcol_exporter_sent_spans_total",
        "otelcol_exporter_sent_metric_points_total",
        "otelcol_exporter_sent_log_records_total",
    )
    # Metrics are scraped, so that only spans and log records are sent and can fail to be.
    SEND_FAILED: Final = (
        "otelcol_exporter_send_failed_spans_total",
        "otelcol_exporter_send_failed_log_records_total",
    )
    ENQUEUE_FAILED: Final = (
        "otelcol_exporter_enqueue_failed_spans_total",
        "otelcol_exporter_enqueue_failed_log_records_total",
    )
    QUEUE_SIZE: Final = "otelcol_exporter_queue_size"
    QUEUE_CAPACITY: Final = "otelcol_exporter_queue_capacity"
    MEMORY: Final = "otelcol_process_memory_rss_bytes"


class Prometheus:
    """What Prometheus makes itself: of alerts, of scrapes, and of its rules."""

    SESSIONS_JOB: Final = "app-sessions"
    """The job by which `prometheus/prometheus.yaml` scrapes the collector's exporter; `up` has it."""
    ALERTS: Final = "ALERTS"
    UP: Final = "up"
    TARGET_INFO: Final = "target_info"
    SCRAPE_DURATION: Final = "scrape_duration_seconds"
    RULE_FAILURES: Final = "prometheus_rule_evaluation_failures_total"
    RULE_DURATION: Final = "prometheus_rule_group_last_duration_seconds"


# Of what stands above, what is a label or a job, and no series.
_LABELS: Final = {
    File.NAME, File.PATH, Host.PROCESS_NAME, Host.PROCESS_ID, Host.DEVICE, Collector.JOB, Prometheus.SESSIONS_JOB,
}  # fmt: skip


def _names(*kinds: type) -> frozenset[str]:
    values = [value for kind in kinds for name, value in vars(kind).items() if name.isupper()]
    return frozenset(one for value in values for one in ((value,) if isinstance(value, str) else value)) - _LABELS


SERIES: Final = _names(Span, File, Host, Collector, Prometheus)
"""All of them."""
