"""Limits, enforced: what a session asks for is decided in the store, counted, and said."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from .._counting.buckets import Admission, Bucket, Charge, Level, Standing
from .._guard import guarded, log
from .._ledger import Ledger
from .._live import Live
from .._models import SessionRecord
from .._recorder import Recorder
from .._store_calls import Failed
from .._telemetry import Telemetry
from .._values import MAX_QUANTITY
from ..exceptions import InvalidValueError, LimitUnknownError
from ..limits.policy import Limit, Quota
from ..limits.tiers import Tier, tiers
from ..security.redaction import is_redacted
from ..stores import MemoryStore
from .allowances import Allowances, kind_of, left_by
from .asked import Asked, Passed, unenforced
from .in_advance import InAdvance
from .lease import Lease
from .leases import Leases
from .measured import Measured
from .signals import LimitSignals
from .status import QuotaStatus, status_of

if TYPE_CHECKING:
    from .._config import Settings
    from ..security.pseudonyms import Pseudonyms
    from ..typing import Clock

_MAX_OWN: Final = 64
_MAX_OVER: Final = 100_000
_AT_ONCE: Final = 100


class Limiter:
    """The limits of one process's sessions."""

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        telemetry: Telemetry,
        clock: Clock,
        recorder: Recorder,
        *,
        pseudonyms: Callable[[], Pseudonyms],
        outside: Callable[[Callable[[], None]], Awaitable[None]],
    ) -> None:
        self._ledger = ledger
        self._store = InAdvance(ledger.store.limits) if ledger.shared is not None else ledger.store.limits
        self._in_memory = type(ledger.store) is MemoryStore
        self._clock = clock
        self._given_clock = settings.clock is not None
        self._pseudonyms = pseudonyms
        self._tiers = tiers(settings.tiers)
        self._default_tier = settings.default_tier
        self._tenant_attribute = settings.tenant_attribute
        self._closed = settings.limit_failure == "closed"
        self._names = _names(self._tiers)
        self._round_us = int(settings.flush_interval * 1_000_000)
        self._signals = LimitSignals(
            ledger, telemetry, recorder, clock, names=self._names, default_tier=self._default_tier
        )
        self.tier_of = self._signals.tier_of
        self.decisions = self._signals.decisions
        self.leases = Leases(clock, give_back=functools.partial(self._store_call, "release"), renew=self._renew)
        """The leases that this process holds."""
        self.outside = outside
        """Calls something that may have to wait for the store, and the event loop does not."""
        self.measured = Measured(self.charge, at_once=ledger.shared is None)
        """What sessions have used already, to be counted without anybody waiting for it."""
        self._begin()

    def _begin(self) -> None:
        self._over: deque[Bucket] = deque(maxlen=_MAX_OVER)
        """What nobody uses any more."""

    def after_fork(self) -> None:
        """What was taken, measured and left in the parent process is the parent's."""
        self._begin()
        self._signals.after_fork()
        if isinstance(self._store, InAdvance):
            self._store.after_fork()
        self.leases.after_fork()
        self.measured.after_fork()

    # -- what is asked ------------------------------------------------------------------------------------------------

    def admit(
        self,
        live: Live,
        *,
        uses: Mapping[str, float] | None = None,
        rates: Mapping[str, int] | None = None,
        leases: Sequence[Lease] = (),
        operation: str | None = None,
    ) -> Passed:
        """Decide everything that a session asks for, together: all of it, or nothing.

        Raises:
            LimitExceededError: of those that refused, the one that takes longest to have room.
            LimitUnknownError: the store could not be asked, and nothing is allowed then.
            InvalidValueError: nothing is known of such a limit, or of the session's tier; or a lease is held already.
        """
        if len({lease.name for lease in leases}) < len(leases):
            raise InvalidValueError("two leases of one name cannot be asked for together: acquire them one by one")
        for lease in leases:
            lease._prepare(self)
        self.measured.settle(live)
        now_us = self.now_us()
        allowances = self._allowances(live)
        asked = [self._ask(allowances, "quota", name, amount, now_us) for name, amount in (uses or {}).items()]
        asked += [self._ask(allowances, "rate", name, amount, now_us) for name, amount in (rates or {}).items()]
        asked += [self._ask(allowances, "concurrency", each.name, 1, now_us, each.holder) for each in leases]
        charges = [charge for each in asked for charge in each.charges]
        levels: Sequence[Level | None] = [None] * len(charges)
        admission = None
        if charges:
            admission = self._decide(charges)
            if admission is not None:
                levels = admission.levels
                if not admission.admitted:
                    raise self._signals.refused(live, asked, admission, operation)
        if uses:
            self._signals.performed(live, operation)
        at = 0
        for each in asked:
            self._signals.allowed(live, each, levels[at : at + len(each.charges)], operation)
            at += len(each.charges)
        for lease, each in zip(leases, asked[len(asked) - len(leases) :], strict=True):
            self.leases.take(lease, each.charges, self._signals.on_metrics("concurrency", lease.name))
        return Passed(asked, admission)

    def count(self, live: Live, name: str, amount: float, operation: str | None) -> None:
        """Count what was used already: nothing is refused any more, but it counts for what comes."""
        self._checked("quota", name, self._allowances(live))
        now_us = self.now_us()
        found = unenforced(self._ask(self._allowances(live), "quota", name, amount, now_us))
        levels: Sequence[Level | None] = [None] * len(found.charges)
        if found.charges:
            admission = self._store_call("admit", found.charges)
            levels = levels if admission is None else admission.levels
        with guarded("count what was used"):
            self._signals.performed(live, operation)
            self._ledger.touch(live)
            self._signals.used(live, found, levels, operation)

    def charge(self, live: Live, amounts: Mapping[str, float]) -> bool:
        """Count what was used already, by name, for those quotas that the session has.

        Returns:
            False if the store could not be asked: then nothing is counted.
        """
        now_us = self.now_us()
        try:
            allowances = self._allowances(live)
        except InvalidValueError:
            # Whoever asks for something in a session of an undefined tier is told so.
            return True
        asked = [
            unenforced(self._ask(allowances, "quota", name, min(amount, MAX_QUANTITY), now_us))
            for name, amount in amounts.items()
            if allowances.of("quota", name, now_us)
        ]
        if not asked:
            return True
        admission = self._store_call("admit", [charge for each in asked for charge in each.charges])
        if admission is None:
            return False
        levels = iter(admission.levels)
        for each in asked:
            # The session is not touched: it was active when this was measured, which may be a while ago.
            self._signals.charged(live, each, [next(levels) for _ in each.charges])
        return True

    def forget(self, record: SessionRecord, live: Live) -> None:
        """Let go, in the next round, of what a session has used that nobody but it could use."""
        usage = record.totals.usage
        if not usage:
            return
        tier = self._tiers.get(self.tier_of(live) or "")
        quotas = [quota for name in usage for quota in (tier.quotas.get(name, ()) if tier else ())]
        quotas += [limit for limit in (live.limits or {}).values() if isinstance(limit, Quota)]
        self._over.extend(left_by(record.id, quotas))

    def shutdown(self) -> None:
        """Give back what this process has and will not use."""
        self.leases.release_all()
        if isinstance(self._store, InAdvance):
            self._ledger.call("give_back", self._store.give_back, self._time(), failed=None)

    def tidy(self) -> None:
        """Tell the store what nobody uses any more; what it is not told goes when its time is over."""
        if isinstance(self._store, InAdvance) and self._store.is_due(self._time()):
            self._ledger.call("give_back", self._store.tidy, self._time(), failed=None)
        while self._over:
            some = {
                bucket.name: bucket for bucket in (self._over.popleft() for _ in range(min(_AT_ONCE, len(self._over))))
            }
            if self._store_call("forget", [Charge(bucket, 0) for bucket in some.values()]) is None:
                return

    # -- what is known ------------------------------------------------------------------------------------------------

    def quotas(self, live: Live, name: str | None = None) -> list[QuotaStatus]:
        """How the session's quotas stand: those of one name, or all.

        Raises:
            InvalidValueError: nothing is known of such a quota.
        """
        self.measured.settle(live)
        allowances = self._allowances(live)
        now_us = self.now_us()
        if name is not None:
            self._checked("quota", name, allowances)
            gauges = list(allowances.of("quota", name, now_us))
        else:
            gauges = [gauge for each in allowances.quotas(now_us).values() for gauge in each]
        levels: Sequence[Level | None] = [None] * len(gauges)
        if gauges:
            found = self._ledger.call(
                "levels", self._store.levels, [gauge.bucket for gauge in gauges], self._time(), failed=None
            )
            levels = levels if found is None else found
        return [status_of(gauge, level, now_us) for gauge, level in zip(gauges, levels, strict=True)]

    def set_limit(self, live: Live, limit: Limit) -> None:
        """Give the session a limit of its own, in place of its tier's.

        Raises:
            InvalidValueError: it is no limit, or one too many.
        """
        with live.lock:
            limits = {**(live.limits or {}), (kind_of(limit), limit.name): limit}
            if len(limits) > _MAX_OWN:
                raise InvalidValueError(
                    f"{limit.name!r} is one limit too many: a session has {_MAX_OWN} of its own at most; "
                    "what varies is no name of a limit"
                )
            live.keep_limits(limits)
        self._ledger.touch(live)

    # -- how ----------------------------------------------------------------------------------------------------------

    def _allowances(self, live: Live) -> Allowances:
        found = live.allowances
        if found is None or found.user != live.user:
            name = live.beginning.tier or self._default_tier
            tier = None if name is None else self._tiers.get(name)
            if tier is None and name is not None:
                raise InvalidValueError(
                    f"the tier {name!r} of the session is not defined: there are {', '.join(self._tiers)}; "
                    "give your own to otel_sessions.configure(tiers=[...])"
                )
            tenant = self._tenant(live)
            pseudonym = None if tenant is None else self._pseudonyms().client("tenant", tenant)
            found = live.allowances = Allowances(live, tier, pseudonym, live.limits or {}, round_us=self._round_us)
        return found

    def _tenant(self, live: Live) -> str | None:
        found = (live.beginning.attributes or {}).get(self._tenant_attribute)
        if not isinstance(found, str) or not is_redacted(found):
            return None if found is None else str(found)
        # All such tenants would be one, and use up each other's limits.
        log.warn(
            "tenant",
            "The attribute %r of a session, which names its tenant, is redacted, so the session counts for itself. Use "
            "an id that is no address, no key and no card's number.",
            self._tenant_attribute,
        )
        return None

    def _checked(self, kind: str, name: str, allowances: Allowances) -> None:
        is_known = isinstance(name, str) and (name in self._names[kind] or (kind, name) in allowances.own)
        if not is_known:
            known = ", ".join(sorted(self._names[kind])) or "none"
            raise InvalidValueError(
                f"no {kind} limit is called {name!r}: those of the tiers are {known}; define it in a tier, "
                "or give it to the session with limit(...)"
            )

    def _ask(self, allowances: Allowances, kind: str, name: str, amount: float, now_us: int, holder: str = "") -> Asked:
        gauges = allowances.of(kind, name, now_us)
        if not gauges:
            self._checked(kind, name, allowances)
        return Asked(kind, name, amount, gauges, [Charge(gauge.bucket, amount, holder) for gauge in gauges])

    def _time(self) -> int | None:
        """The time of a clock that the user gave; otherwise the store's own clock is the better one."""
        return self.now_us() if self._given_clock else None

    def _decide(self, charges: Sequence[Charge]) -> Admission | None:
        admission = self._store_call("admit", charges)
        if admission is None and self._closed:
            raise LimitUnknownError(
                f"the {self._ledger.store.name} store cannot be asked about a limit, and the setting limit_failure is "
                "'closed': nothing is allowed meanwhile"
            )
        return admission

    def _store_call(self, operation: str, charges: Sequence[Charge]) -> Admission | None:
        if self._in_memory:
            # Nothing of it can fail, or takes as long as it would take to measure that.
            return self._store.admit(charges, self._time())
        found = self._ledger.call(operation, self._store.admit, charges, self._time(), failed=Failed.FAILED)
        return None if found is Failed.FAILED else found

    # -- what is observed ---------------------------------------------------------------------------------------------

    @property
    def known(self) -> Mapping[str, Tier]:
        """The tiers, by name."""
        return self._tiers

    @property
    def names(self) -> frozenset[str]:
        """The names of all limits of all tiers."""
        return frozenset().union(*self._names.values())

    def kinds(self, name: str) -> list[str]:
        """Of which kinds there is a limit of that name, in any tier."""
        return [kind for kind, names in self._names.items() if name in names]

    def now_us(self) -> int:
        """The time, in microseconds since the epoch."""
        return self._clock.time_ns() // 1000

    def standings(self, buckets: Sequence[Bucket]) -> Sequence[Standing]:
        """How the groups stand that these buckets are of.

        Raises:
            StoreError: the store could not be asked.
        """
        return self._store.standings(buckets, self._time())

    def _renew(self, slots: Sequence[Charge]) -> Sequence[bool] | None:
        return self._ledger.call("renew", self._store.renew, slots, self._time(), failed=None)

    def lease_counts(self) -> Mapping[tuple[str | None, ...], float]:
        """How many leases this process holds, by name and tier; none of what it held once."""
        return self.leases.counts(functools.partial(self._signals.on_metrics, "concurrency"))

    def lease(self, live: Live, name: str) -> Lease:
        """A slot, not taken yet.

        Raises:
            InvalidValueError: nothing is known of such a limit.
        """
        self._checked("concurrency", name, self._allowances(live))
        return Lease(self, live, name, self.tier_of(live))


def _names(known: Mapping[str, Tier]) -> Mapping[str, frozenset[str]]:
    """The names of all limits, by kind."""
    return {
        "quota": frozenset(name for tier in known.values() for name in tier.quotas),
        "rate": frozenset(name for tier in known.values() for name in tier.rates),
        "concurrency": frozenset(name for tier in known.values() for name in tier.concurrency),
    }
