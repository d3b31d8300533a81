"""The examples that have limits, run as their first lines say, by a client that does as it is told."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import httpx
import pytest

from otel_sessions.demo._program import Program, executable

from .docs_snippets import ROOT

COMMANDS = {
    "fastapi": ["uvicorn", "--app-dir", "examples", "--port", "0", "fastapi_limits:app"],
    "flask": ["flask", "--app", "examples/flask_limits.py", "run", "--port", "0"],
}


class Patience(httpx.BaseTransport):
    """Sends a request again when the answer says that it may, as HTTP has it (RFC 9110, section 10.2.3)."""

    def __init__(self) -> None:
        self._inner = httpx.HTTPTransport()
        self.refusals: list[httpx.Response] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = self._inner.handle_request(request)
        while response.status_code == 429 and "Retry-After" in response.headers:
            response.read()
            self.refusals.append(response)
            time.sleep(int(response.headers["Retry-After"]))
            response = self._inner.handle_request(request)
        return response

    def close(self) -> None:
        self._inner.close()


@pytest.fixture(name="address", params=COMMANDS)
def _address(request: pytest.FixtureRequest) -> Iterator[str]:
    program, *arguments = COMMANDS[request.param]
    with Program([str(executable(program)), *arguments], os.environ, directory=str(ROOT)) as running:
        yield running.address(20)


class TestExamples:
    def test_patience(self, address: str) -> None:
        """A client that asks too often is told when to come again, comes then, and is served."""
        patience = Patience()
        with httpx.Client(base_url=address, transport=patience) as client:
            answers = [client.get("/") for _ in range(4)]
        assert [200] * 4 == [answer.status_code for answer in answers]
        assert 1 == len({answer.json()["session"] for answer in answers})
        assert '"requests-1s";q=2;w=1' == answers[0].headers["RateLimit-Policy"]
        assert '"requests-1s";r=1;t=1' == answers[0].headers["RateLimit"]
        # Two in a second: the third has to wait, and the fourth if the first two were slow.
        assert 0 < len(patience.refusals) <= 2
        for refusal in patience.refusals:
            assert ("1", "application/problem+json") == (
                refusal.headers["Retry-After"],
                refusal.headers["Content-Type"],
            )
            assert ["requests-1s"] == refusal.json()["violated-policies"]

    def test_no_use_waiting(self, address: str) -> None:
        """Of what the application asks for itself a client is told, too: when it will do, or that it never will."""
        with httpx.Client(base_url=address, trust_env=False) as client:
            first = client.post("/answers", json={"text": "word " * 60})
            second = client.post("/answers", json={"text": "word " * 60})
        assert [200, 429] == [first.status_code, second.status_code]
        assert {"answer": "I counted 60 words."} == first.json()
        assert 0 < int(second.headers["Retry-After"]) <= 86_400
        # The fields count requests: of tokens they say nothing.
        assert ["tokens-day"] == second.json()["violated-policies"]
        assert '"requests-1s";r=0;t=1' == second.headers["RateLimit"]
        with httpx.Client(base_url=address, trust_env=False) as other:
            never = other.post("/answers", json={"text": "word " * 101})
        assert 429 == never.status_code
        assert "Retry-After" not in never.headers
