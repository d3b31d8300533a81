"""Whether all of a stack that runs is there, and answers what the dashboards ask: `python -m tests.stack`.

What `docker compose up` starts is asked through Grafana, as a browser would:

    python -m tests.stack --grafana http://localhost:3000

Without a Grafana the others are asked themselves: `--prometheus`, `--tempo` and `--loki` with their addresses.
Loki alone has to take the queries, and need not find anything: of which sessions, Tempo says.
"""

from __future__ import annotations

import argparse
import base64
import json
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from monitoring.dashboards.targets import VALUES, Target, interpolate, targets
from monitoring.promql import count, name

from otel_sessions import _semconv as sc

from .monitoring.boards import committed

_SERIES: Final = {name(sc.STARTS), name(sc.ACTIVE), name(sc.UP), count(sc.DURATION)}
# What has to be found as soon as there is a session; the rest asks for what need not have happened.
_FOUND: Final = {"Latest sessions", "Session", "Traces and spans", "Logs", "Log records"}


class Source(NamedTuple):
    """Where a server, or Grafana in its place, is asked."""

    url: str
    credential: str = ""

    def ask(self, path: str, **parameters: str) -> Any:
        """The JSON that it answers.

        Raises:
            urllib.error.URLError: It does not answer, or not with success.
        """
        request = urllib.request.Request(f"{self.url}{path}?{urllib.parse.urlencode(parameters)}")
        if self.credential:
            request.add_header("Authorization", f"Basic {base64.b64encode(self.credential.encode()).decode()}")
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)

    def behind(self, uid: str) -> Source:
        """A data source of Grafana, through it."""
        return Source(f"{self.url}/api/datasources/proxy/uid/{uid}", self.credential)


class Stack:
    """What runs. A check says what is wrong, a line for each; nothing if all is well."""

    def __init__(self, grafana: Source | None, sources: Mapping[str, Source]) -> None:
        self.grafana = grafana
        self.sources = sources
        self.asked = [target for board in committed().values() for target in targets(board)]
        self.session = ""

    def checks(self) -> Iterator[tuple[str, Callable[[], Iterator[str]]]]:
        """All of them, with what each of them is about; the sessions' first, which later ones ask for."""
        if self.grafana is not None:
            yield "dashboards", self.dashboards
            yield "data sources", self.data_sources
        if "prometheus" in self.sources:
            yield "series", self.series
            yield "rules and targets", self.rules
            yield "queries of Prometheus", self.metrics
        if "tempo" in self.sources:
            yield "queries of Tempo", self.traces
        if "loki" in self.sources:
            yield "queries of Loki", self.logs

    def dashboards(self) -> Iterator[str]:
        """Grafana has all of them."""
        assert self.grafana is not None
        held = {board["uid"] for board in self.grafana.ask("/api/search", type="dash-db")}
        for board in committed().values():
            if board["uid"] not in held:
                yield f"Grafana has no dashboard {board['uid']}"

    def data_sources(self) -> Iterator[str]:
        """Grafana reaches them."""
        assert self.grafana is not None
        for uid in ("prometheus", "tempo", "loki"):
            health = self.grafana.ask(f"/api/datasources/uid/{uid}/health")
            if health.get("status") != "OK":
                yield f"{uid}: {health}"

    def series(self) -> Iterator[str]:
        """The sessions' metrics have arrived."""
        names = set(self.sources["prometheus"].ask("/api/v1/label/__name__/values")["data"])
        yield from (f"Prometheus has no {each}" for each in sorted(_SERIES - names))

    def rules(self) -> Iterator[str]:
        """Every rule can be evaluated, every target is scraped."""
        prometheus = self.sources["prometheus"]
        for group in prometheus.ask("/api/v1/rules")["data"]["groups"]:
            for rule in group["rules"]:
                if rule["health"] != "ok":
                    yield f"{rule['name']} is {rule['health']}: {rule.get('lastError', '')}"
        for target in prometheus.ask("/api/v1/targets", state="active")["data"]["activeTargets"]:
            if target["health"] != "up":
                yield f"{target['scrapeUrl']} is {target['health']}: {target['lastError']}"

    def metrics(self) -> Iterator[str]:
        """It takes every query of every panel."""
        yield from self._answered("prometheus", self._metrics)

    def traces(self) -> Iterator[str]:
        """It takes every query, and finds sessions; one of them is what other queries ask for."""
        if not self.session:
            [latest] = [each for each in self.asked if each.panel == "Latest sessions"]
            self.session = next(_sessions(self._traces(interpolate(latest.expression))), "")
        yield from self._answered("tempo", self._traces)

    def logs(self) -> Iterator[str]:
        """It takes every query, and finds what was logged in a session, if there is a Tempo that knows one."""
        yield from self._answered("loki", self._logs)

    def _answered(self, kind: str, ask: Callable[[str], list[Any]]) -> Iterator[str]:
        values = {**VALUES, "session_id": self.session or VALUES["session_id"]}
        for target in self.asked:
            if target.kind == kind:
                # Without a Tempo nobody says which sessions there are.
                found = target.panel in _FOUND and "tempo" in self.sources
                yield from _problems(target, interpolate(target.expression, values), ask, found=found)

    def _metrics(self, query: str) -> list[Any]:
        return list(self.sources["prometheus"].ask("/api/v1/query", query=query)["data"]["result"])

    def _traces(self, query: str) -> list[Any]:
        now = int(time.time())
        found = self.sources["tempo"].ask("/api/search", q=query, start=str(now - 3600), end=str(now + 60))
        return list(found.get("traces") or [])

    def _logs(self, query: str) -> list[Any]:
        now = time.time_ns()
        return list(
            self.sources["loki"].ask(
                "/loki/api/v1/query_range", query=query, start=str(now - 3_600_000_000_000), end=str(now)
            )["data"]["result"]
        )


def _problems(target: Target, query: str, ask: Callable[[str], list[Any]], *, found: bool) -> Iterator[str]:
    """What is wrong with the answer, which has to hold something if it is to be `found`."""
    try:
        answer = ask(query)
    except urllib.error.HTTPError as refusal:
        yield f"panel {target.panel!r}: {refusal.code} {refusal.read().decode(errors='replace').strip()}: {query}"
    else:
        if found and not answer:
            yield f"panel {target.panel!r} finds nothing: {query}"


def _sessions(traces: list[Any]) -> Iterator[str]:
    for trace in traces:
        for spans in trace.get("spanSets", []):
            for span in spans["spans"]:
                for attribute in span.get("attributes", []):
                    if attribute["key"] == "session.id":
                        yield attribute["value"]["stringValue"]


def _wrong(check: Callable[[], Iterator[str]], deadline: float) -> list[str]:
    """What is still wrong when the time is over."""
    while True:
        try:
            found = list(check())
        except (OSError, ValueError, KeyError) as failure:
            found = [f"{type(failure).__name__}: {failure}"]
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(2)


def main() -> int:
    """Ask for everything, for as long as it may take to be there; 1 if something is wrong at the end."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.stack", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--grafana", help="its address; the others are asked through it")
    parser.add_argument("--user", default="admin:admin", help="name and password, for Grafana; default: %(default)s")
    for each in ("prometheus", "tempo", "loki"):
        parser.add_argument(f"--{each}", help="its address, to ask it itself")
    parser.add_argument("--minutes", type=float, default=5, help="how long it may take; default: %(default)g")
    told = parser.parse_args()
    grafana = Source(told.grafana.rstrip("/"), told.user) if told.grafana else None
    sources = {each: grafana.behind(each) for each in ("prometheus", "tempo", "loki")} if grafana else {}
    sources |= {
        each: Source(url.rstrip("/")) for each in ("prometheus", "tempo", "loki") if (url := getattr(told, each))
    }
    if not sources:
        parser.error("whom to ask? --grafana, or --prometheus, --tempo and --loki, with their addresses")
    deadline = time.monotonic() + told.minutes * 60
    failed = False
    for about, check in Stack(grafana, sources).checks():
        wrong = _wrong(check, deadline)
        print(f"{'WRONG' if wrong else 'ok'}: {about}", *wrong, sep="\n  ", flush=True)
        failed = failed or bool(wrong)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
