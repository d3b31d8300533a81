"""Tiers: named sets of limits, ready ones and the user's own."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from .. import _values
from ..exceptions import ConfigurationError, InvalidValueError, MissingExtraError
from .policy import Concurrency, Limit, Quota, Rate

if TYPE_CHECKING:
    from pathlib import Path

_GB: Final = 10**9


class Tier:
    """A named set of limits.

    ::

        Tier("trial", Quota("tokens", 100_000, per="day"), Rate("upload", "60/minute"), Concurrency("export", 3))

    What a tier says nothing of is counted, and not limited.

    Args:
        name: what sessions refer to: `session(..., tier="trial")`.
        limits: its limits; of one name there may be quotas for several windows and scopes.

    Raises:
        InvalidValueError: the name cannot be one, something is no limit, or two limits contradict each other.
    """

    __slots__ = ("concurrency", "name", "quotas", "rates")

    def __init__(self, name: str, /, *limits: Limit) -> None:
        self.name = _values.label("tier", name)
        quotas: dict[str, tuple[Quota, ...]] = {}
        rates: dict[str, Rate] = {}
        concurrency: dict[str, Concurrency] = {}
        for limit in limits:
            if isinstance(limit, Quota):
                held = quotas.get(limit.name, ())
                if any((each.per, each.scope) == (limit.per, limit.scope) for each in held):
                    raise _twice(name, limit)
                quotas[limit.name] = (*held, limit)
            elif isinstance(limit, Rate | Concurrency):
                kind: dict[str, Any] = rates if isinstance(limit, Rate) else concurrency
                if limit.name in kind:
                    raise _twice(name, limit)
                kind[limit.name] = limit
            else:
                raise InvalidValueError(f"{limit!r} is no limit of the tier {name!r}: use Quota, Rate or Concurrency")
        self.quotas: Mapping[str, Sequence[Quota]] = quotas
        self.rates: Mapping[str, Rate] = rates
        self.concurrency: Mapping[str, Concurrency] = concurrency

    @property
    def limits(self) -> list[Limit]:
        """All of its limits."""
        return [
            *(quota for quotas in self.quotas.values() for quota in quotas),
            *self.rates.values(),
            *self.concurrency.values(),
        ]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tier) and (self.name, self.limits) == (other.name, other.limits)

    def __hash__(self) -> int:
        return hash((self.name, *self.limits))

    def __repr__(self) -> str:
        return f"Tier({', '.join(map(repr, [self.name, *self.limits]))})"


def _twice(tier: str, limit: Limit) -> InvalidValueError:
    return InvalidValueError(
        f"the tier {tier!r} has two limits {limit.name!r} of the same kind: the second is {limit!r}"
    )


def _ready(name: str, scale: int | None, rate: str, at_once: int) -> Tier:
    """One of the tiers that come ready; `scale` in units of the smallest, None for no quotas."""

    def much(of: float) -> float | None:
        return None if scale is None else of * scale

    return Tier(
        name,
        Quota("api_calls", much(1_000), per="day"),
        Quota("tokens", much(50_000), per="day"),
        Quota("storage", much(_GB), scope="user"),
        Quota("bandwidth", much(10 * _GB), per="month"),
        Quota("cost", much(1.0), per="month"),
        Rate("requests", rate),
        Concurrency("concurrent_requests", at_once),
    )


READY: Final[Mapping[str, Tier]] = {
    tier.name: tier
    for tier in (
        _ready("free", 1, "60/minute", 5),
        _ready("basic", 10, "300/minute", 20),
        _ready("pro", 100, "1200/minute", 100),
        _ready("enterprise", None, "12000/minute", 1_000),
    )
}
"""The tiers that come ready: `free`, `basic`, `pro`, `enterprise`. One of the user's with the same name goes before."""


def tiers(given: Iterable[Tier] | str | Path) -> dict[str, Tier]:
    """The tiers of a deployment, by name: those given, or of the file that is named, and the ready ones.

    Raises:
        ConfigurationError: they cannot be used, or the file cannot be read.
    """
    own = _from_file(given) if isinstance(given, str | os.PathLike) else list(given)
    for tier in own:
        if not isinstance(tier, Tier):
            raise ConfigurationError(f"tiers: {tier!r} is no Tier")
    names = [tier.name for tier in own]
    if len(set(names)) < len(names):
        raise ConfigurationError(f"tiers: two of them have the same name: {', '.join(names)}")
    return {**READY, **{tier.name: tier for tier in own}}


_KINDS: Final[Mapping[str, type[Any]]] = {"quotas": Quota, "rates": Rate, "concurrency": Concurrency}


def _from_file(given: str | os.PathLike[str]) -> list[Tier]:
    """Read tiers from a TOML or YAML file.

    ::

        [tiers.trial.quotas]
        tokens = [{limit = 100000, per = "day"}, {limit = 1000000, per = "month", scope = "tenant"}]
        [tiers.trial.rates]
        upload = "60/minute; 1000/hour"
        [tiers.trial.concurrency]
        export = 3
    """
    from pathlib import Path  # noqa: PLC0415 - it takes longer to load than all of this

    path = Path(given)
    content = _read(path)
    if not isinstance(content, dict) or content.keys() != {"tiers"} or not isinstance(content["tiers"], dict):
        raise ConfigurationError(f"tiers: {path} has to hold one table, `tiers`, with one for each tier")
    try:
        return [Tier(name, *_limits(name, table)) for name, table in content["tiers"].items()]
    except InvalidValueError as error:
        raise ConfigurationError(f"tiers: {path}: {error}") from error


def _read(path: Path) -> Any:
    try:
        text = path.read_text("utf-8")
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"tiers: {path} cannot be read: {error}") from error
    if path.suffix in {".yaml", ".yml"}:
        try:
            import yaml  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise MissingExtraError(f"tiers in {path.name}", "yaml", "yaml") from error
        try:
            return yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ConfigurationError(f"tiers: {path} is not YAML: {error}") from error
    if sys.version_info >= (3, 11):
        import tomllib  # noqa: PLC0415 - rarely needed
    else:  # pragma: no cover - the oldest Python
        import tomli as tomllib  # noqa: PLC0415 - rarely needed
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"tiers: {path} is not TOML: {error}") from error


def _limits(tier: str, table: Any) -> list[Limit]:
    if not isinstance(table, dict) or not table.keys() <= _KINDS.keys():
        raise InvalidValueError(f"the tier {tier!r} has to be a table of {', '.join(_KINDS)}; it is {table!r}")
    return [
        _limit(tier, _KINDS[kind], name, given)
        for kind, named in table.items()
        for name, several in _items(tier, kind, named)
        for given in (several if isinstance(several, list) else [several])
    ]


def _items(tier: str, kind: str, named: Any) -> Iterable[tuple[str, Any]]:
    if not isinstance(named, dict):
        raise InvalidValueError(f"{kind} of the tier {tier!r} have to be a table; it is {named!r}")
    return named.items()


def _limit(tier: str, kind: type[Any], name: str, given: Any) -> Limit:
    fields = dict(given) if isinstance(given, dict) else {"limit": given}
    try:
        limit: Limit = kind(name, **fields)
    except TypeError as error:
        raise InvalidValueError(f"{name!r} of the tier {tier!r} is {given!r}: {error}") from error
    return limit
