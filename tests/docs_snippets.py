"""The snippets of the README and the documentation, and how each kind of them is run."""

from __future__ import annotations

import contextlib
import http.cookiejar
import io
import os
import re
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import uvicorn
from fastapi import FastAPI
from flask import Flask
from werkzeug.serving import make_server

import otel_sessions
from otel_sessions.testing import record_sessions
from otel_sessions.typing import SessionRecord

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))

_FENCE = re.compile(r"^```(?P<language>\w+)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
_SHOWN = re.compile(r"^\s*print\(.*\)(?:  # (?P<beside>.+)|(?P<below>(?:\n# ?.*)+))$", re.MULTILINE)
_ROUTE = re.compile(r"@app\.(?P<method>get|post)\(\"(?P<path>[^\"<{]+)\"\)")


class Snippet(NamedTuple):
    """A fenced block of a page."""

    page: str
    line: int
    language: str
    code: str

    @property
    def name(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def shown(self) -> str:
        """What the comments beside its prints, or in the lines below them, say that it prints."""
        return "".join(
            f"{beside}\n" if beside else re.sub(r"^# ?", "", f"{below[1:]}\n", flags=re.MULTILINE)
            for beside, below in _SHOWN.findall(self.code)
        )

    @property
    def is_test(self) -> bool:
        return "def test_" in self.code

    @property
    def sets_providers(self) -> bool:
        """Whether it changes what a process can change only once."""
        return "set_tracer_provider(" in self.code

    @property
    def routes(self) -> list[tuple[str, str]]:
        """The requests that can be made to the application it builds, `app`."""
        return [(method.upper(), path) for method, path in _ROUTE.findall(self.code)]

    @property
    def shows_a_result(self) -> bool:
        return bool(self.shown or self.routes or self.is_test or self.sets_providers or "assert " in self.code)


def snippets(language: str) -> list[Snippet]:
    """All fenced blocks in `language`."""
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for fence in _FENCE.finditer(text):
            line = text.count("\n", 0, fence.start()) + 1
            found.append(Snippet(page.name, line, fence["language"], fence["code"]))
    return [snippet for snippet in found if snippet.language == language]


def run_in_process(snippet: Snippet) -> str:
    """Run a snippet in a namespace of its own and return what it printed; an application it builds is visited."""
    printed = io.StringIO()
    recording = contextlib.nullcontext() if "configure(" in snippet.code else record_sessions()
    with recording, contextlib.redirect_stdout(printed):
        namespace: dict[str, Any] = {"__name__": "__main__"}
        exec(compile(snippet.code, snippet.name, "exec"), namespace)
        if snippet.routes:
            _visit(namespace["app"], snippet.routes)
    return printed.getvalue()


def run_as_program(snippet: Snippet, directory: Path) -> str:
    """Run a snippet in a process of its own and return what it printed."""
    path = directory / "snippet.py"
    path.write_text(snippet.code, encoding="utf-8")
    return _run([sys.executable, "-W", "error", str(path)], directory)


def run_as_tests(snippet: Snippet, directory: Path) -> str:
    """Run a snippet with pytest and return pytest's last line."""
    path = directory / "test_snippet.py"
    path.write_text(snippet.code, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", str(path)]
    return _run(command, directory).splitlines()[-1]


def _run(command: list[str], directory: Path) -> str:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        command, env={"PATH": path}, check=False, cwd=directory, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _visit(app: Any, routes: list[tuple[str, str]]) -> None:
    """Make every request twice as one client, over a real socket: never more than one session at a time."""
    visitor = client()
    with served(app) as address:
        for method, path in routes * 2:
            request = urllib.request.Request(address + path, method=method)
            with visitor.open(request, timeout=5) as response:
                assert response.status == 200
            assert len(_web_sessions()) <= 1, f"{method} {path} began another session of the same client"
        if all(method == "GET" for method, _ in routes):
            assert [2 * len(routes)] == [record.totals.requests for record in _web_sessions()]


def _web_sessions() -> list[SessionRecord]:
    return [record for record in otel_sessions.active() if record.platform == "web"]


def client() -> urllib.request.OpenerDirector:
    """A client that keeps its cookies."""
    return urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
    )


@contextlib.contextmanager
def served(app: Any) -> Iterator[str]:
    """Serve a Flask or an ASGI application on a loopback port; gives its address."""
    with _flask_served(app) if isinstance(app, Flask) else _asgi_served(app) as address:
        yield address


@contextlib.contextmanager
def _flask_served(app: Flask) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextlib.contextmanager
def _asgi_served(app: FastAPI) -> Iterator[str]:
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        waiting = threading.Event()
        while not server.started:
            assert thread.is_alive(), "uvicorn did not start"
            waiting.wait(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()
