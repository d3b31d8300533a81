"""A server that answers as Grafana's HTTP API is documented to, as far as dashboards and folders go.

https://grafana.com/docs/grafana/latest/developer-resources/api-reference/http-api/dashboard/ and .../folder/
"""

from __future__ import annotations

import base64
import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "glsa_of-a-test"
USER = "admin:the password"


class GrafanaServer:
    """Folders and dashboards, and who may change them."""

    def __init__(self, *, role: str = "Editor") -> None:
        self.role = role
        self.folders: dict[str, str] = {}
        """Titles by uid."""
        self.dashboards: dict[str, dict[str, Any]] = {}
        self.folder_of: dict[str, str] = {}
        self.messages: list[str] = []
        self.url = ""

    def answer(self, method: str, path: str, authorization: str | None, body: Any) -> tuple[int, Any]:
        accepted = {f"Bearer {TOKEN}", f"Basic {base64.b64encode(USER.encode()).decode()}"}
        if authorization not in accepted:
            return 401, {"message": "Unauthorized"}
        if (method, path) == ("GET", "/api/folders"):
            return 200, [{"id": 1, "uid": uid, "title": title} for uid, title in self.folders.items()]
        if method == "POST" and self.role == "Viewer":
            return 403, {"message": "Permission denied"}
        if (method, path) == ("POST", "/api/folders"):
            uid = f"folder{len(self.folders)}"
            self.folders[uid] = body["title"]
            return 200, {"id": 1, "uid": uid, "title": body["title"]}
        if (method, path) == ("POST", "/api/dashboards/db"):
            return self._save(body)
        return 404, {"message": "Not found"}

    def _save(self, body: Any) -> tuple[int, Any]:
        dashboard = body["dashboard"]
        held = self.dashboards.get(dashboard["uid"])
        if body["folderUid"] not in self.folders:
            return 400, {"message": "folder not found"}
        if held and not body["overwrite"] and held["version"] != dashboard.get("version"):
            return 412, {"status": "version-mismatch", "message": "The dashboard has been changed by someone else"}
        version = held["version"] + 1 if held else 1
        self.dashboards[dashboard["uid"]] = {**dashboard, "version": version}
        self.folder_of[dashboard["uid"]] = body["folderUid"]
        self.messages.append(body["message"])
        return 200, {"id": 1, "uid": dashboard["uid"], "status": "success", "version": version}


@contextmanager
def served(answer: Any) -> Iterator[str]:
    """Serve `answer(method, path, authorization, body)`, and say where."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(None)

        def do_POST(self) -> None:
            self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def _answer(self, body: Any) -> None:
            path = self.path.partition("?")[0]
            status, told = answer(self.command, path, self.headers.get("Authorization"), body)
            content = told if isinstance(told, bytes) else json.dumps(told).encode()
            self.send_response(status)
            if status // 100 == 3:
                self.send_header("Location", told["location"])
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
            """Not on the console of whoever runs the tests."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@contextmanager
def speaking(said: bytes) -> Iterator[str]:
    """Say `said` to whoever asks something, whatever that is, and hang up; yields where."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65536)
            self.request.sendall(said)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@contextmanager
def grafana(*, role: str = "Editor") -> Iterator[GrafanaServer]:
    """A Grafana of its own."""
    server = GrafanaServer(role=role)
    with served(server.answer) as server.url:
        yield server
