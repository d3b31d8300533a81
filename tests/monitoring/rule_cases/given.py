"""What several cases are made of: labels, and series that behave in some way."""

from __future__ import annotations

from typing import Final

from monitoring import promql as pq

from otel_sessions import _semconv as sc

WEB: Final = 'job="shop/web", instance="a"'
TYPED: Final = f'{WEB}, app_session_type="chat"'
CHAT: Final = {"job": "shop/web", "app_session_type": "chat"}
SHOP: Final = {"job": "shop/web"}
QUOTA: Final = (
    'app_session_limit_name="tokens", app_session_tier="free", app_session_limit_window="day", '
    'app_session_limit_scope="user"'
)
TOKENS: Final = {
    "job": "shop/web",
    "app_session_limit_name": "tokens",
    "app_session_tier": "free",
    "app_session_limit_window": "day",
    "app_session_limit_scope": "user",
}
HOST: Final = {"job": "host", "instance": "box"}
BOX: Final = 'job="host", instance="box"'
DISK: Final = {**HOST, "device": "/dev/sda1"}
# A host of 16 GB, a quarter of which is used.
MEMORY: Final = {
    f'system_memory_usage_bytes{{{BOX}, state="used"}}': "4000000000x90",
    f'system_memory_utilization_ratio{{{BOX}, state="used"}}': "0.25x90",
}
COLLECTOR: Final = {"job": "otel-collector", "instance": "collector:8888"}
COLLECTORS: Final = 'job="otel-collector", instance="collector:8888"'
OWN_UP: Final = {f"up{{{COLLECTORS}}}": "1x90"}
TEMPO: Final = f'{COLLECTORS}, exporter="otlp_grpc/tempo"'
OF_TEMPO: Final = {**COLLECTOR, "exporter": "otlp_grpc/tempo"}

LIBRARY_UP: Final = f'{pq.name(sc.UP)}{{{WEB}, app_session_store_name="memory"}}'

# In minutes: more than a day, after which something changes, between two evaluations.
DAY: Final = 25 * 60 + 1
LONG: Final = 26 * 60 + 1
LONGER: Final = 27 * 60 + 1


def ended(status: str, reason: str, rate: int, minutes: int = 90) -> dict[str, str]:
    """Sessions that end, so many each minute."""
    name = pq.count(sc.DURATION)
    return {
        f'{name}{{{TYPED}, app_session_status="{status}", app_session_end_reason="{reason}"}}': f"0+{rate}x{minutes}"
    }


def observed(metric: sc.Metric, low: float, high: float | None, values: str, labels: str = TYPED) -> dict[str, str]:
    """A histogram whose observations all fall between two neighbouring buckets; `values` is how their number grows."""
    bounds = [f"{bound:g}" for bound in metric.buckets or () if bound > low] + ["+Inf"]
    none = [f"{bound:g}" for bound in metric.buckets or () if bound <= low]
    assert high is None or bounds[0] == f"{high:g}"
    quiet = "0x2000"
    return {
        **{f'{pq.bucket(metric)}{{{labels}, le="{bound}"}}': quiet for bound in none},
        **{f'{pq.bucket(metric)}{{{labels}, le="{bound}"}}': values for bound in bounds},
        f"{pq.count(metric)}{{{labels}}}": values,
    }


def changing(before: int, minutes: int, after: int) -> str:
    """A counter that grows by so much a minute, then by so much."""
    return f"0+{before}x{minutes} {before * minutes + after}+{after}x200"


def shifting(
    metric: sc.Metric, minutes: int, before: float, after: float, rate: int, *, idle: tuple[int, int] = (0, 0)
) -> dict[str, str]:
    """A histogram whose observations fall below one bound first, then between it and another one.

    While it is idle, from a minute on and for so many, there are none.
    """
    found: dict[str, str] = {}
    for bound in [*(metric.buckets or ()), float("inf")]:
        le = "+Inf" if bound == float("inf") else f"{bound:g}"
        if bound < before:
            values = "0x2000"
        elif bound < after:
            values = f"{_growing(rate, minutes, *idle)} {rate * (minutes - idle[1])}x200"
        else:
            values = _growing(rate, minutes + 200, *idle)
        found[f'{pq.bucket(metric)}{{{TYPED}, le="{le}"}}'] = values
    found[f"{pq.count(metric)}{{{TYPED}}}"] = _growing(rate, minutes + 200, *idle)
    return found


def _growing(rate: int, minutes: int, start: int, pause: int) -> str:
    """A counter that grows for so many minutes, but for a pause."""
    if not pause:
        return f"0+{rate}x{minutes}"
    after = minutes - start - pause
    return f"0+{rate}x{start} {rate * start}x{pause - 1} {rate * (start + 1)}+{rate}x{after - 1}"


def decided(kind: str, name: str, result: str, rate: int) -> dict[str, str]:
    labels = (
        f'{WEB}, app_session_limit_kind="{kind}", app_session_limit_name="{name}", '
        f'app_session_limit_result="{result}", app_session_tier="free"'
    )
    return {f"{pq.name(sc.LIMIT_DECISIONS)}{{{labels}}}": f"0+{rate}x90"}


def storage(
    used: str, free: str, utilization: str, *, mode: str = "rw", kind: str = "ext4", mountpoint: str = "/"
) -> dict[str, str]:
    """A file system, with how its numbers go on."""
    place = f'{BOX}, device="/dev/sda1", mode="{mode}", mountpoint="{mountpoint}", type="{kind}"'
    return {
        f'system_filesystem_usage_bytes{{{place}, state="used"}}': used,
        f'system_filesystem_usage_bytes{{{place}, state="free"}}': free,
        f"system_filesystem_utilization_ratio{{{place}}}": utilization,
    }
