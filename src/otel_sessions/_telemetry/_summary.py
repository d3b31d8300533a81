"""What a session's span and its `session.start` and `session.end` events say: attributes made of values."""

from __future__ import annotations

from opentelemetry.trace import StatusCode

from .. import _semconv as sc
from .._models import AttributeValue, Beginning, SessionRecord, Totals
from ._instruments import carried


def identity(beginning: Beginning) -> dict[str, AttributeValue]:
    """What identifies the session: on all of its own events."""
    found: dict[str, AttributeValue] = {sc.SESSION_ID: beginning.id, sc.TYPE: beginning.type}
    if beginning.user is not None:
        found[sc.ENDUSER_PSEUDO_ID] = beginning.user
    return found


def start_attributes(beginning: Beginning) -> dict[str, AttributeValue]:
    """What is known when the session starts: given to the span at its creation, so that samplers see it."""
    own = _own(beginning)
    # The user's attributes cannot replace what identifies the session.
    return {**beginning.attributes, **own} if beginning.attributes else own


def _own(beginning: Beginning) -> dict[str, AttributeValue]:
    found = identity(beginning)
    found[sc.TOPOLOGY] = beginning.topology
    if beginning.previous_id is not None:
        found[sc.SESSION_PREVIOUS_ID] = beginning.previous_id
    if beginning.tier is not None:
        found[sc.TIER] = beginning.tier
    if beginning.platform is not None:
        found[sc.PLATFORM] = beginning.platform
    if beginning.parent_id is not None:
        found[sc.PARENT_ID] = beginning.parent_id
    return found


def end_attributes(record: SessionRecord) -> dict[str, AttributeValue]:
    """How the session ended, and the summary that people query."""
    found: dict[str, AttributeValue] = {sc.STATUS: record.status, sc.END_REASON: record.end_reason or "completed"}
    _add_counts(found, record)
    return found


def part_attributes(record: SessionRecord) -> dict[str, AttributeValue]:
    """The summary of a session that goes on."""
    found: dict[str, AttributeValue] = {sc.STATUS: record.status}
    _add_counts(found, record)
    return found


def _add_counts(found: dict[str, AttributeValue], record: SessionRecord) -> None:
    totals = record.totals
    found[sc.EVENT_COUNT] = totals.events
    found[sc.ERROR_COUNT] = totals.errors
    if totals.requests or record.beginning.topology == "durable":
        found[sc.REQUEST_COUNT] = totals.requests
    if totals.dropped_events:
        found[sc.EVENT_DROPPED_COUNT] = totals.dropped_events
    if totals.turns:
        found[sc.TURN_COUNT] = totals.turns
        found[sc.TURN_MEAN_DURATION] = totals.turn_ns / totals.turns / 1e9
    if totals.messages:
        found[sc.MESSAGE_COUNT] = sum(totals.messages.values())
    if record.status == "error" and totals.error is not None:
        found[sc.ERROR_TYPE] = totals.error[0]
    _add_consumption(found, totals)


def _add_consumption(found: dict[str, AttributeValue], totals: Totals) -> None:
    for name, amount in (totals.usage or {}).items():
        found[f"{sc.USAGE_PREFIX}{name}"] = carried(amount)
    if totals.cost:
        # Sums in different currencies cannot be added: the largest is shown, each is on the metric.
        currency, amount = max(totals.cost.items(), key=lambda item: item[1])
        found[sc.COST_AMOUNT] = amount
        found[sc.COST_CURRENCY] = currency


def latest_attributes(record: SessionRecord) -> dict[str, AttributeValue]:
    """What changed since the start: attributes set on the way, a user who became known, another platform.

    What identifies the session comes last: it cannot be replaced, nor pushed out by the SDK's limit of attributes.
    """
    totals = record.totals
    if not totals.attributes and totals.user is None and totals.platform is None:
        return {}
    found = {**(totals.attributes or {}), **_own(record.beginning)}
    if totals.user is not None:
        found[sc.ENDUSER_PSEUDO_ID] = totals.user
    if totals.platform is not None:
        found[sc.PLATFORM] = totals.platform
    return found


def span_status(record: SessionRecord) -> tuple[StatusCode, str | None]:
    """Only an error is one: time-outs and cancellations are not, and Ok is left for the application to say."""
    if record.status != "error":
        return StatusCode.UNSET, None
    return StatusCode.ERROR, None if record.totals.error is None else record.totals.error[1]
