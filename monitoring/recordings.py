"""The recording rules: what alerts and dashboards ask for often, computed once.

How the gauges of several processes are put together depends on what each of them reports:

- `app_session.active` and `app_session.lease.active` are sums. Of a store that several processes share one process
  reports what it holds, and the others zero; of a store inside the process, each reports its own. When the one that
  reports is killed, its last value is added for as long as the collector's exporter keeps it (five minutes by default).
- `app_session.quota.*` is read by that one process too, but the others report nothing. Where each process has a store
  of its own, each counts for itself. The highest utilisation, and the shortest time, are right in both cases; only the
  number of actors is a sum, and counts one twice who is known to two stores.
- `app_session.lease.limit` and `app_session.quota.limit` are the same everywhere, but for the time of a deployment: the
  highest. It is what one actor has, so that dividing the leases held by it says nothing.
- `app_session.user.active` is the highest: the user who has most sessions in one store.
- `app_session.store.pending` is each process's own: a sum.

Where several services share a store, what it holds appears under the `job` of the process that reports it.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from otel_sessions import _semconv as sc

from . import promql as pq
from .expressions import COLLECTOR, increase, quantile, share, total, watched
from .foreign import File, Host, Prometheus
from .thresholds import LOG_MIN_SIZE, STORAGE_MIN_SIZE

TYPE: Final = pq.label(sc.TYPE)
KIND: Final = pq.label(sc.FINDING_KIND)
REASON: Final = pq.label(sc.DROP_REASON)
STORE: Final = pq.label(sc.STORE)
LIMIT: Final = (pq.label(sc.LIMIT_NAME), pq.label(sc.TIER))
QUOTA: Final = (*LIMIT, pq.label(sc.LIMIT_WINDOW), pq.label(sc.LIMIT_SCOPE))
DECIDED: Final = (pq.label(sc.LIMIT_KIND), *LIMIT)
RESULT: Final = pq.label(sc.LIMIT_RESULT)
FILE: Final = ("instance", File.NAME, File.PATH)
PROCESS: Final = ("instance", Host.PROCESS_NAME, Host.PROCESS_ID)
FILESYSTEM: Final = ("instance", Host.DEVICE)

ERROR_WINDOWS: Final = ("5m", "30m", "1h", "6h")


class Recording(NamedTuple):
    """A series that a rule makes of others."""

    name: str
    expr: str
    about: str


class Group(NamedTuple):
    """Rules that are evaluated together, one after the other."""

    name: str
    recordings: tuple[Recording, ...]


_UP: Final = pq.name(sc.UP)
_SCRAPED: Final = f'{Prometheus.UP}{{job="{Prometheus.SESSIONS_JOB}"}}'
_REMEMBERED: Final = "1d"
"""For how long a process is remembered that has gone without saying that it ends: it is not new when it returns."""


def _watched(window: str) -> Recording:
    begun = f"""\
group by ({pq.JOB}, instance) ({_UP} offset {window})
  or
    (
      group by ({pq.JOB}, instance) (last_over_time({_UP}[{window}]))
        unless on ({pq.JOB}, instance) last_over_time({_UP}[{_REMEMBERED}] offset {window}) > 0
        and on () ({_SCRAPED} offset {window} == 1)
        unless on () ({_SCRAPED} == 1 unless {_SCRAPED} offset {window} == 1)
    )"""
    about = "Processes that reported when the window began; or are new, and all collectors were scraped then."
    return Recording(watched(window), begun, about)


PROCESSES: Final = tuple(map(_watched, ("1m", "5m", "10m", *ERROR_WINDOWS[1:])))


def _by_job(function: str, metric: sc.Metric, *by: str) -> str:
    # Who has sent to another collector until lately is not there twice.
    return f"{function} by ({', '.join((pq.JOB, *by))}) (max without ({COLLECTOR}) ({pq.name(metric)}))"


def _errors(window: str) -> tuple[Recording, ...]:
    ended, failed = f"app_session:ended:increase{window}", f"app_session:ended_errors:increase{window}"
    counter = pq.count(sc.DURATION)
    where = f'{pq.label(sc.STATUS)}="error"'
    return (
        Recording(ended, increase(counter, window, pq.JOB, TYPE), "Sessions that ended."),
        Recording(
            failed, increase(counter, window, pq.JOB, TYPE, where=where), "Those of them that ended in an error."
        ),
        Recording(f"app_session:ended_errors:ratio{window}", share(failed, ended), "Their share."),
    )


_CRASHED: Final = "app_session:ended_crashed:increase1h"
_DURATIONS: Final = "app_session:duration_seconds_bucket:increase1h"
_TURNS: Final = "app_session:turn_duration_seconds_bucket:increase5m"
_DECISIONS: Final = "app_session:limit_decisions:increase10m"

SESSIONS: Final = (
    Recording(
        "app_session:starts:increase5m",
        increase(pq.name(sc.STARTS), "5m", pq.JOB, TYPE),
        "Sessions started in five minutes.",
    ),
    Recording(
        "app_session:starts:increase1h",
        increase(pq.name(sc.STARTS), "1h", pq.JOB, TYPE),
        "Sessions started in an hour.",
    ),
    Recording("app_session:active:sum", _by_job("sum", sc.ACTIVE, TYPE), "Sessions open now."),
    Recording(
        "app_session:user_active:max",
        _by_job("max", sc.USER_ACTIVE),
        "Sessions open now of the user who has most of them.",
    ),
    Recording(
        _CRASHED,
        increase(pq.count(sc.DURATION), "1h", pq.JOB, TYPE, where=f'{pq.label(sc.END_REASON)}="crashed"'),
        "Sessions that ended because their process crashed.",
    ),
    Recording(
        "app_session:crash_free:ratio1h",
        f"1 - {share(_CRASHED, 'app_session:ended:increase1h')}",
        "Those that did not, of all that ended.",
    ),
    Recording(_DURATIONS, increase(pq.bucket(sc.DURATION), "1h", pq.JOB, TYPE, "le"), "How long sessions lasted."),
    Recording("app_session:duration_seconds:p50_1h", quantile(0.5, _DURATIONS), "Their median."),
)

CONVERSATIONS: Final = (
    Recording(
        _TURNS,
        # Rounded: sums that are equal but for their last digit would make the highest quantile jump to the last bucket.
        f"round({increase(pq.bucket(sc.TURN_DURATION), '5m', pq.JOB, TYPE, 'le')}, 0.001)",
        "Response times.",
    ),
    Recording(
        "app_session:turns:increase5m",
        increase(pq.count(sc.TURN_DURATION), "5m", pq.JOB, TYPE),
        "Turns that were answered.",
    ),
    Recording("app_session:turn_duration_seconds:p95_5m", quantile(0.95, _TURNS), "Response time of 95 % of them."),
    Recording(
        "app_session:turn_duration_seconds:max_5m",
        quantile(1, _TURNS),
        "The slowest of them, to its bucket's upper bound.",
    ),
    Recording(
        "app_session:turn_duration_seconds:mean_5m",
        f"{increase(pq.total(sc.TURN_DURATION), '5m', pq.JOB, TYPE)} / (app_session:turns:increase5m > 0)",
        "Their mean.",
    ),
    Recording(
        "app_session:engaged:increase1h",
        increase(pq.count(sc.ENGAGEMENT_RATIO), "1h", pq.JOB, TYPE),
        "Durable sessions that ended in an hour.",
    ),
    Recording(
        "app_session:engagement_ratio:mean_1h",
        f"{increase(pq.total(sc.ENGAGEMENT_RATIO), '1h', pq.JOB, TYPE)} / (app_session:engaged:increase1h > 0)",
        "Their active time over their elapsed time.",
    ),
)

LIMITS: Final = (
    Recording(
        "app_session:quota_utilization_ratio:max",
        _by_job("max", sc.QUOTA_UTILIZATION_RATIO, *QUOTA),
        "The share of its quota that the actor has used who has used most of it.",
    ),
    Recording(
        "app_session:quota_actors:sum",
        _by_job("sum", sc.QUOTA_ACTORS, *QUOTA, pq.label(sc.QUOTA_BAND)),
        "How many actors have used how much of it.",
    ),
    Recording(
        "app_session:quota_time_to_exhaustion_seconds:min",
        _by_job("min", sc.QUOTA_TIME_TO_EXHAUSTION, *QUOTA),
        "When the next of them will have used it up.",
    ),
    Recording("app_session:quota_limit:max", _by_job("max", sc.QUOTA_LIMIT, *QUOTA), "How much each of them may use."),
    Recording("app_session:lease_active:sum", _by_job("sum", sc.LEASE_ACTIVE, *LIMIT), "Leases held, by anybody."),
    Recording("app_session:lease_limit:max", _by_job("max", sc.LEASE_LIMIT, *LIMIT), "Leases that one actor may hold."),
    Recording(
        _DECISIONS,
        increase(pq.name(sc.LIMIT_DECISIONS), "10m", pq.JOB, *DECIDED, RESULT),
        "What limits decided in ten minutes.",
    ),
    Recording(
        "app_session:limit_refusals:ratio10m",
        share(
            total(f'{_DECISIONS}{{{RESULT}="rejected"}}', pq.JOB, *DECIDED), f"{total(_DECISIONS, pq.JOB, *DECIDED)}"
        ),
        "The share of refusals; those in shadow are none.",
    ),
    Recording(
        "app_session:lease_saturation:ratio10m",
        share(
            total(
                f'{_DECISIONS}{{{DECIDED[0]}="concurrency", {RESULT}=~"near_limit|rejected|shadow_rejected"}}',
                pq.JOB,
                *LIMIT,
            ),
            total(f'{_DECISIONS}{{{DECIDED[0]}="concurrency"}}', pq.JOB, *LIMIT),
        ),
        "The share of slots asked for that were among the last quarter of an actor's, or refused.",
    ),
)

SECURITY: Final = (
    Recording(
        "app_session:findings:increase10m",
        increase(pq.name(sc.FINDINGS), "10m", pq.JOB, KIND),
        "Findings of suspicious activity in ten minutes.",
    ),
    Recording(
        "app_session:access_failures:increase10m",
        increase(pq.name(sc.ACCESS_FAILURES), "10m", pq.JOB, pq.label(sc.ACCESS_FAILURE_REASON)),
        "Requests refused in ten minutes.",
    ),
)

# A longer number is no rotation, but a process or a port.
_NUMBER: Final = "[.][0-9]{1,3}"
_DATE: Final = "[.-][0-9]{4}-?[0-9]{2}-?[0-9]{2}[0-9_.:TZ+-]*"
ROTATION: Final = f"(?:{_NUMBER}|{_DATE})"
"""What rotation puts after a log's name, as a regular expression; `collector-config/host.yaml` takes it off as well."""
ROTATED: Final = f"(.+?){ROTATION}?(?:[.](?:gz|bz2|xz|zst|zip))?"
"""A log's name, with that or without, compressed or not."""


_LOG: Final = "app_session:log_size_bytes:sum"


def _log_sizes() -> str:
    """The files added up by log, with the labels of the file to which the log is written."""
    # The log's name is put beside the path first: in its place, it would make several series the same.
    each = f"max by ({pq.JOB}, instance, {File.PATH}) ({File.SIZE})"
    return f"""\
sum by ({", ".join((pq.JOB, *FILE))}) (
  label_replace(
    label_replace(
      sum by ({pq.JOB}, instance, log) (
        label_replace({each}, "log", "$1", "{File.PATH}", "{ROTATED}")
      ),
      "{File.PATH}", "$1", "log", "(.*)"
    ),
    "{File.NAME}", "$1", "log", ".*?([^/]+)"
  )
)"""


# What is mounted read-only is full by nature, and what is held in memory, or lies on top of another, is not storage.
_STORAGE: Final = 'mode!="ro", type!~"tmpfs|devtmpfs|ramfs|overlay|squashfs|iso9660|erofs"'
# A device that is mounted several times, as in containers, is one.
_BY_DEVICE: Final = f"by ({', '.join((pq.JOB, *FILESYSTEM))})"
_FREE: Final = "app_session:filesystem_free_bytes:min"
_LARGE: Final = (
    f"(sum by ({', '.join((pq.JOB, *FILESYSTEM))}, mountpoint)"
    f' ({Host.FILESYSTEM_USAGE}{{{_STORAGE}, state=~"used|free"}}) >= {STORAGE_MIN_SIZE.scalar})'
)
_LONGEST: Final = 30 * 86_400

RESOURCES: Final = (
    Recording(
        _LOG, _log_sizes(), "The size of each log: of the file that is written, and of what rotation made of it."
    ),
    Recording(
        "app_session:log_growth:ratio10m",
        f"({_LOG} - {_LOG} offset 10m) / ({_LOG} offset 10m > {LOG_MIN_SIZE.scalar})",
        "By how much a log has grown in ten minutes, of what it was, with the files that rotation made of it.",
    ),
    Recording(
        "app_session:filesystem_utilization:ratio",
        f"max {_BY_DEVICE} ({Host.FILESYSTEM}{{{_STORAGE}}})\n  and max {_BY_DEVICE} {_LARGE}",
        "The share of a file system that is used; small ones and those without storage of their own are left out.",
    ),
    Recording(
        _FREE,
        f'min {_BY_DEVICE} ({Host.FILESYSTEM_USAGE}{{{_STORAGE}, state="free"}})\n  and max {_BY_DEVICE} {_LARGE}',
        "What is free of it.",
    ),
    Recording(
        "app_session:filesystem_time_to_full_seconds:deriv6h",
        # One that does not fill has all the time there is: less than a byte a second is no trend.
        f"clamp_max({_FREE} / clamp_min(-deriv({_FREE}[6h]), 1), {_LONGEST})",
        "When it will be full, at the rate of the last six hours: in 30 days at most.",
    ),
    Recording(
        "app_session:process_memory:ratio",
        f"max by ({', '.join((pq.JOB, *PROCESS))}) ({Host.PROCESS_MEMORY})\n"
        "  / on (job, instance) group_left ()\n"
        # The states overlap, so that their sum is more than there is.
        f'    max by (job, instance) ({Host.MEMORY_USAGE}{{state="used"}} / {Host.MEMORY}{{state="used"}})',
        "The share of the host's memory that a process holds.",
    ),
)

_CALLS: Final = "app_session:store_operations:increase5m"
_FAILED: Final = "app_session:store_failures:increase5m"

STORES: Final = (
    Recording(
        _CALLS,
        increase(pq.count(sc.STORE_OPERATION_DURATION), "5m", pq.JOB, STORE),
        "Calls to the store.",
    ),
    Recording(
        _FAILED,
        increase(pq.count(sc.STORE_OPERATION_DURATION), "5m", pq.JOB, STORE, where=f'{pq.label(sc.ERROR_TYPE)}!=""'),
        "Those of them that failed.",
    ),
    Recording("app_session:store_failures:ratio5m", share(_FAILED, _CALLS), "Their share."),
    Recording(
        "app_session:store_pending:sum",
        _by_job("sum", sc.STORE_PENDING, STORE),
        "Sessions whose latest counts the store has not been told.",
    ),
    Recording(
        "app_session:dropped:increase10m",
        increase(pq.name(sc.DROPPED), "10m", pq.JOB, REASON),
        "Records that the library dropped.",
    ),
)

TELEMETRY: Final = (
    Recording(
        "app_session:up:sum",
        _by_job("sum", sc.UP),
        "Processes in which the library runs. One that ends in order says zero before it is gone.",
    ),
)

GROUPS: Final = (
    # First: others ask for it.
    Group("app-session-processes", PROCESSES),
    Group("app-session-errors", tuple(each for window in ERROR_WINDOWS for each in _errors(window))),
    Group("app-session-sessions", SESSIONS),
    Group("app-session-conversations", CONVERSATIONS),
    Group("app-session-limits", LIMITS),
    Group("app-session-security", SECURITY),
    Group("app-session-resources", RESOURCES),
    Group("app-session-store", STORES),
    Group("app-session-telemetry", TELEMETRY),
)

RECORDED: Final = frozenset(each.name for group in GROUPS for each in group.recordings)
"""Every series that the recording rules make."""
