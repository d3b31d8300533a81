"""What is let in at the door: names are checked at the call; values never raise, and what goes out can be exported."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import fractions
import logging
import math
import pathlib
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from otel_sessions import InvalidValueError, _guard, _values, session
from otel_sessions.testing import RecordedSessions, record_sessions


class Colour(enum.Enum):
    RED = "red"
    NUMBER = 3
    OBJECT = object()


class Kind(str, enum.Enum):
    """How enumerations of strings were written before `enum.StrEnum`."""

    CHAT = "chat"


class Index:
    """An integer of another library."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __index__(self) -> int:
        return self.value


class Whole(int):
    """An integer that is shown in another way."""

    def __str__(self) -> str:
        return "many"


class Hostile:
    """Its text cannot be had."""

    def __repr__(self) -> str:
        raise RuntimeError("no repr")

    def __str__(self) -> str:
        raise RuntimeError("no str")


class Classless:
    """Not even its class can be asked for."""

    @property
    def __class__(self) -> Any:
        raise RuntimeError("no class")

    @__class__.setter
    def __class__(self, value: object) -> None: ...


class HostileText(str):
    """A text that raises when it is converted."""

    __slots__ = ()

    def __str__(self) -> str:
        raise RuntimeError("no str")


class HostilePath(pathlib.PurePosixPath):
    """A path that has none."""

    def __fspath__(self) -> str:
        raise RuntimeError("no path")


class HostileList(list[object]):
    """A list that cannot be read."""

    def __iter__(self) -> Iterator[object]:
        raise RuntimeError("no items")


class HostileMapping(Mapping[str, object]):
    """A mapping that cannot be read."""

    def __getitem__(self, key: str) -> object:
        raise RuntimeError("no item")

    def __iter__(self) -> Iterator[str]:
        raise RuntimeError("no keys")

    def __len__(self) -> int:
        return 1


class NoZone(dt.tzinfo):
    """A time zone that raises."""

    def utcoffset(self, _: dt.datetime | None) -> dt.timedelta:
        raise RuntimeError("no offset")

    dst = tzname = utcoffset  # type: ignore[assignment]  # not asked


def endless() -> list[object]:
    """A list that holds itself."""
    found: list[object] = [1]
    found.append(found)
    return found


IMPOSSIBLE: dict[str, Callable[[], object]] = {
    "None": lambda: None,
    "mapping": lambda: {"a": 1},
    "bytes": lambda: b"bytes",
    "object": object,
    "complex": lambda: 1j,
    "mixed list": lambda: ["a", 1],
    "list of None": lambda: [None],
    "nested list": lambda: [["a"]],
    "booleans and numbers": lambda: [True, 1],
    "65 bits": lambda: 2**63,
    "65 bits, negative": lambda: -(2**63) - 1,
    "16,000 bits": lambda: 10**5000,
    "signalling NaN": lambda: decimal.Decimal("sNaN"),
    "enumeration of objects": lambda: Colour.OBJECT,
    "hostile object": Hostile,
    "object without a class": Classless,
    "hostile path": lambda: HostilePath("x"),
    "hostile list": lambda: HostileList([1]),
    "list of hostile objects": lambda: [Hostile()],
    "list that holds itself": endless,
    "time zone that raises": lambda: dt.datetime(2026, 1, 2, tzinfo=NoZone()),
}


def unredacted(text: str) -> str:
    """Leave everything as it is."""
    return text


class TestNames:
    @pytest.mark.parametrize(
        "name", ["a", "cart.checkout", "cart.checkout_2", "a1.2b", "x" * 64, "sync_time", "gen_ai.x"]
    )
    def test_event_names(self, name: str) -> None:
        """A static lower-case dotted name is an event's."""
        assert name == _values.event_name(name)

    @pytest.mark.parametrize(
        "name",
        ["", " ", "Cart", "cart checkout", "cart..x", ".cart", "cart.", "1st", "_x", "x" * 65, "größe", "a\n", "a\0b",
         "{}", "https://x", "x-y", None, 3, b"cart", ["cart"]],
        ids=repr,
    )  # fmt: skip
    def test_bad_event_names(self, name: Any) -> None:
        """Anything else is refused, shown, and told where what varies belongs."""
        with pytest.raises(InvalidValueError, match=r"cannot name an event or a metric: .* into attributes"):
            _values.event_name(name)

    @pytest.mark.parametrize("name", ["session.end", "session", "app_session.duration", "otel.x"])
    def test_taken_event_names(self, name: str) -> None:
        """Names that have a meaning already cannot be used for something else."""
        with pytest.raises(InvalidValueError, match="is taken"):
            _values.event_name(name)

    @pytest.mark.parametrize("value", ["web", "security_audit", "Chat", "a.b:c/d-e", "7", "_x", "x" * 64])
    def test_labels(self, value: str) -> None:
        """A short name of letters, digits and a few signs is a type, a tier, a platform, a role."""
        assert value == _values.label("tier", value)

    @pytest.mark.parametrize(
        "value", ["", " ", "-x", "a b", "x" * 65, "é", "a\n", "\u202eweb", "a@b.com", None, 3, b"web", True], ids=repr
    )
    def test_bad_labels(self, value: Any) -> None:
        """Anything else is refused, and the error says what it was for."""
        with pytest.raises(InvalidValueError, match="cannot be a tier: use a static name of at most 64 characters"):
            _values.label("tier", value)

    @pytest.mark.parametrize("value", ["x", "conv-42", "!", "~" * 128, "<script>alert(1)</script>", "../../etc/passwd"])
    def test_ids(self, value: str) -> None:
        """An id is up to 128 visible ASCII characters, whatever they mean elsewhere."""
        assert value == _values.session_id(value)

    @pytest.mark.parametrize(
        "value", ["", " ", "a b", "x" * 129, "x" * 1_000_000, "é", "a\r\nSet-Cookie:x", "\0", None, 42, b"x"], ids=repr
    )
    def test_bad_ids(self, value: Any) -> None:
        """Ids that are empty, huge, not ASCII or could break a header are refused, without being repeated in full."""
        with pytest.raises(InvalidValueError, match="cannot be a session id: use 1 to 128 visible ASCII") as raised:
            _values.session_id(value)
        assert len(str(raised.value)) < 300

    @pytest.mark.parametrize(
        "value",
        ["gpt-4o", "claude-3-5-sonnet@20240620", "meta-llama/Llama-3.1-8B-Instruct",
         "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-3-5-sonnet-20241022-v2:0"],
    )  # fmt: skip
    def test_models(self, value: str) -> None:
        """Models are called as their providers call them."""
        assert value == _values.model(value)

    @pytest.mark.parametrize("value", ["", "a model", "模型", "x" * 257])
    def test_odd_models(self, value: str) -> None:
        """A model's name is data: one that cannot be shown is `_OTHER`."""
        assert "_OTHER" == _values.model(value)

    @pytest.mark.parametrize("value", [None, 3, b"m"], ids=repr)
    def test_bad_models(self, value: Any) -> None:
        """What is no text is a mistake."""
        with pytest.raises(InvalidValueError, match="cannot be a model"):
            _values.model(value)

    @pytest.mark.parametrize("value", ["s", "By", "1", "{message}", "m/s", "x" * 63])
    def test_units(self, value: str) -> None:
        """Units are UCUM's, or annotations."""
        assert value == _values.unit(value)

    @pytest.mark.parametrize("value", ["", "µs", "a b", "x" * 64, None, 1], ids=repr)
    def test_bad_units(self, value: Any) -> None:
        """A unit that OpenTelemetry would refuse is refused at the call."""
        with pytest.raises(InvalidValueError, match="cannot be a unit"):
            _values.unit(value)

    @pytest.mark.parametrize("value", ["USD", "EUR"])
    def test_currencies(self, value: str) -> None:
        """Currencies are ISO 4217 codes."""
        assert value == _values.currency(value)

    @pytest.mark.parametrize("value", ["", "usd", "US", "DOLLAR", "$", "US1", "ÄÖÜ", "USD\n", None, 840], ids=repr)
    def test_bad_currencies(self, value: Any) -> None:
        """Anything else is refused, with examples."""
        with pytest.raises(InvalidValueError, match="use an ISO 4217 code such as 'USD'"):
            _values.currency(value)

    @pytest.mark.parametrize(
        "check", [_values.session_id, _values.model, _values.event_name, lambda value: _values.label("type", value)]
    )
    def test_members_of_enumerations(self, check: Callable[[str], str]) -> None:
        """A member of an enumeration of strings is its value, in every release of Python."""
        checked = check(Kind.CHAT)

        assert ("chat", str) == (f"{checked}", type(checked))

    def test_object_that_cannot_be_shown(self) -> None:
        """What is given for a name need not even have a text."""
        with pytest.raises(InvalidValueError, match=r"<Hostile> \(Hostile\) cannot name an event"):
            _values.event_name(Hostile())  # type: ignore[arg-type]

    @given(
        st.sampled_from([_values.event_name, _values.session_id, _values.unit, _values.currency]),
        st.one_of(st.text(), st.binary(), st.integers(), st.none()),
    )
    def test_only_one_kind_of_error(self, check: Callable[[Any], str], value: Any) -> None:
        """Whatever is given for a name, it is accepted as it is or refused as `InvalidValueError`."""
        try:
            checked = check(value)
        except InvalidValueError as error:
            assert len(str(error)) < 400  # noqa: PT017 - either is the promise
        else:
            assert value == checked


class TestAmount:
    @pytest.mark.parametrize(
        ("given", "expected"),
        [(0, 0), (7, 7), (1.5, 1.5), (decimal.Decimal("0.031"), 0.031), (Whole(3), 3), (2**62, 2**62), (Index(4), 4)],
    )
    def test_amounts(self, given: Any, expected: float) -> None:
        """A finite number that is not negative is an amount; it comes out as a plain one."""
        amount = _values.amount("a cost", given)

        assert (expected, type(expected)) == (amount, type(amount))

    @pytest.mark.parametrize(
        "value",
        [-1, -0.001, math.nan, math.inf, -math.inf, decimal.Decimal("NaN"), decimal.Decimal("sNaN"),
         decimal.Decimal("Infinity"), 10**400, Index(-1), True, "5", None, 1j, [1], fractions.Fraction(1, 2)],
        ids=repr,
    )  # fmt: skip
    def test_bad_amounts(self, value: Any) -> None:
        """Anything else is refused, and the error says for what."""
        with pytest.raises(InvalidValueError, match=r"cannot be a cost: use a finite number that is not negative"):
            _values.amount("a cost", value)

    @pytest.mark.parametrize("value", [0, -1, 1e300, 10**400, math.nan, True, "5", None], ids=repr)
    def test_bad_seconds(self, value: Any) -> None:
        """A time span is positive and not for ever."""
        with pytest.raises(InvalidValueError):
            _values.seconds("idle_timeout", value)

    @pytest.mark.parametrize(
        ("value", "expected"), [(60, 60), (0.5, 0.5), (decimal.Decimal("2.5"), 2.5), (Index(3), 3)]
    )
    def test_seconds(self, value: Any, expected: float) -> None:
        """A time span comes out as a plain number, too."""
        seconds = _values.seconds("idle_timeout", value)

        assert (expected, type(expected)) == (seconds, type(seconds))

    def test_whole(self) -> None:
        """So does a number of things; a fraction is none."""
        assert [3, 4] == [_values.whole("a cost", 3), _values.whole("a cost", Index(4))]  # type: ignore[arg-type]
        with pytest.raises(InvalidValueError):
            _values.whole("a cost", 3.0)  # type: ignore[arg-type]

    @given(st.one_of(st.floats(), st.integers(), st.decimals(), st.text(), st.none()))
    def test_change(self, value: Any) -> None:
        """What is counted may be negative; apart from that it is the same."""
        try:
            change = _values.change("x", value)
        except InvalidValueError:
            return
        assert abs(change) == _values.quantity("x", abs(value))

    @given(st.one_of(st.floats(), st.integers(), st.decimals(), st.text(), st.none()))
    def test_only_one_kind_of_error(self, value: Any) -> None:
        """Whatever is given for an amount comes out finite and not negative, or is refused as `InvalidValueError`."""
        try:
            amount = _values.amount("x", value)
        except InvalidValueError:
            return
        assert 0 <= amount < math.inf
        assert type(amount) in {int, float}


class TestAttributes:
    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            ("text", "text"),
            ("", ""),
            (True, True),
            (3, 3),
            (1.5, 1.5),
            (Whole(3), 3),
            (Colour.RED, "red"),
            (Colour.NUMBER, 3),
            (Kind.CHAT, "chat"),
            (decimal.Decimal("1.5"), 1.5),
            (dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.timezone.utc), "2026-01-02T03:04:05+00:00"),
            (dt.date(2026, 1, 2), "2026-01-02"),
            (dt.time(3, 4), "03:04:00"),
            (dt.timedelta(minutes=1.5), 90.0),
            (uuid.UUID(int=7), "00000000-0000-0000-0000-000000000007"),
            (pathlib.PurePosixPath("var/log"), "var/log"),
            (["a", "b"], ("a", "b")),
            ((1, 2), (1, 2)),
            ([1, 2.5], (1.0, 2.5)),
            ([True, False], (True, False)),
            ([], ()),
            (frozenset({"a"}), ("a",)),
            ([Colour.RED, "b"], ("red", "b")),
            (2**63 - 1, 2**63 - 1),
            (-(2**63), -(2**63)),
            ("caf\udce9", "caf\\udce9"),
            (["caf\udce9"], ("caf\\udce9",)),
            (list(range(1_000)), tuple(range(128))),
            ("x" * 5_000, "x" * 4_096),
        ],
        ids=repr,
    )
    def test_values(self, value: object, expected: object) -> None:
        """Common values take the form that OpenTelemetry knows, type and all; long ones are cut."""
        clean = _values.attributes({"key": value}, unredacted)

        assert {"key": expected} == clean
        assert type(expected) is type(clean["key"])
        assert "".join(map(str, [clean["key"]])).isprintable() or value == ""

    @pytest.mark.parametrize("kind", IMPOSSIBLE)
    def test_impossible_values(self, recorded_sessions: RecordedSessions, kind: str) -> None:
        """What cannot be represented is dropped alone, counted and logged: it never raises."""
        clean = _values.attributes({"before": 1, "key": IMPOSSIBLE[kind](), "after": 2}, unredacted)

        assert {"before": 1, "after": 2} == clean
        assert 1 == recorded_sessions.metric("app_session.dropped")

    @pytest.mark.parametrize("key", [None, 3, "", "x" * 256, "\ud800", b"key", ("a",)], ids=repr)
    def test_impossible_keys(self, recorded_sessions: RecordedSessions, key: Any) -> None:
        """An attribute whose name cannot be one is dropped, counted and logged."""
        assert {"other": 1} == _values.attributes({key: "value", "other": 1}, unredacted)
        assert 1 == recorded_sessions.metric("app_session.dropped", app_session__drop__reason="invalid_attribute")

    def test_unreadable_mapping(self) -> None:
        """A mapping that cannot be read has no attributes."""
        assert {} == _values.attributes(HostileMapping(), unredacted)

    def test_said_once_a_minute(self, recorded_sessions: RecordedSessions, caplog: pytest.LogCaptureFixture) -> None:
        """The log names an attribute that was dropped, then is silent for a while; every drop counts."""
        for _ in range(3):
            _values.attributes({"answer": {"a": 1}}, unredacted)

        assert ["An attribute was dropped: 'answer' has a value of type dict: use a string, a boolean, a number"] == [
            record.getMessage().partition(" of at most")[0] for record in caplog.records
        ]
        assert 3 == recorded_sessions.metric("app_session.dropped", app_session__drop__reason="invalid_attribute")

    def test_redaction(self) -> None:
        """Text is redacted wherever it stands; under a name that says so any value is a secret."""
        assert {
            "plain": "<a>",
            "several": ("<b>", "<c>"),
            "path": "<d>",
            "member": "<red>",
            "password": "[redacted]",
            "api_key": "[redacted]",
            "number": 3,
        } == _values.attributes(
            {
                "plain": "a",
                "several": ["b", "c"],
                "path": pathlib.PurePosixPath("d"),
                "member": Colour.RED,
                "password": "secret",
                "api_key": 3,
                "number": 3,
            },
            "<{}>".format,
        )

    @pytest.mark.parametrize("redact", [lambda text: 1 / 0, lambda text: None, lambda text: Hostile()])
    def test_broken_redactor(self, recorded_sessions: RecordedSessions, redact: Any) -> None:
        """Where the redactor fails nothing of the text gets out, and nothing is raised."""
        clean = _values.attributes({"text": "secret", "several": ["secret"], "number": 3}, redact)

        assert 3 == clean.pop("number")
        assert "secret" not in str(clean)
        assert recorded_sessions.metric("app_session.dropped") >= 1


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.decimals(),
    st.text(st.characters(codec=None)),
    st.binary(max_size=4),
    st.datetimes(),
    st.timedeltas(),
    st.uuids(),
    st.fractions(),
    st.complex_numbers(),
    st.sampled_from(list(Colour)),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.tuples(inner, inner),
        st.frozensets(st.one_of(st.text(), st.integers(), st.booleans()), max_size=4),
        st.dictionaries(st.text(), inner, max_size=2),
    ),
    max_leaves=8,
)
HOSTILE = st.sampled_from([Hostile(), HostileText("x"), HostilePath("x"), HostileList([1]), endless()])
KEYS = st.one_of(st.text(st.characters(codec=None), max_size=300), st.integers(), st.none())


def is_otlp(value: object) -> bool:
    """Whether OTLP carries a value: encode it for real."""
    if isinstance(value, bool):
        AnyValue(bool_value=value)
    elif isinstance(value, int):
        AnyValue(int_value=value)
    elif isinstance(value, float):
        AnyValue(double_value=value)
    elif isinstance(value, str):
        AnyValue(string_value=value)
    elif isinstance(value, tuple):
        return len({type(item) for item in value}) <= 1 and all(map(is_otlp, value))
    else:
        return False
    return True


class TestAnyValue:
    """Whatever an application gives as attributes."""

    @settings(max_examples=150, deadline=None)
    @given(st.dictionaries(KEYS, st.one_of(VALUES, HOSTILE), max_size=5))
    def test_clean(self, given: dict[Any, Any]) -> None:
        """Cleaning never raises; what comes out is plain, short, and can be encoded."""
        clean = _values.attributes(given, unredacted)

        assert all(type(key) is str and 0 < len(key) <= 255 for key in clean)
        assert [] == [value for value in clean.values() if not is_otlp(value)]
        assert all(len(value) <= 4_096 * 6 for value in clean.values() if isinstance(value, str))

    @settings(max_examples=60, deadline=None)
    @given(
        st.dictionaries(KEYS, st.one_of(VALUES, HOSTILE), max_size=5),
        st.text(st.characters(codec=None)),
    )
    @example({"key": "caf\udce9", "number": 2**64}, "caf\udce9")
    def test_exported(self, given: dict[Any, Any], message: str) -> None:
        """Given everywhere a user can give them, they reach the exporter, which finds nothing to complain of."""
        heard = Heard()
        named = {key: value for key, value in given.items() if isinstance(key, str)}
        with record_sessions() as recorded, heard:
            try:
                with session("job", attributes=given) as handle:
                    handle.event("x.y", message, **named)
                    handle.progress(message, **named)
                    handle.set_attributes(**named)
                    handle.error("Broken", message, **named)
                    handle.suspicious("odd", **named)
                    raise LookupError(message)  # noqa: TRY301 - it is here to be recorded
            except LookupError:
                pass
            encode_spans(recorded.spans).SerializeToString()
            encode_logs(recorded.logs).SerializeToString()

        (span,) = recorded.spans
        assert 5 == len(span.events)
        assert 7 == len([log for log in recorded.logs if log.log_record.event_name != "app_session.startup"])
        assert [] == heard.messages

    @settings(max_examples=60, deadline=None)
    @given(st.one_of(VALUES, HOSTILE))
    def test_text(self, value: object) -> None:
        """Any object becomes a text that can be encoded, or none of it gets out."""
        _values.text(value, unredacted).encode()


class Heard(logging.Handler):
    """What OpenTelemetry's own loggers complain of."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the message."""
        if not record.name.startswith("otel_sessions"):
            self.messages.append(record.getMessage())

    def __enter__(self) -> None:
        _guard.log.reset()
        logging.getLogger().addHandler(self)

    def __exit__(self, *_: object) -> None:
        logging.getLogger().removeHandler(self)
