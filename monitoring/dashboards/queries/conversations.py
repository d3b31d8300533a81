"""Conversations: response time, messages, tokens, cost, engagement."""

from __future__ import annotations

from otel_sessions import _semconv as sc

from ...promql import bucket, count, label, name
from ._build import SESSIONS, WINDOW, grown, highest, lowest, of, per_minute, quantile, top

_TURNS = count(sc.TURN_DURATION)
_BUCKET = bucket(sc.TURN_DURATION)
_RECENT = of("app_session:turn_duration_seconds_bucket:increase5m", *SESSIONS)
_P95 = of("app_session:turn_duration_seconds:p95_5m", *SESSIONS)
_MODEL = (*SESSIONS, f'{label(sc.GEN_AI_REQUEST_MODEL)}!=""')
_WHOLE = (*SESSIONS, f'{label(sc.GEN_AI_TOKEN_TYPE)}=~"input|output"')
"""Tokens of other types are a part of these: adding them would count them twice."""

RESPONSES = grown(_BUCKET, "le", where=SESSIONS, window=WINDOW)
P50, P99 = (f"max (histogram_quantile({rank}, {_RECENT})) >= 0" for rank in (0.5, 0.99))
P95 = f"max ({_P95})"
MEAN = highest("app_session:turn_duration_seconds:mean_5m", where=SESSIONS)
SLOWEST = highest("app_session:turn_duration_seconds:max_5m", where=SESSIONS)
P95_LOW = highest("app_session:turn_duration_seconds:usual_low", where=SESSIONS)
P95_MEAN = highest("app_session:turn_duration_seconds:mean26h", where=SESSIONS)
P95_HIGH = highest("app_session:turn_duration_seconds:usual_high", where=SESSIONS)
P95_SINCE_DAY, P95_SINCE_WEEK = (
    f"max ({_P95} / (avg_over_time({_P95}[1h] offset {before}) > 0))" for before in ("1d", "7d")
)
P95_BY_MODEL = quantile(0.95, _BUCKET, sc.GEN_AI_REQUEST_MODEL, where=_MODEL)

TURNS = f"sum ({of('app_session:turns:increase5m', *SESSIONS)}) / 5"
TURNS_BY_MODEL = per_minute(_TURNS, sc.GEN_AI_REQUEST_MODEL, where=_MODEL)
MESSAGES = per_minute(name(sc.MESSAGES), where=SESSIONS)
MESSAGES_BY_ROLE = per_minute(name(sc.MESSAGES), sc.MESSAGE_ROLE, where=SESSIONS)

TOKENS_BY_TYPE = per_minute(name(sc.TOKEN_USAGE), sc.GEN_AI_TOKEN_TYPE, where=SESSIONS)
TOKENS_BY_MODEL = top(per_minute(name(sc.TOKEN_USAGE), sc.GEN_AI_REQUEST_MODEL, where=_WHOLE))
TOKENS_PER_MESSAGE = f"{grown(name(sc.TOKEN_USAGE), where=_WHOLE)} / ({grown(name(sc.MESSAGES), where=SESSIONS)} > 0)"
TOKENS_PER_MESSAGE_BY_TYPE = (
    f"{grown(name(sc.TOKEN_USAGE), sc.TYPE, where=_WHOLE, window=WINDOW)}"
    f" / ({grown(name(sc.MESSAGES), sc.TYPE, where=SESSIONS, window=WINDOW)} > 0)"
)

COST = grown(name(sc.COST), sc.COST_CURRENCY, where=SESSIONS)
COST_BY_MODEL = top(f"60 * {per_minute(name(sc.COST), sc.GEN_AI_REQUEST_MODEL, sc.COST_CURRENCY, where=SESSIONS)}")

ENGAGEMENT = lowest("app_session:engagement_ratio:mean_1h", sc.TYPE, where=SESSIONS)
