"""Names that cannot be turned back: users become pseudonyms, credentials become keys."""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import Final

_BITS: Final = 128
_MIN_KEY_BYTES: Final = 16
_MAX_KNOWN: Final = 1_024
_PSEUDONYM: Final = re.compile(f"[0-9a-f]{{{_BITS // 4}}}")


def is_pseudonym(text: str) -> bool:
    """Whether it has the form of a user's pseudonym; a name may have it too."""
    return _PSEUDONYM.fullmatch(text) is not None


class Pseudonyms:
    """HMAC-SHA-256 under the deployment's key, truncated to 128 bits (RFC 2104, section 5).

    The purpose is part of the message, so a user's pseudonym and a client's key never coincide.
    """

    __slots__ = ("_base", "_clients", "_users")

    def __init__(self, key: bytes) -> None:
        if len(key) < _MIN_KEY_BYTES:
            raise ValueError(f"a pseudonym key needs at least {_MIN_KEY_BYTES} bytes, this one has {len(key)}")
        self._base = hmac.new(key, digestmod=hashlib.sha256)
        # What was asked for lately; bounded, and no more than what the process holds of its clients anyway.
        self._users: dict[str, str] = {}
        self._clients: dict[tuple[str, str], str] = {}

    def user(self, name: str) -> str:
        """The `enduser.pseudo.id` of a user."""
        known = self._users.get(name)
        if known is None:
            if len(self._users) >= _MAX_KNOWN:
                self._users.clear()
            known = self._users[name] = self._digest(b"user\0", name)
        return known

    def meant_by(self, user: str) -> list[str]:
        """The pseudonyms that may be meant by somebody who says the clear name or the pseudonym."""
        return [self.user(user), *([user] if is_pseudonym(user) else [])]

    def client(self, kind: str, evidence: str) -> str:
        """The key under which a client's session is kept; `kind` says how it was recognised."""
        key = self._clients.get((kind, evidence))
        if key is None:
            if len(self._clients) >= _MAX_KNOWN:
                self._clients.clear()
            key = f"{kind}:{self._digest(b'client ' + kind.encode() + bytes(1), evidence)}"
            self._clients[kind, evidence] = key
        return key

    def _digest(self, purpose: bytes, value: str) -> str:
        mac = self._base.copy()
        mac.update(purpose)
        mac.update(value.encode("utf-8", "surrogatepass"))
        return mac.hexdigest()[: _BITS // 4]
