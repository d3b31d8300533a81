"""The calls of Redis of which nobody knows whether they were done."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager


class Doubts:
    """What was asked for and not answered: it may have happened, or happen yet. Asked again, it is the same thing.

    Args:
        most: how many are remembered; the latest are.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._tokens: OrderedDict[tuple[str, str], str] = OrderedDict()

    @contextmanager
    def token(self, verb: str, subject: str) -> Iterator[str]:
        """What identifies the call: a new token, unless the last such call failed."""
        token = self._tokens.pop((verb, subject), None) or secrets.token_hex(8)
        try:
            yield token
        except BaseException:
            self._tokens[verb, subject] = token
            if len(self._tokens) > self._most:
                self._tokens.popitem(last=False)
            raise
