"""Series that look like a fault, and are none."""

from __future__ import annotations

from typing import Final

from monitoring import promql as pq

from otel_sessions import _semconv as sc

from .given import COLLECTORS, LIBRARY_UP, TEMPO, TYPED, WEB, decided, ended, storage
from .model import Calm

CALM: Final = (
    Calm("a job that ends in order", "SessionTelemetryMissing", {LIBRARY_UP: "1x5 0x5 stale"}, ("11m", "20m", "60m")),
    Calm("few sessions, all in error", "SessionErrorRateHigh", ended("error", "exception", 1), ("10m", "30m", "60m")),
    Calm(
        "series that come back after the application was cut off from the collector",
        "SessionSuspiciousActivity",
        {f'{pq.name(sc.FINDINGS)}{{{WEB}, app_session_finding_kind="scraping"}}': "0x5 200x20 stale _x20 200x40"},
        ("20m", "50m", "60m"),
    ),
    Calm(
        "counters that are old when the monitoring begins",
        "SessionSuspiciousActivity",
        {f'{pq.name(sc.FINDINGS)}{{{WEB}, app_session_finding_kind="scraping"}}': "200x90"},
        ("0m", "5m", "9m", "10m", "11m", "60m"),
    ),
    Calm(
        "counters that are old when the collector comes back",
        "SessionSuspiciousActivity",
        {
            f'{pq.name(sc.FINDINGS)}{{{WEB}, app_session_finding_kind="scraping"}}': "_x30 200x60",
            LIBRARY_UP: "_x30 1x60",
            'up{job="app-sessions", instance="collector:9464"}': "0x29 1x60",
        },
        ("30m", "35m", "39m", "60m"),
    ),
    Calm(
        "a service that was cut off for more than an hour, and comes back",
        "SessionSuspiciousActivity",
        {
            f'{pq.name(sc.FINDINGS)}{{{WEB}, app_session_finding_kind="scraping"}}': "40x10 stale _x70 40x60",
            LIBRARY_UP: "1x10 stale _x70 1x60",
        },
        ("82m", "83m", "86m", "89m"),
    ),
    Calm(
        "one of two collectors that was away for more than an hour",
        "SessionSuspiciousActivity",
        {
            f'{pq.name(sc.FINDINGS)}{{{WEB}, app_session_finding_kind="scraping", collector="b"}}': (
                "40x10 stale _x70 40x60"
            ),
            f'{LIBRARY_UP[:-1]}, collector="b"}}': "1x10 stale _x70 1x60",
            'up{job="app-sessions", instance="b:9464"}': "1x10 0x71 1x60",
        },
        ("82m", "83m", "86m", "89m"),
    ),
    Calm(
        "two collectors that are not first scraped at the same time",
        "SessionSuspiciousActivity",
        {
            f'{pq.name(sc.FINDINGS)}{{{WEB}, app_session_finding_kind="scraping"}}': "_ _ 40x90",
            LIBRARY_UP: "_ _ 1x90",
            'up{job="app-sessions", instance="b:9464"}': "_ _ 1x90",
        },
        ("9m", "10m", "11m", "12m", "13m", "30m"),
    ),
    Calm(
        "a process that sends to another collector from now on",
        "SessionSuspiciousActivity",
        {
            f'{pq.name(sc.FINDINGS)}{{{WEB}, app_session_finding_kind="scraping", collector="a"}}': "40x35 stale",
            f'{pq.name(sc.FINDINGS)}{{{WEB}, app_session_finding_kind="scraping", collector="b"}}': "_x30 40x60",
            f'{LIBRARY_UP[:-1]}, collector="a"}}': "1x35 stale",
            f'{LIBRARY_UP[:-1]}, collector="b"}}': "_x30 1x60",
        },
        ("31m", "35m", "38m", "60m"),
    ),
    Calm(
        "sessions of a process that sends to another collector from now on",
        "SessionActiveHigh",
        {
            f'{pq.name(sc.ACTIVE)}{{{TYPED}, collector="a"}}': "60x36 stale",
            f'{pq.name(sc.ACTIVE)}{{{TYPED}, collector="b"}}': "_x30 60x60",
        },
        ("31m", "36m", "60m"),
    ),
    Calm(
        "old failures of one of two collectors that could not be scraped for more than an hour",
        "TelemetryExportFailing",
        {
            f"otelcol_exporter_send_failed_spans_total{{{TEMPO}}}": "500x5 stale _x70 500x60",
            f"up{{{COLLECTORS}}}": "1x5 0x71 1x60",
            'up{job="otel-collector", instance="b:8888"}': "1x90",
        },
        ("77m", "78m", "81m", "89m"),
    ),
    Calm(
        "a file that is rotated",
        "SessionLogGrowthHigh",
        {'file_size_bytes{job="host", instance="box", file_path="/l"}': "1000000x19 20000+5000x60"},
        ("20m", "25m", "30m", "36m"),
    ),
    Calm(
        "a rotated file that appears",
        "SessionLogGrowthHigh",
        {
            'file_size_bytes{job="host", instance="box", file_path="/v/a.log"}': "1000000x19 0+5000x60",
            'file_size_bytes{job="host", instance="box", file_path="/v/a.log.1"}': "_x20 1000000x60",
        },
        ("19m", "20m", "25m", "29m", "30m", "36m"),
    ),
    Calm(
        "a small rotated file in whose place comes a large one",
        "SessionLogGrowthHigh",
        {
            'file_size_bytes{job="host", instance="box", file_path="/v/a.log"}': "5000000x19 0+5000x60",
            'file_size_bytes{job="host", instance="box", file_path="/v/a.log.1"}': "400000x19 5000000x60",
            'file_size_bytes{job="host", instance="box", file_path="/v/a.log.2.gz"}': "_x20 40000x60",
            'file_size_bytes{job="host", instance="box", file_path="/v/a.log-20260101.gz"}': "90000x79",
        },
        ("19m", "20m", "25m", "29m", "30m", "36m"),
    ),
    Calm(
        # The collector shows what is gone for five minutes; logrotate's `nocreate`, and `delay=True` in Python.
        "a renamed file that is not written anew at once",
        "SessionLogGrowthHigh",
        {
            'file_size_bytes{job="host", instance="box", file_path="/v/a.log"}': "1000000x24 stale _x10 0+5000x50",
            'file_size_bytes{job="host", instance="box", file_path="/v/a.log.1"}': "_x20 1000000x69",
        },
        ("19m", "20m", "22m", "24m", "25m", "26m", "27m", "30m", "36m", "60m"),
    ),
    Calm(
        "another process, with a log of its own beside a small one",
        "SessionLogGrowthHigh",
        {
            'file_size_bytes{job="host", instance="box", file_path="/v/api.log.12345"}': "1000000x90",
            'file_size_bytes{job="host", instance="box", file_path="/v/api.log.8000"}': "_x20 5000000x70",
        },
        ("20m", "25m", "29m", "36m"),
    ),
    Calm(
        "a steady day, and the first of them",
        "SessionCreationAnomalous",
        {f"{pq.name(sc.STARTS)}{{{TYPED}}}": "0+20x1700"},
        ("5m", "1h", "3h", "24h", "27h"),
        "5m",
    ),
    Calm(
        "a concurrency limit of one slot that is used",
        "SessionLeasesSaturated",
        {
            **decided("concurrency", "export", "near_limit", 50),
            f'{pq.name(sc.LEASE_LIMIT)}{{{WEB}, app_session_limit_name="export", app_session_tier="free"}}': "1x90",
        },
        ("10m", "30m"),
    ),
    Calm(
        "a limit on trial",
        "SessionRefusalsHigh",
        {**decided("rate", "upload", "allowed", 10), **decided("rate", "upload", "shadow_rejected", 20)},
        ("15m", "30m"),
    ),
    Calm(
        "a file system that is mounted read-only",
        "SessionHostStorageHigh",
        storage("99e9x90", "0x90", "1x90", mode="ro"),
        ("10m", "30m"),
    ),
    Calm("memory", "SessionHostStorageHigh", storage("99e9x90", "1e9x90", "0.99x90", kind="tmpfs"), ("10m", "30m")),
    Calm("a small file system", "SessionHostStorageHigh", storage("9e8x90", "1e7x90", "0.99x90"), ("10m", "30m")),
    Calm(
        "files that are rotated away every day",
        "SessionStorageExhaustionPredicted",
        # From 50 GB to 10 GB and back.
        storage("100e9x2900", " ".join(["50e9-27777777x1439"] * 2), "0.5x2900"),
        ("30h", "36h", "44h", "47h55m"),
        "5m",
    ),
    Calm(
        "files that are rotated away every hour",
        "SessionStorageExhaustionPredicted",
        storage("100e9x800", " ".join(["20e9-200000000x59"] * 12), "0.5x800"),
        ("1h", "6h", "6h30m", "8h55m", "9h", "11h55m"),
        "5m",
    ),
    Calm(
        "a large file that is written once",
        "SessionStorageExhaustionPredicted",
        storage("100e9x800", "50e9x419 50e9-1000000000x20 30e9x300", "0.5x800"),
        ("7h20m", "7h30m", "8h", "8h10m", "8h15m", "9h", "12h"),
        "5m",
    ),
    Calm(
        "too little history to predict",
        "SessionStorageExhaustionPredicted",
        storage("100e9x300", "20e9-6e7x300", "0.5x300"),
        ("5m", "1h", "3h", "5h"),
        "5m",
    ),
)
