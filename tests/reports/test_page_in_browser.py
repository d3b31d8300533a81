"""The page in a real browser: it opens, says nothing to the console, loads nothing, and all of it can be seen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import otel_sessions
from otel_sessions.reports import page
from otel_sessions.testing import record_sessions

from .browser import Browser, browsing

HOSTILE = "<img src=https://example.com/x onerror=console.log(1)></script><script>console.log(2)</script>\u202e"
WIDTHS = (400, 1200)
SCHEMES = ("light", "dark")

PLOTS = """[...document.querySelectorAll("svg.plot")].map(plot => {
    const box = plot.getBoundingClientRect();
    return {
        name: plot.getAttribute("aria-label"), width: box.width, height: box.height,
        shapes: [...plot.querySelectorAll(".fill, [class^=shade]")].filter(shape => {
            const seen = shape.getBoundingClientRect();
            return seen.width > 0 && seen.height > 0;
        }).length,
    };
})"""
OUTSIDE = """[...document.querySelectorAll("body *")].filter(each => {
    // On a phone no rows of text have to be moved, only numbers.
    const scroll = each.closest(innerWidth < 600 ? ".scroll:not(.records)" : ".scroll");
    const moved = scroll && scroll !== each;
    const box = each.getBoundingClientRect();
    return !moved && box.width > 0 && (box.left < 0 || box.right > document.documentElement.clientWidth + 0.5);
}).map(each => each.outerHTML.slice(0, 200))"""
RECORDS = """[...document.querySelectorAll(".records")].map(each => ({
    name: each.getAttribute("aria-label"), hidden: each.scrollWidth - each.clientWidth,
    heads: getComputedStyle(each.querySelector("thead")).display,
    named: [...each.querySelectorAll("tbody tr:first-child td")].map(
        cell => getComputedStyle(cell, "::before").content),
}))"""
OVERLAPPING = """[...document.querySelectorAll("svg.plot")].flatMap(plot => {
    const texts = [...plot.querySelectorAll("text")].map(text => [text.textContent, text.getBoundingClientRect()]);
    return texts.flatMap(([one, a], at) => texts.slice(at + 1).filter(([_, b]) =>
        a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 4 && b.top < a.bottom - 4
    ).map(([other]) => `${one} and ${other}`));
})"""
CONTRAST = """(() => {
    const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
    const rgb = color => {
        canvas.fillStyle = color;
        canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3).map(each => {
            const part = each / 255;
            return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
        });
    };
    const light = color => { const [r, g, b] = rgb(color); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
    const style = getComputedStyle(document.documentElement);
    const color = name => style.getPropertyValue(name).trim();
    const ratio = (a, b) => {
        const [low, high] = [light(color(a)), light(color(b))].sort((x, y) => x - y);
        return (high + 0.05) / (low + 0.05);
    };
    const texts = ["--ink", "--quiet"].map(name => [name, ratio(name, "--card"), 4.5]);
    const fills = ["--plain", "--success", "--error", "--abandoned", "--ended"]
        .map(name => [name, ratio(name, "--card"), 3]);
    return [...texts, ...fills].filter(([_, found, least]) => found < least);
})()"""


class Seen(NamedTuple):
    """A page in the browser, and how it was asked for."""

    browser: Browser
    url: str


@pytest.fixture(name="seen", scope="module")
def _seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    """The page of some days with texts that want to be more than that, and a browser to see it in."""
    folder = tmp_path_factory.mktemp("browser")
    file = folder / "page.html"
    file.write_text(made(), encoding="utf-8")
    with browsing(folder / "profile") as browser:
        yield Seen(browser, file.as_uri())


def made() -> str:
    options: dict[str, Any] = {"detect_user": False, "idle_timeout": 1e7, "max_duration": 1e8, "redact": str}
    with record_sessions(pseudonym_key="k" * 32, **options) as recorded:
        for number in range(120):
            chat = otel_sessions.start(f"type-{number % 13}", user=f"{HOSTILE}{number % 30}", tier="pro")
            recorded.advance(50 * 2 ** (number % 11))
            if number % 5 == 0:
                chat.error(ValueError(HOSTILE * 5))
            chat.end("error" if number % 5 == 0 else "cancelled" if number % 7 == 0 else "success")
        # So many at once that something is to be said of the health.
        for _ in range(40):
            chat = otel_sessions.start("type-0", user=HOSTILE, tier="pro")
            chat.error(ValueError(HOSTILE * 5))
            chat.end("error")
        return page(title=HOSTILE, days=None)


def opened(seen: Seen, *, width: int, scheme: str, media: str = "screen") -> Browser:
    seen.browser.open(seen.url, width=width, scheme=scheme, media=media)
    return seen.browser


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
class TestPageInBrowser:
    def test_it_is_quiet_and_whole(self, seen: Seen, width: int, scheme: str) -> None:
        """Nothing is asked for but the file, the console is empty, all plots show, and no part leaves the window."""
        browser = opened(seen, width=width, scheme=scheme)
        plots = browser.evaluate(PLOTS)
        assert [plot["name"] for plot in plots] == [
            "Sessions started and ended",
            "Status of the sessions that ended",
            "Duration",
            "Sessions started, by weekday and hour",
        ]
        assert all(plot["width"] > 250 and plot["height"] > 150 and plot["shapes"] > 3 for plot in plots), plots
        assert [] == browser.evaluate(OUTSIDE)
        assert [] == browser.evaluate(OVERLAPPING)
        assert width == browser.evaluate("document.documentElement.scrollWidth")
        assert HOSTILE[:-1] in browser.evaluate("document.querySelector('h1').textContent")
        assert [] == browser.messages
        assert [seen.url] == browser.requests

    def test_it_can_be_read(self, seen: Seen, width: int, scheme: str) -> None:
        """Its letters and columns stand out from their ground (WCAG 2.2, 1.4.3 and 1.4.11), in light and in dark."""
        browser = opened(seen, width=width, scheme=scheme)
        dark = browser.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(17, 22, 29)"
        assert dark == (scheme == "dark")
        assert [] == browser.evaluate(CONTRAST)
        # In pixels, on a phone too.
        sizes = browser.evaluate(
            "[...document.querySelectorAll('body *')].map(each => parseFloat(getComputedStyle(each).fontSize))"
        )
        assert min(sizes) >= 11


class TestPhone:
    @pytest.mark.parametrize("scheme", SCHEMES)
    def test_rows_are_blocks(self, seen: Seen, scheme: str) -> None:
        """All of a row is in the window, each cell beside its own heading."""
        tables = opened(seen, width=400, scheme=scheme).evaluate(RECORDS)
        assert [table["name"] for table in tables] == [
            "Health",
            "Longest session of each type",
            "Latest sessions that failed",
        ]
        assert {(table["hidden"], table["heads"]) for table in tables} == {(0, "none")}
        assert [table["named"] for table in tables] == [
            ['"severity"', '"check"', '"value"', '"threshold"', '"what to do"'],
            ['"type"', '"duration"', '"session"'],
            ['"ended"', '"type"', '"end reason"', '"duration"', '"user"', '"error"', '"session"'],
        ]

    def test_rows_are_rows_where_there_is_room(self, seen: Seen) -> None:
        """The headings are above the columns, once."""
        tables = opened(seen, width=1200, scheme="light").evaluate(RECORDS)
        assert {table["heads"] for table in tables} == {"table-header-group"}
        assert {name for table in tables for name in table["named"]} == {"none"}


class TestPaper:
    def test_it_is_light(self, seen: Seen) -> None:
        """A page is printed on white, without what can only be clicked at."""
        browser = opened(seen, width=800, scheme="dark", media="print")
        assert (
            browser.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--card').trim()")
            == "#ffffff"
        )
        assert browser.evaluate("getComputedStyle(document.querySelector('details')).display") == "none"
        assert [] == browser.evaluate(OUTSIDE)


class TestBrowser:
    def test_a_policy_that_is_broken_is_seen(self, seen: Seen, tmp_path: Path) -> None:
        """What the other tests find absent, this browser would report: an image, a script, a request."""
        file = tmp_path / "bad.html"
        text = made().replace("<main>", "<main><img src='http://127.0.0.1:9/x'/><script>console.log(1)</script>")
        file.write_text(text, encoding="utf-8")
        seen.browser.open(file.as_uri(), width=800, scheme="light")
        assert len(seen.browser.messages) == 2
        file.write_text(text.replace("Content-Security-Policy", "None"), encoding="utf-8")
        seen.browser.open(file.as_uri(), width=800, scheme="light")
        assert seen.browser.requests == [file.as_uri(), "http://127.0.0.1:9/x"]
        assert "Runtime.consoleAPICalled" in str(seen.browser.messages)
