"""The settings: from arguments, then from `OTEL_SESSIONS_*` variables, then the defaults. Frozen once made."""

from __future__ import annotations

import dataclasses
import inspect
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, TypedDict, get_args

from . import _semconv as sc
from ._models import Attributes
from ._values import label
from .exceptions import ConfigurationError, InvalidValueError, MissingExtraError
from .limits.tiers import tiers as all_tiers
from .security.redaction import Redactor, redact
from .typing import Store

if TYPE_CHECKING:
    from pathlib import Path

    from opentelemetry._logs import LoggerProvider
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

    from .limits.tiers import Tier
    from .typing import Clock

EventMode = Literal["both", "log", "span"]
LimitFailure = Literal["open", "closed"]

ENV_PREFIX: Final = "OTEL_SESSIONS_"
_TRUE: Final = frozenset({"true", "1", "yes", "on"})
_FALSE: Final = frozenset({"false", "0", "no", "off"})
_COOKIE_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")  # token, RFC 6265 section 4.1.1
_MIN_KEY: Final = 16
_OBJECTS: Final[Mapping[str, tuple[str, ...]]] = {
    "clock": ("time_ns", "monotonic_ns"),
    "tracer_provider": ("get_tracer",),
    "meter_provider": ("get_meter",),
    "logger_provider": ("get_logger",),
}


def _setting(default: Any, doc: str, *, env: bool = True, shown: bool = True) -> Any:
    return dataclasses.field(default=default, repr=shown, metadata={"doc": doc, "env": env})


class Options(TypedDict, total=False):
    """What `configure()` takes: every setting, none required; tests/test_config.py holds it to `Settings`."""

    enabled: bool
    store: str | Store
    idle_timeout: float | None
    max_duration: float | None
    max_span_duration: float | None
    crash_timeout: float
    retention: float | None
    active_gap: float
    flush_interval: float
    history: int
    events: EventMode
    stamp: bool
    genai: bool
    prices: bool
    detect_user: bool
    pseudonym_key: str | None
    tiers: Iterable[Tier] | str | Path
    default_tier: str | None
    tenant_attribute: str
    limit_failure: LimitFailure
    redact: Redactor
    clock: Clock | None
    web_type: str
    cookie: bool | None
    cookie_name: str
    framework_session: bool
    credential: bool
    identify: Callable[[Any], str | None] | None
    tier_of: Callable[[Any], str | None] | None
    web_limits: Sequence[str]
    excluded_urls: Sequence[str]
    tracer_provider: TracerProvider | None
    meter_provider: MeterProvider | None
    logger_provider: LoggerProvider | None
    background: bool
    health_interval: float | None
    thresholds: Mapping[str, float] | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that can be set. The documentation's table is made from the `doc` of each field.

    Raises:
        ConfigurationError: a value cannot be used.
    """

    enabled: bool = _setting(True, "Off switch: `false` makes every session a no-op.")
    store: str | Store = _setting(
        "memory://", "Where sessions live: a URL, or an object that is a `Store`.", shown=False
    )
    idle_timeout: float | None = _setting(
        1800.0, "Seconds without activity after which a durable session ends; `none` for never."
    )
    max_duration: float | None = _setting(
        86400.0, "Seconds after which a durable session ends, however active it is; `none` for never."
    )
    max_span_duration: float | None = _setting(
        None,
        "Seconds after which a durable session goes on in another span of the same `session.id`; `none` for one span.",
    )
    crash_timeout: float = _setting(
        30.0,
        "Seconds without a heartbeat after which a process that shares the store counts as crashed; one of the same "
        "machine does at once.",
    )
    retention: float | None = _setting(
        None,
        "Seconds for which a store outside the process remembers ended sessions; `none` leaves it to the store.",
    )
    active_gap: float = _setting(
        60.0, "Seconds: a pause in a durable session up to this long counts as active time in the engagement ratio."
    )
    flush_interval: float = _setting(
        1.0, "Seconds between two rounds of the background thread: counts are merged, sessions expire."
    )
    history: int = _setting(10_000, "How many ended sessions of each topology the memory store remembers.")
    events: EventMode = _setting("both", "Where events go: `both`, `log` (log events) or `span` (span events).")
    stamp: bool = _setting(
        True, "Put `session.id` on all spans and logs of a session; else only on the first span of a trace."
    )
    genai: bool = _setting(
        True, "Count tokens and cost of a session from the spans that GenAI instrumentations make in it."
    )
    prices: bool = _setting(
        True, "Price tokens whose cost nobody gives, by the list of the package `genai-prices` (extra `genai`)."
    )
    detect_user: bool = _setting(True, "Attribute scoped sessions to the operating system's user if no other is given.")
    pseudonym_key: str | None = _setting(
        None,
        "The secret under which user names become pseudonyms: at least 16 characters, equal for all processes.",
        shown=False,
    )
    tiers: tuple[Tier, ...] | str = _setting(
        (), "Tiers of your own, beside `free`, `basic`, `pro` and `enterprise`: `Tier` objects, or a TOML or YAML file."
    )
    default_tier: str | None = _setting(None, "The tier of the sessions that are started without one.")
    tenant_attribute: str = _setting("tenant", "The attribute of a session, given at its start, that names its tenant.")
    limit_failure: LimitFailure = _setting(
        "open", "When the store cannot be asked about a limit: `open` allows, `closed` refuses."
    )
    redact: Redactor = _setting(redact, "What takes secrets out of messages and texts: `str -> str`.", env=False)
    clock: Clock | None = _setting(None, "Where time comes from; the system's clocks if not given.", env=False)
    web_type: str = _setting("web", "The type of the sessions that the middleware opens.")
    cookie: bool | None = _setting(
        None,
        "Whether web clients may be given a cookie. Default: yes if a developer added the middleware, no without code.",
    )
    cookie_name: str = _setting("otel_session", "The name of that cookie.")
    framework_session: bool = _setting(True, "Recognise web clients by the framework's own session.")
    credential: bool = _setting(True, "Recognise web clients by a keyed hash of their bearer credential.")
    identify: Callable[[Any], str | None] | None = _setting(
        None, "Recognises a web client before all else: request (Flask) or scope (ASGI) `-> str | None`.", env=False
    )
    tier_of: Callable[[Any], str | None] | None = _setting(
        None,
        "Says which tier a web client's new session has: request (Flask) or scope (ASGI) `-> str | None`.",
        env=False,
    )
    web_limits: tuple[str, ...] = _setting(
        (), "Names of limits that each web request is asked for: a quota of requests, a rate, a concurrency limit."
    )
    excluded_urls: tuple[str, ...] = _setting(
        (), "Regular expressions; requests whose path matches one are left alone. Separated by commas in the variable."
    )
    tracer_provider: TracerProvider | None = _setting(None, "Instead of the global one.", env=False)
    meter_provider: MeterProvider | None = _setting(None, "Instead of the global one.", env=False)
    logger_provider: LoggerProvider | None = _setting(None, "Instead of the global one.", env=False)
    background: bool = _setting(True, "Run the background thread; without it, call `sweep()` yourself.")
    health_interval: float | None = _setting(
        None, "Seconds between two health checks in the background, whose alerts are remembered; `none` for none."
    )
    thresholds: Mapping[str, float] | None = _setting(
        None,
        "Where problems begin for `health()`, if not at the [defaults](health.md#thresholds): numbers by name. "
        "`NAME=NUMBER` separated by commas in the variable.",
    )

    def __post_init__(self) -> None:
        for name in ("idle_timeout", "max_duration", "max_span_duration", "retention", "health_interval"):
            _check_seconds(name, getattr(self, name), optional=True)
        for name in ("crash_timeout", "active_gap", "flush_interval"):
            _check_seconds(name, getattr(self, name), optional=False)
        for name in (
            "enabled",
            "stamp",
            "genai",
            "prices",
            "detect_user",
            "framework_session",
            "credential",
            "background",
        ):
            _check_type(name, getattr(self, name), bool)
        if self.cookie is not None:
            _check_type("cookie", self.cookie, bool)
        if not callable(self.redact):
            raise ConfigurationError(f"redact={self.redact!r}: use a callable that takes a text and returns one")
        for name in ("identify", "tier_of"):
            given = getattr(self, name)
            if given is not None and not callable(given):
                raise ConfigurationError(f"{name}={given!r}: use a callable")
            if inspect.iscoroutinefunction(given):
                raise ConfigurationError(f"{name}={given!r}: use a plain function, a coroutine is not awaited")
        if self.thresholds is not None:
            object.__setattr__(self, "thresholds", _checked_thresholds(self.thresholds))
        self._check_values()
        self._check_limits()
        self._check_web()
        self._check_objects()

    def _check_values(self) -> None:
        if isinstance(self.history, bool) or not isinstance(self.history, int) or self.history < 0:
            raise ConfigurationError(f"history={self.history!r}: use a number of sessions, 0 or more")
        if self.events not in get_args(EventMode):
            raise ConfigurationError(f"events={self.events!r}: use one of {', '.join(get_args(EventMode))}")
        key = self.pseudonym_key
        if key is not None and (not isinstance(key, str) or len(key) < _MIN_KEY):
            # Never the value: it may be most of a secret.
            given = f"{len(key)} characters" if isinstance(key, str) else type(key).__name__
            raise ConfigurationError(f"pseudonym_key is {given}: use a text of at least {_MIN_KEY} random characters")

    def _check_limits(self) -> None:
        if self.limit_failure not in get_args(LimitFailure):
            raise ConfigurationError(
                f"limit_failure={self.limit_failure!r}: use one of {', '.join(get_args(LimitFailure))}"
            )
        if not isinstance(self.tenant_attribute, str) or not self.tenant_attribute:
            raise ConfigurationError(f"tenant_attribute={self.tenant_attribute!r}: use the name of an attribute")
        if isinstance(self.tiers, os.PathLike):
            object.__setattr__(self, "tiers", os.fspath(self.tiers))
        elif not isinstance(self.tiers, str):
            if not isinstance(self.tiers, Iterable):
                raise ConfigurationError(
                    f"tiers={self.tiers!r}: use a list of Tier objects, or the path of a TOML or YAML file"
                )
            object.__setattr__(self, "tiers", tuple(self.tiers))
        all_tiers(self.tiers)
        if not isinstance(self.web_limits, list | tuple):
            raise ConfigurationError(f"web_limits={self.web_limits!r}: use a list of names")
        self._check_labels("default_tier", [] if self.default_tier is None else [self.default_tier])
        self._check_labels("web_limits", self.web_limits)

    def _check_labels(self, name: str, values: Sequence[str]) -> None:
        try:
            for value in values:
                label(name, value)
        except InvalidValueError as error:
            raise ConfigurationError(f"{name}: {error}") from error

    def check_names(self) -> None:
        """See that the names of tiers and limits are those of some.

        Raises:
            ConfigurationError: there is no such tier or limit.
        """
        known = all_tiers(self.tiers)
        if self.default_tier is not None and self.default_tier not in known:
            raise ConfigurationError(
                f"default_tier={self.default_tier!r}: there is no such tier; there are {', '.join(known)}"
            )
        names = {limit.name for tier in known.values() for limit in tier.limits}
        for name in self.web_limits:
            if name not in names:
                there = ", ".join(sorted(names))
                raise ConfigurationError(f"web_limits: there is no limit {name!r}; those of the tiers are {there}")

    def _check_web(self) -> None:
        try:
            label("web_type", self.web_type)
        except InvalidValueError as error:
            raise ConfigurationError(f"web_type: {error}") from error
        if not isinstance(self.cookie_name, str) or not _COOKIE_NAME.fullmatch(self.cookie_name):
            raise ConfigurationError(f"cookie_name={self.cookie_name!r}: use 1 to 64 token characters (RFC 6265)")
        if not isinstance(self.excluded_urls, list | tuple):
            raise ConfigurationError(f"excluded_urls={self.excluded_urls!r}: use a tuple of regular expressions")
        for pattern in self.excluded_urls:
            _check_pattern(pattern)

    def _check_objects(self) -> None:
        for name, methods in _OBJECTS.items():
            value = getattr(self, name)
            if value is not None and not all(callable(getattr(value, method, None)) for method in methods):
                raise ConfigurationError(f"{name}={value!r}: use an object with {', '.join(methods)}")
        if not isinstance(self.store, str | Store):
            raise ConfigurationError(f"store={self.store!r}: use a URL, or an object that fulfils typing.Store")


def _check_seconds(name: str, value: Any, *, optional: bool) -> None:
    if value is None and optional:
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e10:  # noqa: PLR2004 - 300 years
        raise ConfigurationError(f"{name}={value!r}: use a positive number of seconds{' or None' if optional else ''}")


def _checked_thresholds(given: Any) -> Mapping[str, float]:
    from . import _thresholds  # noqa: PLC0415 - few change them, and who does not shall not wait for them

    try:
        return _thresholds.check(given)
    except ConfigurationError as error:
        raise ConfigurationError(f"thresholds: {error}") from error


def _check_type(name: str, value: Any, kind: type) -> None:
    if not isinstance(value, kind):
        raise ConfigurationError(f"{name}={value!r}: use a {kind.__name__}")


def _check_pattern(pattern: Any) -> None:
    try:
        re.compile(pattern)
    except (re.error, TypeError) as error:
        raise ConfigurationError(f"excluded_urls: {pattern!r} is not a regular expression: {error}") from error


FIELDS: Final[Mapping[str, dataclasses.Field[Any]]] = {field.name: field for field in dataclasses.fields(Settings)}


def resolve(given: Mapping[str, Any], environ: Mapping[str, str] | None = None) -> Settings:
    """Make the settings of the arguments `given`, completed from the environment.

    Raises:
        ConfigurationError: a value cannot be used, or there is no such setting.
    """
    unknown = given.keys() - FIELDS.keys()
    if unknown:
        raise ConfigurationError(
            f"no such setting: {', '.join(sorted(unknown))}; there are {', '.join(sorted(FIELDS))}"
        )
    settings = Settings(**{**from_environment(os.environ if environ is None else environ), **given})
    settings.check_names()
    return settings


def from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    """Read the `OTEL_SESSIONS_*` variables. Empty ones count as unset, as OpenTelemetry's do.

    Raises:
        ConfigurationError: a value cannot be used; the message names the variable.
    """
    found: dict[str, Any] = {}
    for name, field in FIELDS.items():
        variable = ENV_PREFIX + name.upper()
        raw = environ.get(variable, "").strip()
        if raw and field.metadata["env"]:
            try:
                found[name] = _parse(name, raw)
                Settings(**{name: found[name]})
            except (ConfigurationError, MissingExtraError) as error:
                raise ConfigurationError(f"{variable}: {error}") from error
    return found


def tolerant_from_environment(environ: Mapping[str, str]) -> tuple[dict[str, Any], list[ConfigurationError]]:
    """Read the variables for a process that nobody configured: wrong ones are reported and left out, not raised."""
    found: dict[str, Any] = {}
    errors: list[ConfigurationError] = []
    for name in FIELDS:
        variable = ENV_PREFIX + name.upper()
        try:
            one = from_environment({variable: environ.get(variable, "")})
        except ConfigurationError as error:
            errors.append(error)
        else:
            found.update(one)
    for name in sorted({"default_tier", "web_limits"} & found.keys()):
        try:
            Settings(**{each: found[each] for each in ("tiers", name) if each in found}).check_names()
        except ConfigurationError as error:  # noqa: PERF203 - there are two of them
            errors.append(ConfigurationError(f"{ENV_PREFIX}{name.upper()}: {error}"))
            del found[name]
    return found, errors


def _parse(name: str, raw: str) -> Any:
    kind = str(FIELDS[name].type)
    if kind.startswith("bool"):
        if raw.lower() in _TRUE | _FALSE:
            return raw.lower() in _TRUE
        raise ConfigurationError(f"{raw!r}: use true or false")
    if kind.startswith(("float", "int")):
        if "None" in kind and raw.lower() == "none":
            return None
        try:
            return int(raw) if kind == "int" else float(raw)
        except ValueError:
            raise ConfigurationError(f"{raw!r}: use a number") from None
    if kind.startswith("Mapping"):
        from . import _thresholds  # noqa: PLC0415 - as above

        return _thresholds.parse(raw)
    if kind.startswith("tuple") and not kind.endswith("| str"):
        return tuple(part.strip() for part in raw.split(",") if part.strip())
    return raw


def summary(settings: Settings) -> Attributes:
    """What the startup event says of the configuration: nothing secret, no objects."""
    shown: dict[str, str | bool | int | float] = {}
    for name in (
        "idle_timeout",
        "max_duration",
        "max_span_duration",
        "events",
        "stamp",
        "web_type",
        "history",
        "flush_interval",
    ):
        value = getattr(settings, name)
        shown[f"{sc.CONFIG_PREFIX}{name}"] = "none" if value is None else value
    return shown
