"""Stores for the command to look into, and how it is run in this process."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any, Final, NamedTuple

import jsonschema  # type: ignore[import-untyped]  # its stubs are a package of their own
import pytest
from referencing import Registry, Resource

import otel_sessions
from otel_sessions import session
from otel_sessions._lifecycle import SystemClock
from otel_sessions.cli._app import app
from otel_sessions.limits import Quota, Rate, Tier
from otel_sessions.testing import record_sessions

from .. import redis_server

KEY: Final = "k" * 32
"""The key of the pseudonyms."""

TIERS: Final = [Tier("pro", Quota("tokens", 1_000, per="day"), Quota("api_calls", 100, per="day"))]

HOSTILE: Final = "[red]x[/red] \x1b[31m \x07 \u202e <script>alert(1)</script> =cmd()|'x'!A1\nnew line"
HOSTILE_ID: Final = "=[bold]<b>"

SCHEMAS: Final = Path(__file__).parent / "schemas"


class Done(NamedTuple):
    """What the command did."""

    returncode: int
    stdout: str
    stderr: str


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> Done:
    """What the command does with these arguments, run in this process."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as left:
        app(list(arguments), prog_name="otel-sessions")
    code = left.value.code
    return Done(code if isinstance(code, int) else 1, *capsys.readouterr())


def checked(verb: str, text: str) -> Any:
    """The JSON that a verb wrote, which is as its schema says."""

    def constant(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    found = json.loads(text, parse_constant=constant)
    schemas = {path.name: json.loads(path.read_text("utf-8")) for path in SCHEMAS.glob("*.json")}
    registry: Any = Registry().with_resources(
        (name, Resource.from_contents(schema)) for name, schema in schemas.items()
    )
    schema = schemas[f"{verb}.json"]
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema, registry=registry).validate(found)
    return found


def url(kind: str, directory: Path) -> str:
    """The URL of a store of that kind that nobody else uses."""
    if kind == "redis":
        return f"{redis_server.shared().url}?prefix={secrets.token_hex(4)}&timeout=10"
    return f"sqlite:///{directory}/sessions.db"


def empty(kind: str, directory: Path) -> str:
    """One with nothing in it."""
    where = url(kind, directory)
    with record_sessions(store=where):
        otel_sessions.active()
    return where


def stocked(kind: str, directory: Path) -> str:
    """One in which something has happened, a moment ago: three sessions are active, five have ended."""
    where = url(kind, directory)
    with record_sessions(store=where, clock=SystemClock(), pseudonym_key=KEY, tiers=TIERS, detect_user=False):
        for shop in ("north", "south"):
            with session("audit", user="grace", tier="pro", attributes={"shop": shop, "rows": 3}) as audit:
                audit.progress("Connecting")
                audit.use("tokens", 15, operation="inference")
        for _ in range(2):
            with pytest.raises(ValueError), session("import", user=HOSTILE):  # noqa: PT011 - which one, is ours
                raise ValueError(HOSTILE)
        logged_in = otel_sessions.start("web", id="ended", user="grace")
        with logged_in:
            logged_in.event("cart.article_added", HOSTILE, article=7)
        otel_sessions.end("ended", reason="logout")
        _conversation()
        otel_sessions.start("web", id=HOSTILE_ID, user="bob", attributes={HOSTILE: HOSTILE})
        otel_sessions.start("web", id="idle")
        otel_sessions.sweep()
    return where


def _conversation() -> None:
    chat = otel_sessions.start("chat", id="chat-1", user="grace", tier="pro", platform="web")
    with chat:
        with chat.turn(model="m") as turn:
            turn.tokens(input=700, output=150)
            turn.cost(0.5, "USD")
        chat.switch_platform("web", "mobile", duration=0.4)
        chat.suspicious("device_change", score=0.86)
        chat.error(ZeroDivisionError("division by zero"))
        chat.use("api_calls", 95, operation="search")
        chat.limit(Quota("exports", 3, per="day"))
        chat.limit(Rate("upload", "5/minute"))
