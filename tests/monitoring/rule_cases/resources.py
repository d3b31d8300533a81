"""Cases of log files and the host."""

from __future__ import annotations

from typing import Final

from .given import HOST
from .model import Case, Fired

_FILE: Final = {**HOST, "file_name": "sync.log", "file_path": "/var/log/sync.log"}

CASES: Final = (
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
        "19m",
        "20m",
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
)
