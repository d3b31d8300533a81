"""What asks a stack that runs says what is wrong, and nothing else."""

from __future__ import annotations

from typing import Any

from ..cli.grafana_server import served
from ..stack import Source, Stack


def nothing(_: str, path: str, __: str | None, ___: Any) -> tuple[int, Any]:
    """A Tempo and a Loki that take every query, and have nothing."""
    return 200, {"data": {"result": []}} if path.startswith("/loki/") else {"traces": []}


def refusing(*_: Any) -> tuple[int, Any]:
    return 400, {"message": "parse error"}


def test_loki_alone_need_not_find_anything() -> None:
    """Without a Tempo it is not known which sessions there are, so nothing of a session is asked to be there."""
    with served(nothing) as url:
        assert [] == list(Stack(None, {"loki": Source(url)}).logs())


def test_loki_alone_has_to_take_the_queries() -> None:
    """A query that is refused is wrong, with or without a Tempo."""
    with served(refusing) as url:
        found = list(Stack(None, {"loki": Source(url)}).logs())
    assert found
    assert all(": 400 " in line for line in found)


def test_beside_a_tempo_loki_has_to_find_logs() -> None:
    """What has no logs of a session that is there, or ought to be, is wrong."""
    with served(nothing) as url:
        stack = Stack(None, {"tempo": Source(url), "loki": Source(url)})
        assert any(line.startswith("panel 'Latest sessions' finds nothing") for line in stack.traces())
        assert any(line.startswith("panel 'Log records' finds nothing") for line in stack.logs())
