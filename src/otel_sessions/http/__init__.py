"""Liveness, health, statistics and one's own sessions over HTTP, for FastAPI and for Flask.

::

    from otel_sessions.http import Operator, Owner
    from otel_sessions.http.fastapi import router

    app.include_router(router(authorize=who))

All of it but the liveness is closed to whoever `authorize` does not let in.
"""

from ._access import Access, Operator, Owner

__all__ = ["Access", "Operator", "Owner"]
