"""Batch jobs: decorated functions, each call a session."""

from __future__ import annotations

import otel_sessions as sessions

from ._faults import ERRORS
from ._pace import Chances, Pace
from ._people import People, Person


class SourceError(Exception):
    """What a job was to read is not there."""


async def work(pace: Pace, people: People, chances: Chances) -> None:
    """One job of somebody: an import, or a report that holds a slot and keeps what it has written."""
    person = people.come(chances)
    job = chances.choice((_import, _report))
    try:
        with sessions.session(job.__name__.strip("_"), user=person.name, tier=person.tier):
            await job(pace, person, chances)
    except (SourceError, sessions.LimitExceededError):
        # The session has ended as an error; the next job is another one.
        pass
    finally:
        people.go(person)
    await pace.pause(chances, 5)


async def occupy(pace: Pace, people: People, chances: Chances) -> None:
    """Somebody takes every slot for exports, and keeps it for long."""
    person = people.of_tier("pro")
    with sessions.session("report", user=person.name, tier=person.tier) as running:
        held = []
        try:
            while True:
                lease = running.lease("export")
                await lease.__aenter__()
                held.append(lease)
        except sessions.ConcurrencyExceededError:
            await pace.pause(chances, 600)
        finally:
            for lease in held:
                lease.release()


async def _import(pace: Pace, _person: Person, chances: Chances) -> None:
    running = sessions.current_session()
    for step in range(1, 4):
        running.progress("Reading", step=step, rows=chances.randint(50, 5_000))
        await pace.pause(chances, 1.5)
        if chances.hit(0.02):
            running.error("malformed_row", "A row was left out")
    if chances.hit(1 / 3 if pace.has(ERRORS) else 0.005):
        raise SourceError("the source went away")


async def _report(pace: Pace, _person: Person, chances: Chances) -> None:
    running = sessions.current_session()
    size = chances.randint(1, 5) * 1_000_000
    async with running.lease("export"):
        await running.use_async("storage", size, operation="export")
        await pace.pause(chances, 4)
        running.record("report.size", size, unit="By")
    if chances.hit(0.8):
        # It has been fetched: its storage is free again.
        await running.count_async("storage", -size, operation="export")
    kept = await running.quota_async("storage")
    if kept.used and kept.limit and kept.used > kept.limit / 2:
        await running.count_async("storage", -kept.used, operation="clean_up")
