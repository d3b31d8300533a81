"""A visitor of a web application: a client that keeps its cookies."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Mapping
from http.cookiejar import CookieJar
from typing import Final

_TIMEOUT: Final = 10.0


class Visitor:
    """One client; two visitors share nothing.

    Args:
        headers: what it sends with each request.
    """

    def __init__(self, headers: Mapping[str, str] | None = None) -> None:
        self._headers = dict(headers or {})
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(CookieJar())
        )

    def get(self, url: str) -> int:
        """Request `url` and read the answer; returns its status.

        Raises:
            OSError: nobody answered.
        """
        return self._request("GET", url)

    def post(self, url: str) -> int:
        """The same with the method POST and no body.

        Raises:
            OSError: nobody answered.
        """
        return self._request("POST", url)

    def _request(self, method: str, url: str) -> int:
        request = urllib.request.Request(url, method=method, headers=self._headers)  # noqa: S310 - an address of ours
        try:
            with self._opener.open(request, timeout=_TIMEOUT) as response:
                response.read()
                status: int = response.status
        except urllib.error.HTTPError as error:
            error.read()
            status = error.code
        return status
