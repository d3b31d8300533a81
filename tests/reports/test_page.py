"""`page`: figures and plots as one document, whatever texts are in it."""

from __future__ import annotations

import datetime as dt
import html.parser
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

import otel_sessions
from otel_sessions import InvalidValueError
from otel_sessions._health_check import told
from otel_sessions.reports import page
from otel_sessions.reports._figures import brief, count, counted, duration, money, percent, short
from otel_sessions.reports._html.markup import Markup, joined, tag, text
from otel_sessions.stores import MemoryStore
from otel_sessions.testing import RecordedSessions, record_sessions
from otel_sessions.typing import Beginning, DayTally, HourTally, Status, Totals, UserCounts

from ..contract import STORES

HOSTILE = (
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "'\"><svg onload=alert(1)>",
    "</style></title><!--",
    "a\u202egnp.exe\x1b[31m\x00",
    "&lt;b&gt;",
)
OPTIONS: dict[str, Any] = {"pseudonym_key": "k" * 32, "detect_user": False, "idle_timeout": 1e7, "max_duration": 1e8}
HARMLESS = {
    "html", "head", "meta", "title", "link", "style", "body", "header", "h1", "h2", "bdi", "p", "main", "section", "dl",
    "div", "dt", "dd", "figure", "figcaption", "svg", "g", "rect", "line", "circle", "text", "span", "i", "details",
    "summary", "table", "thead", "tbody", "tr", "th", "td", "code", "time", "footer",
}  # fmt: skip
VOID = {"meta", "link", "rect", "line", "circle"}


class Document(html.parser.HTMLParser):
    """What a page consists of; elements have to be closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.said: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.said.append(data)


class Asked(MemoryStore):
    """A store that notes what it is asked for sums."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: Counter[tuple[object, ...]] = Counter()

    def tallies(self, since_hour: int, until_hour: int) -> list[HourTally]:
        self.asked["hours", since_hour, until_hour] += 1
        return super().tallies(since_hour, until_hour)

    def daily_tallies(self, since_day: int, until_day: int) -> list[DayTally]:
        self.asked["days", since_day, until_day] += 1
        return super().daily_tallies(since_day, until_day)

    def users(self, since_hour: int, until_hour: int, limit: int, besides: Mapping[str, int]) -> UserCounts:
        self.asked["users", since_hour, until_hour] += 1
        return super().users(since_hour, until_hour, limit, besides)


def headings(made: str) -> list[str]:
    """What the plots and tables are called; that of the health stands before them."""
    health, *rest = re.findall("<h2>(.*?)</h2>", made)
    assert health.startswith("Health: ")
    return rest


@pytest.fixture(name="everywhere", params=STORES)
def _everywhere(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RecordedSessions]:
    """A process with a store of each kind."""
    with record_sessions(store=STORES[request.param](tmp_path), **OPTIONS) as recorded:
        yield recorded


@pytest.fixture(name="recorded")
def _recorded() -> Iterator[RecordedSessions]:
    """A process with a store in memory."""
    with record_sessions(**OPTIONS) as recorded:
        yield recorded


def fill(recorded: RecordedSessions) -> None:
    """Some sessions of a shop."""
    for number in range(30):
        chat = otel_sessions.start("chat", user=f"user{number % 4}", tier="pro", id=f"chat{number}")
        with chat, chat.turn() as turn:
            turn.tokens(input=1_000, output=500)
            turn.cost(0.5, "USD")
            recorded.advance(2)
        recorded.advance(900 * number)
        if number % 7 == 0:
            chat.error("TimeoutError", "no answer")
        chat.end("error" if number % 7 == 0 else "success")
    otel_sessions.start("web", user="user1")


class TestPage:
    def test_everything_is_on_it(self, everywhere: RecordedSessions) -> None:
        """Figures, plots and tables of what there is, and nobody's name."""
        fill(everywhere)
        made = page(title="Shop")
        document = Document(made)
        assert headings(made) == [
            "Sessions started and ended",
            "Status of the sessions that ended",
            "Duration",
            "Sessions started, by weekday and hour",
            "Type",
            "Status",
            "End reason",
            "Tier",
            "Users with most sessions",
            "Longest session of each type",
            "Latest sessions that failed",
        ]
        said = document.said
        assert [said[said.index(name) + 1] for name in ("sessions", "active now", "turns", "tokens", "cost")] == [
            "31",
            "1",
            "30",
            "45k",
            "15.00 USD",
        ]
        assert "TimeoutError: no answer" in said
        assert "chat28" in said
        assert "user1" not in made

    @pytest.mark.parametrize("days", [2, 30, None])
    def test_nothing_is_asked_twice(self, days: float | None) -> None:
        """All figures and plots are of the same sums."""
        store = Asked()
        with record_sessions(store=store, **OPTIONS) as recorded:
            fill(recorded)
            store.asked.clear()
            page(days=days)
        assert max(store.asked.values()) == 1

    def test_an_empty_store(self, recorded: RecordedSessions) -> None:
        """There is a page all the same, and it says that there is nothing on it."""
        made = page()
        assert "No session ended in this time." in Document(made).said
        assert headings(made) == []

    def test_only_active_ones(self, recorded: RecordedSessions) -> None:
        """What can be said of those is."""
        otel_sessions.start("chat")
        made = page(days=None)
        assert headings(made) == [
            "Sessions started and ended",
            "Sessions started, by weekday and hour",
            "Type",
            "Status",
            "Tier",
        ]
        assert "2026-01-01 00:00 to 2026-01-01 00:00 UTC" in made

    def test_it_loads_and_runs_nothing(self, recorded: RecordedSessions) -> None:
        """No element and no attribute of it could, and its policy says so too."""
        fill(recorded)
        document = Document(page())
        assert set(document.tags) <= HARMLESS
        assert [value for name, value in document.attributes if name in {"href", "src", "xlink:href"}] == ["data:,"]
        assert not [name for name, _ in document.attributes if name.startswith("on")]
        assert ("content", "default-src 'none'; style-src 'unsafe-inline'; img-src data:") in document.attributes
        style = page().partition("<style>")[2].partition("</style>")[0]
        assert "url(" not in style
        assert "@import" not in style

    def test_plots_have_names_and_numbers(self, recorded: RecordedSessions) -> None:
        """Who cannot see a plot is told what it is, and has its numbers in a table."""
        fill(recorded)
        made = page()
        assert re.findall('role="img" aria-label="(.*?)"', made) == headings(made)[:4]
        assert made.count("<summary>Numbers</summary>") == 4
        assert "<title>Thu 2026-01-01: started " in made

    def test_a_period(self, recorded: RecordedSessions) -> None:
        """It is that of the other reports, and refused like theirs."""
        fill(recorded)
        recorded.advance(86_400)
        assert headings(page(days=0.5)) == [
            "Sessions started, by weekday and hour",
            "Type",
            "Status",
            "Tier",
            "Users with most sessions",
        ]
        assert "Duration" in headings(page(days=30))
        assert "Duration" in headings(page(until=dt.datetime(9999, 12, 31, 23, 30, tzinfo=dt.timezone.utc), days=None))
        with pytest.raises(InvalidValueError):
            page(days=-1)

    @pytest.mark.parametrize(
        ("end", "most", "verdict", "problems"),
        [
            ("success", 100, "healthy", []),
            ("success", 1, "degraded", ["SessionActiveHigh"]),
            ("error", 100, "unhealthy", ["SessionErrorBudgetBurn", "SessionErrorRateHigh"]),
        ],
    )
    def test_health(self, end: Status, most: int, verdict: str, problems: list[str]) -> None:
        """The verdict, and each problem with what to do about it."""
        with record_sessions(thresholds={"active_sessions": most}, **OPTIONS) as recorded:
            for _ in range(40):
                otel_sessions.start("chat").end(end)
            for _ in range(3):
                otel_sessions.start("chat")
            recorded.advance(1)
            made = page()
            said = Document(made).said
            actions = [check.recommended_action for check in otel_sessions.health(in_process=False).problems]
        assert f'<h2>Health: <span class="verdict {verdict}">{verdict}</span></h2>' in made
        assert [each for each in said if re.fullmatch(r"Session[A-Z]\w+", each)] == problems
        assert set(actions) <= set(said)

    def test_hours(self, recorded: RecordedSessions) -> None:
        """A short time is divided into hours; midnight bears the date."""
        recorded.advance(21 * 3_600)
        for _ in range(5):
            otel_sessions.start("chat").end()
            recorded.advance(3_600)
        made = page(days=None)
        assert re.findall('class="middle tick">(.*?)<', made)[:3] == ["21:00", "22:00", "23:00"]
        assert "<title>2026-01-02 01:00: started 1, ended 1</title>" in made

    def test_very_many_users_and_types(self) -> None:
        """The most are named, and of types the rest is summed up."""
        with record_sessions(pseudonym_key="k" * 32, detect_user=False):
            for number in range(15):
                otel_sessions.start(f"type{number}", user=f"user{number}").end()
            made = page()
        assert made.count(" more</th>") == 1
        assert "5 more" in made


def hostile_store(said: str) -> MemoryStore:
    """One in which somebody else has written what this package would refuse."""
    store = MemoryStore()
    fields: dict[str, Any] = {"type": said, "user": said, "tier": said, "platform": said, "attributes": {said: said}}
    for number, status in enumerate(("error", "success", said)):
        beginning = Beginning(id=f"{said}{number}", topology="durable", started_ns=1_767_225_600 * 10**9, **fields)
        store.create(beginning)
        totals = Totals()
        totals.error = said, said * 40
        totals.cost = {said: 1.0}
        store.close(
            beginning.id,
            status=status,  # type: ignore[arg-type]  # as somebody else may have written it
            reason=said,  # type: ignore[arg-type]
            ended_ns=1_767_225_600 * 10**9 + 10**9,
            delta=totals,
        )
    store.create(Beginning(id=f"{said}a", topology="durable", started_ns=1_767_225_600 * 10**9, **fields))
    return store


class TestHostile:
    @pytest.mark.parametrize("said", HOSTILE)
    def test_texts_stay_texts(self, said: str) -> None:
        """Whatever is in the store, and in the title, becomes no element, no attribute and no direction of writing."""
        with record_sessions(store=hostile_store("harmless")) as recorded:
            recorded.advance(60)
            expected = Document(page(title="harmless"))
        with record_sessions(store=hostile_store(said)) as recorded:
            recorded.advance(60)
            made = page(title=said)
        document = Document(made)
        assert document.tags == expected.tags
        assert [name for name, _ in document.attributes] == [name for name, _ in expected.attributes]
        assert not [each for each in made.replace("\n", "") if not each.isprintable()]

    def test_what_is_shown(self) -> None:
        """Markup is shown as it was written; what cannot be seen is spelt out."""
        assert text("<b>&'\"") == "&lt;b&gt;&amp;&#x27;&quot;"
        assert text("a\u202eb\x1b[0m\u200f\udc80") == "a\\u202eb\\x1b[0m\\u200f\\udc80"
        assert text("שלום 漢字 é") == "שלום 漢字 é"

    def test_markup(self) -> None:
        """What is made of elements is not escaped again; attributes always are."""
        assert tag("b", "<", tag("i", "x"), None, class_='a>"b', aria_label=1) == (
            '<b class="a&gt;&quot;b" aria-label="1">&lt;<i>x</i></b>'
        )
        assert joined("<", Markup("<br/>")) == "&lt;<br/>"


class TestFigures:
    @pytest.mark.parametrize(
        ("seconds", "shown"),
        [
            (None, "-"),
            (0.0, "0 ms"),
            (0.0123, "12.3 ms"),
            (1.5, "1.5 s"),
            (59.99, "60 s"),
            (200, "3 min 20 s"),
            (7_500, "2 h 05 min"),
            (3_599.9, "60 min 00 s"),
            (100_000, "1 d 4 h"),
        ],
    )
    def test_durations(self, seconds: float | None, shown: str) -> None:
        """In two units at most."""
        assert shown == duration(seconds)

    def test_axes(self) -> None:
        """Whole durations and short numbers."""
        assert ["1 d", "10 h", "1 min", "10 s", "100 ms", "10 µs"] == [
            brief(seconds) for seconds in (86_400, 36_000, 60, 10, 0.1, 1e-5)
        ]
        assert ["0", "999", "1.5k", "2M", "3G"] == [short(number) for number in (0, 999, 1_500, 2e6, 3e9)]

    def test_shares(self) -> None:
        """What is nearly all is not all, nor what is nearly nothing nothing."""
        assert ["-", "0.0%", "< 0.1%", "50.0%", "> 99.9%", "100.0%"] == [
            percent(share) for share in (None, 0, 0.0001, 0.5, 0.99999, 1)
        ]

    def test_counts_and_money(self) -> None:
        """Very many are told in three digits; the largest sum comes first."""
        assert (count(9_999), count(1_234_567)) == ("9,999", "1.23M")
        assert (money({}), money({"EUR": 1, "USD": 1_234.5})) == ("-", "1,234.50 USD, 1.00 EUR")

    def test_numbers_of_sessions(self) -> None:
        """One session is no sessions."""
        assert [counted(0), counted(1), counted(2_000, "active session"), counted(1, "hour")] == [
            "0 sessions", "1 session", "2,000 active sessions", "1 hour",
        ]  # fmt: skip
        assert [told(1, "sessions"), told(2, "sessions"), told(1, "seconds")] == ["1 session", "2 sessions", "1 s"]

    def test_small_sums_of_money(self) -> None:
        """What cost little did not cost nothing; two digits that say something are there, rounded as people do it."""
        sums = (0, 0.004, 0.155, 0.5, 0.0996, 1.005, 0.00000123, 1e-9, -0.5, float("inf"))
        assert [money({"EUR": each}).removesuffix(" EUR") for each in sums] == [
            "0.00", "0.0040", "0.16", "0.50", "0.100", "1.01", "0.0000012", "< 0.000001", "-0.50", "inf",
        ]  # fmt: skip
