"""The files that come with the package: configurations, rules, dashboards, compose."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from ..version import __version__
from ._failure import Failure

PARTS: Final = ("collector-config", "prometheus", "grafana", "compose")
_FILES: Final[Mapping[str, tuple[str, ...]]] = {
    "collector-config": ("collector-config/*.yaml", "collector-config/*.md", "collector-config/go.*"),
    "prometheus": ("prometheus/*.yaml", "prometheus/rules/*.yaml"),
    "grafana": (
        "grafana/*.md",
        "grafana/dashboards/*.json",
        "grafana/provisioning/*/*.yaml",
        "grafana/provisioning/*/*.md",
        "grafana/alerting/*.yaml",
    ),
    "compose": ("compose.yaml", "compose.lgtm.yaml", "compose/*.yaml", "compose/demo.Dockerfile*"),
}
"""What belongs to each part; who runs a collector or a Prometheus in these folders leaves other files there."""

_PACKAGE: Final = Path(__file__).parents[1]
_INSTALLED: Final = _PACKAGE / "_assets"
_CHECKOUT: Final = _PACKAGE.parents[1]

GRAFANA_URL: Final = "http://localhost:3000"
RUNBOOK_URL: Final = "https://github.com/otel-sessions/otel-sessions/blob/main/docs/runbook.md"
"""With which the links in rules and dashboards begin."""

_DOCS_URL: Final = "https://github.com/otel-sessions/otel-sessions/blob/main/docs/"
_TO_DOCS: Final = re.compile(r"(?<=\]\()\.\./docs/")
"""The documentation, as pages link to it that stand beside it in a checkout."""
_DOCS: Final = re.compile(r"(?<![\w/])docs/(?=[\w-]+\.md)")
"""The documentation, as comments name it."""

_LINKED: Final = ("prometheus", "grafana")
_FROM_CHECKOUT: Final = "${OTEL_SESSIONS_PACKAGE:-.[fastapi,redis,genai]}"
_FROM_REGISTRY: Final = f"${{OTEL_SESSIONS_PACKAGE:-otel-sessions[fastapi,redis,genai]=={__version__}}}"


class Asset(NamedTuple):
    """A file: where it goes, and what is in it."""

    path: Path
    content: bytes


class Links(NamedTuple):
    """Where the links in rules, dashboards and pages lead."""

    grafana: str = GRAFANA_URL
    runbook: str = RUNBOOK_URL

    def put_into(self, path: Path, text: str) -> str:
        """The text of the file at `path` with these in place of those that it has."""
        if path.parts[0] in _LINKED:
            text = text.replace(f"{GRAFANA_URL}/", f"{self.grafana.rstrip('/')}/")
        # The documentation is not written beside the files.
        away = (_TO_DOCS if path.suffix == ".md" else _DOCS).sub(_DOCS_URL, text)
        return away.replace(RUNBOOK_URL, self.runbook)


def needed(parts: Iterable[str]) -> tuple[str, ...]:
    """The parts without which those are of no use: containers mount the folders of all others."""
    return tuple(part for part in PARTS if part not in parts) if "compose" in parts else ()


def assets(parts: Iterable[str] = PARTS, links: Links | None = None) -> Iterator[Asset]:
    """The files of those parts.

    Raises:
        Failure: they did not come with this installation.
    """
    root = _root()
    for part in parts:
        for path in files_of(part, root):
            relative = path.relative_to(root)
            yield Asset(relative, _fitted(relative, path.read_bytes(), links or Links()))


def files_of(part: str, root: Path) -> list[Path]:
    """The files of a part, below the folder in which all parts are; nothing that is not ours."""
    return sorted(path for pattern in _FILES[part] for path in root.glob(pattern) if path.is_file())


def _root() -> Path:
    """The folder of the files in the installed wheel, else the checkout."""
    for folder in (_INSTALLED, _CHECKOUT):
        if (folder / "compose.yaml").is_file():
            return folder
    raise Failure(f"this installation has no files to write: neither {_INSTALLED} nor {_CHECKOUT} holds them")


def _fitted(path: Path, content: bytes, links: Links) -> bytes:
    """What is written: with links that lead somewhere, and a demo that needs no checkout."""
    text = content.decode("utf-8").replace(_FROM_CHECKOUT, _FROM_REGISTRY)
    return links.put_into(path, text).encode("utf-8")
