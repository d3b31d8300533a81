"""What may be used, how often, and how much at once: values that say it, and are checked when they are made."""

from __future__ import annotations

import dataclasses
import datetime as dt
import math
import re
from collections.abc import Mapping
from typing import Any, Final, Literal, TypeAlias, get_args

from .. import _values
from .._counting.buckets import Bucket, Strategy
from ..exceptions import InvalidValueError

Scope = Literal["session", "user", "tenant"]
RateStrategy = Literal["moving-window", "fixed-window", "sliding-window-counter"]
Limit: TypeAlias = "Quota | Rate | Concurrency"

TOTAL: Final = "total"
MAX_AMOUNT: Final = 2**53 - 1
"""Up to which every store counts integers exactly."""

_SECOND: Final = 1_000_000
_HOUR: Final = 3_600 * _SECOND
_DAY: Final = 24 * _HOUR
_UNITS: Final = {"second": _SECOND, "minute": 60 * _SECOND, "hour": _HOUR, "day": _DAY, "week": 7 * _DAY}
_CALENDAR: Final = {"minute": 60 * _SECOND, "hour": _HOUR, "day": _DAY}
_ROLLING: Final = re.compile(r"(\d{1,5}) (second|minute|hour|day|week)s?")
_STEPS: Final = 128
"""Into how many steps a moving window is divided, if it holds too much to remember each use."""
_KEEP: Final = 366 * _DAY
_LONGEST_HALF_LIFE: Final = 6 * _HOUR
_HALF_LIFE_OF_TOTAL: Final = 600 * _SECOND
_MAX_SECONDS: Final = 10**9

READY_WINDOWS: Final = {f"{most}/minute": ((most, 60),) for most in (60, 300, 1_200, 12_000)}
"""What the library `limits` reads in the rates of the ready tiers: who uses no others does not have to load it."""

_STRATEGIES: Final[dict[RateStrategy, Strategy]] = {
    "moving-window": "moving",
    "fixed-window": "fixed",
    "sliding-window-counter": "sliding",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Quota:
    """How much of something may be used.

    ::

        Quota("tokens", 5_000)                                  # in a session
        Quota("tokens", 100_000, per="day")                     # by a user, in a day (UTC)
        Quota("api_calls", 1_000, per="24 hours")               # by a user, in the last 24 hours
        Quota("cost", 250.0, per="month", scope="tenant")
        Quota("storage", 10**9, scope="user")                   # until it is given back

    Args:
        name: what is used: `tokens`, `api_calls`, `storage`, `bandwidth`, `cost`, or any other name.
        limit: how much of it; None: it is counted, and never refused.
        per: `minute`, `hour`, `day` or `month`: one of the calendar's, in UTC, after which it begins anew. A number of
            them, such as `24 hours` or `30 days`: the last ones, at any time. `total`: for good; what was not used
            for 366 days is forgotten.
        scope: whose use counts: the session's, the user's or the tenant's. By default the session's in total, and the
            user's in a window. A session without a user, or without a tenant, counts for itself.
        shadow: count and report what would be refused, and refuse nothing.
        ahead: how much a process takes at once from a store outside of it, to hand it out itself: most uses then ask
            nobody. Never more is used than there is, but near the end of the quota some of it may lie in a process that
            does not need it, and what lies in one that is killed is lost for the window. Not together with `shadow`.

    Raises:
        InvalidValueError: one of them cannot be used.
    """

    name: str
    limit: float | None
    per: str = TOTAL
    scope: Scope = dataclasses.field(default=None, kw_only=True)  # type: ignore[arg-type]  # filled in when it is made
    shadow: bool = dataclasses.field(default=False, kw_only=True)
    ahead: float = dataclasses.field(default=0, kw_only=True)

    def __post_init__(self) -> None:
        _values.label("quota", self.name)
        if self.limit is not None:
            object.__setattr__(self, "limit", _amount(f"the limit of {self.name!r}", self.limit))
        if not isinstance(self.per, str) or not (self.per in {TOTAL, "month", *_CALENDAR} or _rolling(self.per)):
            raise InvalidValueError(
                f"per={self.per!r} of {self.name!r}: use 'total', 'minute', 'hour', 'day', 'month', "
                "or a number of them such as '24 hours' for the last ones at any time"
            )
        if self.scope is None:
            object.__setattr__(self, "scope", "session" if self.per == TOTAL else "user")
        _check(self.name, self.scope, self.shadow)
        object.__setattr__(self, "ahead", _amount(f"ahead of {self.name!r}", self.ahead))
        _check_ahead(self.name, self.ahead, shadow=self.shadow)

    def bucket(self, name: str, now_us: int, group: str | None = None) -> Bucket:
        """The bucket in which the use of one actor is counted at that time."""
        strategy: Strategy = "fixed"
        start: int | None = None
        length: int | None = None
        step = 0
        if rolling := _rolling(self.per):
            strategy, length, step = "moving", rolling, max(1, rolling // _STEPS)
        elif self.per != TOTAL:
            start, end = self.period(now_us)
            length = end - start
        return Bucket(
            f"quota|{name}",
            self.limit,
            strategy,
            length,
            start,
            step,
            _KEEP,
            not self.shadow,
            _HALF_LIFE_OF_TOTAL if length is None else min(length // 4, _LONGEST_HALF_LIFE),
            group if self.limit is not None else None,
            self.ahead,
        )

    def period(self, now_us: int) -> tuple[int, int]:
        """The calendar's minute, hour, day or month of a time: from when until when."""
        if self.per != "month":
            length = _CALENDAR[self.per]
            start = now_us - now_us % length
            return start, start + length
        first = dt.datetime.fromtimestamp(now_us // _SECOND, dt.timezone.utc).replace(
            day=1, hour=0, minute=0, second=0, microsecond=0
        )
        following = (first + dt.timedelta(days=32)).replace(day=1)
        return int(first.timestamp()) * _SECOND, int(following.timestamp()) * _SECOND


@dataclasses.dataclass(frozen=True, slots=True)
class Rate:
    """How often something may be done.

    ::

        Rate("upload", "60/minute; 1000/hour")

    Args:
        name: what is done.
        limit: one or more limits, all of which hold, as the library `limits` reads them.
        strategy: `moving-window`: never more in any such time; of limits over 128, and of those that are only tried
            out, the times are kept to a 128th of the window. `fixed-window`: counted from the first use on, for as
            long; less is kept, and twice as much may come around its end. `sliding-window-counter`: two windows, the
            older one by its share; little is kept, and it is nearly exact.
        scope: whose doings count.
        shadow: count and report what would be refused, and refuse nothing.
        ahead: as of a quota; nor for moving windows of up to 128, which remember each time.

    Raises:
        InvalidValueError: one of them cannot be used.
    """

    name: str
    limit: str
    strategy: RateStrategy = dataclasses.field(default="moving-window", kw_only=True)
    scope: Scope = dataclasses.field(default="user", kw_only=True)
    shadow: bool = dataclasses.field(default=False, kw_only=True)
    ahead: int = dataclasses.field(default=0, kw_only=True)
    windows: tuple[tuple[int, int], ...] = dataclasses.field(init=False, repr=False, compare=False)
    """How many in how many seconds, for each limit."""

    def __post_init__(self) -> None:
        _values.label("rate limit", self.name)
        if self.strategy not in get_args(RateStrategy):
            raise InvalidValueError(f"strategy={self.strategy!r} of {self.name!r}: use one of {', '.join(_STRATEGIES)}")
        _check(self.name, self.scope, self.shadow)
        object.__setattr__(self, "windows", _parse(self.name, self.limit))
        if not isinstance(_amount(f"ahead of {self.name!r}", self.ahead), int):
            raise InvalidValueError(f"ahead={self.ahead!r} of {self.name!r}: use a whole number")
        _check_ahead(self.name, self.ahead, shadow=self.shadow)
        exact = self.strategy == "moving-window" and any(most <= _STEPS for most, _ in self.windows)
        if self.ahead and exact:
            raise InvalidValueError(
                f"ahead={self.ahead!r} of {self.name!r}: a moving window of up to {_STEPS} remembers each time, which "
                "is not known in advance; use another strategy"
            )

    def _is_in_steps(self, most: int) -> bool:
        # What nothing is refused of may be any number of times.
        return most > _STEPS or self.shadow

    def buckets(self, name: str) -> list[Bucket]:
        """The buckets in which the doings of one actor are counted."""
        strategy = _STRATEGIES[self.strategy]
        return [
            Bucket(
                f"rate|{strategy}|{seconds}|{name}",
                most,
                strategy,
                seconds * _SECOND,
                step_us=seconds * _SECOND // _STEPS if strategy == "moving" and self._is_in_steps(most) else 0,
                enforced=not self.shadow,
                ahead=self.ahead,
            )
            for most, seconds in self.windows
        ]


@dataclasses.dataclass(frozen=True, slots=True)
class Concurrency:
    """How much may be under way at once.

    ::

        Concurrency("export", 3)

    Args:
        name: of what.
        limit: how much of it.
        ttl: for how many seconds a slot is held by a process that has died without giving it back; three times the
            setting `flush_interval` at least. While a process lives it renews its slots.
        scope: whose slots they are.
        shadow: count and report what would be refused, and refuse nothing.

    Raises:
        InvalidValueError: one of them cannot be used.
    """

    name: str
    limit: int
    ttl: float = dataclasses.field(default=30.0, kw_only=True)
    scope: Scope = dataclasses.field(default="user", kw_only=True)
    shadow: bool = dataclasses.field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        _values.label("concurrency limit", self.name)
        limit = _amount(f"the limit of {self.name!r}", self.limit)
        if not isinstance(limit, int):
            raise InvalidValueError(f"{self.limit!r} cannot be the limit of {self.name!r}: use a whole number of slots")
        object.__setattr__(self, "limit", limit)
        object.__setattr__(self, "ttl", _values.seconds(f"ttl of {self.name!r}", self.ttl))
        _check(self.name, self.scope, self.shadow)

    def bucket(self, name: str) -> Bucket:
        """The bucket in which the slots of one actor are counted."""
        return Bucket(f"lease|{name}", self.limit, "slots", int(self.ttl * _SECOND), enforced=not self.shadow)


def written(kind: str, limit: Limit) -> tuple[str, dict[str, Any]]:
    """A limit as plain values, and what it is found by among others."""
    fields = {field.name: getattr(limit, field.name) for field in dataclasses.fields(limit) if field.init}
    return f"{kind}|{limit.name}", {"kind": kind, **fields}


def unwritten(plain: Mapping[str, Any]) -> tuple[tuple[str, str], Limit]:
    """Invert `written`, with the kind and the name.

    Raises:
        InvalidValueError: it is no limit.
    """
    fields = dict(plain)
    kind = fields.pop("kind", "")
    makers: dict[str, type[Any]] = {"quota": Quota, "rate": Rate, "concurrency": Concurrency}
    try:
        limit: Limit = makers[kind](**fields)
    except (KeyError, TypeError) as error:
        raise InvalidValueError(f"{plain!r} is no limit that this version of otel-sessions knows") from error
    return (kind, limit.name), limit


def window_name(limit: Quota | Rate, seconds: int | None = None) -> str:
    """What a window is called in messages and metrics."""
    return limit.per if isinstance(limit, Quota) else f"{seconds} s"


def _check(name: str, scope: Any, shadow: Any) -> None:
    if scope not in get_args(Scope):
        raise InvalidValueError(f"scope={scope!r} of {name!r}: use one of {', '.join(get_args(Scope))}")
    if not isinstance(shadow, bool):
        raise InvalidValueError(f"shadow={shadow!r} of {name!r}: use True or False")


def _check_ahead(name: str, ahead: float, *, shadow: bool) -> None:
    if ahead and shadow:
        raise InvalidValueError(
            f"ahead={ahead!r} of {name!r}: a limit in shadow refuses nothing, so nothing of it is taken in advance; "
            "leave out one of the two"
        )


def _amount(what: str, value: float) -> float:
    checked = _values.amount(what, value)
    if checked > MAX_AMOUNT:
        raise InvalidValueError(f"{value!r} cannot be {what}: use at most {MAX_AMOUNT}")
    return checked


def _rolling(per: str) -> int | None:
    """The microseconds of a window that moves; None if it is something else."""
    found = _ROLLING.fullmatch(per)
    length = int(found[1]) * _UNITS[found[2]] if found else 0
    return length if 0 < length <= _MAX_SECONDS * _SECOND else None


def _parse(name: str, limit: object) -> tuple[tuple[int, int], ...]:
    wrong = f"{limit!r} cannot be the rate of {name!r}"
    if not isinstance(limit, str):
        raise InvalidValueError(f"{wrong}: use a text such as '60/minute; 1000/hour'")
    if limit in READY_WINDOWS:
        return READY_WINDOWS[limit]
    from limits import parse_many  # noqa: PLC0415 - it takes as long to load as everything else

    try:
        windows = tuple((item.amount, item.get_expiry()) for item in parse_many(limit))
    except (ValueError, OverflowError) as error:
        raise InvalidValueError(f"{wrong}: {error}; write it as '60/minute; 1000/hour'") from error
    for most, seconds in windows:
        if most > MAX_AMOUNT or not 0 < seconds <= _MAX_SECONDS or not math.isfinite(seconds):
            raise InvalidValueError(f"{wrong}: use at most {MAX_AMOUNT} times in {_MAX_SECONDS} s")
    if len({seconds for _, seconds in windows}) < len(windows):
        raise InvalidValueError(f"{wrong}: two limits have the same window; write the one that holds")
    return windows
