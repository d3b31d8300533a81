"""Taking secrets and personal data out of free text before it leaves the process.

A backstop, not a licence: it recognises the shapes below and nothing else. Messages, exception texts, stack traces and
string attributes of events all pass through it. Every pattern is linear in the length of the text.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Callable
from typing import Final, TypeAlias

Redactor: TypeAlias = Callable[[str], str]

REDACTED: Final = "[redacted]"

_SENSITIVE: Final = (
    r"(?:passwords?|passwd|passphrase|pwd|secret(?!ar)s?|token(?!s\b|iz|_count|_usage|s_)|api[_-]?keys?|access[_-]?key"
    r"|private[_-]?key|credentials?|signature|sig(?![a-z]))"
)
_HEADER: Final = r"(?:(?:proxy-)?authorization|(?:set-)?cookie|x-api-key)"
# A quoted text, of which the closing quote may have been cut off; prefixed (b'...') and escaped (\"...\") ones too.
_QUOTED: Final = (
    r"""(?:[A-Za-z]{0,2}"(?:[^"\\]|\\.)*(?:"|\Z)|[A-Za-z]{0,2}'(?:[^'\\]|\\.)*(?:'|\Z)|\\+["'][^"'\\]*\\+["'])"""
)
# What stands between a name and its value, unless that is redacted already.
_COLON: Final = r"\s{0,20}[:=](?!\s*\[redacted\])\s{0,20}"
_COMMA: Final = r"\s{0,20}[:=,](?!\s*\[redacted\])\s{0,20}"

_SHAPES: Final = (
    # Private keys (RFC 7468).
    (r"-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]*(?:-----END [A-Z ]*PRIVATE KEY-----)?", "[key]"),
    # Credentials in a URL: scheme://user:password@host (RFC 3986, section 3.2.1), up to the last @ of the authority.
    (r"(?<=://)[^\s/@:\"']*:[^\s/\"']*@", f"{REDACTED}@"),
    # Header fields as they are written, and as pairs of a list: the whole value is the secret.
    (rf"(?i)(['\"]{_HEADER}['\"]{_COMMA})(?:{_QUOTED}|[^\s,;)}}\]]+)", rf"\1{REDACTED}"),
    (rf"(?i)(\b{_HEADER}{_COLON})(?:{_QUOTED}|\S[^\r\n]*)", rf"\1{REDACTED}"),
    # JSON Web Tokens (RFC 7519): three base64url parts, the first a JSON object.
    (r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]*", "[token]"),
    # Authorization credentials (RFC 6750, RFC 7617). What follows "basic" in prose has neither capital nor digit.
    (r"\b((?i:bearer))\s+[A-Za-z0-9._~+/=-]{6,}", rf"\1 {REDACTED}"),
    (r"\b((?i:basic))\s+(?=[a-z+/]*[A-Z0-9=])[A-Za-z0-9+/]{6,}={0,2}", rf"\1 {REDACTED}"),
    # name=value and "name": "value" where the name says that the value is secret.
    (
        rf"(?i)({_SENSITIVE}[\w.-]{{0,40}}\\*['\"]?{_COLON})(?:\[[^\]\r\n]*\]?|{_QUOTED}|[^\s,;&\"']+)",
        rf"\1{REDACTED}",
    ),
    # Keys with the prefixes that their issuers document.
    (
        (
            r"(?<![A-Za-z0-9])(?:(?:sk|pk|rk)[-_][A-Za-z0-9_-]{16,}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}"
            r"|glpat-[\w-]{16,}|npm_[A-Za-z0-9]{20,}|A(?:KIA|SIA)[0-9A-Z]{16}|AIza[\w-]{30,}|SG\.[\w-]{16,}\.[\w-]{16,}"
            r"|xox[abeprs]-[A-Za-z0-9-]{10,}|xapp-[A-Za-z0-9-]{10,})"
        ),
        "[key]",
    ),
    # E-mail addresses, in the practical form that RFC 5322 addresses take.
    (
        r"(?<![\w.%+-])[\w.%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8}(?!\.?[\w%+@-])",
        "[email]",
    ),
)

# Payment card numbers: 13 to 19 digits in their usual groups, right by their check digit (ISO/IEC 7812-1, annex B).
_CARD: Final = re.compile(
    r"(?<![\w.])(?:\d{4}[ -]?\d{4}[ -]?\d{4}[ -]?\d{1,7}|\d{4}[ -]?\d{6}[ -]?\d{4,5})(?![\d.]\d|\w)"
)
_ADDRESS: Final = re.compile(
    r"(?<![\w:.])[0-9A-Fa-f:]{2,39}(?:(?:\d{1,3}\.){3}\d{1,3})?(?![\w:.])|(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?!\.?\w)"
)

# One cheap look decides for most texts: none of the shapes exists without one of these.
_SUSPECT: Final = re.compile(
    r"(?i)[@\d]|://|eyJ|bearer|basic|passw|passphrase|pwd|secret|token|key|cookie|authorization|credential|sig|::"
)

# What it leaves in the place of what it takes out.
_REMAINS: Final = re.compile(r"\[(?:redacted|key|token|email|number|address)\]")

# A name that says that its value is secret. Not `tokens`, which is a count.
_SECRET_NAME: Final = re.compile(rf"(?i)(?:{_SENSITIVE}|{_HEADER})$")


@functools.cache
def _patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    # On first use: compiling them would be a tenth of what importing the package costs.
    return tuple((re.compile(shape), replacement) for shape, replacement in _SHAPES)


def is_secret_name(name: str) -> bool:
    """Whether the name of an attribute says that its value is a secret: `password`, `api_key`, `auth.token` ..."""
    return _SECRET_NAME.search(name) is not None


def redact(text: str) -> str:
    """`text` without what looks like a credential, an e-mail address, an IP address or a card number."""
    if not _SUSPECT.search(text):
        return text
    for pattern, replacement in _patterns():
        text = pattern.sub(replacement, text)
    text = _CARD.sub(_card, text)
    return _ADDRESS.sub(_address, text)


def is_redacted(text: str) -> bool:
    """Whether `redact` has taken something out of a text."""
    return _REMAINS.search(text) is not None


def _card(match: re.Match[str]) -> str:
    digits = [int(digit) for digit in match.group() if digit.isdigit()][::-1]
    total = sum(digits[0::2]) + sum(sum(divmod(2 * digit, 10)) for digit in digits[1::2])
    return match.group() if total % 10 else "[number]"


def _address(match: re.Match[str]) -> str:
    text = match.group()
    # Without a digit it is no address that anybody writes, but `a::b` or a word between colons.
    if not any(character.isdigit() for character in text):
        return text
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return text
    return "[address]"
