"""The public API as a type checker sees it. Never run: `mypy` reads it, and an unused `type: ignore` is an error."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from typing_extensions import assert_type

import otel_sessions as sessions
from otel_sessions import BoundExecutor, Session, Turn, bind, current_session, session
from otel_sessions.typing import EndReason, SessionRecord, Status


@session
def bare(number: int, *, flag: bool = False) -> str:
    """A function."""
    return f"{number} {flag}"


@session("import", user="u1", tier="pro", platform="api", attributes={"tenant": "contoso", "depth": 3})
def called(number: int, *, flag: bool = False) -> str:
    """A function."""
    return f"{number} {flag}"


@session("fetch", user=lambda: None)
async def coroutine(url: str) -> bytes:
    """A coroutine function."""
    return url.encode()


@session("pages")
def generator(count: int) -> Generator[int, str, bool]:
    """A generator."""
    answer = yield count
    return bool(answer)


@session("tokens")
async def async_generator(count: int) -> AsyncGenerator[str, None]:
    """An async generator."""
    yield str(count)


assert_type(bare(1, flag=True), str)
assert_type(called(1), str)
started: Coroutine[Any, Any, bytes] = assert_type(coroutine("x"), Coroutine[Any, Any, bytes])
assert_type(generator(1), Generator[int, str, bool])
assert_type(async_generator(1), AsyncGenerator[str, None])

bare("1")  # type: ignore[arg-type]
called(1, flag=2)  # type: ignore[arg-type]
called()  # type: ignore[call-arg]
refused = coroutine(b"x")  # type: ignore[arg-type]
generator(count="1")  # type: ignore[arg-type]

session("import", colour="red")  # type: ignore[call-overload]
session("import", user=3)  # type: ignore[call-overload]
session()  # type: ignore[call-overload]
session(42)  # type: ignore[call-overload]


@session("connection", closing="finish")
class Connection:
    """A class."""

    def __init__(self, host: str) -> None:
        self.host = host

    def ask(self, question: str) -> int:
        """A method."""
        return len(question)

    def finish(self) -> None:
        """The closing method."""


@session
class Other:
    """A class, bare."""

    def close(self) -> None:
        """The closing method."""


assert_type(Connection("x"), Connection)
assert_type(Connection("x").ask("y"), int)
assert_type(Other(), Other)
Connection(3)  # type: ignore[arg-type]
connection: type[Connection] = Connection


class Desk:
    """Methods."""

    @session("method")
    def method(self, number: int) -> str:
        """A method."""
        return str(number)

    @classmethod
    @session("method")
    def of_class(cls, number: int) -> str:
        """A class method."""
        return str(number)

    @staticmethod
    @session("method")
    def static(number: int) -> str:
        """A static method."""
        return str(number)

    @property
    @session("property")
    def attribute(self) -> str:
        """A property."""
        return ""


assert_type(Desk().method(1), str)
assert_type(Desk.of_class(1), str)
assert_type(Desk.static(1), str)
assert_type(Desk().attribute, str)
Desk().method("1")  # type: ignore[arg-type]

with session("import", tier="pro") as handle:
    assert_type(handle, Session)
    assert_type(handle.id, str)
    assert_type(handle.type, str)
    assert_type(handle.user, str | None)
    assert_type(handle.status, Status | None)
    assert_type(handle.end_reason, EndReason | None)
    assert_type(handle.is_active, bool)
    assert_type(handle.age_seconds, float)
    assert_type(handle.concurrent_operations, int)
    assert_type(handle.snapshot(), SessionRecord | None)
    handle.event("cart.checkout", "text", items=3, tags=["a"])
    handle.event(3)  # type: ignore[arg-type]
    handle.progress("text", step=1)
    handle.error(ValueError("x"), "text", attempt=1)
    handle.error("OutOfDisk")
    handle.error(ValueError)  # type: ignore[arg-type]
    handle.record("sync_time", 1.2, unit="s")
    handle.record("sync_time", "1.2")  # type: ignore[arg-type]
    handle.message("assistant")
    handle.message("robot")  # type: ignore[arg-type]
    handle.switch_platform("web", "mobile", duration=0.4)
    handle.suspicious("device_change", score=0.86, device="phone")
    handle.set_attributes(tenant="contoso")
    handle.identify("u1")
    handle.rotate("login")
    assert_type(handle.end("cancelled", reason="logout"), bool)
    handle.end("done")  # type: ignore[arg-type]
    with handle.turn(model="m") as turn:
        assert_type(turn, Turn)
        turn.tokens(input=1, output=2)
        turn.tokens(input="1")  # type: ignore[arg-type]
        turn.cost(0.031, "USD")
        turn.message("tool")


async def asynchronous() -> None:
    """The same with `async with`."""
    async with session("import") as inside, inside.turn() as exchange:
        assert_type(inside, Session)
        assert_type(exchange, Turn)


assert_type(current_session(), Session)
assert_type(sessions.start("chat", id="conv-42", user="u1", idle_timeout=60), Session)
assert_type(sessions.resume("conv-42"), Session)
assert_type(sessions.end("conv-42", status="success"), bool)
assert_type(sessions.get("conv-42"), SessionRecord | None)
assert_type(sessions.active(user="u1"), list[SessionRecord])
assert_type(current_session().statistics(), sessions.SessionStatistics)
assert_type(current_session().statistics().average_response_time, float | None)
assert_type(sessions.usage_history("u1", limit=10), list[sessions.UsageEntry])
assert_type(sessions.user_analytics("u1"), sessions.Analytics)
assert_type(sessions.system_analytics().most_used_operation, str | None)
sessions.usage_history("u1", 10)  # type: ignore[call-arg]
sessions.start("chat", "conv-42")  # type: ignore[call-arg]
sessions.end("conv-42", status="done")  # type: ignore[arg-type]


@sessions.on("usage")
def bill(event: sessions.UsageEvent) -> float:
    """A hook."""
    return event.amount


def refuse(event: sessions.RejectionEvent) -> None:
    """Another hook."""


assert_type(bill, sessions.Hook[sessions.UsageEvent])
bill.remove()
with sessions.on("limit.rejected", refuse) as hook:
    assert_type(hook, sessions.Hook[sessions.RejectionEvent])
sessions.on("quota.threshold", lambda event: event.threshold)
assert_type(sessions.on("alert", lambda event: event.resolved), sessions.Hook[sessions.HealthAlert])
assert_type(sessions.health(thresholds={"error_ratio": 0.2}).checks, tuple[sessions.HealthCheck, ...])
assert_type(sessions.alerts(limit=5), list[sessions.HealthAlert])
sessions.on("quota.threshold", refuse)  # type: ignore[call-overload]
sessions.on("quota.thresholds", refuse)  # type: ignore[call-overload]


def divide(number: int, by: int) -> float:
    """A function to bind."""
    return number / by


assert_type(bind(divide)(1, by=2), float)
bind(divide)("1", 2)  # type: ignore[arg-type]
callback: Callable[[int, int], float] = bind(divide)

with BoundExecutor(ThreadPoolExecutor()) as pool:
    assert_type(pool.submit(divide, 1, by=2), Future[float])
    pool.submit(divide, "1", 2)  # type: ignore[arg-type]
