"""The dashboards go into Grafana through its HTTP API, and what goes wrong is said without saying a secret."""

from __future__ import annotations

import json
from typing import Any

import pytest

from otel_sessions.cli._files import assets
from tests.cli.command import otel_sessions
from tests.cli.grafana_server import TOKEN, USER, grafana, served, speaking
from tests.cli.stock import checked

SHIPPED = {
    json.loads(asset.content)["uid"]
    for asset in assets(["grafana"])
    if asset.path.parts[1] == "dashboards" and asset.path.suffix == ".json"
}
INSTALL = ("dashboards", "install", "--grafana-url")
ELSE = "did not answer as Grafana does: is something else running there?"


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

    def test_as_json(self) -> None:
        """Where each dashboard is."""
        with grafana() as server:
            found = checked("dashboards", otel_sessions(*INSTALL, server.url, "--json", GRAFANA_TOKEN=TOKEN).stdout)
            assert "Sessions" == found["folder"]
            assert {uid: f"{server.url}/d/{uid}" for uid in SHIPPED} == {
                each["uid"]: each["url"] for each in found["dashboards"]
            }

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

    @pytest.mark.parametrize(
        "told", [[1, 2], [{"title": "Sessions"}], {"message": "hello"}, "hello", None, b"\xff", b"[" * 100_000]
    )
    def test_somebody_else_speaks_json(self, told: Any) -> None:
        """Nor is what speaks JSON, and says something else than Grafana."""
        with served(lambda *_: (200, told)) as url:
            done = otel_sessions(*INSTALL, url)
        assert (1, f"otel-sessions: {url} {ELSE}\n") == (done.returncode, done.stderr)

    def test_a_folder_is_not_made_by_somebody_else(self) -> None:
        """What is made has a uid; without one, it was not made."""
        with served(lambda method, *_: (200, [] if method == "GET" else {"status": "success"})) as url:
            done = otel_sessions(*INSTALL, url)
        assert (1, f"otel-sessions: {url} {ELSE}\n") == (done.returncode, done.stderr)

    @pytest.mark.parametrize("said", [b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n[]"])
    def test_somebody_else_speaks_no_http(self, said: bytes) -> None:
        """Nor is what speaks another protocol, or breaks off."""
        with speaking(said) as url:
            done = otel_sessions(*INSTALL, url)
        assert (1, f"otel-sessions: {url} {ELSE}\n") == (done.returncode, done.stderr)

    def test_what_a_server_says_is_not_obeyed(self) -> None:
        """Escape sequences in a message are shown, and a character that is none is no traceback."""
        with served(lambda *_: (500, {"message": "\x1b[2J\nall is well \ud800"})) as url:
            done = otel_sessions(*INSTALL, url)
        assert r"with 500: \x1b[2J\nall is well \ud800" in done.stderr

    @pytest.mark.parametrize("token", ["glsa_of\na-test", "glsa_of a-test", "glsa_of\x1ba-test", "glsa_öf-a-test"])
    def test_a_token_that_is_none(self, token: str) -> None:
        """What no token can be is not sent, and is said without repeating it."""
        with grafana() as server:
            done = otel_sessions(*INSTALL, server.url, GRAFANA_TOKEN=token)
        assert (2, "") == (done.returncode, done.stdout)
        assert done.stderr.startswith("otel-sessions: the token (GRAFANA_TOKEN, --token) has a space")
        assert "glsa" not in done.stderr

    def test_a_password_that_is_no_text(self) -> None:
        """What is not UTF-8 in a variable is said without repeating it."""
        done = otel_sessions(*INSTALL, "http://127.0.0.1:1", "--user", "admin", GRAFANA_PASSWORD="secret\udcff")
        assert done.returncode == 2
        assert "(--user, GRAFANA_PASSWORD) is not UTF-8\n" in done.stderr
        assert "secret" not in done.stderr

    @pytest.mark.parametrize("token", ["", " ", "\n"])
    def test_an_empty_token_is_none(self, token: str) -> None:
        """A variable that is set to nothing sends no credentials."""
        asked: list[Any] = []

        def listen(_: str, __: str, authorization: str | None, ___: Any) -> tuple[int, Any]:
            asked.append(authorization)
            return 401, {"message": "Unauthorized"}

        with served(listen) as url:
            otel_sessions(*INSTALL, url, GRAFANA_TOKEN=token)
            otel_sessions(*INSTALL, url, "--token", token)
        assert [None, None] == asked

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
            ("http://localhost:abc", "'http://localhost:abc' is no address"),
            ("http://localhost:65536", "'http://localhost:65536' is no address"),
            ("http://local host:3000", "'http://local host:3000' is no address"),
            ("http://local\nhost:3000", r"'http://local\nhost:3000' is no address"),
            ("http://[::1", "'http://[::1' is no address"),
            ("http://a..b", "'http://a..b' is no address"),
            ("http://localhost:3000/gräfin", "is no address"),
            ("http://localhost:3000/?orgId=2", "is no address"),
            ("http://admin:secret@grafana:3000", "of grafana holds credentials"),
            ("http://admin:secret@grafana:abc", "'grafana:abc' is no address"),
            ("admin:secret@grafana:3000", "'grafana:3000' is no address"),
        ],
    )
    def test_an_address_that_is_none(self, url: str, complaint: str) -> None:
        """It is said what is wrong with an address, without the password in it."""
        done = otel_sessions(*INSTALL, url)
        assert done.returncode == 2
        assert complaint in done.stderr
        assert "secret" not in done.stderr
        assert "Traceback" not in done.stderr

    def test_a_password_is_asked_for(self) -> None:
        """Without a variable the password is read from the terminal; without an answer it is given up."""
        done = otel_sessions(*INSTALL, "http://127.0.0.1:1", "--user", "admin")
        assert done.returncode == 1
        assert "Traceback" not in done.stderr


def test_there_are_dashboards() -> None:
    """The tests above are about something."""
    assert len(SHIPPED) == 8
