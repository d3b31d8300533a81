"""What the web integrations share: who is asking, which session that is, and what a request means for it.

A client is recognised by what it holds; what it holds is never what telemetry shows. In this order: what the user's
`identify` says, a random token in the framework's own session, the bearer credential, a random token in our own cookie.
A token that is malformed counts as none; a well-formed one that belongs to no active session leads to a new session.
"""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections.abc import Callable, Collection, Iterable, Mapping, MutableMapping, Sequence
from email.utils import parsedate_to_datetime
from typing import Any, Final, NamedTuple, TypeGuard
from uuid import UUID

from opentelemetry import trace

from . import _process, _runtime, _values
from ._guard import guarded, log, swallow
from ._limiting.lease import Lease
from ._limiting.limiter import Limiter
from ._limiting.status import LimitStatus
from ._live import Live
from ._own_routes import own_routes
from ._recorder import exception_type
from ._session import Session

FRAMEWORK_KEY: Final = "_otel_sessions"
"""Under which a random token is kept in the framework's own session."""

_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_TOKEN_BYTES: Final = 32
_MAX_ENDINGS: Final = 100
_LOOKS: Final = 10
_BEARER: Final = re.compile(r"bearer +([\x21-\x7e]{1,8192})", re.IGNORECASE)  # RFC 6750, section 2.1
_UNAUTHORIZED: Final = 401
_FORBIDDEN: Final = 403
_SERVER_ERROR: Final = 500
_CACHING: Final = frozenset({"cache-control", "expires", "cdn-cache-control", "surrogate-control"})
_UNSHARED: Final = re.compile(r"\b(?:private|no-store)\b")
_SHARED: Final = re.compile(r"\bpublic\b|\bimmutable\b|\b(?:s-maxage|max-age)\s*=\s*\"?0*[1-9]")


class Evidence(NamedTuple):
    """What a request says of its client. Untrusted, all of it."""

    identity: Any = None
    """What the user's `identify` returned."""
    framework_session: Mapping[str, Any] | None = None
    """The framework's own session, None if it has none."""
    authorization: str | None = None
    cookie: str | None = None


class Client(NamedTuple):
    """A recognised client: the key of its session, and the tokens to give it so that it is recognised again."""

    key: str
    framework_token: str | None = None
    cookie_token: str | None = None

    @property
    def is_new(self) -> bool:
        """Whether there is a token to give it."""
        return self.framework_token is not None or self.cookie_token is not None


class Passage(NamedTuple):
    """What a request was allowed."""

    statuses: Sequence[LimitStatus] = ()
    """How the limits stand that it was asked for."""
    leases: Sequence[Lease] = ()
    """The slots that it holds until it is over."""

    def and_also(self, other: Passage) -> Passage:
        """What both say."""
        return Passage([*self.statuses, *other.statuses], [*self.leases, *other.leases])

    def release(self) -> None:
        """Give its slots back."""
        for lease in self.leases:
            lease.release()


class WebSessions:
    """The sessions of web clients, with the settings of the running process."""

    def __init__(
        self, *, session_type: str | None = None, cookie: bool = True, limits: Sequence[str] | None = None
    ) -> None:
        self._type = session_type
        self._limits = None if limits is None else _values.labels("limit", limits)
        self._cookie_by_default = cookie
        self._known: tuple[object, object, tuple[Mapping[str, int], Mapping[str, int], Sequence[str]] | None] = (
            None,
            None,
            None,
        )
        self._excluded: tuple[object, re.Pattern[str] | None] = (None, None)
        self._looks = _LOOKS

    @property
    def runtime(self) -> _runtime.Runtime:
        """The runtime of this process, now: a server may fork after the application is built."""
        return _runtime.current or _runtime.get()

    def excludes(self, path: str, root: str = "") -> bool:
        """Whether requests for `path` are left alone; `root` is its beginning up to the application's own routes."""
        settings = self.runtime.settings
        if not settings.enabled or path.removeprefix(root) in own_routes:
            return True
        if not settings.excluded_urls:
            return False
        held, pattern = self._excluded
        if held is not settings.excluded_urls or pattern is None:
            pattern = re.compile("|".join(f"(?:{one})" for one in settings.excluded_urls))
            self._excluded = settings.excluded_urls, pattern
        return pattern.search(path) is not None

    @property
    def may_set_cookie(self) -> bool:
        """Whether clients may be given our cookie."""
        chosen = self.runtime.settings.cookie
        return self._cookie_by_default if chosen is None else chosen

    @property
    def cookie_name(self) -> str:
        """The name of our cookie."""
        return self.runtime.settings.cookie_name

    def identity(self, request: object) -> Any:
        """What the user's `identify` says of a request; its failure is reported and counts as nothing."""
        identify = self.runtime.settings.identify
        if identify is not None:
            with guarded("identify a client"):
                identity: object = identify(request)
                if identity is None or identity is False:
                    return None
                if isinstance(identity, str | int | UUID) and identity is not True:
                    return identity
                log.warn("identity", "identify() returned a %s: return a text or None.", type(identity).__name__)
        return None

    @property
    def is_ready(self) -> bool:
        """Whether no client needs anything of a store to be recognised."""
        runtime = self.runtime
        return not runtime.may_block or "pseudonyms" in vars(runtime.lifecycle)

    async def prepare(self) -> None:
        """Ask the store for the key of the pseudonyms; the event loop does not wait for it."""
        lifecycle = self.runtime.lifecycle
        await lifecycle.threads.call(getattr, lifecycle, "pseudonyms")

    def recognise(self, evidence: Evidence) -> Client | None:
        """Who it is, by what there is already; None if nothing in the request says so."""
        runtime = self.runtime
        settings, keys = runtime.settings, runtime.lifecycle.pseudonyms
        identity, framework, authorization, cookie = evidence
        if identity is not None and (identity := str(identity)):
            return Client(keys.client("identity", identity))
        if framework is not None and settings.framework_session:
            token = None
            with guarded("read the framework's session"):
                token = framework.get(FRAMEWORK_KEY) if framework else None
            if _is_token(token):
                return Client(keys.client("token", token))
        if authorization and settings.credential:
            bearer = _BEARER.fullmatch(authorization.strip())
            if bearer:
                return Client(keys.client("credential", bearer.group(1)))
        if cookie is not None and _is_token(cookie) and self.may_set_cookie:
            return Client(keys.client("token", cookie))
        return None

    def establish(self, evidence: Evidence) -> Client | None:
        """Make somebody recognisable who is not: by a token in the framework's session if that is in use, else by our
        cookie. None if neither may be.
        """
        keys = self.runtime.lifecycle.pseudonyms
        in_use = False
        with guarded("read the framework's session"):
            in_use = self.runtime.settings.framework_session and bool(evidence.framework_session)
        if in_use:
            token = secrets.token_urlsafe(_TOKEN_BYTES)
            return Client(keys.client("token", token), framework_token=token)
        if self.may_set_cookie:
            token = secrets.token_urlsafe(_TOKEN_BYTES)
            return Client(keys.client("token", token), cookie_token=token)
        return None

    def warn_unrecognised(self) -> None:
        """Say, once, that a request could not be attributed to a session."""
        log.once(
            logging.WARNING,
            "unrecognised client",
            "A request had nothing to recognise its client by, so it belongs to no session. Set "
            "OTEL_SESSIONS_COOKIE=true to give clients a cookie, or pass identify=... to otel_sessions.configure().",
        )

    def may_block(self, client: Client) -> bool:
        """Whether `open` may have to wait for a store outside of this process."""
        lifecycle = self.runtime.lifecycle
        return lifecycle.ledger.shared is not None and not lifecycle.has_at_hand(client.key)

    @property
    def limits(self) -> Sequence[str]:
        """The names of the limits that each request is asked for."""
        return self.runtime.settings.web_limits if self._limits is None else self._limits

    @property
    def own_limits(self) -> Sequence[str]:
        """Those that were named here, and not in the settings."""
        return self._limits or ()

    def admit(self, session: Session, *, but: Collection[str] = ()) -> Passage:
        """Ask the limits for one request: one of each quota, once for each rate, and a slot of each concurrency limit.

        Args:
            session: whose request it is.
            but: the limits that were asked for it already.

        Raises:
            LimitExceededError: one refused.
            LimitUnknownError: they could not be asked, and nothing is allowed then.
        """
        live = session._live
        if live is None or not self._has_tier(live):
            return Passage()
        limiter = session._lifecycle.limiter
        uses, rates, slots = self._asked(limiter)
        if but:
            uses, rates = ({name: 1 for name in names if name not in but} for names in (uses, rates))
            slots = [name for name in slots if name not in but]
        leases = [limiter.lease(live, name) for name in slots]
        passed = limiter.admit(live, uses=uses, rates=rates, leases=leases)
        return Passage(passed.statuses(), leases)

    def _asked(self, limiter: Limiter) -> tuple[Mapping[str, int], Mapping[str, int], Sequence[str]]:
        """What each request asks for: uses, rates and slots. Found out once for each limiter."""
        names = self.limits
        known, held, asked = self._known
        if known is not limiter or held is not names or asked is None:
            of = {
                kind: [name for name in names if kind in limiter.kinds(name)]
                for kind in ("quota", "rate", "concurrency")
            }
            for name in set(names) - {each for some in of.values() for each in some}:
                log.once(
                    logging.ERROR,
                    f"limit {name}",
                    "No tier has a limit %r: requests are not asked for it. There are %s.",
                    name,
                    ", ".join(sorted(limiter.names)) or "none",
                )
            asked = dict.fromkeys(of["quota"], 1), dict.fromkeys(of["rate"], 1), of["concurrency"]
            self._known = limiter, names, asked
        return asked

    def _has_tier(self, live: Live) -> bool:
        """Whether there are limits to ask; what is wrong with a session's tier must not stop its requests."""
        limiter = self.runtime.lifecycle.limiter
        tier = limiter.tier_of(live)
        if tier is None and not live.limits:
            log.once(
                logging.WARNING,
                "web limits without a tier",
                "Requests are not asked for the limits %s, because their session has no tier: set "
                "OTEL_SESSIONS_DEFAULT_TIER, or pass tier_of=... to otel_sessions.configure().",
                ", ".join(self.limits),
            )
            return False
        if tier is not None and tier not in limiter.known:
            log.log(
                logging.ERROR,
                "tier of a web session",
                "Requests of a session are not asked for limits, because its tier %r is not defined any more.",
                tier,
            )
            return False
        return True

    def tier(self, request: object) -> str | None:
        """What the user's `tier_of` says of a request; its failure is reported, and it then is the default one."""
        tier_of = self.runtime.settings.tier_of
        if tier_of is not None:
            with guarded("find out the tier of a client"):
                tier = tier_of(request)
                if tier is None or tier in self.runtime.lifecycle.limiter.known:
                    return tier
                log.log(
                    logging.ERROR, "tier_of", "tier_of() returned %r, and there is no such tier: it is ignored.", tier
                )
        return None

    def open(self, client: Client, request: object = None) -> Session:
        """The client's session, resumed or new, entered, with the request counted; `finish` leaves it."""
        runtime = self.runtime
        lifecycle = runtime.lifecycle
        session_type = self._type or runtime.settings.web_type
        if self._looks and not client.is_new and not lifecycle.has_at_hand(client.key):
            self._look_for_workers(runtime)

        def start() -> Live:
            tier = None if lifecycle.has_at_hand(client.key) else self.tier(request)
            return lifecycle.start(session_type, key=client.key, platform="web", tier=tier)

        live = start()
        for _ in range(_MAX_ENDINGS):
            if lifecycle.enter(live, requests=1):
                break
            # It ended in this very moment; the next one is a new one.
            live = start()
        runtime.telemetry.metrics.requests.add(1, live.beginning.type)
        return Session(lifecycle, live)

    def _look_for_workers(self, runtime: _runtime.Runtime) -> None:
        """A client that was recognised before, but not by this process, may be another worker's. Say so, once."""
        self._looks -= 1
        if runtime.lifecycle.ledger.shared is None and (others := _process.siblings()):
            log.once(
                logging.WARNING,
                "workers",
                "There are %d more workers like this process, and each keeps sessions in a memory of its own: a client "
                "is one session for each of them. Set OTEL_SESSIONS_STORE to sqlite:///sessions.db, or to redis://... "
                "if they run on several machines.",
                others,
            )

    def attribute(self, session: Session, find_user: Callable[[], str | None]) -> None:
        """Note whose session it is, if the framework knows."""
        try:
            user = find_user()
            if user:
                session.identify(user)
        except Exception as exc:  # noqa: BLE001 - the guard, without its frame: this runs for every request
            swallow("find out the user of a request", exc)

    def join(self, session: Session) -> None:
        """Tie the open server span, if there is one, to the session."""
        live = session._live
        if live is None:
            return
        try:
            self.runtime.telemetry.join(trace.get_current_span(), live.beginning, live.last_ns)
        except Exception as exc:  # noqa: BLE001 - as above
            swallow("link a request to its session", exc)

    def finish(self, session: Session, status: int | None, error: BaseException | None) -> None:
        """Note how a request ended: 5xx and exceptions are errors of the session, 401 and 403 refused accesses."""
        live = session._live
        if live is None:
            return
        recorder = session._lifecycle.recorder
        try:
            session._lifecycle.leave(live)
            if isinstance(error, Exception):
                recorder.failure(live, exception_type(error))
            elif status is not None and status >= _SERVER_ERROR:
                recorder.failure(live, str(status))
            elif status in {_UNAUTHORIZED, _FORBIDDEN}:
                reason = "unauthorized" if status == _UNAUTHORIZED else "forbidden"
                self.runtime.telemetry.metrics.access_failures.add(1, live.beginning.type, reason)
        except Exception as exc:  # noqa: BLE001 - as above
            swallow("note how a request ended", exc)


def _is_token(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and _TOKEN.fullmatch(value) is not None


def keep_token(framework_session: MutableMapping[str, Any], token: str) -> None:
    """Keep a client's token in the framework's own session, unless the application has just emptied that: a logout."""
    if framework_session:
        framework_session[FRAMEWORK_KEY] = token


def may_carry_cookie(headers: Iterable[tuple[str, str]]) -> bool:
    """Whether a response may set a cookie: not if a shared cache may hand it to everybody (RFC 9111, 3 and 7.3)."""
    fields: dict[str, str] = {}
    for name, value in headers:
        if name.lower() in _CACHING:
            fields[name.lower()] = ",".join(filter(None, (fields.get(name.lower()), value.lower())))
    # What is meant for shared caches alone goes before what is meant for all (RFC 9213, section 2.1).
    for name in ("cdn-cache-control", "surrogate-control"):
        if name in fields:
            return _UNSHARED.search(fields[name]) is not None
    directives = fields.get("cache-control", "")
    if _UNSHARED.search(directives):
        return True
    if _SHARED.search(directives):
        return False
    # An age in Cache-Control replaces the date (RFC 9111, section 5.3).
    return "max-age" in directives or not _is_ahead(fields.get("expires"))


def _is_ahead(date: str | None) -> bool:
    """Whether a date of HTTP lies in the future; what is none, such as 0, counts as past (RFC 9111, section 5.3)."""
    if date is None:
        return False
    try:
        return parsedate_to_datetime(date).timestamp() > time.time()
    except (TypeError, ValueError, OverflowError):
        return False


def set_cookie_value(name: str, token: str, *, secure: bool) -> str:
    """The value of a `Set-Cookie` field (RFC 6265): for this browser session only, out of reach of scripts."""
    return f"{name}={token}; Path=/; HttpOnly; SameSite=Lax{'; Secure' if secure else ''}"


def read_cookie(header: str, name: str) -> str | None:
    """The value of the cookie `name` in a `Cookie` field; the first one if there are several, None if malformed."""
    if name not in header:
        return None
    for part in header.split(";"):
        key, equals, value = part.strip().partition("=")
        if equals and key == name:
            return value.strip('"')
    return None
