"""The dashboards go into Grafana through its HTTP API, and what goes wrong is said without saying a secret."""

from __future__ import annotations

import json
from typing import Any

import pytest

from otel_sessions.cli._files import assets
from tests.cli.command import otel_sessions
from tests.cli.grafana_server import TOKEN, USER, grafana, served

SHIPPED = {
    json.loads(asset.content)["uid"]
    for asset in assets(["grafana"])
    if asset.path.parts[1] == "dashboards" and asset.path.suffix == ".json"
}
INSTALL = ("dashboards", "install", "--grafana-url")


class TestInstall:
    def test_all_dashboards_arrive(self) -> None:
        """Each dashboard is saved by its uid into a folder that is made, and its address is said."""
        with grafana() as server:
            done = otel_sessions(*INSTALL, server.url, GRAFANA_TOKEN=TOKEN)
            assert (0, "") == (done.returncode, done.stderr)
            assert SHIPPED == set(server.dashboards)
            assert ["Sessions"] == list(server.folders.values())
            assert set(server.folders) == set(server.folder_of.values())
            for uid in SHIPPED:
                assert f": {server.url}/d/{uid}\n" in done.stdout

    def test_links_lead_to_that_grafana(self) -> None:
        """No link of a dashboard leads to the default address."""
        with grafana() as server:
            links = ("--runbook-url", "https://wiki.example/runbook")
            otel_sessions(*INSTALL, f"{server.url}/", *links, GRAFANA_TOKEN=TOKEN)
            text = json.dumps(list(server.dashboards.values()))
            assert "http://localhost:3000" not in text
            assert "blob/main/docs/runbook.md" not in text

    def test_it_can_be_done_again(self) -> None:
        """The second time the folder is found, and the dashboards are replaced."""
        with grafana() as server:
            for _ in range(2):
                assert otel_sessions(*INSTALL, server.url, "--folder", "Team", GRAFANA_TOKEN=TOKEN).returncode == 0
            assert ["Team"] == list(server.folders.values())
            assert {2} == {dashboard["version"] for dashboard in server.dashboards.values()}

    def test_a_user_can_do_it(self) -> None:
        """A name and a password do as well, the latter from a variable; they go before a token."""
        name, password = USER.split(":")
        with grafana() as server:
            done = otel_sessions(
                *INSTALL, server.url, "--user", name, GRAFANA_PASSWORD=password, GRAFANA_TOKEN="expired"
            )
            assert done.returncode == 0
            assert SHIPPED == set(server.dashboards)

    def test_what_others_have_changed_can_be_kept(self) -> None:
        """With --no-overwrite a dashboard of another version is left as it is, and that is said."""
        with grafana() as server:
            otel_sessions(*INSTALL, server.url, GRAFANA_TOKEN=TOKEN)
            for dashboard in server.dashboards.values():
                dashboard["version"] = 7
            done = otel_sessions(*INSTALL, server.url, "--no-overwrite", GRAFANA_TOKEN=TOKEN)
            assert done.returncode == 1
            assert "with 412: The dashboard has been changed by someone else: " in done.stderr
            assert "--overwrite replaces it" in done.stderr
            assert {7} == {dashboard["version"] for dashboard in server.dashboards.values()}


class TestFailures:
    def test_wrong_credentials(self) -> None:
        """A token that is not accepted is said to be none, and not shown."""
        with grafana() as server:
            done = otel_sessions(*INSTALL, server.url, GRAFANA_TOKEN="glsa_wrong")
        assert done.returncode == 1
        assert "with 401: Unauthorized: it does not accept these credentials" in done.stderr
        assert "glsa_wrong" not in done.stderr + done.stdout

    def test_too_little_permission(self) -> None:
        """A viewer's token is said to be too weak."""
        with grafana(role="Viewer") as server:
            done = otel_sessions(*INSTALL, server.url, GRAFANA_TOKEN=TOKEN)
        assert done.returncode == 1
        assert "has to be an editor" in done.stderr
        assert TOKEN not in done.stderr + done.stdout

    def test_nobody_there(self) -> None:
        """An address where nobody listens is named."""
        done = otel_sessions(*INSTALL, "http://127.0.0.1:1")
        assert (1, "") == (done.returncode, done.stdout)
        assert "otel-sessions: http://127.0.0.1:1 does not answer: " in done.stderr
        assert "Traceback" not in done.stderr

    def test_somebody_else_there(self) -> None:
        """What does not speak JSON is no Grafana."""
        with served(lambda *_: (200, b"<html>hello</html>")) as url:
            done = otel_sessions(*INSTALL, url)
        assert done.returncode == 1
        assert "did not answer as Grafana does" in done.stderr

    def test_a_wrong_path(self) -> None:
        """A path that Grafana does not have is asked about."""
        with served(lambda *_: (404, b"not found")) as url:
            done = otel_sessions(*INSTALL, f"{url}/grafana")
        assert "is this the address under which Grafana's start page is found?" in done.stderr

    def test_credentials_go_nowhere_else(self) -> None:
        """A redirection is not followed: the token would go to whoever is named there."""
        asked: list[Any] = []

        def listen(*question: Any) -> tuple[int, Any]:
            asked.append(question)
            return 200, []

        with served(listen) as other, served(lambda *_: (302, {"location": f"{other}/login"})) as url:
            done = otel_sessions(*INSTALL, url, GRAFANA_TOKEN=TOKEN)
        assert done.returncode == 1
        assert f"it sends on to {other}/login, which is not followed" in done.stderr
        assert [] == asked

    @pytest.mark.parametrize(
        ("url", "complaint"),
        [
            ("grafana:3000", "'grafana:3000' is no address"),
            ("ftp://grafana", "'ftp://grafana' is no address"),
            ("http://admin:secret@grafana:3000", "of grafana holds credentials"),
        ],
    )
    def test_an_address_that_is_none(self, url: str, complaint: str) -> None:
        """It is said what is wrong with an address, without the password in it."""
        done = otel_sessions(*INSTALL, url)
        assert done.returncode == 1
        assert complaint in done.stderr
        assert "secret" not in done.stderr

    def test_a_password_is_asked_for(self) -> None:
        """Without a variable the password is read from the terminal; without an answer it is given up."""
        done = otel_sessions(*INSTALL, "http://127.0.0.1:1", "--user", "admin")
        assert done.returncode == 1
        assert "Traceback" not in done.stderr


def test_there_are_dashboards() -> None:
    """The tests above are about something."""
    assert len(SHIPPED) == 8
