"""Taking secrets and personal data out of free text before it leaves the process.

A backstop, not a licence: it recognises the shapes below and nothing else. Messages, exception texts, stack traces and
string attributes of events all pass through it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, TypeAlias

Redactor: TypeAlias = Callable[[str], str]

REDACTED: Final = "[redacted]"

# Singular `token` only: `tokens` is a count. A digest, a hash or a type of a secret is none.
_SECRET_NAME: Final = re.compile(
    r"(?i)(?:^|[._-])(?:\w*passw(?:or)?d|passphrase|\w*secret|(?:\w*_)?token|api[_-]?key|access[_-]?key|private[_-]?key"
    r"|set[_-]cookie|cookie|authorization|credentials?)$"
)

_PATTERNS: Final = (
    # Credentials in a URL: scheme://user:password@host (RFC 3986, section 3.2.1).
    (re.compile(r"(?<=://)[^\s/@:]+:[^\s/@]+(?=@)"), "[redacted]"),
    # E-mail addresses, in the practical form that RFC 5322 addresses take.
    (re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8}"), "[email]"),
    # JSON Web Tokens (RFC 7519): three base64url parts, the first a JSON object.
    (re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]*"), "[token]"),
    # Authorization credentials (RFC 6750, RFC 7617). What follows "basic" in prose has neither capital nor digit.
    (re.compile(r"\b((?i:bearer))\s+[A-Za-z0-9._~+/=-]{6,}"), r"\1 [redacted]"),
    (re.compile(r"\b((?i:basic))\s+(?=[a-z+/]*[A-Z0-9=])[A-Za-z0-9+/]{6,}={0,2}"), r"\1 [redacted]"),
    # name=value and "name": "value" where the name says that the value is secret.
    (
        re.compile(
            r"(?i)([\"']?\b[\w.-]{0,32}"
            r"(?:password|passwd|passphrase|secret|token|api[_-]?key|access[_-]?key|cookie|authorization)"
            r"[\w.-]{0,32}\b[\"']?\s*[=:]\s*)(\"[^\"]{1,512}\"|'[^']{1,512}'|[^\s,;&\"']{1,512})"
        ),
        r"\1[redacted]",
    ),
    # Keys with the prefixes that their issuers document.
    (
        re.compile(
            r"\b(?:sk|pk|rk)[-_][A-Za-z0-9_-]{16,}|\bgh[pousr]_[A-Za-z0-9]{20,}"
            r"|\bAKIA[0-9A-Z]{16}\b|\bxox[abprs]-[A-Za-z0-9-]{10,}"
        ),
        "[key]",
    ),
    # Payment card numbers: 13 to 19 digits in the usual groups (ISO/IEC 7812).
    (re.compile(r"\b(?:\d{4}[ -]?){3}\d{1,7}\b"), "[number]"),
    # IPv4 and full-length IPv6 addresses.
    (re.compile(r"\b(?:\d{1,3}\.){3}\d{1,3}\b|\b(?:[0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}\b"), "[address]"),
)

# One cheap look decides for most texts: none of the shapes exists without one of these.
_SUSPECT: Final = re.compile(
    r"(?i)@|eyJ|bearer|basic|passw|passphrase|secret|token|key|cookie|authorization|[spr]k[-_]|gh[pousr]_|xox|AKIA"
    r"|\d{4}|\d\.\d|(?:[0-9a-f]{1,4}:){7}"
)


def is_secret_name(name: str) -> bool:
    """Whether the name of an attribute says that its value is a secret: `password`, `api_key`, `auth.token` ..."""
    return _SECRET_NAME.search(name) is not None


def redact(text: str) -> str:
    """`text` without what looks like a credential, an e-mail address, an IP address or a card number."""
    if not _SUSPECT.search(text):
        return text
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text
