"""Runs one scenario in a process of its own: `python -m benchmarks.scenario decorators:one_span 41`.

otel-sessions is configured once per process, peers set global providers, and their versions exclude each other.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from .harness import Measured, measure

ROOT: Final = Path(__file__).parents[1]
_TIMEOUT_SECONDS: Final = 300


class ScenarioError(Exception):
    """A scenario did not come to its end."""


def run(scenario: str, *, rounds: int, python: str = sys.executable) -> Measured:
    """Measure `scenario`, named `module:name`, with the interpreter `python`.

    Raises:
        ScenarioError: it failed, or took longer than five minutes.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    # Where an interpreter without this package finds it, and these benchmarks.
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "src")])
    command = [python, "-m", "benchmarks.scenario", scenario, str(rounds)]
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=True
        )
    except subprocess.TimeoutExpired as error:
        raise ScenarioError(f"{scenario} took longer than {_TIMEOUT_SECONDS} s") from error
    except subprocess.CalledProcessError as error:
        raise ScenarioError(f"{scenario} failed: {error.stderr.strip().splitlines()[-1:]}") from error
    return Measured(json.loads(done.stdout.splitlines()[-1]))


def main(scenario: str, rounds: str) -> None:
    """Measure here, and print the times."""
    module, _, name = scenario.partition(":")
    scenarios: Any = importlib.import_module(f".{module}", __package__)
    print(json.dumps(measure(scenarios.SCENARIOS[name](), rounds=int(rounds)).times))


if __name__ == "__main__":
    main(*sys.argv[1:])
