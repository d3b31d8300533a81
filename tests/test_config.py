"""Every setting: as an argument, as a variable, by default, and when it is wrong."""

from __future__ import annotations

import dataclasses
import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import otel_sessions
from otel_sessions import ConfigurationError, MissingExtraError, _config, session
from otel_sessions._config import FIELDS, Options, Settings, resolve
from otel_sessions.limits import Tier
from otel_sessions.security.redaction import redact
from otel_sessions.stores import MemoryStore
from otel_sessions.testing import ManualClock

KEY = "a secret of 24 characters"


async def identify_later(scope: object) -> str:
    """Recognises a client too late: nobody awaits it."""
    return "client"


TIERS_FILE = str(Path(__file__).parent / "limits" / "tiers.toml")

DEFAULTS: Mapping[str, Any] = {
    "enabled": True,
    "store": "memory://",
    "idle_timeout": 1800.0,
    "max_duration": 86_400.0,
    "max_span_duration": None,
    "crash_timeout": 30.0,
    "retention": None,
    "active_gap": 60.0,
    "flush_interval": 1.0,
    "history": 10_000,
    "events": "both",
    "stamp": True,
    "genai": True,
    "prices": True,
    "detect_user": True,
    "pseudonym_key": None,
    "tiers": (),
    "default_tier": None,
    "tenant_attribute": "tenant",
    "limit_failure": "open",
    "redact": redact,
    "clock": None,
    "web_type": "web",
    "cookie": None,
    "cookie_name": "otel_session",
    "framework_session": True,
    "credential": True,
    "identify": None,
    "tier_of": None,
    "web_limits": (),
    "excluded_urls": (),
    "tracer_provider": None,
    "meter_provider": None,
    "logger_provider": None,
    "background": True,
    "health_interval": None,
    "thresholds": None,
}

VARIABLES = [
    ("enabled", "false", False),
    ("enabled", "TRUE", True),
    ("enabled", "1", True),
    ("enabled", "yes", True),
    ("enabled", "on", True),
    ("enabled", "0", False),
    ("enabled", "No", False),
    ("enabled", "off", False),
    ("store", "memory://", "memory://"),
    ("idle_timeout", "90", 90.0),
    ("idle_timeout", " 0.5 ", 0.5),
    ("idle_timeout", "none", None),
    ("max_duration", "3600", 3600.0),
    ("max_duration", "None", None),
    ("max_span_duration", "600", 600.0),
    ("max_span_duration", "none", None),
    ("crash_timeout", "5", 5.0),
    ("retention", "86400", 86_400.0),
    ("active_gap", "5", 5.0),
    ("flush_interval", "0.25", 0.25),
    ("history", "0", 0),
    ("history", "500", 500),
    ("events", "log", "log"),
    ("stamp", "false", False),
    ("genai", "false", False),
    ("prices", "false", False),
    ("detect_user", "false", False),
    ("pseudonym_key", KEY, KEY),
    ("default_tier", "pro", "pro"),
    ("tenant_attribute", "customer", "customer"),
    ("limit_failure", "closed", "closed"),
    ("tiers", TIERS_FILE, TIERS_FILE),
    ("web_limits", "api_calls, requests", ("api_calls", "requests")),
    ("web_type", "shop", "shop"),
    ("cookie", "true", True),
    ("cookie", "false", False),
    ("cookie_name", "sid", "sid"),
    ("framework_session", "false", False),
    ("credential", "false", False),
    ("excluded_urls", "/health, /metrics$,", ("/health", "/metrics$")),
    ("background", "false", False),
    ("health_interval", "30", 30.0),
    ("health_interval", "none", None),
    ("thresholds", "error_ratio=0.2, active_sessions=500,", {"error_ratio": 0.2, "active_sessions": 500.0}),
]

ARGUMENTS = [
    ("enabled", False),
    ("store", MemoryStore()),
    ("idle_timeout", 60),
    ("idle_timeout", None),
    ("max_duration", 1e9),
    ("max_duration", None),
    ("max_span_duration", 600),
    ("max_span_duration", None),
    ("crash_timeout", 0.1),
    ("retention", 1),
    ("active_gap", 0.1),
    ("flush_interval", 10),
    ("history", 0),
    ("events", "span"),
    ("stamp", False),
    ("genai", False),
    ("prices", False),
    ("detect_user", False),
    ("pseudonym_key", KEY),
    ("tiers", (Tier("trial"),)),
    ("tiers", TIERS_FILE),
    ("default_tier", "free"),
    ("tenant_attribute", "customer"),
    ("limit_failure", "closed"),
    ("redact", str.upper),
    ("clock", ManualClock()),
    ("web_type", "shop"),
    ("cookie", False),
    ("cookie_name", "__Host-sid"),
    ("framework_session", False),
    ("credential", False),
    ("identify", str),
    ("tier_of", str),
    ("web_limits", ("requests",)),
    ("excluded_urls", ("/health",)),
    ("background", False),
    ("health_interval", 30),
    ("thresholds", {"error_ratio": 0.2}),
]

WRONG_ARGUMENTS = [
    *(
        (name, value, "use a bool")
        for name in ("enabled", "stamp", "genai", "prices", "cookie")
        for value in (1, "true")
    ),
    *((name, None, "use a bool") for name in ("framework_session", "credential", "background")),
    ("store", None, "use a URL, or an object that fulfils"),
    ("store", 5, "use a URL, or an object that fulfils"),
    *(
        (name, value, "use a positive number of seconds")
        for name in (
            "idle_timeout",
            "max_duration",
            "max_span_duration",
            "crash_timeout",
            "retention",
            "health_interval",
            "active_gap",
            "flush_interval",
        )
        for value in (0, -1, True, "60", float("nan"), float("inf"))
    ),
    *((name, None, "use a positive number of seconds") for name in ("crash_timeout", "active_gap", "flush_interval")),
    *(("history", value, "use a number of sessions, 0 or more") for value in (-1, 1.5, True, None)),
    *(("events", value, "use one of both, log, span") for value in ("none", None, ["both"])),
    *((name, 5, "use a callable") for name in ("redact", "identify")),
    ("redact", None, "use a callable"),
    ("identify", identify_later, "use a plain function"),
    ("clock", 5, "use an object with time_ns, monotonic_ns"),
    ("tracer_provider", 5, "use an object with get_tracer"),
    ("meter_provider", 5, "use an object with get_meter"),
    ("logger_provider", 5, "use an object with get_logger"),
    *(("web_type", value, "use a static name") for value in ("", "a b", None, 5, "x" * 65)),
    *(
        ("cookie_name", value, "use 1 to 64 token characters")
        for value in ("", "a b", "a=b", "a;b", "ä", None, "x" * 65)
    ),
    *(("excluded_urls", value, "use a tuple of regular expressions") for value in ("/health", None, 5)),
    ("tiers", ("pro",), "is no Tier"),
    *(("tiers", value, "use a list of Tier objects") for value in (5, None, Tier("trial"))),
    ("tiers", "nowhere.toml", "cannot be read"),
    ("default_tier", "gold", "there are free, basic, pro, enterprise"),
    ("default_tier", "my tier", "use a static name"),
    ("default_tier", 5, "use a static name"),
    ("tenant_attribute", "", "use the name of an attribute"),
    ("tenant_attribute", None, "use the name of an attribute"),
    ("limit_failure", "fail", "use one of open, closed"),
    ("tier_of", "pro", "use a callable"),
    ("tier_of", identify_later, "use a plain function"),
    ("web_limits", ("request",), "those of the tiers are"),
    ("web_limits", "requests", "use a list of names"),
    ("web_limits", (5,), "use a static name"),
    ("excluded_urls", ("(",), "is not a regular expression"),
    ("excluded_urls", (5,), "is not a regular expression"),
    ("thresholds", "error_ratio=0.2", "use a mapping of names to numbers"),
    ("thresholds", 5, "use a mapping of names to numbers"),
]

WRONG_VARIABLES = [
    *((name, "maybe", "use true or false") for name in ("enabled", "genai", "prices", "cookie", "background")),
    *((name, "none", "use true or false") for name in ("framework_session", "credential")),
    *(
        (name, "soon", "use a number")
        for name in (
            "idle_timeout",
            "max_duration",
            "max_span_duration",
            "crash_timeout",
            "active_gap",
            "flush_interval",
            "history",
            "health_interval",
        )
    ),
    *(
        (name, raw, "use a positive number of seconds")
        for name in (
            "idle_timeout",
            "max_duration",
            "max_span_duration",
            "crash_timeout",
            "retention",
            "active_gap",
            "flush_interval",
        )
        for raw in ("-5", "0", "nan", "inf")
    ),
    ("active_gap", "none", "use a number"),
    ("history", "1.5", "use a number"),
    ("history", "-1", "use a number of sessions, 0 or more"),
    ("events", "none", "use one of both, log, span"),
    ("web_type", "a b", "use a static name"),
    ("cookie_name", "a b", "use 1 to 64 token characters"),
    ("limit_failure", "maybe", "use one of open, closed"),
    ("tiers", "nowhere.toml", "cannot be read"),
    ("web_limits", "my limit", "use a static name"),
    ("excluded_urls", "(", "is not a regular expression"),
    ("thresholds", "error_ratio", "use NAME=NUMBER"),
    ("thresholds", "error_ratio=high", "use NAME=NUMBER"),
    ("thresholds", "error_ratio=-1", "use a number, 0 or more"),
]


def variable(name: str) -> str:
    return f"OTEL_SESSIONS_{name.upper()}"


class TestDefaults:
    def test_all(self) -> None:
        """Without arguments and variables every setting has its documented default."""
        settings = resolve({}, {})
        assert DEFAULTS == {name: getattr(settings, name) for name in FIELDS}

    def test_typed(self) -> None:
        """Type checkers know every setting that `configure()` takes, and its type."""
        kept = {field.name: field.type for field in dataclasses.fields(Settings)}
        # Any sequence will do where a tuple is kept.
        expected = {**kept, "excluded_urls": "Sequence[str]", "web_limits": "Sequence[str]"}
        expected["tiers"] = "Iterable[Tier] | str | Path"
        assert expected == {name: hint.__forward_arg__ for name, hint in Options.__annotations__.items()}

    def test_documented(self) -> None:
        """Every setting says what it does, in a sentence."""
        assert [] == [name for name, field in FIELDS.items() if not field.metadata["doc"].endswith((".", "`.", ")"))]


class TestArguments:
    @pytest.mark.parametrize(("name", "value"), ARGUMENTS)
    def test_accepted(self, name: str, value: object) -> None:
        """What a setting accepts it takes as it is, and nothing else changes."""
        settings = resolve({name: value}, {})
        assert {**DEFAULTS, name: value} == {field: getattr(settings, field) for field in FIELDS}

    def test_all_tried(self) -> None:
        """No setting is left out of the table above, but the providers, which every other test gives."""
        providers = {"tracer_provider", "meter_provider", "logger_provider"}
        assert FIELDS.keys() - providers == {name for name, _ in ARGUMENTS}

    @pytest.mark.parametrize(("name", "value", "accepted"), WRONG_ARGUMENTS)
    def test_wrong(self, name: str, value: object, accepted: str) -> None:
        """A wrong value is refused with its name, the value and what is accepted."""
        with pytest.raises(ConfigurationError) as raised:
            resolve({name: value}, {})
        message = str(raised.value)
        assert message.startswith(name)
        assert accepted in message
        shown = value[0] if isinstance(value, tuple) else value
        assert repr(shown)[:60] in message

    @pytest.mark.parametrize("key", ["short secret", "", b"bytes of a secret key", 12345678901234567890])
    def test_wrong_key(self, key: object) -> None:
        """A key that cannot be used is refused without being shown."""
        with pytest.raises(ConfigurationError, match=r"^pseudonym_key is .*: use a text of at least 16") as raised:
            resolve({"pseudonym_key": key}, {})
        assert not key or str(key) not in str(raised.value)

    def test_incomplete_store(self) -> None:
        """An object that lacks a verb of the protocol is no store."""
        with pytest.raises(ConfigurationError, match="use a URL, or an object that fulfils"):
            resolve({"store": object()}, {})
        with pytest.raises(ConfigurationError, match="use a URL, or an object that fulfils"):
            resolve({"store": _Without(MemoryStore(), "previous")}, {})

    def test_unknown(self) -> None:
        """A setting that does not exist is refused with its name and those that there are."""
        with pytest.raises(ConfigurationError) as raised:
            resolve({"idle_time": 5, "stor": "x", "events": "log"}, {})
        assert f"no such setting: idle_time, stor; there are {', '.join(sorted(FIELDS))}" == str(raised.value)

    def test_frozen(self) -> None:
        """Settings do not change once they are made."""
        with pytest.raises(dataclasses.FrozenInstanceError):
            Settings().history = 5  # type: ignore[misc]

    def test_secrets_not_shown(self) -> None:
        """Neither the key nor the store's credentials are in the text that a debugger or an error report shows."""
        shown = repr(Settings(pseudonym_key=KEY, store="redis://user:hunter2@host"))
        assert KEY not in shown
        assert "hunter2" not in shown


class _Without:
    """A store that lacks one verb."""

    def __init__(self, store: MemoryStore, verb: str) -> None:
        self._store, self._verb = store, verb

    def __getattr__(self, name: str) -> Any:
        if name == self._verb:
            raise AttributeError(name)
        return getattr(self._store, name)


class TestVariables:
    @pytest.mark.parametrize(("name", "raw", "value"), VARIABLES)
    def test_accepted(self, name: str, raw: str, value: object) -> None:
        """A variable is read into the type of its setting, and nothing else changes."""
        settings = resolve({}, {variable(name): raw})
        found = {field: getattr(settings, field) for field in FIELDS}
        assert {**DEFAULTS, name: value} == found
        assert type(value) is type(found[name])

    def test_all_tried(self) -> None:
        """No setting that has a variable is left out of the table above."""
        assert {name for name, field in FIELDS.items() if field.metadata["env"]} == {name for name, _, _ in VARIABLES}

    @pytest.mark.parametrize(("name", "raw", "accepted"), WRONG_VARIABLES)
    def test_wrong(self, name: str, raw: str, accepted: str) -> None:
        """A wrong value is refused with the name of the variable, the value and what is accepted."""
        with pytest.raises(ConfigurationError) as raised:
            resolve({}, {variable(name): raw})
        message = str(raised.value)
        assert message.startswith(variable(name))
        assert raw in message
        assert accepted in message

    def test_wrong_key(self) -> None:
        """A key that is too short is refused without being shown."""
        with pytest.raises(ConfigurationError, match=r"^OTEL_SESSIONS_PSEUDONYM_KEY.*at least 16") as raised:
            resolve({}, {variable("pseudonym_key"): "hunter2"})
        assert "hunter2" not in str(raised.value)

    @pytest.mark.parametrize("raw", ["", "  "])
    def test_empty(self, raw: str) -> None:
        """An empty variable counts as unset, as with OpenTelemetry's own."""
        assert resolve({}, {}) == resolve({}, {variable(name): raw for name in FIELDS})

    def test_argument_first(self) -> None:
        """An argument goes before a variable."""
        assert 5 == resolve({"idle_timeout": 5}, {variable("idle_timeout"): "10"}).idle_timeout

    @pytest.mark.parametrize("name", [name for name, field in FIELDS.items() if not field.metadata["env"]])
    def test_objects_have_none(self, name: str) -> None:
        """Settings that are objects are not read from a variable."""
        assert resolve({}, {}) == resolve({}, {variable(name): "5"})

    def test_of_the_process(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The variables are those of the process."""
        monkeypatch.setenv("OTEL_SESSIONS_WEB_TYPE", "shop")
        assert "shop" == resolve({}).web_type


class TestUnconfigured:
    """A process that nobody configured: the operator's mistake must not stop the application."""

    @pytest.mark.parametrize(("name", "raw", "accepted"), WRONG_VARIABLES)
    def test_tolerant(self, name: str, raw: str, accepted: str) -> None:
        """Wrong variables are left out and reported, the others hold."""
        found, errors = _config.tolerant_from_environment({variable(name): raw, "OTEL_SESSIONS_STORE": "memory://"})
        assert {"store": "memory://"} == found
        assert [True] == [str(error).startswith(variable(name)) and accepted in str(error) for error in errors]

    @pytest.mark.parametrize(
        ("wrong", "kept"),
        [
            ({"default_tier": "gold"}, {"web_limits": ("requests",)}),
            ({"web_limits": "request"}, {"default_tier": "free"}),
            ({"default_tier": "gold", "web_limits": "request"}, {}),
            ({"tiers": "nowhere.toml"}, {"default_tier": "free", "web_limits": ("requests",)}),
        ],
    )
    def test_names(self, wrong: dict[str, str], kept: dict[str, object]) -> None:
        """Of the names of tiers and limits those are left out that there are none of, each with a word."""
        given = {"default_tier": "free", "web_limits": "requests", **wrong}
        found, errors = _config.tolerant_from_environment({variable(name): raw for name, raw in given.items()})
        assert kept == found
        assert sorted(map(variable, wrong)) == sorted(str(error).partition(":")[0] for error in errors)

    def test_missing_extra(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """A file that cannot be read without an extra is left out, too, and the word says how to install it."""
        file = tmp_path / "tiers.yaml"
        file.write_text("tiers: {}", encoding="utf-8")
        monkeypatch.setitem(sys.modules, "yaml", None)
        found, errors = _config.tolerant_from_environment({variable("tiers"): str(file)})
        assert {} == found
        assert ["pip install 'otel-sessions[yaml]'"] == [str(error).partition("Run: ")[2] for error in errors]
        with pytest.raises(ConfigurationError, match=r"^OTEL_SESSIONS_TIERS: .*pip install"):
            resolve({}, {variable("tiers"): str(file)})
        with pytest.raises(MissingExtraError):
            resolve({"tiers": file}, {})

    def test_warned(self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
        """The first session runs with what could be read; one warning for each wrong variable says what is wrong."""
        monkeypatch.setenv("OTEL_SESSIONS_IDLE_TIMEOUT", "soon")
        monkeypatch.setenv("OTEL_SESSIONS_EVENTS", "all")
        monkeypatch.setenv("OTEL_SESSIONS_MAX_DURATION", "77")
        monkeypatch.setenv("OTEL_SESSIONS_BACKGROUND", "false")
        handle = otel_sessions.start("chat")
        record = otel_sessions.get(handle.id)
        assert record is not None
        assert (1800 * 10**9, 77 * 10**9) == (record.beginning.idle_timeout_ns, record.beginning.max_duration_ns)
        warnings = [entry.getMessage() for entry in caplog.records if entry.levelno == logging.WARNING]
        assert ["OTEL_SESSIONS_EVENTS", "OTEL_SESSIONS_IDLE_TIMEOUT"] == sorted(
            next(name for name in ("OTEL_SESSIONS_EVENTS", "OTEL_SESSIONS_IDLE_TIMEOUT") if name in text)
            for text in warnings
        )

    @pytest.mark.parametrize("url", ["nope://user:hunter2@host", "redis:hunter2", "hunter2"])
    def test_no_such_store(self, url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
        """A store that is not to be had is replaced by memory, with a warning that shows no credential."""
        monkeypatch.setenv("OTEL_SESSIONS_STORE", url)
        monkeypatch.setenv("OTEL_SESSIONS_BACKGROUND", "false")
        with session("job") as handle:
            assert handle.is_active
        assert "memory store is used instead" in caplog.text
        assert "hunter2" not in caplog.text

    def test_configured_is_strict(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Who calls `configure()` is told of a wrong variable at once."""
        monkeypatch.setenv("OTEL_SESSIONS_EVENTS", "all")
        with pytest.raises(ConfigurationError, match=r"^OTEL_SESSIONS_EVENTS.*'all'"):
            otel_sessions.configure()


class TestSummary:
    def test_nothing_secret(self) -> None:
        """What the startup event says of the configuration is plain, complete and without secrets."""
        settings = resolve({"pseudonym_key": KEY, "idle_timeout": None, "store": MemoryStore()}, {})
        assert {
            "app_session.config.idle_timeout": "none",
            "app_session.config.max_duration": 86_400.0,
            "app_session.config.max_span_duration": "none",
            "app_session.config.events": "both",
            "app_session.config.stamp": True,
            "app_session.config.web_type": "web",
            "app_session.config.history": 10_000,
            "app_session.config.flush_interval": 1.0,
        } == _config.summary(settings)
