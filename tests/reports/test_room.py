"""`otel_sessions.reports`: the room."""

from __future__ import annotations

import pytest

from otel_sessions import reports

from ..interpreter import run


class TestRoom:
    def test_everything_is_there(self) -> None:
        """Every name that it promises can be had; another one cannot."""
        assert [] == [name for name in reports.__all__ if getattr(reports, name, None) is None]
        with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
            getattr(reports, "nothing")  # noqa: B009 - mypy knows as well

    def test_what_is_loaded_on_use(self) -> None:
        """What applications seldom need does not make their start slower."""
        seldom = ("_timeline", "reports._watch", "_distribution", "_page", "_trend")
        code = f"import sys, otel_sessions; print([m for m in sys.modules if m.endswith({seldom})])"
        assert "[]\n" == run(code).stdout
