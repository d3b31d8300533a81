"""Alerts on the way of the telemetry itself: what is not seen cannot be alerted on."""

from __future__ import annotations

from typing import Final

from .. import thresholds as at
from ..expressions import increase
from ..foreign import Collector, Prometheus
from .model import Alert, Dashboard, Entry, labelled

_JOB: Final = labelled("job")
_INSTANCE: Final = labelled("instance")
_EXPORTER: Final = labelled("exporter")
_DASHBOARD: Final[Dashboard] = "app-session-pipeline"
# What is sent, and what counts it. Metrics are not: they are scraped.
_SENT: Final = {"traces": Collector.SENT[0], "logs": Collector.SENT[2]}
_SESSIONS: Final = f'job="{Prometheus.SESSIONS_JOB}"'
_OURS: Final = f'job=~"{Prometheus.SESSIONS_JOB}|{Collector.JOB}"'


def _or(*arms: str) -> str:
    return "\nor\n".join(arms)


def _grown(series: tuple[str, ...], *by: str) -> str:
    """What several counters of the collector grew by; some do not exist before they have something to count."""
    return _or(*(f"({increase(each, '5m', 'job', 'instance', *by, own=True)} > 0)" for each in series))


def _stuck(signal: str, sent: str) -> str:
    queue = f'min_over_time({Collector.QUEUE_SIZE}{{data_type="{signal}"}}[5m])'
    return f"""\
(
  sum by (job, instance, exporter) ({queue}) > 0
    unless sum by (job, instance, exporter) (increase({sent}[5m])) > 0
)"""


_EXPORT: Final = Entry(
    means="The collector does not get rid of what it has received. Error: nothing has been sent for five minutes "
    "although something waits (it is sent again and again, and kept). Critical: the backend refuses it for good, or a "
    "queue is full; it is lost.",
    confirm=(
        f"{Collector.QUEUE_SIZE} / {Collector.QUEUE_CAPACITY}",
        f"rate({Collector.SENT[0]}[5m])",
        f"increase({Collector.SEND_FAILED[0]}[5m])",
        f"increase({Collector.ENQUEUE_FAILED[0]}[5m])",
    ),
    act=(
        "Read the collector's log: it says what the backend answers.",
        (
            "Unreachable: bring the backend back; what is queued is sent then. Refused (4xx): a wrong endpoint, a "
            "wrong "
            "credential, or data that the backend does not take."
        ),
        "Full: enlarge the queue, or send less; what was lost does not come back.",
    ),
)

ALERTS: Final = (
    Alert(
        name="SessionTelemetryMissing",
        component="telemetry",
        severity="critical",
        subject="telemetry",
        expr="last_over_time(app_session:up:sum[1d]) > 0\n  unless on (job) app_session:up:sum",
        wait="5m",
        summary="A service that was running reports nothing any more.",
        description=f"{_JOB} has reported sessions within a day, did not say that it ends, and is silent now.",
        unit="state",
        threshold="reports, or has ended in order",
        action="See whether the service runs, and whether it reaches the collector.",
        dashboard=_DASHBOARD,
        entry=Entry(
            means="A service stopped reporting without saying that it ends: all of its processes were killed, or its "
            "telemetry does not arrive. The collector's exporter keeps series for five minutes, so it has been silent "
            "for ten. All other alerts of the service are silent because they see nothing.",
            confirm=('app_session:up:sum{job="{{job}}"}', 'last_over_time(app_session:up:sum{job="{{job}}"}[1d])'),
            act=(
                "Does the service run? If not, start it; if it was stopped for good, silence the alert for a day.",
                (
                    "Does it reach the collector? Its log says when exporting fails; try "
                    "`OTEL_EXPORTER_OTLP_ENDPOINT` from "
                    "its host."
                ),
                (
                    "A job that ends well and still fires: it is killed, or it shuts the SDK down before it calls "
                    "`otel_sessions.shutdown()`, so that its last word is not sent."
                ),
            ),
        ),
    ),
    Alert(
        name="TelemetryCollectorDown",
        component="telemetry",
        severity="critical",
        subject="collector",
        expr=f"{Prometheus.UP}{{{_OURS}}} == 0",
        wait="2m",
        summary="A collector cannot be scraped.",
        description=f"Prometheus does not reach {_INSTANCE} ({_JOB}).",
        unit="state",
        threshold="can be scraped",
        action="Start the collector, and read why it stopped.",
        dashboard=_DASHBOARD,
        entry=Entry(
            means="A collector is down, or Prometheus does not reach it. Nothing is known meanwhile of the sessions of "
            "the applications that send to it; they drop what they cannot send.",
            confirm=(f"{Prometheus.UP}{{{_OURS}}}",),
            act=(
                (
                    "Ask its health check (port 13133), read its log, start it. Killed for memory: lower the limit of "
                    "`memory_limiter`, or give it more."
                ),
                "If it runs, see what is between: the address in `prometheus.yaml`, a firewall, TLS.",
            ),
        ),
    ),
    Alert(
        name="TelemetryCollectorsDown",
        component="telemetry",
        severity="critical",
        subject="collectors",
        expr=f"max by (job) ({Prometheus.UP}{{{_SESSIONS}}}) == 0\n  or absent({Prometheus.UP}{{{_SESSIONS}}})",
        wait="2m",
        summary="No collector can be scraped: nothing is known of any session.",
        description="Prometheus reaches none of the collectors, or has none to scrape as the job that rules ask for.",
        unit="state",
        threshold="one of them can be scraped",
        action="Start the collector, and read why it stopped.",
        dashboard=_DASHBOARD,
        entry=Entry(
            means="As [TelemetryCollectorDown](#telemetrycollectordown), of all there are; alerts on sessions are "
            "silenced, since what was known last is no news. Or the job by which Prometheus scrapes them has another "
            f"name than `{Prometheus.SESSIONS_JOB}`.",
            confirm=(f"{Prometheus.UP}{{{_SESSIONS}}}",),
            act=(
                "Go on as for [TelemetryCollectorDown](#telemetrycollectordown).",
                "If there is no such series, see whether the scrape job is there, and finds its targets.",
            ),
        ),
    ),
    Alert(
        name="TelemetryExportFailing",
        component="telemetry",
        severity="error",
        subject="export",
        expr=_or(*(_stuck(signal, sent) for signal, sent in _SENT.items())),
        wait="5m",
        summary="The collector does not get its data out.",
        description=f"Items that {_EXPORTER} of {_INSTANCE} has waiting and does not send.",
        unit="records",
        threshold="what waits is sent",
        action="Read the collector's log: it says what the backend answers.",
        dashboard=_DASHBOARD,
        entry=_EXPORT,
    ),
    Alert(
        name="TelemetryExportFailing",
        component="telemetry",
        severity="critical",
        subject="export",
        expr=_grown((*Collector.SEND_FAILED, *Collector.ENQUEUE_FAILED), "exporter"),
        wait="0m",
        summary="The collector loses data: a backend refuses it, or a sending queue is full.",
        description=f"Items that {_EXPORTER} of {_INSTANCE} lost in the last five minutes.",
        unit="records",
        threshold="none is lost",
        action="Read the collector's log: it says what the backend answers, or that the queue is full.",
        dashboard=_DASHBOARD,
        entry=_EXPORT,
    ),
    Alert(
        name="TelemetryQueueFilling",
        component="telemetry",
        severity="warning",
        subject="export",
        expr=f"""\
max by (job, instance, exporter) ({Collector.QUEUE_SIZE} / ({Collector.QUEUE_CAPACITY} > 0))
  > {at.QUEUE.scalar}""",
        wait="5m",
        summary="A sending queue of the collector fills.",
        description=f"The queue of {_EXPORTER} of {_INSTANCE} is filled to this share.",
        unit="ratio",
        threshold=at.QUEUE,
        action="See why the backend takes less than comes; enlarge the queue if it will be long.",
        dashboard=_DASHBOARD,
        entry=Entry(
            means="The backend takes less than comes, or nothing. When the queue is full, data is lost.",
            confirm=(f"{Collector.QUEUE_SIZE} / {Collector.QUEUE_CAPACITY}", f"rate({Collector.SENT[0]}[5m])"),
            act=(
                "If [TelemetryExportFailing](#telemetryexportfailing) fires too, begin there.",
                "Else the backend is slow: give the exporter more consumers, the backend more room, or send less.",
            ),
        ),
    ),
    Alert(
        name="TelemetryRefused",
        component="telemetry",
        severity="warning",
        subject="intake",
        expr=_grown(Collector.REFUSED, "receiver"),
        wait="0m",
        summary="The collector refuses what it is sent.",
        description=f"Items that {labelled('receiver')} of {_INSTANCE} refused in the last five minutes.",
        unit="records",
        threshold="none is refused",
        action="Give the collector more memory, or send less.",
        dashboard=_DASHBOARD,
        entry=Entry(
            means="The collector is at its memory limit and refuses what comes; applications send it again for a "
            "while, then drop it.",
            confirm=(f"rate({Collector.REFUSED[0]}[5m])", Collector.MEMORY),
            act=(
                "If a queue fills, begin with [TelemetryQueueFilling](#telemetryqueuefilling): queues in memory count.",
                "Else give it more memory and raise the limit of `memory_limiter`.",
                "Or let some of the applications send to a second one: each of them to one alone.",
            ),
        ),
    ),
    Alert(
        name="TelemetryRulesFailing",
        component="telemetry",
        severity="error",
        subject="rules",
        expr=f"sum by (job, instance, rule_group) (increase({Prometheus.RULE_FAILURES}[5m])) > 0",
        wait="5m",
        summary="Prometheus cannot evaluate a rule.",
        description=f"Evaluations of {labelled('rule_group')} that failed in the last five minutes.",
        unit="times",
        threshold="none fails",
        action="Read the group's error on Prometheus' page of rules.",
        dashboard=_DASHBOARD,
        entry=Entry(
            means="A rule fails each time, so its alert cannot fire.",
            confirm=(f"increase({Prometheus.RULE_FAILURES}[5m])",),
            act=(
                "Read the error on Prometheus' page of rules (`/rules`), or in its log.",
                "Rules loaded twice make series that match several others.",
            ),
        ),
    ),
    Alert(
        name="TelemetryThresholdsMissing",
        component="telemetry",
        severity="error",
        subject="thresholds",
        expr=_or(
            *(f"absent({each.series})" for each in at.THRESHOLDS),
            f"count by (name) ({at.SERIES}) > 1",
        ),
        wait="5m",
        summary="A threshold is missing or there twice, and the alerts that compare with it are silent.",
        description=f"There is not exactly one {at.SERIES} of the name {labelled('name')}",
        unit="state",
        threshold="is there once",
        action="Load thresholds.yaml beside the other rules, once.",
        dashboard=_DASHBOARD,
        entry=Entry(
            means="Alerts compare with recorded constants. One that is missing or there twice makes its alerts silent.",
            confirm=(f"count({at.SERIES})",),
            act=(
                "See that `rules/thresholds.yaml` is among `rule_files`, and that your changes have kept all names.",
                "After an update of the rules take the new file, and make your changes again.",
            ),
        ),
    ),
    Alert(
        name="TelemetryWatchdog",
        component="telemetry",
        severity="info",
        subject="watchdog",
        expr="vector(1)",
        wait="0m",
        summary="Alerting works.",
        description="This alert always fires. Whoever watches for it notices when it stops.",
        unit="state",
        threshold="always fires",
        action="None, as long as it arrives.",
        dashboard=_DASHBOARD,
        entry=Entry(
            means="It always fires, and is sent to a service outside that raises the alarm when it stops: then "
            "Prometheus, Alertmanager or the way between is broken, and no other alert arrives either.",
            confirm=("vector(1)",),
            act=(
                (
                    "When it stops: does Prometheus run, and evaluate rules? Does Alertmanager run? Does it reach the "
                    "service outside?"
                ),
            ),
        ),
    ),
)
