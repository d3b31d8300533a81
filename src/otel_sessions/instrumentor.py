"""No code: `opentelemetry-instrument uvicorn app:app` and `opentelemetry-instrument flask run` produce sessions.

Options come from the `OTEL_SESSIONS_*` variables, from the declarative configuration file
(`instrumentation/development: python: otel_sessions: {...}`), or from the arguments of `instrument()`.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Collection, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

import wrapt
from opentelemetry import trace
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]  # untyped

from . import _runtime
from ._config import FIELDS
from ._guard import guarded

if TYPE_CHECKING:
    from .flask import Sessions

__all__ = ["SessionsConfiguration", "SessionsInstrumentor"]

_logger = logging.getLogger(__name__)

_CONFIGURABLE: Final = tuple(
    (name, field.type, dataclasses.field(default=None)) for name, field in FIELDS.items() if field.metadata["env"]
)

SessionsConfiguration = dataclasses.make_dataclass(
    "SessionsConfiguration",
    [(name, Any, field) for name, _, field in _CONFIGURABLE],
    namespace={"__doc__": "What the declarative configuration file may say: the settings, without objects."},
)


class SessionsInstrumentor(BaseInstrumentor):  # type: ignore[misc]  # see the import
    """Opens sessions for every Flask, FastAPI and Starlette application of the process, made before or after."""

    configuration = SessionsConfiguration

    def instrumentation_dependencies(self) -> Collection[str]:
        """Nothing is required: what is there is instrumented."""
        return ()

    def _instrument(self, **options: Any) -> None:
        # opentelemetry-instrument passes options of its own to every instrumentor.
        given = {name: value for name, value in options.items() if name in FIELDS}
        if isinstance(given.get("excluded_urls"), list):
            given["excluded_urls"] = tuple(given["excluded_urls"])
        if given:
            _runtime.configure(**given)
        self._undo: list[Callable[[], None]] = []
        if find_spec("starlette") is not None:
            with guarded("instrument Starlette"):
                self._undo += _instrument_starlette()
        if find_spec("flask") is not None:
            with guarded("instrument Flask"):
                self._undo += _instrument_flask()
        if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
            _logger.info("No OpenTelemetry SDK is set up yet; `pip install opentelemetry-distro` does it without code.")
        if not self._undo:
            _logger.info("otel-sessions found neither Flask nor Starlette; decorate your code, or add the middleware.")

    def _uninstrument(self, **_options: Any) -> None:
        for undo in reversed(self._undo):
            undo()
        self._undo = []


class _Switch:
    """Whether middleware that was built into running applications still does anything."""

    def __init__(self) -> None:
        self.on = True

    def turn_off(self) -> None:
        self.on = False


def _instrument_starlette() -> list[Callable[[], None]]:
    from starlette import applications  # noqa: PLC0415 - only where it is installed
    from starlette.middleware import Middleware  # noqa: PLC0415 - only where it is installed

    from .asgi import SessionMiddleware  # noqa: PLC0415 - only where it is used

    switch = _Switch()

    class AutomaticSessionMiddleware(SessionMiddleware):
        """What this process's applications are given; it steps aside once they are uninstrumented."""

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            if switch.on:
                await super().__call__(scope, receive, send)
            else:
                await self.app(scope, receive, send)

    def build(wrapped: Callable[..., Any], instance: Any, args: Any, kwargs: Any) -> Any:
        present = any(issubclass(_class_of(entry), SessionMiddleware) for entry in instance.user_middleware)
        if present or not switch.on:
            return wrapped(*args, **kwargs)
        # Last in the list is innermost: inside the framework's sessions and authentication.
        instance.user_middleware.append(Middleware(AutomaticSessionMiddleware, cookie=False))
        try:
            return wrapped(*args, **kwargs)
        finally:
            instance.user_middleware.pop()

    classes: list[type] = [applications.Starlette]
    if find_spec("fastapi") is not None:
        from fastapi import applications as fastapi_applications  # noqa: PLC0415 - only where it is installed

        # Not `fastapi.FastAPI`: other instrumentations put a subclass there.
        if "build_middleware_stack" in vars(fastapi_applications.FastAPI):
            classes.append(fastapi_applications.FastAPI)
    undo: list[Callable[[], None]] = [switch.turn_off]
    undo += [_wrap(cls, "build_middleware_stack", build) for cls in classes]
    return undo


def _class_of(entry: Any) -> type:
    cls = getattr(entry, "cls", entry[0] if isinstance(entry, tuple) else None)
    return cls if isinstance(cls, type) else object


def _instrument_flask() -> list[Callable[[], None]]:
    import flask.app  # noqa: PLC0415 - only where it is installed

    from .flask import REFUSALS, Sessions, refuse  # noqa: PLC0415 - only where it is used

    sessions: Sessions = Sessions(cookie=False)

    def serve(wrapped: Callable[..., Any], _instance: Any, args: Any, kwargs: Any) -> Any:
        return sessions.wrap(wrapped)(*args, **kwargs)

    def respond(wrapped: Callable[..., Any], _instance: Any, args: Any, kwargs: Any) -> Any:
        # Before Flask saves its own session.
        sessions.mark(args[0] if args else kwargs["response"])
        return wrapped(*args, **kwargs)

    def handle(wrapped: Callable[..., Any], instance: Any, args: Any, kwargs: Any) -> Any:
        error = args[0] if args else kwargs["e"]
        if isinstance(error, REFUSALS) and not _is_answered(instance, error, REFUSALS, flask.request.blueprints):
            return refuse(error)
        return wrapped(*args, **kwargs)

    cls = flask.app.Flask
    return [
        sessions.connect(),
        _wrap(cls, "wsgi_app", serve),
        _wrap(cls, "process_response", respond),
        _wrap(cls, "handle_user_exception", handle),
    ]


def _is_answered(app: Any, error: Exception, refusals: tuple[type, ...], blueprints: Sequence[str]) -> bool:
    """Whether the application has a handler for what a limit refused, not only one for whatever may go wrong in it."""
    for name in (*blueprints, None):
        handlers = app.error_handler_spec.get(name, {}).get(None, {})
        if any(kind in handlers and (name or issubclass(kind, refusals)) for kind in type(error).__mro__):
            return True
    return False


def _wrap(cls: type, name: str, wrapper: Callable[..., Any]) -> Callable[[], None]:
    """Wrap a method of a class; the result puts the original back."""
    original = vars(cls)[name]
    setattr(cls, name, wrapt.FunctionWrapper(original, wrapper))

    def restore() -> None:
        setattr(cls, name, original)

    return restore
