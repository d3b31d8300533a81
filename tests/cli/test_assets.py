"""The files that come with the package are written with links that lead somewhere, and overwrite nothing."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from otel_sessions import __version__
from otel_sessions.cli._files import GRAFANA_URL, RUNBOOK_URL
from tests.cli.command import otel_sessions
from tests.cli.stock import checked

DOCS = "https://github.com/otel-sessions/otel-sessions/blob/main/docs/"


def written(folder: Path) -> dict[str, str]:
    """The files in a folder, by their paths in it."""
    return {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
        for path in folder.rglob("*")
        if path.is_file()
    }


class TestAssets:
    def test_as_json(self, tmp_path: Path) -> None:
        """Which files were written, and which were there already."""
        both = [
            checked("assets", otel_sessions("assets", str(tmp_path), "--only", "prometheus", "--json").stdout)
            for _ in range(2)
        ]
        files = sorted(str(tmp_path / name) for name in written(tmp_path))
        assert [(sorted(each["written"]), sorted(each["unchanged"])) for each in both] == [(files, []), ([], files)]

    def test_everything_is_written(self, tmp_path: Path) -> None:
        """All parts, in the folders that they have in the sources; each file is named."""
        done = otel_sessions("assets", str(tmp_path / "new" / "folder"))
        found = written(tmp_path / "new" / "folder")
        assert (0, "") == (done.returncode, done.stderr)
        assert {
            "collector-config/collector.yaml",
            "prometheus/prometheus.yaml",
            "prometheus/alertmanager.yaml",
            "prometheus/rules/alerts.yaml",
            "prometheus/rules/thresholds.yaml",
            "grafana/dashboards/overview.json",
            "compose.yaml",
            "compose/loki.yaml",
        } <= set(found)
        assert len(found) == len(done.stdout.splitlines())
        assert f"written   {tmp_path / 'new' / 'folder' / 'compose.yaml'}\n" in done.stdout

    def test_they_can_be_read(self, tmp_path: Path) -> None:
        """Nothing of it is damaged: YAML is YAML, and JSON is JSON."""
        otel_sessions("assets", str(tmp_path))
        for path, text in written(tmp_path).items():
            if path.endswith(".yaml"):
                yaml.safe_load(text)
            elif path.endswith(".json"):
                json.loads(text)

    def test_one_part_is_enough(self, tmp_path: Path) -> None:
        """`--only` writes what it names, and nothing else."""
        otel_sessions("assets", str(tmp_path), "--only", "prometheus", "--only", "collector-config")
        assert {"prometheus", "collector-config"} == {path.name for path in tmp_path.iterdir()}

    def test_compose_brings_what_it_mounts(self, tmp_path: Path) -> None:
        """`--only compose` leaves nothing out that a container mounts: Docker would make an empty folder of it."""
        assert otel_sessions("assets", str(tmp_path), "--only", "compose").returncode == 0
        for name in ("compose.yaml", "compose.lgtm.yaml"):
            services = yaml.safe_load((tmp_path / name).read_text(encoding="utf-8"))["services"].values()
            mounts = [mount.split(":")[0] for service in services for mount in service.get("volumes", [])]
            for source in (source for source in mounts if source.startswith(".")):
                path = tmp_path / source
                assert path.is_file() or any(path.iterdir()), source

    def test_compose_leaves_what_it_mounts_as_it_is(self, tmp_path: Path) -> None:
        """What is there of the other parts, and was changed, is neither in its way nor overwritten."""
        changed = tmp_path / "prometheus" / "rules" / "thresholds.yaml"
        changed.parent.mkdir(parents=True)
        changed.write_text("mine", encoding="utf-8")
        assert otel_sessions("assets", str(tmp_path), "--only", "compose", "--force").returncode == 0
        assert changed.read_text(encoding="utf-8") == "mine"
        assert (tmp_path / "prometheus" / "rules" / "alerts.yaml").is_file()

    def test_no_link_leads_to_what_is_not_written(self, tmp_path: Path) -> None:
        """Pages and comments lead to files that are written, or to the documentation where it is published."""
        otel_sessions("assets", str(tmp_path), "--runbook-url=https://wiki.example/sessions")
        files = written(tmp_path)
        for path, text in files.items():
            if path.endswith(".md"):
                for target in re.findall(r"\]\(([^)#]+)", text):
                    assert target.startswith("https://") or (tmp_path / path).parent.joinpath(target).exists(), target
            assert not re.search(r"(?<![\w/])docs/[\w-]+\.md", text), path
        assert f"{DOCS}privacy.md)" in files["collector-config/README.md"]
        assert "](https://wiki.example/sessions#sessionloggrowthhigh)" in files["collector-config/README.md"]
        assert f"{DOCS}signals.md)" in files["grafana/README.md"]
        assert f"{DOCS}monitoring-compose.md.\n" in files["compose.yaml"]

    def test_links_lead_where_they_should(self, tmp_path: Path) -> None:
        """The bases of links to dashboards and to the runbook are those that were given."""
        before, after = tmp_path / "before", tmp_path / "after"
        otel_sessions("assets", str(before))
        otel_sessions(
            "assets",
            str(after),
            "--grafana-url=https://grafana.example/sub/",
            "--runbook-url=https://wiki.example/sessions",
        )
        rules = "prometheus/rules/alerts.yaml"
        assert f"{GRAFANA_URL}/d/" in written(before)[rules]
        assert RUNBOOK_URL in written(before)[rules]
        for path, text in written(after).items():
            if path.startswith(("prometheus", "grafana")):
                assert f"{GRAFANA_URL}/d/" not in text
                assert RUNBOOK_URL not in text
        assert "https://grafana.example/sub/d/app-session-" in written(after)[rules]
        assert "https://wiki.example/sessions#" in written(after)[rules]

    def test_the_demo_needs_no_checkout(self, tmp_path: Path) -> None:
        """Where there are no sources, the demo's image is built from the released package of this version."""
        otel_sessions("assets", str(tmp_path), "--only", "compose")
        for name in ("compose.yaml", "compose.lgtm.yaml"):
            assert (
                f"${{OTEL_SESSIONS_PACKAGE:-otel-sessions[fastapi,redis,genai]=={__version__}}}"
                in written(tmp_path)[name]
            )

    def test_it_can_be_done_again(self, tmp_path: Path) -> None:
        """What is there already and the same is said to be."""
        otel_sessions("assets", str(tmp_path))
        done = otel_sessions("assets", str(tmp_path))
        assert done.returncode == 0
        assert {"unchanged"} == {line.split()[0] for line in done.stdout.splitlines()}

    def test_what_was_changed_is_left_alone(self, tmp_path: Path) -> None:
        """One changed file, and nothing is written; it is named. --force overwrites it."""
        changed = tmp_path / "prometheus" / "rules" / "thresholds.yaml"
        changed.parent.mkdir(parents=True)
        changed.write_text("mine", encoding="utf-8")
        done = otel_sessions("assets", str(tmp_path))
        assert done.returncode == 1
        assert f"nothing was written; --force overwrites them:\n  {changed}\n" in done.stderr
        assert {"prometheus/rules/thresholds.yaml": "mine"} == written(tmp_path)

        assert otel_sessions("assets", str(tmp_path), "--force").returncode == 0
        assert "mine" not in changed.read_text(encoding="utf-8")

    def test_a_place_that_cannot_be_is_said(self, tmp_path: Path) -> None:
        """A folder below a file is named, and there is no traceback."""
        (tmp_path / "file").write_text("", encoding="utf-8")
        done = otel_sessions("assets", str(tmp_path / "file"))
        assert (1, "") == (done.returncode, done.stdout)
        assert str(tmp_path / "file") in done.stderr
        assert "Traceback" not in done.stderr

    def test_an_unknown_part_is_said(self, tmp_path: Path) -> None:
        """`--only` says what there is."""
        done = otel_sessions("assets", str(tmp_path), "--only", "loki")
        assert done.returncode == 2
        assert "collector-config" in done.stderr


class TestCommand:
    def test_it_says_its_version(self) -> None:
        """`--version` is that of the package."""
        assert f"otel-sessions {__version__}\n" == otel_sessions("--version").stdout

    @pytest.mark.parametrize("verb", [(), ("assets",), ("dashboards",), ("dashboards", "install"), ("demo",)])
    def test_every_verb_has_help(self, verb: tuple[str, ...]) -> None:
        """`--help` explains each verb."""
        done = otel_sessions(*verb, "--help")
        assert done.returncode == 0
        assert "usage" in done.stdout.lower()

    def test_the_demo_is_behind_it(self) -> None:
        """The demo reads its own options, and its exit code is the command's."""
        done = otel_sessions("demo", "traffic", "--speed", "0")
        assert done.returncode == 2
        assert "0 is not between 0.1 and 60" in done.stderr
        assert done.stderr.startswith("usage: otel-sessions demo traffic ")

    @pytest.mark.parametrize("verb", [(), ("traffic",), ("alerts",)])
    def test_the_demo_names_the_command_that_was_used(self, verb: tuple[str, ...]) -> None:
        """Its help can be followed as it stands, however it was called."""
        command = " ".join(["demo", *verb])
        assert otel_sessions("demo", *verb, "--help").stdout.startswith(f"usage: otel-sessions {command} [")
        module = [sys.executable, "-m", "otel_sessions.demo", *verb, "--help"]
        shown = subprocess.run(module, check=True, capture_output=True, text=True).stdout
        assert shown.startswith(f"usage: python -m otel_sessions.{command} [")

    def test_without_the_extra_it_says_what_to_install(self, tmp_path: Path) -> None:
        """A missing extra is a line with the command that installs it, not a traceback."""
        (tmp_path / "typer.py").write_text("raise ModuleNotFoundError('no module', name='typer')", encoding="utf-8")
        path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
        done = otel_sessions("--version", PYTHONPATH=path)
        assert (1, "") == (done.returncode, done.stdout)
        assert "pip install 'otel-sessions[cli]'" in done.stderr
        assert "Traceback" not in done.stderr
