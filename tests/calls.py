"""What can be done through a handle, rightly and wrongly."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from otel_sessions import Session

CALLS: dict[str, Callable[[Session], object]] = {
    "event": lambda handle: handle.event("cart.checkout", "text", items=3),
    "progress": lambda handle: handle.progress("text", step=1),
    "error": lambda handle: handle.error(ValueError("x")),
    "record": lambda handle: handle.record("sync_time", 1.2, unit="s"),
    "message": lambda handle: handle.message("user"),
    "switch_platform": lambda handle: handle.switch_platform("web", "mobile", duration=0.4),
    "suspicious": lambda handle: handle.suspicious("device_change", score=0.86),
    "set_attributes": lambda handle: handle.set_attributes(tenant="contoso"),
    "identify": lambda handle: handle.identify("u2"),
    "rotate": lambda handle: handle.rotate("login"),
}
MISTAKES: dict[str, Callable[[Session], object]] = {
    "event without a name": lambda handle: handle.event(""),
    "event with a dynamic name": lambda handle: handle.event(f"user {uuid.UUID(int=0)} did"),
    "event with a long name": lambda handle: handle.event("x" * 65),
    "event with another's name": lambda handle: handle.event("session.end"),
    "event with a number for a name": lambda handle: handle.event(3),  # type: ignore[arg-type]
    "error of a class": lambda handle: handle.error(ValueError),  # type: ignore[arg-type]
    "error of a number": lambda handle: handle.error(3),  # type: ignore[arg-type]
    "error of a sentence": lambda handle: handle.error("it went wrong"),
    "record without a name": lambda handle: handle.record("", 1),
    "record of a text": lambda handle: handle.record("sync_time", "1"),  # type: ignore[arg-type]
    "record of nothing": lambda handle: handle.record("sync_time", float("nan")),
    "record with an odd unit": lambda handle: handle.record("sync_time", 1, unit="µs"),
    "record of another's metric": lambda handle: handle.record("app_session.duration", 1),
    "message of a strange role": lambda handle: handle.message("the user"),  # type: ignore[arg-type]
    "turn of a model that is none": lambda handle: handle.turn(model=3),  # type: ignore[arg-type]
    "switch from nowhere": lambda handle: handle.switch_platform("", "web"),
    "switch into the past": lambda handle: handle.switch_platform("web", "mobile", duration=-1),
    "suspicion of a sentence": lambda handle: handle.suspicious("they did it"),
    "suspicion beyond doubt": lambda handle: handle.suspicious("burst", score=1.1),
    "suspicion below zero": lambda handle: handle.suspicious("burst", score=-0.1),
    "nobody": lambda handle: handle.identify(""),
    "no text for a user": lambda handle: handle.identify(None),  # type: ignore[arg-type]
    "end as active": lambda handle: handle.end("active"),
    "end as anything": lambda handle: handle.end("done"),  # type: ignore[arg-type]
    "end for no known reason": lambda handle: handle.end("success", reason="bored"),  # type: ignore[arg-type]
    "rotate with a sentence": lambda handle: handle.rotate("because of a login"),
}
