"""What a client holds, and who it is, never leaves the process."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from otel_sessions import active
from otel_sessions._web import (
    FRAMEWORK_KEY,
)
from otel_sessions.testing import RecordedSessions, record_sessions

from .sites import Site

COOKIE = "otel_session"


def everything(recorded: RecordedSessions) -> str:
    """All that was recorded, as text."""
    return "\n".join(
        [
            *(span.to_json() for span in recorded.spans),
            *(log.to_json() for log in recorded.logs),
            repr(recorded.metrics()),
        ]
    )


class TestPrivacy:
    CANARIES = ("canarycookie", "canarybearer", "canaryuser", "canaryidentity", "canarymessage", "203.0.113.77")

    def test_nothing_of_a_client_leaves(self, site: Site, caplog: pytest.LogCaptureFixture) -> None:
        """No cookie, credential, user, address or exception text of a client is in any span, event, metric or log."""
        caplog.set_level(logging.DEBUG)
        token = "canarycookie".ljust(43, "x")

        def identify(request: Any) -> str | None:
            headers = request.headers if hasattr(request, "headers") else dict(request["headers"])
            wanted = headers.get("X-Identity") or headers.get(b"x-identity")
            return None if wanted is None else str(wanted)

        with record_sessions(identify=identify) as recorded, site(secret="k") as server, server.client() as client:
            issued = client.get("/", headers={"X-Forwarded-For": "203.0.113.77"})
            client.get("/login", params={"user": "canaryuser"})
            client.get("/rotate")
            client.get("/boom")
            kept = client.get("/kept").json()
            client.get("/end")
            server.get("/", headers={"Cookie": f"{COOKIE}={token}"})
            server.get("/", headers={"Authorization": "Bearer canarybearer"})
            server.get("/", headers={"X-Identity": "canaryidentity"})
            server.get("/status/401", headers={"Authorization": "Bearer canarybearer"})
            recorded.advance(100_000)
            found = everything(recorded)
        ours = [record.getMessage() for record in caplog.records if record.name.startswith("otel_sessions")]
        own_tokens = [issued.cookies[COOKIE], *(value for key, value in kept.items() if key == FRAMEWORK_KEY)]
        assert 5 == len(recorded.session_spans)
        assert [] == [canary for canary in (*self.CANARIES, *own_tokens) if canary in found or canary in str(ours)]

    def test_failing_identify_does_not_spell_the_credential_out(
        self, site: Site, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The text of an exception inside `identify` is redacted before it is logged, and so is its traceback."""

        def identify(request: Any) -> str:
            raise ValueError(f"cannot decode {credential}")

        credential = "Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl"
        with record_sessions(identify=identify) as recorded, site() as server:
            server.get("/")
            assert "eyJhbGci" not in everything(recorded)
        assert "identify a client" in caplog.text
        assert "ValueError" in caplog.text
        assert "eyJhbGci" not in caplog.text

    def test_keys_of_clients_stay_in_the_store(self, site: Site, recorded_sessions: RecordedSessions) -> None:
        """Not even the keyed hash that finds a client's session is shown."""
        with site() as server:
            server.get("/", headers={"Authorization": "Bearer s3cr3t"})
        (record,) = active()
        recorded_sessions.advance(1800)
        assert record.beginning.key is not None
        assert record.beginning.key.partition(":")[2] not in everything(recorded_sessions)
