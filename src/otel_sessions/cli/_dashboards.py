"""`otel-sessions dashboards`: put the dashboards into a Grafana."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from ..version import __version__
from ._failure import Failure
from ._files import GRAFANA_URL, RUNBOOK_URL, Links, assets
from ._grafana import Grafana, basic, bearer
from ._output import AsJson, write_json
from ._verbs import Verbs

app = typer.Typer(help="The dashboards that come with the package.", cls=Verbs)


@app.callback()
def _group() -> None:
    # A group with one verb remains a group.
    pass


@app.command()
def install(
    *,
    grafana_url: Annotated[str, typer.Option(help="Where Grafana is.")] = GRAFANA_URL,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="GRAFANA_TOKEN", help="A token of a service account; rather by the variable.", metavar="TOKEN"
        ),
    ] = None,
    user: Annotated[str | None, typer.Option(help="A user instead; the password is asked for.")] = None,
    password: Annotated[str | None, typer.Option(envvar="GRAFANA_PASSWORD", hidden=True)] = None,
    folder: Annotated[str, typer.Option(help="The title of the folder; made if there is none.")] = "Sessions",
    runbook_url: Annotated[str, typer.Option(help="Where links to the runbook lead.")] = RUNBOOK_URL,
    overwrite: Annotated[bool, typer.Option(help="Replace what stands there of the same uid.")] = True,
    as_json: AsJson = False,
) -> None:
    """Put the dashboards into Grafana, through its HTTP API.

    For example: GRAFANA_TOKEN=... otel-sessions dashboards install --grafana-url https://grafana.example.com
    """
    grafana = Grafana(grafana_url, _authorization(token, user, password))
    found = [
        json.loads(asset.content)
        for asset in assets(["grafana"], Links(grafana_url, runbook_url))
        if asset.path.parts[1] == "dashboards" and asset.path.suffix == ".json"
    ]
    if not found:
        raise Failure("this installation has no dashboards")
    uid = grafana.folder(folder)
    saved = []
    for dashboard in found:
        address = grafana.save(dashboard, uid, overwrite=overwrite, message=f"otel-sessions {__version__}")
        saved.append({"uid": dashboard["uid"], "title": dashboard["title"], "url": address})
        if not as_json:
            typer.echo(f"{dashboard['title']}: {address}")
    if as_json:
        write_json({"folder": folder, "dashboards": saved})


def _authorization(token: str | None, user: str | None, password: str | None) -> str | None:
    if user is not None:
        # A token that happens to be in the environment gives way to what was asked for.
        return basic(user, password or typer.prompt(f"Password of {user}", hide_input=True, err=True))
    return None if token is None else bearer(token)
