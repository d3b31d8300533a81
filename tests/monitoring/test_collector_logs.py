"""Log files and the host: what is read, what a file's size is called, and what a damaged file does."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from otel_sessions.testing import OTLPReceiver

from ..redis_server import until
from .collector import matching
from .host import Host


@pytest.fixture(scope="module", name="host")
def _host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    with OTLPReceiver() as backend, Host(tmp_path_factory.mktemp("host"), backend) as host:
        yield host


class TestLogFiles:
    def test_lines_come_with_their_file_and_without_secrets(self, host: Host) -> None:
        """A stack trace is one entry; what looks like a secret is masked here as well."""
        host.write("app.log", "first\nTraceback\n  File x\n    y = 1\nmail canary.anna@example.com\nlast\n")
        host.wait("first", "Traceback\n  File x\n    y = 1", "mail ****", "last")
        log = next(log for log in host.backend.logs if log.body == "first")
        assert log.attributes["log.file.name"] == "app.log"
        assert log.resource == {"service.name": "host", "service.instance.id": "web-1"}

    def test_a_renamed_file_is_read_to_its_end_and_the_new_one_from_its_beginning(self, host: Host) -> None:
        """Rotation by renaming, as logrotate and Python's RotatingFileHandler do it."""
        path = host.write("rotated.log", "before rotation 1\nbefore rotation 2\n")
        host.wait("before rotation 1", "before rotation 2")
        path.rename(path.with_suffix(".log.1"))
        host.write("rotated.log", "after rotation 1\nafter rotation 2\n")
        host.wait("after rotation 1", "after rotation 2")
        assert host.bodies().count("before rotation 1") == 1

    def test_a_truncated_file_is_read_anew(self, host: Host) -> None:
        """Rotation by copying and truncating."""
        path = host.write("truncated.log", "".join(f"before truncation {n}\n" for n in range(50)))
        host.wait("before truncation 49")
        os.truncate(path, 0)
        host.write("truncated.log", "after truncation\n")
        host.wait("after truncation")

    def test_a_binary_file_does_no_harm(self, host: Host) -> None:
        """It comes in pieces that are bounded, as text that is valid; other files go on."""
        host.write("binary.log", bytes(range(256)) * 1024)
        host.write("beside.log", "beside the binary\n")
        host.wait("beside the binary")
        host.backend.wait_for(
            lambda: [log for log in host.backend.logs if log.attributes["log.file.name"] == "binary.log"]
        )
        assert max(len(body) for body in host.bodies()) <= 64 * 1024
        assert host.collector.healthy()
        assert host.backend.refused == []

    def test_positions_survive_the_death_of_the_collector(self, host: Host) -> None:
        """What was read is not read again, what was written meanwhile is read."""
        host.write("position.log", "before death\n")
        host.wait("before death")
        # The position is stored with the next poll after the line was handed on.
        until(
            lambda: b"position.log" in b"".join(p.read_bytes() for p in (host.collector.directory / "queue").glob("*"))
        )
        host.collector.stop()
        host.write("position.log", "during death\n")
        host.collector.start()
        host.wait("during death")
        assert host.bodies().count("before death") == 1


class TestFileStatistics:
    def test_size_in_bytes_by_file(self, host: Host) -> None:
        """The series that the alert on growth is about: one for each file, also for two of one name."""
        paths = [host.write("size.log", "x" * 1000 + "\n"), host.write("other.log", "y" * 10 + "\n")]
        until(lambda: [host.size(path) for path in paths] == [1001, 11])
        host.write("size.log", "x" * 645)
        until(lambda: host.size(paths[0]) == 1646)
        assert any(matching(host.collector.metrics(), "file_mtime_seconds", f'file_path="{paths[0]}"'))
        assert not list(matching(host.collector.metrics(), "file_size_b"))


@pytest.fixture(name="python")
def _python() -> Iterator[int]:
    """The id of a process that is called as those that are watched; this one may be called pytest."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process.pid
        process.kill()


class TestHostMetrics:
    def test_machine_and_processes_are_told_apart(self, host: Host, python: int) -> None:
        """The series that panels and alerts use, with the labels that they use."""
        own = f'process_pid="{python}"'
        until(lambda: any(matching(host.collector.metrics(), "process_memory_usage_bytes", own)))
        metrics = host.collector.metrics()
        labels = 'job="host"', 'instance="web-1"'
        for name in (
            "system_cpu_time_seconds_total", "system_cpu_logical_count", "system_cpu_load_average_1m",
            "system_memory_usage_bytes", "system_memory_utilization_ratio", "system_filesystem_usage_bytes",
            "system_filesystem_utilization_ratio", "process_cpu_time_seconds_total",
        ):  # fmt: skip
            assert any(matching(metrics, name, *labels)), name
        until(lambda: any(matching(host.collector.metrics(), "system_cpu_utilization_ratio", *labels, 'state="idle"')))
        [(_, memory)] = matching(metrics, "process_memory_usage_bytes", own)
        assert memory > 1 << 20
        used = [value for _, value in matching(metrics, "system_memory_utilization_ratio", 'state="used"')]
        assert 0 < used[0] < 1
        assert not [key for key in metrics if "command" in key or "owner" in key]
