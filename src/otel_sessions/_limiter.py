"""Limits, enforced: what a session asks for is decided in the store, counted, and said."""

from __future__ import annotations

import datetime as dt
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple
from weakref import WeakValueDictionary

from opentelemetry._logs import SeverityNumber

from . import _collector
from . import _semconv as sc
from ._allowances import RENEWALS, Allowances, Gauge, kind_of, left_by
from ._counting.buckets import CRITICAL, WARNING, Admission, Bucket, Charge, Level, Standing
from ._counting.forecast import UNKNOWN, Forecast, forecast
from ._guard import guarded, log
from ._hook_events import REJECTED, THRESHOLD, USAGE
from ._hooks import hooks
from ._lease import Lease
from ._ledger import Failed, Ledger
from ._limit_hooks import Asking
from ._live import Live
from ._measured import Measured
from ._models import Attributes, SessionRecord
from ._recorder import Recorder
from ._telemetry import Telemetry
from ._uses import Use
from ._values import MAX_QUANTITY
from .exceptions import (
    ConcurrencyExceededError,
    InvalidValueError,
    LimitExceededError,
    LimitUnknownError,
    QuotaExceededError,
    RateLimitedError,
)
from .limits.policy import TOTAL, Limit, Quota
from .limits.tiers import Tier, tiers
from .security.redaction import is_redacted

if TYPE_CHECKING:
    from ._config import Settings
    from .security.pseudonyms import Pseudonyms
    from .typing import Clock

_ERRORS: Final[Mapping[str, type[LimitExceededError]]] = {
    "quota": QuotaExceededError,
    "rate": RateLimitedError,
    "concurrency": ConcurrencyExceededError,
}
_MAX_OWN: Final = 64
_MAX_OWN_NAMES: Final = 100
_MAX_OVER: Final = 100_000
_AT_ONCE: Final = 100


class QuotaStatus(NamedTuple):
    """How a quota stands, for one session."""

    name: str
    used: float | None
    """None: the store could not be asked."""
    limit: float | None
    """None: there is none, and it is only counted."""
    window: str
    scope: str
    resets_at: dt.datetime | None
    """When what is used begins to go down, or begins anew; None if it does not by itself."""
    forecast: Forecast
    """When it will be used up, at the present rate."""

    @property
    def remaining(self) -> float | None:
        """How much can still be used; None if there is no limit, or nobody knows."""
        return None if self.limit is None or self.used is None else max(0, self.limit - self.used)

    @property
    def percentage(self) -> float | None:
        """How much of it is used, in percent; None if there is no limit, or nobody knows."""
        if self.limit is None or self.used is None:
            return None
        return 100.0 * self.used / self.limit if self.limit else 100.0

    def to_dict(self) -> dict[str, object]:
        """JSON-compatible values."""
        return {
            "name": self.name,
            "used": self.used,
            "limit": self.limit,
            "remaining": self.remaining,
            "percentage": self.percentage,
            "window": self.window,
            "scope": self.scope,
            "resets_at": None if self.resets_at is None else self.resets_at.isoformat(),
            "rate": self.forecast.rate,
            "seconds_to_exhaustion": self.forecast.seconds,
        }


class LimitStatus(NamedTuple):
    """How a limit stands after a decision."""

    kind: str
    name: str
    used: float
    limit: float | None
    window: str
    window_seconds: float | None
    resets_after: float | None
    """In how many seconds what is used begins to go down, or begins anew."""
    scope: str

    @property
    def policy(self) -> str:
        """What a client is told that it is called: different for all that a tier may hold."""
        usual = "session" if self.window == TOTAL else "user"
        parts = self.name, self.window.replace(" ", ""), "" if self.scope == usual else self.scope
        return "-".join(filter(None, parts))

    @classmethod
    def of(cls, error: LimitExceededError) -> LimitStatus:
        """The limit that refused."""
        return cls(
            error.kind,
            error.name,
            error.used,
            error.limit,
            error.window,
            error.window_seconds,
            error.retry_after,
            error.scope,
        )


class Passed(NamedTuple):
    """What was allowed."""

    asked: Sequence[_Asked] = ()
    admission: Admission | None = None
    """None if nothing had to be decided, or the store could not be asked."""

    def statuses(self) -> list[LimitStatus]:
        """How the limits stand now."""
        return [] if self.admission is None else _statuses(self.asked, self.admission)


class _Asked(NamedTuple):
    """What a session asks for, of one limit's name."""

    kind: str
    name: str
    amount: float
    gauges: Sequence[Gauge]
    charges: Sequence[Charge]


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
        self._telemetry = telemetry
        self._recorder = recorder
        self._store = ledger.store.limits
        self._clock = clock
        self._given_clock = settings.clock is not None
        self._pseudonyms = pseudonyms
        self._tiers = tiers(settings.tiers)
        self._default_tier = settings.default_tier
        self._tenant_attribute = settings.tenant_attribute
        self._closed = settings.limit_failure == "closed"
        self._names = _names(self._tiers)
        self._round_us = int(settings.flush_interval * 1_000_000)
        self._own_names: set[str] = set()
        self._seen: set[tuple[str, str | None]] = set()
        self.outside = outside
        """Calls something that may have to wait for the store, and the event loop does not."""
        self.measured = Measured(self.charge, at_once=ledger.shared is None)
        """What sessions have used already, to be counted without anybody waiting for it."""
        self._begin()

    def _begin(self) -> None:
        self._held: WeakValueDictionary[str, Lease] = WeakValueDictionary()
        self._left_behind: deque[Lease] = deque()
        """What was given back while the garbage collector was at work."""
        self._over: deque[Bucket] = deque(maxlen=_MAX_OVER)
        """What nobody uses any more."""

    def after_fork(self) -> None:
        """The leases of the parent process are the parent's: it renews them, and it gives them back."""
        for lease in self._here():
            lease.charges = ()
        self._begin()
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
                    raise self._refused(live, asked, admission, operation)
        if uses:
            self._performed(live, operation)
        at = 0
        for each in asked:
            self._allowed(live, each, levels[at : at + len(each.charges)], operation)
            at += len(each.charges)
        for lease, each in zip(leases, asked[len(asked) - len(leases) :], strict=True):
            lease.charges = each.charges
            if each.charges:
                self._held[lease.holder] = lease
                self._seen.add((self._on_metrics("concurrency", lease.name), lease.tier))
                lease.renewed_ns = self._clock.monotonic_ns()
        return Passed(asked, admission)

    def count(self, live: Live, name: str, amount: float, operation: str | None) -> None:
        """Count what was used already: nothing is refused any more, but it counts for what comes."""
        self._checked("quota", name, self._allowances(live))
        now_us = self.now_us()
        found = _unenforced(self._ask(self._allowances(live), "quota", name, amount, now_us))
        levels: Sequence[Level | None] = [None] * len(found.charges)
        if found.charges:
            admission = self._store_call("admit", found.charges)
            levels = levels if admission is None else admission.levels
        self._performed(live, operation)
        self._ledger.touch(live)
        self._used(live, found, levels, operation)

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
            _unenforced(self._ask(allowances, "quota", name, min(amount, MAX_QUANTITY), now_us))
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
            self._used(live, each, [next(levels) for _ in each.charges], None)
        return True

    def release(self, lease: Lease) -> None:
        """Give the slots of a lease back."""
        if _collector.thread is not None and _collector.collecting():
            # It may have interrupted this very thread in the middle of a call to the store.
            self._left_behind.append(lease)
            return
        charges, lease.charges = lease.charges, ()
        self._held.pop(lease.holder, None)
        self._give_back(charges)

    def _give_back(self, charges: Sequence[Charge]) -> None:
        if charges:
            self._store_call("release", [charge._replace(amount=-1) for charge in charges])

    def renew(self) -> None:
        """Renew the leases of this process that are due."""
        while self._left_behind:
            self.release(self._left_behind.popleft())
        now = self._clock.monotonic_ns()
        due = [(lease, lease.charges) for lease in self._here() if _is_due(lease, now)]
        if not due:
            return
        slots = [charge for _, charges in due for charge in charges]
        held = self._ledger.call("renew", self._store.renew, slots, self._time(), failed=None)
        if held is None:
            return
        answers = iter(held)
        released: list[Charge] = []
        for lease, charges in due:
            lease.renewed_ns = now
            # All of its answers, for the next one's come after them.
            renewed = [next(answers) for _ in charges]
            if lease.charges is not charges:
                # It was given back meanwhile, and renewing it may have taken the slot again.
                released += charges
            elif not all(renewed):
                lease.is_lost = True
                log.warn("lease", "A lease %r could not be renewed in time: somebody else has its slot.", lease.name)
        self._give_back(released)

    def release_all(self) -> None:
        """Give everything back, because the process ends."""
        for lease in [*self._here(), *self._left_behind]:
            self.release(lease)

    def forget(self, record: SessionRecord, live: Live) -> None:
        """Let go, in the next round, of what a session has used that nobody but it could use."""
        usage = record.totals.usage
        if not usage:
            return
        tier = self._tiers.get(self.tier_of(live) or "")
        quotas = [quota for name in usage for quota in (tier.quotas.get(name, ()) if tier else ())]
        quotas += [limit for limit in (live.limits or {}).values() if isinstance(limit, Quota)]
        self._over.extend(left_by(record.id, quotas))

    def tidy(self) -> None:
        """Tell the store what nobody uses any more; what it is not told goes when its time is over."""
        while self._over:
            some = {
                bucket.name: bucket for bucket in (self._over.popleft() for _ in range(min(_AT_ONCE, len(self._over))))
            }
            if self._store_call("forget", [Charge(bucket, 0) for bucket in some.values()]) is None:
                return

    def _here(self) -> list[Lease]:
        """The leases that this process holds."""
        # Not `values()`: other threads take some and give some back meanwhile.
        return [lease for reference in self._held.valuerefs() if (lease := reference()) is not None]

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
        return [_status(gauge, level, now_us) for gauge, level in zip(gauges, levels, strict=True)]

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
            live.limits, live.allowances = limits, None

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
        if name not in self._names[kind] and (kind, name) not in allowances.own:
            known = ", ".join(sorted(self._names[kind])) or "none"
            raise InvalidValueError(
                f"no {kind} limit is called {name!r}: those of the tiers are {known}; define it in a tier, "
                "or give it to the session with limit(...)"
            )

    def _ask(
        self, allowances: Allowances, kind: str, name: str, amount: float, now_us: int, holder: str = ""
    ) -> _Asked:
        gauges = allowances.of(kind, name, now_us)
        if not gauges:
            self._checked(kind, name, allowances)
        return _Asked(kind, name, amount, gauges, [Charge(gauge.bucket, amount, holder) for gauge in gauges])

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
        found = self._ledger.call(operation, self._store.admit, charges, self._time(), failed=Failed.FAILED)
        return None if found is Failed.FAILED else found

    # -- what is said -------------------------------------------------------------------------------------------------

    def _allowed(self, live: Live, asked: _Asked, levels: Sequence[Level | None], operation: str | None) -> None:
        with guarded("count what was allowed"):
            result = "allowed"
            for gauge, level in zip(asked.gauges, levels, strict=True):
                if level is not None and not level.fits:
                    result = "shadow_rejected"
                    self._say_rejected(live, asked, gauge, level, operation, shadow=True)
                elif level is not None and result == "allowed" and _share(gauge, level) >= WARNING:
                    result = "near_limit"
            self._decided(live, asked, result)
            self._ledger.touch(live)
            if asked.kind == "quota":
                self._used(live, asked, levels, operation)

    def _performed(self, live: Live, operation: str | None) -> None:
        """Count that something was used once, whatever it was."""
        with live.lock:
            live.delta.add_to("operation_counts", operation or "", 1)

    def _used(self, live: Live, asked: _Asked, levels: Sequence[Level | None], operation: str | None) -> None:
        with live.lock:
            live.delta.add_use(Use(self._clock.time_ns(), asked.name, asked.amount, operation))
            live.delta.add_to("usage", asked.name, asked.amount)
            if operation is not None:
                live.delta.add_to("operations", f"{operation}|{asked.name}", asked.amount)
        # A counter does not go down: what is given back was used.
        self._telemetry.metrics.quota_usage.add(
            max(0, asked.amount), self._on_metrics("quota", asked.name), self.tier_of(live)
        )
        self._ledger.mark(live)
        if USAGE in hooks.registered:
            self._asking(live, asked, operation).used(asked.gauges, levels)
        for gauge, level in zip(asked.gauges, levels, strict=True):
            if level is not None:
                self._cross(live, asked, gauge, level, operation)

    def _cross(self, live: Live, asked: _Asked, gauge: Gauge, level: Level, operation: str | None) -> None:
        """Say that a threshold was crossed: by this very use, so nobody else says it."""
        after = _share(gauge, level)
        if after < WARNING:
            return
        before = _share(gauge, level._replace(used=level.used - asked.amount))
        for threshold in (WARNING, CRITICAL):
            if before < threshold <= after:
                self._recorder.event(
                    live,
                    sc.EVENT_LIMIT_THRESHOLD,
                    None,
                    {**_described(asked, gauge, level), sc.LIMIT_THRESHOLD: threshold},
                    severity=SeverityNumber.WARN,
                    always_log=True,
                )
                if THRESHOLD in hooks.registered:
                    self._asking(live, asked, operation).crossed(gauge, level, threshold)

    def _refused(
        self, live: Live, asked: Sequence[_Asked], admission: Admission, operation: str | None
    ) -> LimitExceededError:
        worst: LimitExceededError | None = None
        levels = iter(admission.levels)
        for each in asked:
            refused = False
            for gauge, charge in zip(each.gauges, each.charges, strict=True):
                level = next(levels)
                if level.fits or not charge.bucket.enforced:
                    continue
                refused = True
                error = _error(each, gauge, level, admission.now_us)
                with guarded("report a refusal"):
                    self._say_rejected(live, each, gauge, level, operation, shadow=False)
                if worst is None or _wait(error) > _wait(worst):
                    worst = error
            if refused:
                with guarded("count a refusal"):
                    self._decided(live, each, "rejected")
        if worst is None:
            raise AssertionError("a store refused, and all limits had room")
        return worst

    def _say_rejected(
        self, live: Live, asked: _Asked, gauge: Gauge, level: Level, operation: str | None, *, shadow: bool
    ) -> None:
        found: dict[str, object] = {**_described(asked, gauge, level), sc.LIMIT_AMOUNT: asked.amount}
        if operation is not None:
            found[sc.OPERATION] = operation
        if shadow:
            found[sc.LIMIT_SHADOW] = True
        self._recorder.event(live, sc.EVENT_LIMIT_REJECTED, None, found, severity=SeverityNumber.WARN, always_log=True)
        if REJECTED in hooks.registered:
            self._asking(live, asked, operation).rejected(asked.kind, gauge, level, shadow=shadow)

    def _asking(self, live: Live, asked: _Asked, operation: str | None) -> Asking:
        """What hooks are told of it."""
        return Asking(
            live,
            tier=self.tier_of(live),
            name=asked.name,
            amount=asked.amount,
            operation=operation,
            time_ns=self._clock.time_ns(),
        )

    def _decided(self, live: Live, asked: _Asked, result: str) -> None:
        name = self._on_metrics(asked.kind, asked.name)
        found = {sc.LIMIT_KIND: asked.kind, sc.LIMIT_NAME: name, sc.LIMIT_RESULT: result}
        tier = self.tier_of(live)
        if tier is not None:
            found[sc.TIER] = tier
        self._telemetry.metrics.limit_decisions.add(1, found, context=live.context)

    def _on_metrics(self, kind: str, name: str) -> str:
        """The name of a limit on metrics. Those that sessions were given of their own may be without number."""
        if name in self._names[kind] or name in self._own_names:
            return name
        if len(self._own_names) >= _MAX_OWN_NAMES:
            return sc.OTHER
        self._own_names.add(name)
        return name

    def tier_of(self, live: Live) -> str | None:
        """The name of the set of limits that applies to a session."""
        return live.beginning.tier or self._default_tier

    # -- what is observed ---------------------------------------------------------------------------------------------

    @property
    def known(self) -> Mapping[str, Tier]:
        """The tiers, by name."""
        return self._tiers

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

    def leases(self) -> Mapping[tuple[str | None, ...], float]:
        """How many leases this process holds, by name and tier; none of what it held once."""
        here = [lease for lease in self._here() if lease.is_held]
        held = Counter((self._on_metrics("concurrency", lease.name), lease.tier) for lease in here)
        return {kind: held[kind] for kind in self._seen}

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


def _is_due(lease: Lease, now_ns: int) -> bool:
    lengths = [charge.bucket.length_us or 0 for charge in lease.charges]
    return bool(lengths) and now_ns - lease.renewed_ns >= min(lengths) * 1000 // RENEWALS


def _unenforced(asked: _Asked) -> _Asked:
    """The same, for what was used already: it is never refused."""
    charges = [charge._replace(bucket=charge.bucket._replace(enforced=False)) for charge in asked.charges]
    return asked._replace(charges=charges)


def _share(gauge: Gauge, level: Level) -> float:
    capacity = gauge.bucket.capacity
    if capacity is None:
        return 0.0
    return level.used / capacity if capacity else 1.0


def _described(asked: _Asked, gauge: Gauge, level: Level) -> Attributes:
    return {
        sc.LIMIT_KIND: asked.kind,
        sc.LIMIT_NAME: asked.name,
        sc.LIMIT_WINDOW: gauge.window,
        sc.LIMIT_SCOPE: gauge.limit.scope,
        sc.LIMIT_USED: level.used,
        sc.LIMIT_CAPACITY: gauge.bucket.capacity or 0,
    }


def _statuses(asked: Sequence[_Asked], admission: Admission) -> list[LimitStatus]:
    gauges = [(each, gauge) for each in asked for gauge in each.gauges]
    return [
        LimitStatus(
            each.kind,
            each.name,
            level.used,
            gauge.bucket.capacity,
            gauge.window,
            _window_seconds(gauge),
            _after(level.resets_us, admission.now_us),
            gauge.limit.scope,
        )
        for (each, gauge), level in zip(gauges, admission.levels, strict=True)
        # A client that kept to what is only tried out would be limited by it.
        if gauge.bucket.enforced
    ]


def _window_seconds(gauge: Gauge) -> float | None:
    # The time to live of a slot is no window.
    length = None if gauge.bucket.strategy == "slots" else gauge.bucket.length_us
    return None if length is None else length / 1e6


def _after(time_us: int | None, now_us: int) -> float | None:
    return None if time_us is None else max(0.0, (time_us - now_us) / 1e6)


def _error(asked: _Asked, gauge: Gauge, level: Level, now_us: int) -> LimitExceededError:
    return _ERRORS[asked.kind](
        asked.name,
        amount=asked.amount,
        used=level.used,
        limit=gauge.bucket.capacity or 0,
        window=gauge.window,
        window_seconds=_window_seconds(gauge),
        scope=gauge.limit.scope,
        retry_after=_after(level.retry_us, now_us),
        reset_at=_moment(level.resets_us),
    )


def _wait(error: LimitExceededError) -> float:
    return float("inf") if error.retry_after is None else error.retry_after


def _moment(time_us: int | None) -> dt.datetime | None:
    return None if time_us is None else dt.datetime.fromtimestamp(time_us / 1e6, dt.timezone.utc)


def _status(gauge: Gauge, level: Level | None, now_us: int) -> QuotaStatus:
    limit = gauge.limit
    if not isinstance(limit, Quota):
        raise TypeError(f"{limit!r} is no quota")
    return QuotaStatus(
        limit.name,
        None if level is None else level.used,
        limit.limit,
        gauge.window,
        limit.scope,
        None if level is None else _moment(level.resets_us),
        UNKNOWN if level is None else forecast(gauge.bucket, level, now_us),
    )
