"""Every documented combination is valid, starts, and leaves nothing out."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest

from ..redis_server import until
from .collector import CONFIGURATIONS, Collector, matching
from .tls import Authority

README: Final = (CONFIGURATIONS / "README.md").read_text()
COMBINATIONS: Final = [
    tuple(re.findall(r"--config (\S+)\.yaml", line))
    for line in README.partition("## Combinations")[2].partition("```\n")[0].splitlines()
    if line.startswith("otelcol-contrib")
]
OVERLAYS: Final = sorted(
    path.stem for path in CONFIGURATIONS.glob("*.yaml") if path.stem not in {"collector", "builder"}
)
_PRIVACY: Final = ["transform/expose", "redaction", "transform/restore"]


@pytest.fixture(scope="module", name="certificate")
def _certificate(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What auth.yaml asks for."""
    own = Authority(tmp_path_factory.mktemp("authority")).sign("collector")
    return {"OTLP_CERT_FILE": str(own.certificate), "OTLP_KEY_FILE": str(own.key), "OTLP_TOKEN": "token-of-tests"}


def variables(combination: tuple[str, ...], certificate: dict[str, str]) -> dict[str, str]:
    """What a combination cannot do without."""
    credentials = {"TEMPO_AUTHORIZATION": "Bearer a", "LOKI_AUTHORIZATION": "Basic b"}
    return {
        **(certificate if "auth" in combination else {}),
        **(credentials if "backends-auth" in combination else {}),
    }


class TestCombinations:
    def test_every_overlay_is_in_one(self) -> None:
        """A file that is in no combination would be tested by nothing."""
        assert sorted({name for combination in COMBINATIONS for name in combination} - {"collector"}) == OVERLAYS
        assert all(combination[0] == "collector" for combination in COMBINATIONS)

    @pytest.mark.parametrize("combination", COMBINATIONS, ids="+".join)
    def test_it_is_valid_and_starts_without_a_complaint(
        self, combination: tuple[str, ...], certificate: dict[str, str], tmp_path: Path
    ) -> None:
        """`validate`, healthy, and nothing in the log that is deprecated, a warning that can be helped, or an error."""
        collector = Collector(*combination[1:], directory=tmp_path, **variables(combination, certificate))
        checked = subprocess.run(
            [collector.command[0], "validate", *collector.command[1:]],
            env=collector.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (checked.returncode, checked.stderr) == (0, "")
        with collector:
            assert "Everything is ready" in collector.log
        assert "deprecated" not in collector.log.lower()
        complaints = [line for line in collector.log.splitlines() if re.search(r"\t(warn|error)\t", line)]
        # Of what is around the collector in a test: a container, no log files in the default place, and no Tempo.
        around = "root_path|no files match|finding files|grpc_log"
        assert [line for line in complaints if not re.search(around, line)] == []

    @pytest.mark.parametrize("combination", COMBINATIONS, ids="+".join)
    def test_what_takes_in_limits_memory_first_and_then_makes_private(
        self, combination: tuple[str, ...], certificate: dict[str, str], tmp_path: Path
    ) -> None:
        """In the merged configuration; what sends gets everything from what takes in."""
        collector = Collector(*combination[1:], directory=tmp_path, **variables(combination, certificate))
        for name, pipeline in merged(collector)["service"]["pipelines"].items():
            taken_in = [
                receiver for receiver in pipeline["receivers"] if not receiver.startswith(("forward/", "span_metrics"))
            ]
            if name.endswith("/out"):
                assert taken_in == []
            else:
                assert pipeline["processors"][0] == "memory_limiter"
                assert pipeline["processors"][-3:] == _PRIVACY
                assert [to for to in pipeline["exporters"] if not to.startswith(("forward/", "span_metrics"))] == []

    def test_what_is_sent_is_on_disk_and_tried_again_without_end(self, tmp_path: Path) -> None:
        """By every exporter that sends over the network; and log files are read without end, too."""
        found = merged(Collector("backends", "host", directory=tmp_path))
        sending = {name: each for name, each in found["exporters"].items() if name.startswith("otlp")}
        assert set(sending) == {"otlp_http/backend", "otlp_grpc/tempo", "otlp_http/loki"}
        for exporter in sending.values():
            queue, retry = exporter["sending_queue"], exporter["retry_on_failure"]
            assert (queue["storage"], queue["block_on_overflow"]) == ("file_storage/queue", False)
            assert (retry["enabled"], retry["max_elapsed_time"]) == (True, 0)
        retry = found["receivers"]["file_log"]["retry_on_failure"]
        assert (retry["enabled"], retry["max_elapsed_time"]) == (True, 0)

    def test_every_variable_is_documented_and_every_documented_one_is_read(self) -> None:
        """With its default, where it has one."""
        used = {
            name
            for overlay in ("collector", *OVERLAYS)
            for name in re.findall(r"\$\{env:(\w+)", (CONFIGURATIONS / f"{overlay}.yaml").read_text())
        }
        table = README.partition("## Variables")[2].partition("\n## ")[0]
        assert set(re.findall(r"`([A-Z][A-Z_]+)`", table)) == used

    @pytest.mark.parametrize("name", [None, ""])
    def test_a_machine_without_a_name_is_refused(self, name: str | None, tmp_path: Path) -> None:
        """Under one name the machines' series would be taken for those of one: it says so, and does not start."""
        collector = Collector("host", directory=tmp_path)
        del collector.environment["HOST_NAME"]
        collector.environment |= {} if name is None else {"HOST_NAME": name}
        done = subprocess.run(
            collector.command, env=collector.environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 1
        assert "HOST_NAME has to be set, to a different one on each machine" in done.stderr

    @pytest.mark.parametrize("name", ["web-1.example.com", "7", "ip-10-0-0-1"])
    def test_a_machine_has_the_name_that_it_is_given(self, name: str, tmp_path: Path) -> None:
        """Whatever a machine may be called."""
        with Collector("host", directory=tmp_path, HOST_NAME=name) as collector:
            until(lambda: any(matching(collector.metrics(), "system_memory_utilization_ratio", f'instance="{name}"')))

    def test_everything_listens_on_this_machine_only(self) -> None:
        """By default: opening it is a decision."""
        for overlay in ("collector", *OVERLAYS):
            text = (CONFIGURATIONS / f"{overlay}.yaml").read_text()
            assert "0.0.0.0" not in re.sub(r"#.*", "", text)


class TestManifest:
    def test_it_has_what_the_configurations_use_and_no_more(self, tmp_path: Path) -> None:
        """So that the distribution that is built is enough, and is slim."""
        modules = re.findall(
            r"gomod: \S+/([a-z]+)(?:extension|receiver|processor|connector|exporter|provider) ", MANIFEST
        )
        modules += re.findall(r"gomod: \S+/storage/([a-z]+) ", MANIFEST)
        used = {
            name.partition("/")[0].replace("_", "")
            for overlay in ("collector", *OVERLAYS)
            for name in re.findall(r"^  ([a-z_]+(?:/\w+)?):", _components(overlay), re.MULTILINE)
        }
        aliases = {"otlpgrpc": "otlp"}
        assert {aliases.get(name, name) for name in used} == set(modules) - {"env", "file", "yaml"} | {"file"}


MANIFEST: Final = (CONFIGURATIONS / "builder.yaml").read_text()


def _components(overlay: str) -> str:
    """A configuration without its `service`."""
    return (CONFIGURATIONS / f"{overlay}.yaml").read_text().partition("\nservice:")[0]


def merged(collector: Collector) -> dict[str, Any]:
    """The configuration as the collector merged it."""
    found = subprocess.run(
        [collector.command[0], "print-config", "--format=json", *collector.command[1:]],
        env=collector.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    configuration: dict[str, Any] = json.loads(found.stdout)
    return configuration
