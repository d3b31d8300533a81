"""A stand-in for a provider of models: it answers as OpenAI's API does, and says what that consumed."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

ANSWERED_BY: Final = "gpt-4o-2024-08-06"
INPUT: Final = 1_000
OUTPUT: Final = 200

_CREATED: Final = {"id": "answer-1", "created": 1_767_225_600, "model": ANSWERED_BY}
_USAGE: Final = {"prompt_tokens": INPUT, "completion_tokens": OUTPUT, "total_tokens": INPUT + OUTPUT}


class _Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/v1/embeddings":
            self._send("application/json", json.dumps(_embeddings()))
        elif asked.get("stream"):
            self._send("text/event-stream", "".join(f"data: {chunk}\n\n" for chunk in _chunks(asked)))
        else:
            self._send("application/json", json.dumps(_answer()))

    def _send(self, kind: str, text: str) -> None:
        body = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


def _answer() -> dict[str, Any]:
    message = {"role": "assistant", "content": "42"}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return {**_CREATED, "object": "chat.completion", "choices": [choice], "usage": _USAGE}


def _chunks(asked: dict[str, Any]) -> Iterator[str]:
    chunk = {**_CREATED, "object": "chat.completion.chunk"}
    for content, reason in (("4", None), ("2", "stop")):
        yield json.dumps({**chunk, "choices": [{"index": 0, "delta": {"content": content}, "finish_reason": reason}]})
    if (asked.get("stream_options") or {}).get("include_usage"):
        yield json.dumps({**chunk, "choices": [], "usage": _USAGE})
    yield "[DONE]"


def _embeddings() -> dict[str, Any]:
    vector = {"object": "embedding", "index": 0, "embedding": [0.5, 0.25]}
    usage = {"prompt_tokens": INPUT, "total_tokens": INPUT}
    return {"object": "list", "model": "text-embedding-3-small", "data": [vector], "usage": usage}


@contextmanager
def model_server() -> Iterator[str]:
    """Serve on a loopback port; gives the base URL for a client."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Answers) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1"
        finally:
            server.shutdown()
            thread.join()
