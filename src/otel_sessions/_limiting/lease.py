"""A slot among those that may be held at once."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from ..exceptions import InvalidValueError

if TYPE_CHECKING:
    from .._counting.buckets import Charge
    from .._live import Live
    from .limiter import Limiter


class Lease:
    """A slot, held from entering the block until it is left, or from `acquire` until `release`.

    While this process lives the slot is renewed in the background; when the process is killed it comes back by itself
    after the limit's time to live. A lease that nobody holds a reference to is not renewed either.

    Raises:
        ConcurrencyExceededError: on entering, all slots are taken.
    """

    __slots__ = ("__weakref__", "_limiter", "_live", "charges", "holder", "is_lost", "name", "renewed_ns", "tier")

    def __init__(self, limiter: Limiter | None, live: Live | None, name: str, tier: str | None = None) -> None:
        self._limiter = limiter
        self._live = live
        self.name = name
        self.tier = tier
        self.holder = ""
        """Whom the store knows it by: somebody else each time that it is acquired."""
        self.renewed_ns = 0
        self.charges: Sequence[Charge] = ()
        """The slots that it holds, one for each limit of that name."""
        self.is_lost = False
        """Whether the slot went to somebody else, because it could not be renewed in time. It is not taken again."""

    @property
    def is_held(self) -> bool:
        """Whether it is held, as far as this process knows."""
        return bool(self.charges) and not self.is_lost

    def acquire(self) -> None:
        """Take a slot.

        Raises:
            ConcurrencyExceededError: all are taken.
            LimitUnknownError: the store could not be asked, and the setting `limit_failure` says `closed`.
            InvalidValueError: it is held already, or nothing is known of such a limit.
        """
        if self._limiter is not None and self._live is not None:
            self._limiter.admit(self._live, leases=[self])

    def _prepare(self, limiter: Limiter) -> None:
        """Be asked for; what became of it when it was held before does not matter any more.

        Raises:
            InvalidValueError: it is held already.
        """
        if self.charges:
            raise InvalidValueError(f"the lease {self.name!r} is held already: make another one for another slot")
        self._limiter = limiter
        self.holder = secrets.token_hex(8)
        self.is_lost = False

    def release(self) -> None:
        """Give the slot back; nothing happens if it is not held."""
        if self._limiter is not None and self.charges:
            self._limiter.leases.release(self)

    def __enter__(self) -> Lease:
        self.acquire()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.release()

    async def __aenter__(self) -> Lease:
        if self._limiter is not None:
            await acquire(self._limiter, [self], self.acquire)
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await release([self], exc)


async def acquire(limiter: Limiter, leases: Sequence[Lease], ask: Callable[[], None]) -> None:
    """Have `ask` acquire leases, and the event loop does not wait for the store. It raises the same.

    If the task is cancelled meanwhile, what was acquired is given back: whoever asked for it never comes to that.
    """
    free = [lease for lease in leases if not lease.charges]
    try:
        await limiter.outside(ask)
    except BaseException as error:
        await release(free, error)
        raise


async def release(leases: Sequence[Lease], error: BaseException | None) -> None:
    """Give leases back, and the event loop does not wait for the store, as their block is left with `error`."""

    def give_back() -> None:
        for lease in leases:
            lease.release()

    limiter = next((lease._limiter for lease in leases if lease.charges), None)
    # A coroutine that is closed cannot wait any more.
    if limiter is None or isinstance(error, GeneratorExit):
        give_back()
    else:
        # All in one call: should the task be cancelled meanwhile, they are given back all the same.
        await limiter.outside(give_back)
