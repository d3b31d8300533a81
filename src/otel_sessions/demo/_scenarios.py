"""What the demo runs, and what has to come of it."""

from __future__ import annotations

import importlib.util
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from ._program import executable

Outcome: TypeAlias = "tuple[str, str, str]"
"""A session's type, status and end reason."""

_APPLICATIONS: Final = "otel_sessions.demo.applications"
_INSTRUMENT: Final = "opentelemetry-instrument"

_SHORTLY: Final = {
    "OTEL_BLRP_SCHEDULE_DELAY": "200",
    "OTEL_BSP_SCHEDULE_DELAY": "200",
    "OTEL_METRIC_EXPORT_INTERVAL": "500",
    "OTEL_SESSIONS_FLUSH_INTERVAL": "0.2",
    "OTEL_SESSIONS_IDLE_TIMEOUT": "1.5",
}
"""A demo does not wait half an hour for a session to expire."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One program of the demo.

    Args:
        name: what the demo calls it; also the service's name.
        about: what it shows.
        command: what is run, without the interpreter or script directory: `python -m ...` or a script's name.
        outcomes: the sessions that have to come of it.
        needs: the modules it cannot run without, and what to install for each.
        visits: the paths that each visitor requests, if it is a web application.
        environment: variables of its own.
    """

    name: str
    about: str
    command: Sequence[str]
    outcomes: Counter[Outcome]
    needs: Mapping[str, str] = field(default_factory=dict)
    visits: Sequence[Sequence[str]] = ()
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def service(self) -> str:
        """Its `service.name`."""
        return f"demo-{self.name}"

    @property
    def requests(self) -> int:
        """How many requests its visitors make."""
        return sum(map(len, self.visits))

    def missing(self) -> list[str]:
        """What would have to be installed before it can run."""
        return [package for module, package in self.needs.items() if not _is_installed(module)]

    def resolved_command(self) -> list[str]:
        """The command with the path of its executable: this interpreter, or a script beside it."""
        program, *arguments = self.command
        found = sys.executable if program == "python" else executable(program)
        return [found or program, *arguments]

    def variables(self) -> dict[str, str]:
        """What it is told by its environment, besides where to export to."""
        return {**_SHORTLY, "OTEL_SERVICE_NAME": self.service, **self.environment}


def _is_installed(module: str) -> bool:
    parent, _, _ = module.rpartition(".")
    return (not parent or _is_installed(parent)) and importlib.util.find_spec(module) is not None


BATCH: Final = Scenario(
    name="batch",
    about="a decorated job: an error, a session inside; one run is cancelled, one fails",
    command=("python", "-m", f"{_APPLICATIONS}.batch"),
    outcomes=Counter(
        {
            ("security_audit", "success", "completed"): 1,
            ("hash_files", "success", "completed"): 1,
            ("security_audit", "cancelled", "cancelled"): 1,
            ("hash_files", "cancelled", "cancelled"): 1,
            ("security_audit", "error", "exception"): 1,
        }
    ),
)

CONVERSATION: Final = Scenario(
    name="chat",
    about="durable sessions: one resumed for each message and ended, one left alone",
    command=("python", "-m", f"{_APPLICATIONS}.conversation"),
    outcomes=Counter({("chat", "success", "completed"): 1, ("chat", "expired", "idle_timeout"): 1}),
)

FASTAPI: Final = Scenario(
    name="fastapi",
    about="an unchanged application, no code, our cookie: 2 clients",
    command=(_INSTRUMENT, "uvicorn", f"{_APPLICATIONS}.web_fastapi:app", "--port", "0"),
    outcomes=Counter({("web", "expired", "idle_timeout"): 2}),
    needs={
        "fastapi": "otel-sessions[fastapi]",
        "uvicorn": "uvicorn",
        "opentelemetry.distro": "opentelemetry-distro",
        "opentelemetry.instrumentation.fastapi": "opentelemetry-instrumentation-fastapi",
    },
    visits=(
        ("/ask?question=Who+is+there", "/ask?question=Why", "/settings", "/export"),
        ("/ask?question=What+is+a+session", "/ask?question=And+a+trace"),
    ),
    environment={"OTEL_SESSIONS_COOKIE": "true"},
)

FLASK: Final = Scenario(
    name="flask",
    about="an unchanged application, no code, Flask's own session: 2 clients of 2 workers",
    # Loaded before it forks, so that the workers have one secret key for their cookies.
    command=(
        _INSTRUMENT,
        "gunicorn",
        "--workers=2",
        "--preload",
        "--bind=127.0.0.1:0",
        f"{_APPLICATIONS}.web_flask:app",
    ),
    outcomes=Counter({("web", "expired", "idle_timeout"): 2}),
    needs={
        "flask": "otel-sessions[flask]",
        "gunicorn": "gunicorn",
        "opentelemetry.distro": "opentelemetry-distro",
        "opentelemetry.instrumentation.flask": "opentelemetry-instrumentation-flask",
    },
    visits=(
        ("/add/lamp", "/add/desk", "/checkout"),
        ("/add/chair", "/admin"),
    ),
    environment={
        "OTEL_SESSIONS_STORE": "sqlite:///sessions.db",
        "OTEL_SESSIONS_PSEUDONYM_KEY": "only for this demonstration",
    },
)

SCENARIOS: Final = (BATCH, CONVERSATION, FASTAPI, FLASK)
