"""Alerts on log files and the host."""

from __future__ import annotations

from typing import Final

from .. import thresholds as at
from ..foreign import File, Host
from .model import Alert, Entry, labelled

_INSTANCE: Final = labelled("instance")
_DEVICE: Final = labelled(Host.DEVICE)
_DASHBOARD: Final = "app-session-resources"

_FREE: Final = "app_session:filesystem_free_bytes:min"
_UTILIZATION: Final = "app_session:filesystem_utilization:ratio"
_TIME_TO_FULL: Final = "app_session:filesystem_time_to_full_seconds:deriv6h"


def _left(where: str = "") -> str:
    """What will be free at the end of the threshold's time, at the rate of the last half hour."""
    return f"predict_linear({_FREE}{where}[30m], {at.STORAGE_EXHAUSTION.scalar})"


# Waiting for disks is no work of the processor. What is reported twice, with labels that scrapes have added, is not
# added up.
_BUSY: Final = f'1 - min by (job, instance) (sum without (state) ({Host.CPU}{{state=~"idle|wait"}}))'

ALERTS: Final = (
    Alert(
        name="SessionLogGrowthHigh",
        component="resources",
        severity="warning",
        subject="log_growth",
        expr=f"app_session:log_growth:ratio10m > {at.LOG_GROWTH.scalar}",
        # Longer than the collector shows what is gone: a log that was renamed, and not begun anew, is there twice then.
        wait="6m",
        summary="A log file grows fast.",
        description=f"{labelled(File.PATH)} on {_INSTANCE} has grown by this share in ten minutes.",
        unit="ratio",
        threshold=at.LOG_GROWTH,
        action="Read the end of the file: what repeats itself is the cause.",
        dashboard=_DASHBOARD,
        entry=Entry(
            means="A log file has grown within ten minutes by more than the threshold's share of its size. Something "
            "repeats itself, or the level of logging was raised. Small files are left out. Files that rotation made "
            "are part of the log; the alert waits for as long as one that was renamed may count under both names. Once "
            "rotation deletes as much as is written, a log does not grow any more: see how many bytes a second are "
            "written.",
            confirm=(
                "app_session:log_growth:ratio10m",
                f'{File.SIZE}{{{File.PATH}=~"{{{{{File.PATH}}}}}.*"}}',
                f'rate({File.SIZE}{{{File.PATH}="{{{{{File.PATH}}}}}"}}[5m])',
            ),
            act=(
                "Read the end of the file, or ask the log store for the most frequent message.",
                "See that rotation works, and that the disk has room.",
                "Stop the cause; set the level of logging back.",
            ),
        ),
    ),
    Alert(
        name="SessionHostMemoryHigh",
        component="resources",
        severity="warning",
        subject="memory",
        expr=f'max by (job, instance) ({Host.MEMORY}{{state="used"}}) > {at.MEMORY.scalar}',
        wait="10m",
        summary="The host has little memory left.",
        description=f"Memory of {_INSTANCE} that is used.",
        unit="ratio",
        threshold=at.MEMORY,
        action="Find the process that has grown, and restart it or give it more before the kernel chooses one.",
        dashboard=_DASHBOARD,
        entry=Entry(
            means="Most of the host's memory is used. If none is left, the kernel kills a process, and its sessions "
            "end as `crashed`.",
            confirm=(
                f'max by (job, instance) ({Host.MEMORY}{{state="used"}})',
                f"topk(5, {Host.PROCESS_MEMORY})",
            ),
            act=(
                "Find the process that has grown, and compare with the number of open sessions.",
                "A store inside the process keeps all sessions there: use SQLite or Redis if that is what grows.",
            ),
        ),
    ),
    Alert(
        name="SessionHostCpuHigh",
        component="resources",
        severity="warning",
        subject="cpu",
        expr=f"{_BUSY} > {at.CPU.scalar}",
        wait="10m",
        summary="The host's processors are busy.",
        description=f"The share of time that the processors of {_INSTANCE} are busy.",
        unit="ratio",
        threshold=at.CPU,
        action="Find the process that is busy, and see whether response times suffer.",
        dashboard=_DASHBOARD,
        entry=Entry(
            means="The processors of the host have hardly been idle for ten minutes; what is to be done waits.",
            confirm=(
                _BUSY,
                f"topk(5, sum by (process_pid, {Host.PROCESS_NAME}) (rate({Host.PROCESS_CPU}[5m])))",
            ),
            act=(
                "Find the process that is busy. If it is the application: more workers on more hosts, or less work.",
                "Compare with sessions started and turns: load that is wanted needs a larger host.",
            ),
        ),
    ),
    Alert(
        name="SessionProcessMemoryHigh",
        component="resources",
        severity="warning",
        subject="process_memory",
        expr=f"app_session:process_memory:ratio > {at.PROCESS_MEMORY.scalar}",
        wait="10m",
        summary="One process holds much of the host's memory.",
        description=f"Of the memory of {_INSTANCE}, {labelled(Host.PROCESS_NAME)} {labelled(Host.PROCESS_ID)} holds "
        "this share.",
        unit="ratio",
        threshold=at.PROCESS_MEMORY,
        action="See whether it keeps growing, and restart it in order before the kernel kills it.",
        dashboard=_DASHBOARD,
        entry=Entry(
            means="A process that is watched (by default Python and its servers) holds so much of the host's memory "
            "that another of its kind would not find room. It serves more than it can, or it leaks. A limit of its "
            "container is not known here: where there is one, compare with that.",
            confirm=(
                'topk(5, app_session:process_memory:ratio{instance="{{instance}}"})',
                f'{Host.PROCESS_MEMORY}{{instance="{{{{instance}}}}", {Host.PROCESS_ID}="{{{{{Host.PROCESS_ID}}}}}"}}',
            ),
            act=(
                "Look at it over days: one that rises and never falls leaks; one that follows the sessions does not.",
                "A store inside the process keeps all sessions there: use SQLite or Redis if that is what grows.",
                "Until the leak is found, have the server replace its workers after so many requests.",
            ),
        ),
    ),
    Alert(
        name="SessionHostStorageHigh",
        component="resources",
        severity="error",
        subject="storage",
        expr=f"{_UTILIZATION} > {at.STORAGE.scalar}",
        wait="10m",
        summary="A file system is nearly full.",
        description=f"The share of {_DEVICE} on {_INSTANCE} that is used.",
        unit="ratio",
        threshold=at.STORAGE,
        action="Make room: look for what is largest, rotated logs first.",
        dashboard=_DASHBOARD,
        entry=Entry(
            means="A file system is nearly full. When it is, a store on it fails, the collector's queue on it loses "
            "what it cannot keep, and log files end in the middle of a line. Small file systems, those mounted "
            "read-only and those in memory are left out.",
            confirm=(
                f'{_UTILIZATION}{{instance="{{{{instance}}}}"}}',
                f'{Host.FILESYSTEM}{{instance="{{{{instance}}}}", {Host.DEVICE}="{{{{{Host.DEVICE}}}}}"}}',
            ),
            act=(
                (
                    "The second query says where the device is mounted. Look there for what is largest: rotated logs, "
                    "the data of Prometheus, Tempo and Loki, the collector's queue, a store's file."
                ),
                "Delete or move what is not needed; shorten the retention of what fills it.",
                "If all of it is needed, enlarge the file system.",
            ),
        ),
    ),
    Alert(
        name="SessionStorageExhaustionPredicted",
        component="resources",
        severity="warning",
        subject="storage_forecast",
        # A trend of hours that goes on, and no tooth of a saw: what is rotated comes back to what was free before.
        expr=f"""\
({_TIME_TO_FULL} < {at.STORAGE_EXHAUSTION.scalar})
  and ({_left()} < 0)
  and ({_FREE} < min_over_time({_FREE}[7d] offset 1h))
  and present_over_time({_FREE}[10m] offset 6h)""",
        wait="30m",
        summary="A file system will soon be full.",
        description=f"Time until {_DEVICE} on {_INSTANCE} is full, at the rate of the last six hours.",
        unit="seconds",
        threshold=at.STORAGE_EXHAUSTION,
        action="Find what writes so much, and stop it or make room before it is full.",
        dashboard=_DASHBOARD,
        entry=Entry(
            means="At the rate of the last six hours, and of the last half of one, a file system will be full within "
            "the time of the threshold. It says so only where there is less free than at any time of the week until an "
            "hour ago, so that files that are written and rotated away again do not count, once they have been "
            "rotated; and only after six hours of history.",
            confirm=(
                f'{_TIME_TO_FULL}{{instance="{{{{instance}}}}"}}',
                _left('{instance="{{instance}}"}'),
                "topk(5, app_session:log_growth:ratio10m)",
            ),
            act=(
                "See whether a log file grows: if [SessionLogGrowthHigh](#sessionloggrowthhigh) fires, begin there.",
                "Compare the beginning with deployments, and with the retention of what stores data there.",
                "If it is wanted, make room now: go on as for [SessionHostStorageHigh](#sessionhoststoragehigh).",
            ),
        ),
    ),
)
