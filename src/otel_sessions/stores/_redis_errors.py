"""What errors of the Redis client mean, in our words: what is wrong, and what to do."""

from __future__ import annotations

import re
from typing import Final

import redis

_MAX_TEXT: Final = 200


def explain(error: Exception, text: str, *, timeout: float, known_format: int) -> str:
    """What is wrong.

    Args:
        error: what the client raised.
        text: its words, without what nobody may read.
        timeout: how many seconds it waited.
        known_format: the version of what is stored that is known here.
    """
    if isinstance(error, redis.TimeoutError):
        return f"no answer within {timeout:g} s{_OVERLOADED}"
    if found := re.search(r"OTHERFORMAT (\S+)", text):
        return f"what is stored has the format {found[1]}, this version of otel-sessions knows {known_format}"
    kind = type(error).__name__
    for sign, words in _TOLD.items():
        if sign == kind or sign in text:
            return words
    said = f"{kind}: {text[:_MAX_TEXT]}"
    return next((f"{said.rstrip('.')}{advice}" for sign, advice in _TO_DO.items() if sign in text), said)


_OVERLOADED: Final = "; see whether it is overloaded, a firewall is in between, or only one side speaks TLS"
_REFUSED: Final = "it refuses the user name or the password; correct them in the URL"
_READ_ONLY: Final = "it is a read-only replica; the store needs the primary, so name that one in the URL"
_FULL: Final = "its memory is full, and it does not evict; raise its maxmemory, or shorten the retention"
_CLUSTER: Final = "it is a Redis Cluster; add cluster=true to the parameters of the URL"
_ENCRYPTED: Final = "; if it speaks TLS, begin the URL with rediss://"
_TOLD: Final = {
    "Authentication required": "it asks for a password; put a colon, the password and an @ before the host of the URL",
    "without any password configured": "it has no password, and the URL gives one; take it out of the URL",
    "AuthenticationError": _REFUSED,
    "AuthenticationWrongNumberOfArgsError": _REFUSED,
    "InvalidResponse": "what answers there does not speak the protocol of Redis; correct host and port in the URL",
    "MOVED ": _CLUSTER,
    "MovedError": _CLUSTER,
    "NoPermissionError": "the user may not do what the store needs; allow it EVAL, EVALSHA, and the commands of the "
    "scripts",
    "OOM command not allowed": _FULL,
    "OutOfMemoryError": _FULL,
    "READONLY ": _READ_ONLY,
    "ReadOnlyError": _READ_ONLY,
    "BusyLoadingError": "it has started and still loads its data; wait, it is asked again by itself",
    "MISCONF ": "it takes nothing because it could not save its data; its own log says why, often a full disk",
    "max number of clients": "it has too many clients; raise its maxclients",
    "unknown command": "it does not know a command that is needed; is it a Redis server?",
}
"""By the class of an error or a part of its text; not all versions of redis-py have all classes."""
_TO_DO: Final = {
    "CERTIFICATE_VERIFY_FAILED": "; add ssl_ca_certs=/path/of/ca.pem to the parameters of the URL, or use the "
    "name that the certificate has",
    "[SSL": "; if it does not speak TLS, begin the URL with redis://",
    "Connection closed by server": _ENCRYPTED,
    "Connection reset by peer": _ENCRYPTED,
    "Connection refused": "; start it, or correct host and port in the URL",
    " connecting to ": "; correct the host in the URL, or see whether the network leads there",
    "WRONGTYPE": "; somebody else writes to keys of this store: give it a prefix of its own in the URL",
    "DB index": "; correct the number at the end of the URL, the first one is 0",
}
"""What comes after the client's own words, which name the address."""
