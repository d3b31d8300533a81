"""Sessions as first-class OpenTelemetry signals.

::

    from otel_sessions import current_session, session

    @session("security_audit", user="admin@contoso.com")
    def audit():
        current_session().progress("Connecting", step=1)
"""

import typing as _typing

from ._api import active, configure, end, get, recover, resume, shutdown, start, sweep
from ._context import BoundExecutor, bind
from ._decorators import session
from ._hook_events import RejectionEvent, ThresholdEvent, UsageEvent
from ._hooks import Hook, on
from ._limited import limited
from ._limiting.lease import Lease
from ._limiting.status import QuotaStatus
from ._session import Session, current_session
from ._statistics import SessionStatistics
from ._turn import Turn
from .exceptions import (
    ConcurrencyExceededError,
    ConfigurationError,
    InvalidValueError,
    LimitExceededError,
    LimitUnknownError,
    MissingExtraError,
    QuotaExceededError,
    RateLimitedError,
    SessionNotFoundError,
    SessionsError,
    StoreError,
)
from .version import __version__

if _typing.TYPE_CHECKING:
    from .reports import (
        Analytics,
        HealthAlert,
        HealthCheck,
        HealthReport,
        History,
        Statistics,
        UsageEntry,
        alerts,
        cleanup,
        export,
        health,
        history,
        statistics,
        system_analytics,
        usage_history,
        user_analytics,
    )

__all__ = [
    "Analytics",
    "BoundExecutor",
    "ConcurrencyExceededError",
    "ConfigurationError",
    "HealthAlert",
    "HealthCheck",
    "HealthReport",
    "History",
    "Hook",
    "InvalidValueError",
    "Lease",
    "LimitExceededError",
    "LimitUnknownError",
    "MissingExtraError",
    "QuotaExceededError",
    "QuotaStatus",
    "RateLimitedError",
    "RejectionEvent",
    "Session",
    "SessionNotFoundError",
    "SessionStatistics",
    "SessionsError",
    "Statistics",
    "StoreError",
    "ThresholdEvent",
    "Turn",
    "UsageEntry",
    "UsageEvent",
    "__version__",
    "active",
    "alerts",
    "bind",
    "cleanup",
    "configure",
    "current_session",
    "end",
    "export",
    "get",
    "health",
    "history",
    "limited",
    "on",
    "recover",
    "resume",
    "session",
    "shutdown",
    "start",
    "statistics",
    "sweep",
    "system_analytics",
    "usage_history",
    "user_analytics",
]

if not _typing.TYPE_CHECKING:  # or type checkers would believe that every name is here

    def __getattr__(name: str) -> object:
        # Reports are for those who ask; who starts sessions does not wait for them to be loaded.
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from . import reports as _reports  # noqa: PLC0415 - on use, see above

        return getattr(_reports, name)

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
