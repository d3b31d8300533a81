"""What `session(...)` was told: the definition from which sessions begin."""

from __future__ import annotations

import functools
import getpass
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, TypeAlias

from . import _runtime, _values
from ._guard import guarded
from ._models import Attributes
from ._session import NO_SESSION, Session
from .exceptions import InvalidValueError

if TYPE_CHECKING:
    from ._lifecycle import Lifecycle

UserSource: TypeAlias = "str | Callable[[], str | None] | None"


class Definition:
    """A scoped session to be: a type, and what every session of this definition starts with.

    Raises:
        InvalidValueError: a name cannot be one, or the attributes are not a mapping.
    """

    __slots__ = ("_attributes", "_entered", "_resolved", "platform", "tier", "type", "user")

    def __init__(
        self,
        session_type: str,
        *,
        user: UserSource = None,
        tier: str | None = None,
        platform: str | None = None,
        attributes: Mapping[str, object] | None = None,
    ) -> None:
        self.type = _values.label("session type", session_type)
        self.tier = tier if tier is None else _values.label("tier", tier)
        self.platform = platform if platform is None else _values.label("platform", platform)
        if user is not None and not callable(user) and (not isinstance(user, str) or not user):
            raise InvalidValueError(f"{user!r} cannot be a user: use a non-empty string or a callable that returns one")
        self.user = user
        if attributes is not None and not isinstance(attributes, Mapping):
            raise InvalidValueError(f"attributes={attributes!r}: use a mapping of names to values")
        self._attributes = attributes
        self._resolved: tuple[Lifecycle, str | None, Attributes | None] | None = None
        self._entered: Session | None = None

    def begin(self, *, stored: bool = True) -> Session:
        """Begin a session of this definition; it is not attached yet. Without a runtime it is no session.

        With `stored=False` the store is not told of it: that is for `Session._store_async`.
        """
        runtime = _runtime.current or _runtime.get()
        if not runtime.enabled:
            return NO_SESSION
        lifecycle = runtime.lifecycle
        held = self._resolved
        if held is None or held[0] is not lifecycle:
            user = None if callable(self.user) else self._user_of(lifecycle)
            held = lifecycle, user, self._attributes_of(lifecycle)
            if user is not None or callable(self.user) or self.user is None:
                self._resolved = held
        user = self._user_of(lifecycle) if callable(self.user) else held[1]
        live = lifecycle.begin_scoped(self.type, user, self.tier, self.platform, held[2])
        if stored and lifecycle.ledger.shared is not None:
            lifecycle.ledger.store_scoped(live)
        return Session(lifecycle, live)

    async def begin_async(self) -> Session:
        """`begin`, and the event loop does not wait for a store. What is cancelled meanwhile has ended."""
        runtime = _runtime.current or _runtime.get()
        if not runtime.may_block:
            return self.begin()
        await self._prepare(runtime.lifecycle)
        handle = self.begin(stored=False)
        try:
            await handle._store_async()
        except GeneratorExit as closed:
            handle._finish(closed)
            raise
        except BaseException as exc:
            await handle._finish_async(exc)
            raise
        return handle

    async def _prepare(self, lifecycle: Lifecycle) -> None:
        """Wait for what the first session needs of the store."""
        if not lifecycle.used:
            await lifecycle.threads.call(lifecycle.on_first_use)
        has_user = self.user is not None or lifecycle.settings.detect_user
        if has_user and "pseudonyms" not in vars(lifecycle):
            await lifecycle.threads.call(getattr, lifecycle, "pseudonyms")

    def _user_of(self, lifecycle: Lifecycle) -> str | None:
        with guarded("find out the user of a session"):
            return pseudonym(lifecycle, self.user)
        return None

    def _attributes_of(self, lifecycle: Lifecycle) -> Attributes | None:
        return _values.attributes(self._attributes, lifecycle.settings.redact) if self._attributes else None

    def __enter__(self) -> Session:
        self._check_closed()
        handle = self.begin()
        self._entered = handle.__enter__()
        return handle

    def _check_closed(self) -> None:
        if self._entered is not None:
            raise InvalidValueError(
                f"this session({self.type!r}) is open already: call session(...) in each `with`, "
                "or decorate a function with it"
            )

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        handle, self._entered = self._entered, None
        if handle is not None:
            handle.__exit__(exc_type, exc, tb)

    async def __aenter__(self) -> Session:
        runtime = _runtime.current
        if runtime is not None and not runtime.may_block:
            return self.__enter__()
        self._check_closed()
        # Until there is one: another task may try meanwhile.
        self._entered = NO_SESSION
        try:
            handle = await self.begin_async()
        except BaseException:
            self._entered = None
            raise
        self._entered = handle.__enter__()
        return handle

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        handle = self._entered
        if handle is None or not handle._may_block():
            self.__exit__(exc_type, exc, tb)
            return
        self._entered = None
        await handle.__aexit__(exc_type, exc, tb)


def pseudonym(lifecycle: Lifecycle, user: UserSource) -> str | None:
    """The pseudonym of `user`; of the operating system's user if none is given and the settings say so."""
    name = user() if callable(user) else user
    if user is None and lifecycle.settings.detect_user:
        name = _os_user()
    return lifecycle.pseudonyms.user(str(name)) if name else None


@functools.cache
def _os_user() -> str | None:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        # No name for this user id: usual in containers. https://github.com/python/cpython/issues/76912
        return None
