"""What the traffic can be told on the command line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from .._port import port
from ._faults import FAULTS
from ._pace import FASTEST, SLOWEST, Pace

_FAULTS = "\n".join(f"  {fault.name:<12}{fault.about}" for fault in FAULTS.values())


def parser(program: str) -> argparse.ArgumentParser:
    """The options of the traffic, which was called like that."""
    made = _pace_parser(
        prog=program,
        description=(
            "An application with users, conversations, jobs and limits, until it is stopped. It exports over OTLP; "
            "where to, and under which name, the OTEL_* variables say."
        ),
        epilog=f"faults:\n{_FAULTS}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--seconds", type=_seconds, default=0.0, metavar="N", help="stop after so long (default: never)")
    made.add_argument("--host", default="127.0.0.1", help="where the web application listens (default: %(default)s)")
    made.add_argument("--port", type=port, default=0, help="its port (default: a free one)")
    made.add_argument(
        "--store",
        metavar="URL",
        help="where its sessions are kept, with all that it invents (default: a file that goes with it, whatever "
        "OTEL_SESSIONS_STORE says)",
    )
    made.add_argument("--log-file", type=Path, metavar="PATH", help="write the application's log there")
    return made


def pace_of(arguments: Sequence[str] | argparse.Namespace) -> Pace:
    """The pace that options ask for."""
    if not isinstance(arguments, argparse.Namespace):
        arguments = _pace_parser().parse_args(arguments)
    return Pace(speed=arguments.speed, seed=arguments.seed, faults=frozenset(arguments.fault))


def _pace_parser(**settings: object) -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(**settings)  # type: ignore[arg-type]  # they are argparse's own
    made.add_argument("--speed", type=_speed, default=1.0, metavar="N", help="how many times faster (default: 1)")
    made.add_argument("--seed", type=int, default=0, metavar="N", help="of all that is left to chance (default: 0)")
    made.add_argument(
        "--fault",
        action="append",
        default=[],
        choices=sorted(FAULTS),
        metavar="NAME",
        help="something that goes wrong; may be given several times",
    )
    return made


def _speed(text: str) -> float:
    speed = float(text)
    if not SLOWEST <= speed <= FASTEST:
        raise argparse.ArgumentTypeError(f"{text} is not between {SLOWEST:g} and {FASTEST:g}")
    return speed


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a number of seconds")
    return seconds
