"""What `import otel_sessions` costs and brings along."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import otel_sessions

from .interpreter import answer, run

API = "import opentelemetry.trace, opentelemetry.metrics, opentelemetry._logs, opentelemetry.context"
FORBIDDEN = (
    "opentelemetry.sdk",
    "opentelemetry.exporter",
    "opentelemetry.proto",
    "opentelemetry.instrumentation",
    "google.protobuf",
    "grpc",
    "requests",
    "genai_prices",
    "pydantic",
    "flask",
    "werkzeug",
    "fastapi",
    "starlette",
    "pytest",
)


def imported(stderr: str) -> dict[str, int]:
    """The modules that `-X importtime` reports, with their cumulative microseconds."""
    lines = re.findall(r"^import time:\s+\d+ \|\s+(\d+) \|\s+(\S+)$", stderr, re.MULTILINE)
    return {name: int(cumulative) for cumulative, name in lines}


class TestImport:
    """Importing the package loads the OpenTelemetry API and nothing heavy."""

    def test_loads_neither_sdk_nor_framework(self) -> None:
        """Whoever only decorates pays for neither; they are loaded where they are used."""
        modules = imported(run("import otel_sessions", options=("-X", "importtime")).stderr)
        assert "otel_sessions" in modules
        assert "opentelemetry.trace" in modules
        assert [] == [name for name in modules if name.startswith(FORBIDDEN)]

    @pytest.mark.parametrize("module", ["otel_sessions.stores", "otel_sessions.typing", "otel_sessions.exceptions"])
    def test_nor_do_its_plain_rooms(self, module: str) -> None:
        """The rooms that users import for types and errors are as light."""
        modules = imported(run(f"import {module}", options=("-X", "importtime")).stderr)
        assert [] == [name for name in modules if name.startswith(FORBIDDEN)]

    def test_nor_does_using_it_without_an_sdk(self) -> None:
        """A session without an SDK loads none."""
        code = """
        import json, sys
        from otel_sessions import session, start
        with session("job") as s:
            s.event("cart.checkout")
        start("web").end()
        print(json.dumps([name for name in sys.modules if name.startswith(("opentelemetry.sdk", "google"))]))
        """
        assert [] == answer(code)

    def test_is_quick(self, tmp_path: Path) -> None:
        """It computes at most 1.3 times as long as the API's own import, the best of nine; with bytecode, as installed.

        A ratio, for it depends on the machine how many milliseconds that are: 60 where the API's own takes 46.
        """
        code = f"""
        import time
        began = time.process_time()
        {API}
        before = time.process_time()
        import otel_sessions
        print((time.process_time() - before) / (before - began))
        """
        # Coverage would slow down ours alone.
        env = {"PYTHONPYCACHEPREFIX": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "", "COVERAGE_PROCESS_CONFIG": ""}
        run(code, env=env)
        assert min(float(run(code, env=env).stdout) for _ in range(9)) < 1.3

    def test_has_no_side_effects(self) -> None:
        """No thread, no handler, no provider, no warning."""
        code = """
        import json, logging, threading
        import otel_sessions
        from opentelemetry import trace
        print(json.dumps([
            threading.active_count(), logging.getLogger("otel_sessions").handlers, logging.getLogger().handlers,
            type(trace.get_tracer_provider()).__name__,
        ]))
        """
        assert [1, [], [], "ProxyTracerProvider"] == answer(code)


class TestPublicNames:
    """`__init__` is the table of contents."""

    @pytest.mark.parametrize("name", otel_sessions.__all__)
    def test_each_can_be_imported(self, name: str) -> None:
        """Every name of `__all__` exists, and is documented where it can be."""
        value = getattr(otel_sessions, name)
        assert isinstance(value, str) or value.__doc__

    def test_sorted_and_without_repetition(self) -> None:
        """In the order in which one looks for a name."""
        assert sorted(set(otel_sessions.__all__)) == otel_sessions.__all__

    def test_nothing_else_is_public(self) -> None:
        """What is not in `__all__` is a module of the package, or has an underscore."""
        code = """
        import json, types
        import otel_sessions
        others = set(vars(otel_sessions)) - set(otel_sessions.__all__)
        print(json.dumps(sorted(
            name for name in others
            if not name.startswith("_") and not isinstance(vars(otel_sessions)[name], types.ModuleType)
        )))
        """
        assert [] == answer(code)

    def test_a_star_import_brings_them(self) -> None:
        """`from otel_sessions import *` gives exactly the table of contents."""
        code = """
        import json
        from otel_sessions import *
        print(json.dumps(sorted(name for name in globals() if not name.startswith("_") and name != "json")))
        """
        assert sorted(set(otel_sessions.__all__) - {"__version__"}) == answer(code)

    def test_version_is_that_of_the_distribution(self) -> None:
        """One version, in one place."""
        from importlib.metadata import version

        assert version("otel-sessions") == otel_sessions.__version__

    def test_typed(self) -> None:
        """Type checkers are told that the package has types."""
        assert (Path(otel_sessions.__file__).parent / "py.typed").exists()

    def test_entry_points_lead_somewhere(self) -> None:
        """The instrumentor is found by `opentelemetry-instrument`, the fixtures by pytest."""
        code = """
        import json
        from importlib.metadata import entry_points
        found = [
            point.load().__name__
            for group in ("opentelemetry_instrumentor", "pytest11")
            for point in entry_points(group=group, name="otel_sessions")
        ]
        print(json.dumps(found))
        """
        completed = run(code)
        instrumentor, plugin = json.loads(completed.stdout)
        assert "SessionsInstrumentor" == instrumentor
        assert plugin.startswith("otel_sessions.")
