"""Forgetting what ended long ago."""

from __future__ import annotations

from .. import _runtime
from ._period import nanoseconds_of


def cleanup(*, days: float = 90, dry_run: bool = False) -> int:
    """Forget the sessions that ended longer ago, and the sums of the hours and days that were over by then.

    What somebody still owes the export of is kept, and so is all that is active. The store forgets by itself as well,
    after its `retention`: this is for what shall go earlier.

    Args:
        days: how many days back sessions are kept.
        dry_run: forget nothing, only count.

    Returns:
        How many sessions were forgotten, or would be; parts of long ones count.

    Raises:
        InvalidValueError: `days` is not a positive number.
        ConfigurationError: the store is one of your own, and cannot be told to forget.
        StoreError: the store cannot be asked. What was forgotten until then is.
    """
    age_ns = nanoseconds_of(days)
    runtime = _runtime.get()
    if not runtime.enabled:
        return 0
    before_ns = max(0, runtime.lifecycle.clock.time_ns() - age_ns)
    ledger = runtime.lifecycle.ledger
    return ledger.past.purgeable(before_ns) if dry_run else ledger.past.purge(before_ns)
