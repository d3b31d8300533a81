"""Grafana's HTTP API, as much as it takes to put dashboards into it.

https://grafana.com/docs/grafana/latest/developer-resources/api-reference/http-api/
"""

from __future__ import annotations

import base64
import http
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from ._failure import Failure

_TIMEOUT: Final = 15.0
_MOST_FOLDERS: Final = 1_000
_ADVICE: Final = {
    http.HTTPStatus.UNAUTHORIZED: (
        "it does not accept these credentials; set GRAFANA_TOKEN to a token of a service account, or use --user"
    ),
    http.HTTPStatus.FORBIDDEN: "these credentials may not do that; the service account or user has to be an editor",
    http.HTTPStatus.NOT_FOUND: "there is no such thing; is this the address under which Grafana's start page is found?",
    http.HTTPStatus.PRECONDITION_FAILED: "what stands there is another version; --overwrite replaces it",
}


class _Unfollowed(urllib.request.HTTPRedirectHandler):
    """Follows no redirection: credentials are for the address that was given, and for no other."""

    def redirect_request(self, *_: object) -> None:
        return None


class Grafana:
    """One Grafana.

    Args:
        url: its address, without credentials.
        authorization: what the header of that name says; None for none.

    Raises:
        Failure: `url` is no address, or holds credentials, which would be seen in lists of processes and in logs.
    """

    def __init__(self, url: str, authorization: str | None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise Failure(f"--grafana-url {url!r} is no address: use one such as http://localhost:3000")
        if parts.username or parts.password:
            raise Failure(f"--grafana-url of {parts.hostname} holds credentials: use --user, or GRAFANA_TOKEN")
        self.url = url.rstrip("/")
        self._headers = {"Accept": "application/json", "Content-Type": "application/json"}
        if authorization is not None:
            self._headers["Authorization"] = authorization
        self._opener = urllib.request.build_opener(_Unfollowed)

    def folder(self, title: str) -> str:
        """The uid of the folder of that title, which is made if there is none.

        Raises:
            Failure: Grafana did not do it.
        """
        found = self._ask("GET", f"/api/folders?limit={_MOST_FOLDERS}")
        for folder in found if isinstance(found, list) else []:
            if folder.get("title") == title:
                return str(folder["uid"])
        return str(self._ask("POST", "/api/folders", {"title": title})["uid"])

    def save(self, dashboard: Mapping[str, Any], folder: str, *, overwrite: bool, message: str) -> str:
        """Save a dashboard, by its uid, into the folder of that uid; returns its address.

        Raises:
            Failure: Grafana did not do it.
        """
        wanted = {
            # The number is another one in each Grafana; None stands for whichever it has there.
            "dashboard": {**dashboard, "id": None},
            "folderUid": folder,
            "overwrite": overwrite,
            "message": message,
        }
        self._ask("POST", "/api/dashboards/db", wanted)
        return f"{self.url}/d/{dashboard['uid']}"

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}{path}", data, self._headers, method=method)  # noqa: S310 - checked
        try:
            with self._opener.open(request, timeout=_TIMEOUT) as response:
                return json.loads(response.read())
        except urllib.error.HTTPError as error:
            with error:
                raise Failure(self._explanation(method, path, error)) from None
        except json.JSONDecodeError:
            raise Failure(f"{self.url} did not answer as Grafana does: is something else running there?") from None
        except OSError as error:
            reason = getattr(error, "reason", None) or error
            raise Failure(f"{self.url} does not answer: {reason}") from None

    def _explanation(self, method: str, path: str, error: urllib.error.HTTPError) -> str:
        said = f"Grafana at {self.url} answered {method} {path.partition('?')[0]} with {error.code}"
        target = error.headers.get("Location")
        advice = _ADVICE.get(http.HTTPStatus(error.code)) if error.code in set(http.HTTPStatus) else None
        if target:
            advice = f"it sends on to {target}, which is not followed; give the address where it is"
        return ": ".join(filter(None, [said, _message(error.read()), advice]))


def _message(body: bytes) -> str | None:
    """What Grafana says of an error, if it does."""
    try:
        told = json.loads(body)
    except ValueError:
        return None
    return str(told["message"]) if isinstance(told, dict) and told.get("message") else None


def bearer(token: str) -> str:
    """The authorization by a token."""
    return f"Bearer {token.strip()}"


def basic(user: str, password: str) -> str:
    """The authorization by a name and a password."""
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode('ascii')}"
