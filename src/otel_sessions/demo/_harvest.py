"""What the receiver decoded, as the demo looks at it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from .. import _semconv as sc
from ..testing import ReceivedLog, ReceivedPoint, ReceivedSpan
from ._scenarios import Outcome

SERVER: Final = 2
"""The kind of a span that stands for a request served (`SPAN_KIND_SERVER` in OTLP)."""


@dataclass(frozen=True, slots=True)
class Series:
    """One series of a metric, summed over the programs that sent it; `count` is a histogram's."""

    labels: tuple[str, ...]
    value: float
    count: int


class Moment(NamedTuple):
    """Something that happened in a session."""

    time_ns: int
    what: str
    attributes: Mapping[str, object]


class Harvest:
    """Everything received up to one moment."""

    def __init__(
        self, spans: Sequence[ReceivedSpan], logs: Sequence[ReceivedLog], points: Sequence[ReceivedPoint]
    ) -> None:
        own = (span for span in spans if sc.TOPOLOGY in span.attributes)
        self.sessions = sorted(own, key=lambda span: (program(span), span.start_ns))
        """The spans of sessions, by program, oldest first."""
        self._others = [span for span in spans if sc.TOPOLOGY not in span.attributes]
        self._logs = logs
        self.points = _latest(points)
        """The last point of every series of every program."""

    def outcomes(self, service: str) -> Counter[Outcome]:
        """How the sessions of one program ended."""
        return Counter(
            (str(span.attributes[sc.TYPE]), str(span.attributes[sc.STATUS]), str(span.attributes[sc.END_REASON]))
            for span in self.sessions
            if program(span) == service
        )

    def requests(self, service: str) -> list[ReceivedSpan]:
        """The spans of the requests that one program served."""
        return [span for span in self._others if span.kind == SERVER and program(span) == service]

    def children(self, session: ReceivedSpan) -> list[ReceivedSpan]:
        """The spans in the trace of a session, besides its own."""
        return [span for span in self._others if span.trace_id == session.trace_id]

    def events(self, session: ReceivedSpan) -> list[ReceivedLog]:
        """The log events of a session, oldest first."""
        of_session = (
            log for log in self._logs if log.attributes.get(sc.SESSION_ID) == session.attributes[sc.SESSION_ID]
        )
        return sorted((log for log in of_session if log.event_name), key=lambda log: log.time_ns)

    def timeline(self, session: ReceivedSpan) -> list[Moment]:
        """The events and the child spans of a session, oldest first."""
        events = [Moment(log.time_ns, log.event_name, _told(log)) for log in self.events(session)]
        spans = [
            Moment(span.start_ns, f"span {span.name}", {"duration": seconds(span.end_ns - span.start_ns)})
            for span in self.children(session)
        ]
        # Two things may happen at the same instant; what the session says of itself stands around the rest.
        order = {sc.EVENT_SESSION_START: 0, sc.EVENT_SESSION_END: 2}
        return sorted(events + spans, key=lambda moment: (moment.time_ns, order.get(moment.what, 1)))

    def most_eventful(self) -> ReceivedSpan | None:
        """The session in which most happened."""
        return max(self.sessions, key=lambda span: len(self.timeline(span)), default=None)

    @property
    def tells_processes_apart(self) -> bool:
        """Whether each process says which one it is: the SDK does since it gives `service.instance.id` by itself."""
        return all("service.instance.id" in point.resource for point in self.points)

    def series(self, metric: sc.Metric) -> list[Series]:
        """The series of a metric, summed over the programs."""
        values: defaultdict[tuple[str, ...], float] = defaultdict(float)
        counts: Counter[tuple[str, ...]] = Counter()
        for point in self.points:
            if point.name == metric.name:
                labels = tuple(str(point.attributes[key]) for key in metric.attributes if key in point.attributes)
                values[labels] += point.value
                counts[labels] += point.count
        return [Series(labels, values[labels], counts[labels]) for labels in sorted(values)]


def program(signal: ReceivedSpan | ReceivedLog | ReceivedPoint) -> str:
    """The service that sent it."""
    return str(signal.resource.get("service.name"))


def _process(point: ReceivedPoint) -> tuple[str, str]:
    """Which of the processes of a program sent it."""
    return program(point), str(point.resource.get("service.instance.id"))


def seconds(nanoseconds: int) -> str:
    """A duration for people."""
    return f"{nanoseconds / 1e9:.2f} s"


def _latest(points: Sequence[ReceivedPoint]) -> list[ReceivedPoint]:
    """Cumulative series come again with each export; the last one of each process counts."""
    last = {(*_process(point), point.name, frozenset(point.attributes.items())): point for point in points}
    return list(last.values())


_KNOWN: Final = frozenset({sc.SESSION_ID, sc.TYPE, sc.ENDUSER_PSEUDO_ID, sc.EXCEPTION_STACKTRACE, sc.EVENT_MESSAGE})


def _told(log: ReceivedLog) -> dict[str, object]:
    """What an event says beyond which session it belongs to; the summary of `session.end` is on the span too."""
    if log.event_name == sc.EVENT_SESSION_END:
        return {}
    message = {} if log.body is None else {"message": log.body}
    return {**message, **{key: value for key, value in log.attributes.items() if key not in _KNOWN}}
