"""Every name, unit, description and bucket of this package's telemetry, once.

Instruments, documentation, dashboards and alert rules all take their names from here. Names under `session.` are
OpenTelemetry's own (https://opentelemetry.io/docs/specs/semconv/general/session/); ours live under `app_session.`,
because an existing namespace must not be extended.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

SCOPE_NAME: Final = "otel_sessions"
SCHEMA_URL: Final = "https://otel-sessions.dev/schemas/0.1.0-dev"

# Attributes that OpenTelemetry defines. Spelt out rather than imported: the incubating constants are unstable modules,
# and importing them would make `import otel_sessions` heavier.
SESSION_ID: Final = "session.id"
SESSION_PREVIOUS_ID: Final = "session.previous_id"
ENDUSER_PSEUDO_ID: Final = "enduser.pseudo.id"
ERROR_TYPE: Final = "error.type"
EXCEPTION_TYPE: Final = "exception.type"
EXCEPTION_MESSAGE: Final = "exception.message"
EXCEPTION_STACKTRACE: Final = "exception.stacktrace"
GEN_AI_REQUEST_MODEL: Final = "gen_ai.request.model"
GEN_AI_TOKEN_TYPE: Final = "gen_ai.token.type"  # noqa: S105 - an attribute name, not a credential

# Ours.
TYPE: Final = "app_session.type"
TIER: Final = "app_session.tier"
STATUS: Final = "app_session.status"
END_REASON: Final = "app_session.end_reason"
ROTATION_REASON: Final = "app_session.rotation.reason"
TOPOLOGY: Final = "app_session.topology"
PLATFORM: Final = "app_session.platform"
PARENT_ID: Final = "app_session.parent.id"
PART_NUMBER: Final = "app_session.part.number"
REQUEST_COUNT: Final = "app_session.request.count"
EVENT_COUNT: Final = "app_session.event.count"
EVENT_DROPPED_COUNT: Final = "app_session.event.dropped.count"
ERROR_COUNT: Final = "app_session.error.count"
TURN_COUNT: Final = "app_session.turn.count"
MESSAGE_COUNT: Final = "app_session.message.count"
TURN_MEAN_DURATION: Final = "app_session.turn.mean_duration"
USAGE_PREFIX: Final = "app_session.usage."
COST_AMOUNT: Final = "app_session.cost.amount"
COST_CURRENCY: Final = "app_session.cost.currency"
EVENT_NAME: Final = "app_session.event.name"
EVENT_MESSAGE: Final = "app_session.event.message"
MESSAGE_ROLE: Final = "app_session.message.role"
LIMIT_KIND: Final = "app_session.limit.kind"
LIMIT_NAME: Final = "app_session.limit.name"
LIMIT_RESULT: Final = "app_session.limit.result"
LIMIT_WINDOW: Final = "app_session.limit.window"
LIMIT_SCOPE: Final = "app_session.limit.scope"
LIMIT_AMOUNT: Final = "app_session.limit.amount"
LIMIT_USED: Final = "app_session.limit.used"
LIMIT_CAPACITY: Final = "app_session.limit.capacity"
LIMIT_THRESHOLD: Final = "app_session.limit.threshold"
LIMIT_SHADOW: Final = "app_session.limit.shadow"
OPERATION: Final = "app_session.operation.name"
QUOTA_BAND: Final = "app_session.quota.band"
FINDING_KIND: Final = "app_session.finding.kind"
FINDING_SCORE: Final = "app_session.finding.score"
FINDING_SEVERITY: Final = "app_session.finding.severity"
PLATFORM_FROM: Final = "app_session.platform_switch.from"
PLATFORM_TO: Final = "app_session.platform_switch.to"
ACCESS_FAILURE_REASON: Final = "app_session.access_failure.reason"
ACCESS_RESOURCE: Final = "app_session.access.resource"
ACCESS_ROLE: Final = "app_session.access.role"
ACCESS_RESULT: Final = "app_session.access.result"
ACCESS_SESSION_ID: Final = "app_session.access.session.id"
STORE: Final = "app_session.store.name"
STORE_OPERATION: Final = "app_session.store.operation.name"
CONFIG_PREFIX: Final = "app_session.config."
DROP_REASON: Final = "app_session.drop.reason"
ALERT_TYPE: Final = "app_session.alert.type"
ALERT_COMPONENT: Final = "app_session.alert.component"
ALERT_VALUE: Final = "app_session.alert.value"
ALERT_THRESHOLD: Final = "app_session.alert.threshold"
ALERT_SUBJECT: Final = "app_session.alert.subject"
ALERT_RESOLVED: Final = "app_session.alert.resolved"


class Drop:
    """The values of `DROP_REASON`: why something had to be dropped."""

    INTERNAL_ERROR: Final = "internal_error"
    INVALID_ATTRIBUTE: Final = "invalid_attribute"
    ATTRIBUTE_LIMIT: Final = "attribute_limit"
    OWN_METRIC_LIMIT: Final = "own_metric_limit"
    SESSION_ENDED: Final = "session_ended"
    STORE_UNAVAILABLE: Final = "store_unavailable"
    HOOKS_BEHIND: Final = "hooks_behind"


# Events. The first two are OpenTelemetry's, exactly.
EVENT_SESSION_START: Final = "session.start"
EVENT_SESSION_END: Final = "session.end"
EVENT_EXCEPTION: Final = "exception"
EVENT_STARTUP: Final = "app_session.startup"
EVENT_ALERT: Final = "app_session.alert"
EVENT_ACCESS: Final = "app_session.access"
EVENT_PROGRESS: Final = "app_session.progress"
EVENT_PLATFORM_SWITCH: Final = "app_session.platform_switch"
EVENT_FINDING: Final = "app_session.finding"
EVENT_LIMIT_THRESHOLD: Final = "app_session.limit.threshold"
EVENT_LIMIT_REJECTED: Final = "app_session.limit.rejected"

BUILT_IN_EVENTS: Final = frozenset(
    {
        EVENT_EXCEPTION,
        EVENT_PROGRESS,
        EVENT_PLATFORM_SWITCH,
        EVENT_FINDING,
        EVENT_LIMIT_THRESHOLD,
        EVENT_LIMIT_REJECTED,
    },
)

OTHER: Final = "_OTHER"
"""What a metric attribute becomes when its own value would make the number of series unbounded (as in semconv)."""

Kind = Literal["counter", "histogram", "observable_gauge", "observable_up_down_counter"]

TURN_BUCKETS: Final = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0)
DURATION_BUCKETS: Final = (
    0.1, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 1800.0, 3600.0, 7200.0, 14400.0, 28800.0, 86400.0, 604800.0,
)  # fmt: skip
RATIO_BUCKETS: Final = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
STORE_BUCKETS: Final = (0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0)


class Metric(NamedTuple):
    """One instrument: all that is said of it anywhere."""

    name: str
    kind: Kind
    unit: str
    description: str
    attributes: tuple[str, ...]
    buckets: tuple[float, ...] | None = None

    @property
    def prometheus_name(self) -> str:
        """The name Prometheus gives it (classic translation: dots to underscores, unit and type as suffixes)."""
        suffix = {"s": "_seconds", "By": "_bytes"}.get(self.unit, "")
        total = "_total" if self.kind == "counter" else ""
        return self.name.replace(".", "_") + suffix + total


STARTS: Final = Metric("app_session.starts", "counter", "{session}", "Sessions started.", (TYPE, TIER))
ACTIVE: Final = Metric(
    "app_session.active",
    "observable_up_down_counter",
    "{session}",
    "Sessions open now, as the store counts them.",
    (TYPE, TIER),
)
USER_ACTIVE: Final = Metric(
    "app_session.user.active",
    "observable_gauge",
    "{session}",
    "Sessions open now of the user who has most of them.",
    (),
)
DURATION: Final = Metric(
    "app_session.duration",
    "histogram",
    "s",
    "How long sessions lasted, recorded when each ended.",
    (TYPE, STATUS, END_REASON),
    DURATION_BUCKETS,
)
REQUESTS: Final = Metric("app_session.requests", "counter", "{request}", "Requests made in sessions.", (TYPE,))
EVENTS: Final = Metric(
    "app_session.events",
    "counter",
    "{event}",
    "Events recorded in sessions; names that are not built in count as `_OTHER`.",
    (TYPE, EVENT_NAME),
)
ERRORS: Final = Metric("app_session.errors", "counter", "{error}", "Errors in sessions.", (TYPE, ERROR_TYPE))
TURN_DURATION: Final = Metric(
    "app_session.turn.duration",
    "histogram",
    "s",
    "Response time: from the user's message to the answer.",
    (TYPE, GEN_AI_REQUEST_MODEL),
    TURN_BUCKETS,
)
MESSAGES: Final = Metric(
    "app_session.messages",
    "counter",
    "{message}",
    "Messages exchanged in sessions.",
    (TYPE, MESSAGE_ROLE),
)
ENGAGEMENT_RATIO: Final = Metric(
    "app_session.engagement_ratio",
    "histogram",
    "1",
    "Active time over elapsed time of durable sessions, recorded when each ended.",
    (TYPE,),
    RATIO_BUCKETS,
)
TOKEN_USAGE: Final = Metric(
    "app_session.token.usage",
    "counter",
    "{token}",
    "Tokens consumed in sessions; types such as `cache_read` and `reasoning` are part of `input` and `output`.",
    (TYPE, GEN_AI_TOKEN_TYPE, GEN_AI_REQUEST_MODEL),
)
COST: Final = Metric(
    "app_session.cost",
    "counter",
    "{currency}",
    "Money spent in sessions, in the unit of the currency attribute.",
    (TYPE, COST_CURRENCY, GEN_AI_REQUEST_MODEL),
)
LIMIT_DECISIONS: Final = Metric(
    "app_session.limit.decisions",
    "counter",
    "{decision}",
    "What limits decided: `allowed`, `near_limit` (from 75 % on), `rejected`; `shadow_rejected` if not enforced.",
    (LIMIT_KIND, LIMIT_NAME, LIMIT_RESULT, TIER),
)
QUOTA_USAGE: Final = Metric(
    "app_session.quota.usage", "counter", "{unit}", "What sessions used of what has quotas.", (LIMIT_NAME, TIER)
)
QUOTA_LIMIT: Final = Metric(
    "app_session.quota.limit",
    "observable_gauge",
    "{unit}",
    "How much one actor may use.",
    (LIMIT_NAME, TIER, LIMIT_WINDOW, LIMIT_SCOPE),
)
QUOTA_UTILIZATION_RATIO: Final = Metric(
    "app_session.quota.utilization_ratio",
    "observable_gauge",
    "1",
    "The share of its quota that the actor has used who has used most of it.",
    (LIMIT_NAME, TIER, LIMIT_WINDOW, LIMIT_SCOPE),
)
QUOTA_ACTORS: Final = Metric(
    "app_session.quota.actors",
    "observable_gauge",
    "{actor}",
    "How many actors have used so much of their quota: `below` 75 %, `warning`, `critical` from 90 % on, `exhausted`.",
    (LIMIT_NAME, TIER, LIMIT_WINDOW, LIMIT_SCOPE, QUOTA_BAND),
)
QUOTA_TIME_TO_EXHAUSTION: Final = Metric(
    "app_session.quota.time_to_exhaustion",
    "observable_gauge",
    "s",
    "When the next actor will have used up its quota, at its present rate; absent if none will.",
    (LIMIT_NAME, TIER, LIMIT_WINDOW, LIMIT_SCOPE),
)
LEASE_ACTIVE: Final = Metric(
    "app_session.lease.active",
    "observable_up_down_counter",
    "{lease}",
    "Leases that this process holds.",
    (LIMIT_NAME, TIER),
)
LEASE_LIMIT: Final = Metric(
    "app_session.lease.limit", "observable_gauge", "{lease}", "How many leases one actor may hold.", (LIMIT_NAME, TIER)
)
PLATFORM_SWITCH_DURATION: Final = Metric(
    "app_session.platform_switch.duration",
    "histogram",
    "s",
    "How long switching a session to another platform took.",
    (PLATFORM_FROM, PLATFORM_TO),
    TURN_BUCKETS,
)
FINDINGS: Final = Metric(
    "app_session.findings",
    "counter",
    "{finding}",
    "Suspicious activity found in sessions.",
    (FINDING_KIND, FINDING_SEVERITY),
)
ACCESS_FAILURES: Final = Metric(
    "app_session.access_failures",
    "counter",
    "{attempt}",
    "Requests that were refused as unauthenticated (401) or forbidden (403).",
    (TYPE, ACCESS_FAILURE_REASON),
)
STORE_OPERATION_DURATION: Final = Metric(
    "app_session.store.operation.duration",
    "histogram",
    "s",
    "How long calls to the store took; `error.type` is set when one failed.",
    (STORE_OPERATION, STORE, ERROR_TYPE),
    STORE_BUCKETS,
)
STORE_PENDING: Final = Metric(
    "app_session.store.pending",
    "observable_gauge",
    "{delta}",
    "Sessions whose latest counts have not been merged into the store yet.",
    (STORE,),
)
DROPPED: Final = Metric(
    "app_session.dropped",
    "counter",
    "{record}",
    "What this library had to drop, and why.",
    (DROP_REASON,),
)
UP: Final = Metric("app_session.up", "observable_gauge", "{instance}", "1 while the library runs.", (STORE,))

METRICS: Final = (
    STARTS, ACTIVE, USER_ACTIVE, DURATION, REQUESTS, EVENTS, ERRORS, TURN_DURATION, MESSAGES, ENGAGEMENT_RATIO,
    TOKEN_USAGE, COST, LIMIT_DECISIONS, QUOTA_USAGE, QUOTA_LIMIT, QUOTA_UTILIZATION_RATIO, QUOTA_ACTORS,
    QUOTA_TIME_TO_EXHAUSTION, LEASE_ACTIVE, LEASE_LIMIT, PLATFORM_SWITCH_DURATION, FINDINGS,
    ACCESS_FAILURES, STORE_OPERATION_DURATION, STORE_PENDING, DROPPED, UP,
)  # fmt: skip
