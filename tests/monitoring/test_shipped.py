"""What is written and packed is what is committed, whatever else lies in those folders."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

from otel_sessions.cli._files import PARTS, files_of

ROOT = Path(__file__).parents[2]
ASSETS = (*PARTS, "compose.yaml", "compose.lgtm.yaml")
LEFT_BEHIND = (
    "collector-config/otelcol-queue/exporter_otlp_grpc_tempo_traces",
    "collector-config/telemetry/traces.jsonl",
    "collector-config/otelcol-contrib",
    "collector-config/collector.key",
    "prometheus/data/01JD8QXW/meta.json",
    "prometheus/data/wal/00000000",
    "prometheus/rules/.alerts.yaml.swp",
    "grafana/dashboards/overview.json.orig",
    "compose/.env",
)
"""What runs of a collector and a Prometheus leave, and editors."""


def committed() -> set[str]:
    command = ["git", "-c", f"safe.directory={ROOT}", "-C", str(ROOT), "ls-files", *ASSETS]
    return set(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines())


@pytest.fixture(name="used")
def _used(tmp_path: Path) -> Path:
    """A checkout in which somebody has worked."""
    for name in committed() | {"pyproject.toml", "README.md", "LICENSE", "src/otel_sessions/version.py"}:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    for name in LEFT_BEHIND:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"\xff")
    return tmp_path


def test_what_is_committed_is_written(used: Path) -> None:
    """`otel-sessions assets` writes every file of these folders that is committed, and nothing else."""
    assert committed() == {path.relative_to(used).as_posix() for part in PARTS for path in files_of(part, used)}


def test_what_is_committed_is_packed(used: Path) -> None:
    """The wheel has the same, where the command looks for it."""
    builder = WheelBuilder(str(used))
    forced = builder.recurse_forced_files(builder.config.get_force_include())
    packed = {Path(each.distribution_path).as_posix() for each in [*builder.recurse_selected_project_files(), *forced]}
    assert {f"otel_sessions/_assets/{name}" for name in committed()} | {"otel_sessions/version.py"} == packed


def test_what_runs_leave_is_ignored() -> None:
    """What the documented commands leave is neither committed nor sent to where the demo's image is built."""
    folders = {"collector-config/otelcol-queue", "collector-config/telemetry", "prometheus/data"}
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert {f"/{folder}/" for folder in folders} <= set(ignored)
    sent = (ROOT / "compose" / "demo.Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    assert folders <= set(sent)
    for folder in folders:
        # The last that fits counts.
        assert sent.index(folder) > sent.index(f"!{folder.partition('/')[0]}")
