"""The logs of several processes, with rotation: every line arrives once, and everything that takes space is counted."""

from __future__ import annotations

import gzip
import logging
import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Final

import pytest
import yaml
from monitoring.recordings import ROTATED, ROTATION

from otel_sessions.testing import OTLPReceiver, ReceivedLog

from ..redis_server import until
from .binaries import need
from .collector import CONFIGURATIONS
from .host import Host

_PROCESSES: Final = 17
_KEPT: Final = 3
# In the field it is 1 MB; what matters is that it happens often.
_FULL: Final = 16 * 1024
_LINE: Final = 200
# More than half a file: while one part is read, the next one makes the file full.
_PART: Final = int(0.6 * _FULL / _LINE)
_PARTS: Final = 9


@pytest.fixture(scope="module", name="host")
def _host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    with OTLPReceiver() as backend, Host(tmp_path_factory.mktemp("rotation"), backend) as host:
        yield host


def _line(process: int, number: int) -> str:
    return f"process {process} line {number} ".ljust(_LINE - 1, "-")


def _record(line: str) -> logging.LogRecord:
    return logging.LogRecord("process", logging.INFO, __file__, 1, line, None, None)


class TestSeveralProcesses:
    def test_rotated_by_renaming_every_line_arrives_once_and_every_file_counts(self, host: Host) -> None:
        """17 logs that Python's RotatingFileHandler rotates several times each, while they are read."""
        paths = [host.logs / f"process-{process}.log" for process in range(_PROCESSES)]
        before = self._taken_in(host)
        sent: list[str] = []
        with ExitStack() as held:
            handlers = [
                held.enter_context(closing(RotatingFileHandler(path, maxBytes=_FULL, backupCount=_KEPT)))
                for path in paths
            ]
            for part in range(_PARTS):
                for process, handler in enumerate(handlers):
                    for number in range(part * _PART, (part + 1) * _PART):
                        sent.append(_line(process, number))
                        handler.emit(_record(sent[-1]))
                # A file has to be read before rotation deletes it.
                host.backend.wait_for(lambda: len(self._of_processes(host)) >= len(sent))
        found = self._of_processes(host)
        assert Counter(log.body for log in found) == Counter(sent)
        # Under the name of the file that was written to, whatever it was called when it was read.
        assert {log.attributes["log.file.path"] for log in found} == set(map(str, paths))
        assert {log.attributes["log.file.name"] for log in found} == {path.name for path in paths}
        assert self._taken_in(host) - before == len(sent)
        files = {str(path): path.stat().st_size for path in host.logs.glob("process-*.log*")}
        assert len(files) == _PROCESSES * (1 + _KEPT)
        until(lambda: self._sizes(host, "process-") == files)

    def test_rotated_by_copying_every_line_arrives_once_and_the_copy_counts(self, host: Host) -> None:
        """As logrotate does it with `copytruncate`: what was read is not read again, what was not is, from the copy."""
        lines = [f"before the copy {number}" for number in range(100)]
        path = host.write("copied.log", "".join(f"{line}\n" for line in lines[:50]))
        host.wait(lines[49])
        host.write("copied.log", "".join(f"{line}\n" for line in lines[50:]))
        copy = Path(shutil.copy(path, path.with_name("copied.log.1")))
        os.truncate(path, 0)
        host.write("copied.log", "after the copy\n")
        host.wait(*lines, "after the copy")
        until(lambda: self._sizes(host, "copied.") == {str(copy): copy.stat().st_size, str(path): 15})
        found = [body for body in host.bodies() if "the copy" in body]
        assert Counter(found) == Counter([*lines, "after the copy"])

    def test_a_compressed_file_counts_and_is_not_read(self, host: Host) -> None:
        """Its bytes on disk, not what is in it."""
        path = host.logs / "compressed.log.2.gz"
        path.write_bytes(gzip.compress(b"compressed\n" * 10_000))
        host.write("compressed.log", "beside the compressed\n")
        host.wait("beside the compressed")
        until(lambda: host.size(path) == path.stat().st_size)
        assert not [log for log in host.backend.logs if log.attributes["log.file.name"] == path.name]

    @staticmethod
    def _of_processes(host: Host) -> list[ReceivedLog]:
        return [log for log in host.backend.logs if log.body.startswith("process ")]

    @staticmethod
    def _sizes(host: Host, prefix: str) -> dict[str, float]:
        return {path: size for path, size in host.sizes().items() if Path(path).name.startswith(prefix)}

    @staticmethod
    def _taken_in(host: Host) -> float:
        return host.collector.own("otelcol_receiver_accepted_log_records_total", 'receiver="file_log"')


class TestNames:
    """Which files are one log."""

    @pytest.mark.parametrize(
        ("file", "log"),
        [
            ("app.log", "app.log"),
            ("app.log.1", "app.log"),
            ("app.log.10.gz", "app.log"),
            ("app.log-20260131", "app.log"),
            ("app.log-20260131-1769817600.gz", "app.log"),
            ("app.log-1769817600", "app.log"),
            ("app.log.2026-01-31", "app.log"),
            ("app.log.2026-01-31_10-00", "app.log"),
            ("app.log.2026-01-31T10:00:00Z", "app.log"),
            ("app.log.2026-01-31T10:00:00+01:00.zst", "app.log"),
            # One for each process, or port.
            ("worker.log.8000", "worker.log.8000"),
            ("api.log.12345", "api.log.12345"),
            ("api.log.4194304", "api.log.4194304"),
            # One for each day.
            ("app.2026-01-31.log", "app.2026-01-31.log"),
        ],
    )
    def test_those_that_rotation_made_are_the_log(self, file: str, log: str) -> None:
        """A short number or a date at the end is rotation's, and what compresses."""
        found = re.fullmatch(ROTATED, file)
        assert found
        assert found[1] == log

    def test_lines_and_sizes_are_of_the_same_logs(self) -> None:
        """The collector names the file of a line as the recording rule names the log of a size."""
        held = yaml.safe_load((CONFIGURATIONS / "host.yaml").read_text())
        (group,) = held["processors"]["transform/files"]["log_statements"]
        patterns = [re.findall(r'"([^"]*)"', statement)[1] for statement in group["statements"]]
        assert patterns == [f"^(.+?){ROTATION}$"] * 2


class TestQueries:
    @pytest.mark.parametrize("promtool", ["PROMTOOL", "PROMTOOL3"])
    def test_what_is_written_in_a_second_is_seen_where_nothing_grows(self, promtool: str, tmp_path: Path) -> None:
        """The README's queries: 1000 bytes and 5 entries a second, into a log of which rotation deletes as much."""
        readme = (CONFIGURATIONS / "README.md").read_text()
        (block,) = re.findall(r"```promql\n(.*?)```", readme, re.DOTALL)
        queries = [line for line in block.splitlines() if not line.startswith("#")]
        full = " ".join(["15000+15000x9"] * 5)
        series = {
            'file_size_bytes{file_path="/v/a.log"}': full,
            'file_size_bytes{file_path="/v/a.log.1"}': "150000x60",
            'otelcol_receiver_accepted_log_records_total{receiver="file_log"}': "0+75x60",
        }
        expected = (
            {"labels": '{file_path="/v/a.log"}', "value": 1000},
            {"labels": '{receiver="file_log"}', "value": 5},
        )
        asked = [
            {"expr": f"round({query})", "eval_time": "10m", "exp_samples": [sample]}
            for query, sample in zip(queries, expected, strict=True)
        ]
        given = [{"series": name, "values": values} for name, values in series.items()]
        test = tmp_path / "queries.yaml"
        test.write_text(
            yaml.safe_dump({"tests": [{"interval": "15s", "input_series": given, "promql_expr_test": asked}]})
        )
        done = subprocess.run([need(promtool), "test", "rules", test], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
