"""The command `otel-sessions` (extra `cli`).

Each verb has a module of its own, which `_app` puts together; what a verb does stands apart from how it is typed.
"""

from __future__ import annotations

import sys

from ..exceptions import MissingExtraError

__all__ = ["main"]


def main() -> None:
    """Run the command that `sys.argv` says, and leave with its exit code."""
    try:
        from ._app import app  # noqa: PLC0415 - whoever has not installed the extra is told so
    except ModuleNotFoundError as error:
        if error.name not in {"typer", "rich"}:
            raise
        print(MissingExtraError("The command otel-sessions", error.name, "cli"), file=sys.stderr)
        sys.exit(1)
    app(prog_name="otel-sessions")
