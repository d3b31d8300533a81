"""Draw `docs/images/demo.svg`: run the demo and draw what it prints, the long list of metrics cut short.

`python docs/picture.py`
"""
# ruff: noqa: S603 - it runs this project's own demo

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

PICTURE: Final = Path(__file__).parent / "images" / "demo.svg"

_COLUMNS: Final = 100
_COLUMN_WIDTH: Final = 8.43  # of the usual monospaced fonts, at this size
_FONT_SIZE: Final = 14
_LINE_HEIGHT: Final = 19
_MARGIN: Final = 20
_METRIC_LINES: Final = 10
_STYLED: Final = re.compile(r"\033\[(?P<code>[\d;]+)m(?P<text>.*?)\033\[0m")
_COLOURS: Final = {"1": "#ffffff", "2": "#8b98a9", "32": "#5fd38d", "31;1": "#ff6b6b"}


def demo() -> list[str]:
    """What the demo prints on a terminal."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    command = [sys.executable, "-m", "otel_sessions.demo"]
    done = subprocess.run(
        command, env={**environment, "FORCE_COLOR": "1"}, check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout.splitlines()


def shortened(lines: list[str]) -> Iterator[str]:
    """The lines without the later metrics and the closing hint."""
    in_metrics = 0
    for line in lines[:-2]:
        in_metrics = 1 if "Metrics:" in line else 0 if not line else in_metrics and in_metrics + 1
        if in_metrics <= _METRIC_LINES:
            yield line
        elif in_metrics == _METRIC_LINES + 1:
            yield "  ..."


def drawn(lines: list[str]) -> str:
    """An SVG of the lines, as on a dark terminal."""
    width = round(_COLUMNS * _COLUMN_WIDTH) + 2 * _MARGIN
    height = len(lines) * _LINE_HEIGHT + 2 * _MARGIN
    rows = "\n".join(
        f'<text x="{_MARGIN}" y="{_MARGIN + (number + 1) * _LINE_HEIGHT - 5}">{_spans(line)}</text>'
        for number, line in enumerate(lines)
        if line
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">\n'
        "<title>What the demo prints</title>\n"
        f'<rect width="{width}" height="{height}" rx="8" fill="#10151c"/>\n'
        f'<g xml:space="preserve" fill="#d5dde6" font-size="{_FONT_SIZE}" '
        "font-family=\"ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace\">\n"
        f"{rows}\n</g>\n</svg>\n"
    )


def _spans(line: str) -> str:
    parts = []
    end = 0
    for found in _STYLED.finditer(line):
        parts.append(escape(line[end : found.start()]))
        parts.append(f'<tspan fill="{_COLOURS[found["code"]]}">{escape(found["text"])}</tspan>')
        end = found.end()
    return "".join([*parts, escape(line[end:])])


if __name__ == "__main__":
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(drawn(["$ make demo", *shortened(demo())]), encoding="utf-8")
