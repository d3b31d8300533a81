"""A visitor of a web application: a client that keeps its cookies."""

from __future__ import annotations

import urllib.error
import urllib.request
from http.cookiejar import CookieJar
from typing import Final

_TIMEOUT: Final = 10.0


class Visitor:
    """One client; two visitors share nothing."""

    def __init__(self) -> None:
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(CookieJar())
        )

    def get(self, url: str) -> int:
        """Request `url` and read the answer; returns its status.

        Raises:
            OSError: nobody answered.
        """
        try:
            with self._opener.open(url, timeout=_TIMEOUT) as response:
                response.read()
                status: int = response.status
        except urllib.error.HTTPError as error:
            error.read()
            status = error.code
        return status
