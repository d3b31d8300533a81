"""A short series of what `make faults` does at length: workers are killed, and their sessions arrive once."""

from __future__ import annotations

import os
import secrets

import pytest

from ..faults.__main__ import STORES, run

ROUNDS = 12
SERIES = 5

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")


@pytest.mark.timeout(600)
@pytest.mark.parametrize("store", STORES)
def test_killed_at_random_instants(store: str) -> None:
    """Every session that was handed out arrives under the identity that it was handed out with, and no other."""
    sessions = 0
    # On a busy machine many are killed before they have begun anything.
    for _ in range(SERIES):
        seed = secrets.randbelow(2**32)
        verdict = run(store, ROUNDS, seed)
        told = [f"--store {store} --rounds {ROUNDS} --seed {seed}", *verdict.violations]
        assert not verdict.violations, "\n".join(told)
        assert ROUNDS == verdict.rounds
        sessions += verdict.sessions
        if sessions > ROUNDS:
            return
    pytest.fail(f"only {sessions} sessions in {SERIES * ROUNDS} rounds")
