"""What a session may use: the part of its handle that asks limits."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from . import _values
from ._counting.forecast import UNKNOWN
from ._limiting import lease as leasing
from ._limiting.allowances import kind_of
from ._limiting.lease import Lease
from ._limiting.status import QuotaStatus
from ._view import SessionView
from .exceptions import InvalidValueError

if TYPE_CHECKING:
    from .limits.policy import Limit


T = TypeVar("T")


class LimitedSession(SessionView):
    """A session that asks before it uses something.

    Only limits raise, and only because the application asks them to.
    """

    __slots__ = ()

    def use(self, name: str, amount: float = 1, *, operation: str | None = None) -> None:
        """Use some of a quota: of the tier's quotas of that name, in every window, or of the session's own.

        It is decided in the store before this returns; what is refused costs nothing. In async code `use_async` does
        not keep the event loop waiting for a store outside of the process.

        Args:
            name: what is used: `tokens`, `api_calls`, `storage`, ...
            amount: how much; zero is always allowed.
            operation: a low-cardinality name for what it is used for.

        Raises:
            QuotaExceededError: there is not so much left.
            LimitUnknownError: the store could not be asked, and the setting `limit_failure` says `closed`.
            InvalidValueError: there is no such quota, or the amount is not one.
        """
        self.admit(uses=_one(name, amount), operation=operation)

    async def use_async(self, name: str, amount: float = 1, *, operation: str | None = None) -> None:
        """`use`, and the event loop does not wait for the store. It raises the same."""
        await self.admit_async(uses=_one(name, amount), operation=operation)

    def count(self, name: str, amount: float = 1, *, operation: str | None = None) -> None:
        """Count what was used already: it is never refused, and counts for what is asked for next.

        A negative amount is given back. Of a quota in a window that has begun anew since, nothing can be given back.

        Raises:
            InvalidValueError: there is no such quota, or the amount is not one.
        """
        amount = _values.change(name, amount)
        operation = None if operation is None else _values.label("operation", operation)
        live = self._usable("count")
        if live is not None:
            self._lifecycle.limiter.count(live, name, amount, operation)

    async def count_async(self, name: str, amount: float = 1, *, operation: str | None = None) -> None:
        """`count`, and the event loop does not wait for the store. It raises the same."""
        await self._away(functools.partial(self.count, name, amount, operation=operation))

    def check_rate(self, name: str, cost: int = 1) -> None:
        """Do something that may be done only so often; `check_rate_async` in async code.

        Args:
            name: what is done.
            cost: for how many times it counts.

        Raises:
            RateLimitedError: it was done too often; nothing is counted.
            LimitUnknownError: the store could not be asked, and the setting `limit_failure` says `closed`.
            InvalidValueError: there is no such rate limit, or the cost is no whole number.
        """
        self.admit(rates=_one(name, cost))

    async def check_rate_async(self, name: str, cost: int = 1) -> None:
        """`check_rate`, and the event loop does not wait for the store. It raises the same."""
        await self.admit_async(rates=_one(name, cost))

    def lease(self, name: str) -> Lease:
        """A slot among those that may be held at once: `with session.lease("export"): ...`, or `async with`.

        Raises:
            InvalidValueError: there is no such concurrency limit.
        """
        live = self._usable("lease")
        return Lease(None, None, name) if live is None else self._lifecycle.limiter.lease(live, name)

    def admit(
        self,
        *,
        uses: Mapping[str, float] | None = None,
        rates: Mapping[str, int] | None = None,
        leases: Sequence[Lease] = (),
        operation: str | None = None,
    ) -> None:
        """Ask for several things together: all of it is allowed, or nothing is consumed.

        ::

            lease = s.lease("export")
            s.admit(uses={"api_calls": 1, "tokens": 1500}, rates={"export": 1}, leases=[lease])
            try:
                ...
            finally:
                lease.release()

        Args:
            uses: amounts of quotas, by name.
            rates: how often what is done, by name.
            leases: slots to be acquired.
            operation: a low-cardinality name for what it is used for.

        Raises:
            LimitExceededError: something was refused: of those, the one that takes longest to have room.
            LimitUnknownError: the store could not be asked, and the setting `limit_failure` says `closed`.
            InvalidValueError: there is no such limit, or an amount is not one.
        """
        uses = {name: _values.quantity(name, amount) for name, amount in _values.by_name("uses", uses).items()}
        rates = {name: _values.times(name, cost) for name, cost in _values.by_name("rates", rates).items()}
        if not all(isinstance(lease, Lease) for lease in leases):
            raise InvalidValueError(f"leases={leases!r}: use slots that were made with session.lease(name)")
        operation = None if operation is None else _values.label("operation", operation)
        live = self._usable("admit")
        if live is not None:
            self._lifecycle.limiter.admit(live, uses=uses, rates=rates, leases=leases, operation=operation)

    async def admit_async(
        self,
        *,
        uses: Mapping[str, float] | None = None,
        rates: Mapping[str, int] | None = None,
        leases: Sequence[Lease] = (),
        operation: str | None = None,
    ) -> None:
        """`admit`, and the event loop does not wait for the store. It raises the same."""
        ask = functools.partial(self.admit, uses=uses, rates=rates, leases=leases, operation=operation)
        if self._live is None:
            ask()
        else:
            await leasing.acquire(self._lifecycle.limiter, leases, ask)

    def limit(self, limit: Limit) -> None:
        """Give this session a limit of its own, in place of its tier's of the same kind and name.

        ::

            s.limit(Rate("upload", "5/minute"))

        It stays with the session, in whichever process that goes on; one that works with it already takes it over when
        it next reads the session from the store, within some minutes. What was used of a limit of that name counts.

        Raises:
            InvalidValueError: it is no limit, or the session has 64 of its own already.
        """
        kind_of(limit)
        live = self._usable("limit")
        if live is not None:
            self._lifecycle.limiter.set_limit(live, limit)

    def quota(self, name: str) -> QuotaStatus:
        """How a quota of that name stands; of several windows the one of which the largest share is used.

        Raises:
            InvalidValueError: there is no such quota.
        """
        name = _named(name)
        live = self._now()
        found: list[QuotaStatus] = [] if live is None else self._lifecycle.limiter.quotas(live, name)
        if not found:
            used = 0.0 if live is None else self._lifecycle.ledger.used(live, name)
            return QuotaStatus(name, used, None, "total", "session", None, UNKNOWN)
        return max(found, key=lambda status: status.percentage or 0.0)

    async def quota_async(self, name: str) -> QuotaStatus:
        """`quota`, and the event loop does not wait for the store. It raises the same."""
        return await self._away(functools.partial(self.quota, name))

    def quotas(self) -> list[QuotaStatus]:
        """How all quotas of the session stand, in every window."""
        live = self._now()
        return [] if live is None else self._lifecycle.limiter.quotas(live)

    async def quotas_async(self) -> list[QuotaStatus]:
        """`quotas`, and the event loop does not wait for the store."""
        return await self._away(self.quotas)

    async def _away(self, ask: Callable[[], T]) -> T:
        """What `ask` returns; the event loop does not wait for the store."""
        if self._live is None:
            return ask()
        found: list[T] = []
        await self._lifecycle.limiter.outside(lambda: found.append(ask()))
        return found[0]


def _one(name: str, amount: T) -> Mapping[str, T]:
    """One amount, by its name; what cannot even be looked up is refused like any other name that is none."""
    return {_named(name): amount}


def _named(name: str) -> str:
    return name if isinstance(name, str) else _values.label("limit", name)
