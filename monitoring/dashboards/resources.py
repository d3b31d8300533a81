"""Logs and resources: whether log files, storage, memory and processors suffice."""

from __future__ import annotations

from typing import Final

from .. import thresholds
from ..foreign import File, Host
from . import variables
from .board import STAT_HEIGHT, Board, Row
from .colours import CRITICAL, WARNING
from .panels import Series, lines, number
from .queries import resources as ask

_FILE: Final = f"{{{{instance}}}} {{{{{File.PATH}}}}}"
_PROCESS: Final = f"{{{{instance}}}} {{{{{Host.PROCESS_NAME}}}}} {{{{{Host.PROCESS_ID}}}}}"
_DEVICE: Final = f"{{{{instance}}}} {{{{{Host.DEVICE}}}}}"

_SUMMARY: Final = Row(
    question="Are there enough resources?",
    height=STAT_HEIGHT,
    panels=[
        number("Size of logs", "All log files together.", ask.LOG_SIZE, "bytes"),
        number(
            "Log files",
            "Files that are watched, those that rotation made among them.",
            ask.LOG_FILES,
            "short",
            decimals=0,
        ),
        number(
            "Fastest log growth",
            "Growth of the log that grew most in the last ten minutes, of those above the least size.",
            ask.LOG_GROWTH,
            "percentunit",
            [(thresholds.LOG_GROWTH, WARNING)],
            none="all small",
        ),
        number(
            "Storage", "The fullest file system.", ask.DISK, "percentunit", [(thresholds.STORAGE, CRITICAL)], decimals=0
        ),
        number("Memory", "Memory in use.", ask.MEMORY, "percentunit", [(thresholds.MEMORY, CRITICAL)], decimals=0),
        number("Processors", "Processors busy.", ask.CPU, "percentunit", [(thresholds.CPU, CRITICAL)], decimals=0),
    ],
)

_LOGS: Final = Row(
    question="Do logs grow as they should?",
    panels=[
        lines(
            "Size by log",
            "The ten largest logs, with the files that rotation made of them.",
            [Series(ask.LOG_SIZES, _FILE)],
            "bytes",
        ),
        lines(
            "Growth by log",
            "Growth in the ten minutes before, of logs above the least size: the ten highest. One whose oldest file is "
            "deleted as the newest is filled does not grow, however much is written.",
            [Series(ask.LOG_GROWTHS, _FILE)],
            "percentunit",
            thresholds=[(thresholds.LOG_GROWTH, WARNING)],
        ),
        lines(
            "Written by file",
            "What is written to each file in a second: the ten to which most is. Rotation does not hide it.",
            [Series(ask.LOG_WRITTEN, _FILE)],
            "Bps",
        ),
        lines("Time since last written", "Age of each log file.", [Series(ask.LOG_AGE, _FILE)], "s"),
    ],
)

_STORAGE: Final = Row(
    question="Does storage suffice?",
    panels=[
        lines(
            "Storage in use",
            "The share of each file system that is used, small ones apart.",
            [Series(ask.DISK_BY_DEVICE, _DEVICE)],
            "percentunit",
            thresholds=[(thresholds.STORAGE, CRITICAL)],
            top=1,
        ),
        lines(
            "Time until full",
            "When each file system will be full, at the rate of the last six hours, or of what is known of them; 30 "
            "days at most.",
            [Series(ask.TIME_TO_FULL, _DEVICE)],
            "s",
            thresholds=[(thresholds.STORAGE_EXHAUSTION, WARNING)],
        ),
        lines(
            "Free storage",
            "What is free of each file system.",
            [Series(ask.DISK_FREE, "{{instance}} {{mountpoint}}")],
            "bytes",
        ),
    ],
)

_HOST: Final = Row(
    question="Is the machine busy?",
    panels=[
        lines(
            "Processors",
            "The share of time that processors are busy.",
            [Series(ask.CPU_BY_HOST, "{{instance}}")],
            "percentunit",
            thresholds=[(thresholds.CPU, CRITICAL)],
            top=1,
        ),
        lines(
            "Load",
            "Waiting and running, by processor: above 1 something waits.",
            [Series(ask.LOAD, "{{instance}}")],
            "short",
        ),
        lines(
            "Memory",
            "The share of memory that is used.",
            [Series(ask.MEMORY_BY_HOST, "{{instance}}")],
            "percentunit",
            thresholds=[(thresholds.MEMORY, CRITICAL)],
            top=1,
        ),
    ],
)

_PROCESSES: Final = Row(
    question="Which process is it?",
    collapsed=True,
    panels=[
        lines(
            "Processors by process",
            "Processors' time per second: the ten busiest.",
            [Series(ask.PROCESS_CPU, _PROCESS)],
            "percentunit",
        ),
        lines(
            "Share of memory by process",
            "Resident memory, of all that the host has: the ten largest.",
            [Series(ask.PROCESS_MEMORY_SHARE, _PROCESS)],
            "percentunit",
            thresholds=[(thresholds.PROCESS_MEMORY, WARNING)],
            top=1,
        ),
        lines(
            "Memory by process", "Resident memory: the ten largest.", [Series(ask.PROCESS_MEMORY, _PROCESS)], "bytes"
        ),
    ],
)

BOARD: Final = Board(
    uid="app-session-resources",
    description="Log files, storage, memory and processors of the machines on which collectors run.",
    variables=[variables.prometheus(), variables.host(), variables.job()],
    rows=[_SUMMARY, _LOGS, _STORAGE, _HOST, _PROCESSES],
)
