"""What can be said of the compose files without running them: they fit the specification, and name what is there."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
import yaml

from ..cli.grafana_server import served

ROOT = Path(__file__).parents[2]
FILES = ("compose.yaml", "compose.lgtm.yaml")
PORT = re.compile(r"127\.0\.0\.1:\$\{(?P<variable>[A-Z_]+_PORT):-(?P<default>\d+)\}:(?P<inside>\d+)")
WITHOUT_HEALTH_CHECK = {
    "collector": "No health check: the image holds nothing that could ask.",
    "tempo": "No health check: the image holds Tempo alone",
    "lgtm": "The image brings its own health check",
}
"""What the file says of the services that have none."""


def compose(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))
    return loaded


class Service(NamedTuple):
    file: str
    name: str
    told: dict[str, Any]

    def mounts(self) -> Iterator[tuple[str, str]]:
        """Of each mount what it is and where it is; without its options."""
        for mount in self.told.get("volumes", []):
            source, target, *_ = mount.split(":")
            yield source, target


SERVICES = [Service(file, name, told) for file in FILES for name, told in compose(file)["services"].items()]
EACH_SERVICE = pytest.mark.parametrize("service", SERVICES, ids=lambda service: f"{service.file}-{service.name}")
EACH_FILE = pytest.mark.parametrize("name", FILES)


class TestCompose:
    @EACH_FILE
    def test_it_fits_the_specification(self, name: str) -> None:
        """The JSON schema of the compose specification accepts it."""
        command = [
            sys.executable,
            "-m",
            "check_jsonschema",
            "--builtin-schema",
            "vendor.compose-spec",
            str(ROOT / name),
        ]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr

    @EACH_SERVICE
    def test_every_image_is_pinned(self, service: Service) -> None:
        """An image has a tag with a version, or is built here from a file that pins its own."""
        image = service.told.get("image")
        if image is None:
            build = service.told["build"]
            [base] = re.findall(r"^FROM (\S+)$", (ROOT / build["dockerfile"]).read_text(), re.MULTILINE)
            image = base
        assert re.search(r":v?\d+\.\d+(\.\d+)?(-\w+)?$", image), image

    @EACH_SERVICE
    def test_every_port_is_of_this_machine_alone(self, service: Service) -> None:
        """Nothing can be reached from another machine, whatever its firewall says; a variable sets another port."""
        for port in service.told.get("ports", []):
            found = PORT.fullmatch(port)
            assert found, port
            assert found["default"] == found["inside"]

    @EACH_FILE
    def test_no_port_is_taken_twice(self, name: str) -> None:
        """All services can run together."""
        told = [port for service in SERVICES if service.file == name for port in service.told.get("ports", [])]
        ports = [found.groupdict() for port in told if (found := PORT.fullmatch(port))]
        for what in ("variable", "default"):
            assert len(told) == len({port[what] for port in ports})

    def test_every_port_can_be_changed(self) -> None:
        """The documentation has each variable, with the port that it is instead of."""
        page = (ROOT / "docs" / "monitoring-compose.md").read_text(encoding="utf-8")
        for service in SERVICES:
            for port in service.told.get("ports", []):
                found = PORT.fullmatch(port)
                assert found
                assert f"`{found['variable']}` ({found['default']})" in page

    @EACH_FILE
    def test_nobody_outside_reaches_the_store(self, name: str) -> None:
        """Redis asks for no password, and nothing outside of its network needs it."""
        assert "ports" not in compose(name)["services"].get("redis", {})

    @EACH_SERVICE
    def test_every_health_is_checked_or_said_not_to_be(self, service: Service) -> None:
        """A service has a health check, or a comment that says why it cannot have one."""
        if service.name in WITHOUT_HEALTH_CHECK:
            assert "healthcheck" not in service.told
            assert WITHOUT_HEALTH_CHECK[service.name] in (ROOT / service.file).read_text(encoding="utf-8")
        else:
            assert service.told["healthcheck"]["test"][0] == "CMD"

    @EACH_SERVICE
    def test_what_it_waits_for_can_come(self, service: Service) -> None:
        """Nothing waits for the health of a service that has no check, or for one that is not there."""
        others = compose(service.file)["services"]
        for name, wanted in service.told.get("depends_on", {}).items():
            has_check = "healthcheck" in others[name] or name == "lgtm"
            assert wanted["condition"] == "service_started" or has_check

    @EACH_SERVICE
    def test_everything_mounted_is_there(self, service: Service) -> None:
        """Files and folders exist, and volumes are declared: Docker would make an empty folder of what is missing."""
        for source, _ in service.mounts():
            if source.startswith((".", "/")):
                assert (ROOT / source).exists(), source
            else:
                assert source in compose(service.file)["volumes"]

    @EACH_SERVICE
    def test_every_configuration_it_is_told_is_mounted(self, service: Service) -> None:
        """A file that a command names lies in what is mounted, and exists there."""
        command = service.told.get("command", [])
        for word in command if isinstance(command, list) else []:
            found = re.fullmatch(r"--?config(?:\.file)?=(?:file:)?(/.+)", word)
            if found:
                assert mounted(service, found[1]).is_file(), word

    @pytest.mark.parametrize("name", ["prometheus", "alertmanager"])
    def test_what_is_edited_is_mounted_by_its_folder(self, name: str) -> None:
        """A file that an editor replaces is the new one in the container too, when it is told to read it again."""
        [service] = [each for each in SERVICES if each.file == "compose.yaml" and each.name == name]
        assert (ROOT / "prometheus") in {(ROOT / source) for source, _ in service.mounts()}
        page = (ROOT / "docs" / "monitoring-compose.md").read_text(encoding="utf-8")
        assert f"docker compose exec {name} kill -HUP 1\n" in page

    @EACH_FILE
    def test_no_volume_is_unused(self, name: str) -> None:
        """What is declared is mounted somewhere."""
        used = {source for service in SERVICES if service.file == name for source, _ in service.mounts()}
        assert set(compose(name)["volumes"]) <= used


def mounted(service: Service, path: str) -> Path:
    """What lies in a container at that path, in this checkout."""
    for source, target in service.mounts():
        if path == target or path.startswith(f"{target}/"):
            return ROOT / f"{source}{path.removeprefix(target)}"
    raise AssertionError(f"nothing is mounted at {path}")


def names_of(file: str) -> set[str]:
    """The names under which the services of a file are found by each other."""
    aliases = {
        alias.partition(":")[0] for service in SERVICES if service.file == file for alias in hosts_of(service.told)
    }
    return set(compose(file)["services"]) | aliases | {"localhost", "127.0.0.1"}


def hosts_of(told: dict[str, Any]) -> list[str]:
    found: list[str] = told.get("extra_hosts", [])
    return found


class TestNames:
    @EACH_FILE
    def test_prometheus_finds_what_it_asks(self, name: str) -> None:
        """The targets of Prometheus are names of services."""
        told = yaml.safe_load((ROOT / "prometheus" / "prometheus.yaml").read_text(encoding="utf-8"))
        groups = [*told["scrape_configs"], *told["alerting"]["alertmanagers"]]
        targets = [target for group in groups for static in group["static_configs"] for target in static["targets"]]
        assert {target.partition(":")[0] for target in targets} <= names_of(name)

    def test_grafana_finds_what_it_shows(self) -> None:
        """The addresses of Grafana's data sources are names of services, with ports that they listen at."""
        addresses = [
            urlsplit(source["url"])
            for file in (ROOT / "grafana" / "provisioning" / "datasources").glob("*.yaml")
            for source in yaml.safe_load(file.read_text(encoding="utf-8"))["datasources"]
        ]
        assert {"prometheus", "tempo", "loki", "alertmanager"} == {address.hostname for address in addresses}
        services = compose("compose.yaml")["services"]
        for address in addresses:
            ports = [PORT.fullmatch(port) for port in services[address.hostname]["ports"]]
            assert str(address.port) in {found["inside"] for found in ports if found}

    @EACH_FILE
    def test_grafana_finds_its_dashboards(self, name: str) -> None:
        """The folder that the provisioning names is where the dashboards are mounted."""
        [service] = [each for each in SERVICES if each.file == name and each.name in {"grafana", "lgtm"}]
        for file in (ROOT / "grafana" / "provisioning" / "dashboards").glob("*.yaml"):
            for provider in yaml.safe_load(file.read_text(encoding="utf-8"))["providers"]:
                assert mounted(service, provider["options"]["path"]) == ROOT / "./grafana/dashboards"

    @EACH_SERVICE
    def test_addresses_in_variables_are_of_services(self, service: Service) -> None:
        """What a service is told by a variable of another one's address is its name."""
        for value in service.told.get("environment", {}).values():
            host = re.match(r"(?:\w+://)?([\w.]+):\d+", value)
            if host:
                assert host[1] in names_of(service.file) | {"0.0.0.0"}, value

    def test_the_collector_is_asked_where_it_listens(self) -> None:
        """Every variable that the collector is given is one that its configuration reads."""
        service = next(each for each in SERVICES if each.name == "collector")
        files = [ROOT / "collector-config" / f"{name}.yaml" for name in ("collector", "backends", "host")]
        read = set(re.findall(r"\$\{env:(\w+)", "".join(file.read_text(encoding="utf-8") for file in files)))
        assert set(service.told["environment"]) <= read

    def test_the_collector_measures_the_host(self) -> None:
        """It sees the host's processes and files, the latter to read only, where it is told that they are."""
        told = compose("compose.yaml")["services"]["collector"]
        assert told["pid"] == "host"
        [mount] = [mount for mount in told["volumes"] if mount.startswith("/:")]
        source, target, options = mount.split(":")
        assert (source, target) == ("/", told["environment"]["HOST_ROOT"])
        assert {"ro", "rslave"} == set(options.split(","))

    def test_alertmanager_reaches_the_webhook(self) -> None:
        """The receivers' addresses are of the container that Alertmanager shares its network with, and of its port."""
        told = yaml.safe_load((ROOT / "prometheus" / "alertmanager.yaml").read_text(encoding="utf-8"))
        addresses = {
            urlsplit(webhook["url"]).netloc for receiver in told["receivers"] for webhook in receiver["webhook_configs"]
        }
        webhook = compose("compose.yaml")["services"]["webhook"]
        assert webhook["network_mode"] == "service:alertmanager"
        assert {"localhost:9099"} == addresses
        assert webhook["depends_on"]["alertmanager"] == {"condition": "service_healthy", "restart": True}

    @pytest.mark.parametrize(("webhook", "alertmanager"), [(True, True), (True, False), (False, True)])
    def test_a_webhook_that_alertmanager_has_left_is_not_healthy(self, webhook: bool, alertmanager: bool) -> None:
        """Its health is that of both, which share a network until Alertmanager is restarted without it."""
        *_, program = compose("compose.yaml")["services"]["webhook"]["healthcheck"]["test"]
        with served(lambda *_: (200, {})) as there:
            ports = {"9099": webhook, "9093": alertmanager}
            for port, listens in ports.items():
                assert program.count(f"http://127.0.0.1:{port}/") == 1
                program = program.replace(f"http://127.0.0.1:{port}", there if listens else "http://127.0.0.1:1")
            done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True)
        assert (done.returncode == 0) == (webhook and alertmanager)

    def test_the_demo_is_told_what_it_understands(self) -> None:
        """The command of the demo is one that it accepts."""
        for service in SERVICES:
            if service.name in {"demo", "webhook"}:
                words = service.told["command"].replace("${DEMO_ARGS:-}", "").split()
                command = [sys.executable, "-m", "otel_sessions.demo", *words, "--help"]
                assert subprocess.run(command, check=False, capture_output=True).returncode == 0
