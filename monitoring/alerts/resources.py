"""Alerts on log files and the host."""

from __future__ import annotations

from typing import Final

from .. import thresholds as at
from ..foreign import File, Host
from .model import Alert, Entry, labelled

_INSTANCE: Final = labelled("instance")
_DASHBOARD: Final = "app-session-resources"

ALERTS: Final = (
    Alert(
        name="SessionLogGrowthHigh",
        component="resources",
        severity="warning",
        subject="log_growth",
        expr=f"app_session:log_growth:ratio10m > {at.LOG_GROWTH.scalar}",
        wait="0m",
        summary="A log file grows fast.",
        description=f"{labelled(File.PATH)} on {_INSTANCE} has grown by this share in ten minutes.",
        unit="ratio",
        threshold=at.LOG_GROWTH,
        action="Read the end of the file: what repeats itself is the cause.",
        dashboard=_DASHBOARD,
        entry=Entry(
            means="A log file has grown within ten minutes by more than the threshold's share of its size. Something "
            "repeats itself, or the level of logging was raised. Small files are left out. Files that rotation made "
            "are part of the log. Once rotation deletes as much as is written, a log does not grow any more: see how "
            "many bytes a second are written.",
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
        # Waiting for disks is no work of the processor.
        expr=f'1 - sum by (job, instance) ({Host.CPU}{{state=~"idle|wait"}}) > {at.CPU.scalar}',
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
                f'1 - sum by (job, instance) ({Host.CPU}{{state=~"idle|wait"}})',
                f"topk(5, sum by (process_pid, {Host.PROCESS_NAME}) (rate({Host.PROCESS_CPU}[5m])))",
            ),
            act=(
                "Find the process that is busy. If it is the application: more workers on more hosts, or less work.",
                "Compare with sessions started and turns: load that is wanted needs a larger host.",
            ),
        ),
    ),
)
