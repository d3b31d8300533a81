"""Cases of log files and the host."""

from __future__ import annotations

from typing import Final

from .given import BOX, DISK, HOST, MEMORY, storage
from .model import Case, Fired

_FILE: Final = {**HOST, "file_name": "sync.log", "file_path": "/var/log/sync.log"}
_NEARLY_FULL: Final = storage("91e9x90", "9e9x90", "0.91x90")

CASES: Final = (
    Case(
        "SessionLogGrowthHigh",
        {
            'file_size_bytes{job="host", instance="box", file_name="sync.log", file_path="/var/log/sync.log"}': (
                "1000000x19 1645100x90"
            ),
        },
        "25m",
        "26m",
        (Fired("warning", _FILE, "64.51%", "50%", "/var/log/sync.log on box has grown by this share in ten minutes."),),
    ),
    # Rotation has begun meanwhile: the file that is written is small, and yet the log has grown.
    Case(
        "SessionLogGrowthHigh",
        {
            'file_size_bytes{job="host", instance="box", file_name="sync.log", file_path="/var/log/sync.log"}': (
                "1000000x19 645100x90"
            ),
            'file_size_bytes{job="host", instance="box", file_name="sync.log.1", file_path="/var/log/sync.log.1"}': (
                "_x20 1000000x90"
            ),
        },
        "25m",
        "26m",
        (Fired("warning", _FILE, "64.51%", "50%", "/var/log/sync.log on box has grown by this share in ten minutes."),),
    ),
    Case(
        "SessionHostMemoryHigh",
        {'system_memory_utilization_ratio{job="host", instance="box", state="used"}': "0.95x90"},
        "9m",
        "10m",
        (Fired("warning", HOST, "95%", "90%", "Memory of box that is used."),),
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
        (Fired("warning", HOST, "97%", "90%", "The share of time that the processors of box are busy."),),
    ),
    # Reported twice: by two collectors, whose scrapes have a label of their own.
    Case(
        "SessionHostCpuHigh",
        {
            f'system_cpu_utilization_ratio{{{BOX}, collector="a", state="idle"}}': "0.03x90",
            f'system_cpu_utilization_ratio{{{BOX}, collector="b", state="idle"}}': "0.9x90",
        },
        "9m",
        "10m",
        (Fired("warning", HOST, "97%", "90%", "The share of time that the processors of box are busy."),),
    ),
    Case(
        "SessionProcessMemoryHigh",
        {
            **MEMORY,
            f'process_memory_usage_bytes{{{BOX}, process_executable_name="python3", process_pid="7"}}': "9000000000x90",
            f'process_memory_usage_bytes{{{BOX}, process_executable_name="python3", process_pid="8"}}': "7000000000x90",
        },
        "9m",
        "10m",
        (
            Fired(
                "warning",
                {**HOST, "process_executable_name": "python3", "process_pid": "7"},
                "56.25%",
                "50%",
                "Of the memory of box, python3 7 holds this share.",
            ),
        ),
    ),
    # Reported twice: by two collectors, whose scrapes have a label of their own.
    Case(
        "SessionProcessMemoryHigh",
        {
            series.replace("}", f', collector="{collector}"}}'): values
            for collector in ("a", "b")
            for series, values in {
                **MEMORY,
                f'process_memory_usage_bytes{{{BOX}, process_pid="7"}}': "9000000000x90",
                f'process_memory_usage_bytes{{{BOX}, process_pid="8"}}': "7000000000x90",
            }.items()
        },
        "9m",
        "10m",
        (
            Fired(
                "warning",
                {**HOST, "process_pid": "7"},
                "56.25%",
                "50%",
                "Of the memory of box,  7 holds this share.",
            ),
        ),
    ),
    Case(
        "SessionHostStorageHigh",
        # Mounted twice, as in a container.
        {**_NEARLY_FULL, **storage("91e9x90", "9e9x90", "0.91x90", mountpoint="/etc/hosts")},
        "9m",
        "10m",
        (Fired("error", DISK, "91%", "90%", "The share of /dev/sda1 on box that is used."),),
    ),
    Case(
        "SessionStorageExhaustionPredicted",
        # 3.6 GB an hour, of 50 GB.
        storage("50e9+6e7x500", "50e9-6e7x500", "0.5+0.0006x500"),
        "6h25m",
        "6h30m",
        (
            Fired(
                "warning",
                DISK,
                "7h 23m 20s",
                "1d 0h 0m 0s",
                "Time until /dev/sda1 on box is full, at the rate of the last six hours.",
            ),
        ),
        "5m",
    ),
)
