"""`otel-sessions assets`: write the files that come with the package into a folder."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from ._failure import Failure
from ._files import GRAFANA_URL, PARTS, RUNBOOK_URL, Asset, Links, assets, needed
from ._output import AsJson, plain, write_json

Part = Enum("Part", {part: part for part in PARTS}, type=str)  # type: ignore[misc]  # typer shows them as choices


def write(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to write; made if it is not there.")],
    *,
    only: Annotated[
        list[Part] | None,
        typer.Option(help="One part; may be given several times. compose brings of the others what is missing."),
    ] = None,
    grafana_url: Annotated[str, typer.Option(help="Where links to dashboards lead.")] = GRAFANA_URL,
    runbook_url: Annotated[str, typer.Option(help="Where links to the runbook lead.")] = RUNBOOK_URL,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that are different.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write the configurations, rules and dashboards into a folder.

    If a file is there already, and different, nothing is written at all, unless --force is given.

    For example: otel-sessions assets monitoring --only prometheus --grafana-url https://grafana.example.com
    """
    parts = [part.value for part in only] if only else PARTS
    links = Links(grafana_url, runbook_url)
    written, same = _write(folder, assets(parts, links), beside=assets(needed(parts), links), force=force)
    if as_json:
        write_json(
            {"written": [str(folder / path) for path in written], "unchanged": [str(folder / path) for path in same]}
        )
        return
    for path in written:
        typer.echo(f"written   {plain(folder / path)}")
    for path in same:
        typer.echo(f"unchanged {plain(folder / path)}")


def _write(
    folder: Path, found: Iterable[Asset], *, beside: Iterable[Asset], force: bool
) -> tuple[list[Path], list[Path]]:
    """Write what is not there yet; returns what was written, and what was there.

    Of what goes `beside` it, what is there is left as it is.
    """
    try:
        missing = [asset for asset in beside if not (folder / asset.path).exists()]
        standing = {asset: _content(folder / asset.path) for asset in [*found, *missing]}
        different = [asset.path for asset, content in standing.items() if content not in {None, asset.content}]
        if different and not force:
            names = "\n".join(f"  {folder / path}" for path in different)
            raise Failure(f"these files are different, nothing was written; --force overwrites them:\n{names}")
        new = [asset for asset, content in standing.items() if content != asset.content]
        for asset in new:
            (folder / asset.path).parent.mkdir(parents=True, exist_ok=True)
            (folder / asset.path).write_bytes(asset.content)
    except OSError as error:
        raise Failure(f"{error.filename or folder}: {error.strerror}") from error
    written = [asset.path for asset in new]
    return written, [asset.path for asset in standing if asset not in new]


def _content(path: Path) -> bytes | None:
    """What is in a file; None if there is none."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
