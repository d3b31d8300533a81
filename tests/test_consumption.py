"""Which tokens there are, each counted once."""

from __future__ import annotations

import pytest

from otel_sessions._consumption import total, whole


class TestTotal:
    @pytest.mark.parametrize(
        ("tokens", "expected"),
        [
            ({}, 0),
            ({"input": 10, "output": 5}, 15),
            ({"input": 10, "cache_read": 6, "cache_write": 4, "output": 5, "reasoning": 5}, 15),
            ({"input": 10, "cache_creation": 3}, 10),
            ({"input": 10, "cache_read": 8, "cache_write": 3}, 21),
            ({"output": 5, "reasoning": 6}, 11),
            ({"cache_read": 4}, 4),
            ({"input": 10, "audio": 3}, 13),
        ],
    )
    def test_each_once(self, tokens: dict[str, int], expected: int) -> None:
        """A part of the input or the output is in it; parts greater than the whole were reported apart from it."""
        assert expected == total(tokens)

    def test_whole(self) -> None:
        """Input and output can be asked for one at a time."""
        tokens = {"input": 10, "cache_read": 25, "output": 5, "reasoning": 2}
        assert (35, 5) == (whole(tokens, "input"), whole(tokens, "output"))
