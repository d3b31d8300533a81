"""Grafana's HTTP API, as much as it takes to put dashboards into it.

https://grafana.com/docs/grafana/latest/developer-resources/api-reference/http-api/
"""

from __future__ import annotations

import base64
import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from ._failure import Failure, Misuse
from ._output import plain

_Told = TypeVar("_Told")

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


class _NotGrafana(Exception):  # noqa: N818 - it says what answered, and is not seen outside
    """What answered is something else."""


class Grafana:
    """One Grafana.

    Args:
        url: its address, without credentials.
        authorization: what the header of that name says; None for none.

    Raises:
        Misuse: `url` is no address, or holds credentials, which would be seen in lists of processes and in logs.
    """

    def __init__(self, url: str, authorization: str | None) -> None:
        _check_address(url)
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
        for folder in self._ask("GET", f"/api/folders?limit={_MOST_FOLDERS}", _folders):
            if folder["title"] == title:
                return str(folder["uid"])
        return str(self._ask("POST", "/api/folders", _made, {"title": title})["uid"])

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
        self._ask("POST", "/api/dashboards/db", _made, wanted)
        return f"{self.url}/d/{dashboard['uid']}"

    def _ask(self, method: str, path: str, read: Callable[[Any], _Told], body: object = None) -> _Told:
        """What Grafana answers, as `read` understands it."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}{path}", data, self._headers, method=method)  # noqa: S310 - checked
        try:
            return read(self._answer(request, method, path))
        except (_NotGrafana, http.client.HTTPException):
            raise Failure(f"{self.url} did not answer as Grafana does: is something else running there?") from None
        except OSError as error:
            reason = getattr(error, "reason", None) or error
            raise Failure(f"{self.url} does not answer: {reason}") from None

    def _answer(self, request: urllib.request.Request, method: str, path: str) -> Any:
        try:
            with self._opener.open(request, timeout=_TIMEOUT) as response:
                return _json(response.read())
        except urllib.error.HTTPError as error:
            with error:
                raise Failure(self._explanation(method, path, error)) from None

    def _explanation(self, method: str, path: str, error: urllib.error.HTTPError) -> str:
        said = f"Grafana at {self.url} answered {method} {path.partition('?')[0]} with {error.code}"
        target = error.headers.get("Location")
        advice = _ADVICE.get(http.HTTPStatus(error.code)) if error.code in set(http.HTTPStatus) else None
        if target:
            advice = f"it sends on to {plain(target)}, which is not followed; give the address where it is"
        return ": ".join(filter(None, [said, _message(error.read()), advice]))


def _check_address(url: str) -> None:
    """Refuse what is no address, or holds credentials; these are not repeated."""
    # Whatever else is wrong with it: what stands before an @ may be a password.
    shown = url.rpartition("@")[2]
    failure = Misuse(f"--grafana-url {shown!r} is no address: use one such as http://localhost:3000")
    if not (url.isascii() and url.isprintable()) or " " in url:
        raise failure
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
        (host or "").encode("idna")  # as it is done when the address is asked for
    except ValueError:  # of which UnicodeError is one
        raise failure from None
    if parts.scheme not in {"http", "https"} or not host or parts.query or parts.fragment:
        raise failure
    if parts.username is not None or parts.password is not None:
        raise Misuse(f"--grafana-url of {host} holds credentials: use --user, or GRAFANA_TOKEN")


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise _NotGrafana from None


def _folders(told: Any) -> list[Any]:
    """A list of what has a title and a uid."""
    if not isinstance(told, list) or not all(isinstance(each, dict) and {"title", "uid"} <= set(each) for each in told):
        raise _NotGrafana
    return told


def _made(told: Any) -> dict[str, Any]:
    """What has a uid."""
    if not isinstance(told, dict) or "uid" not in told:
        raise _NotGrafana
    return told


def _message(body: bytes) -> str | None:
    """What Grafana says of an error, if it does."""
    try:
        told = _json(body)
    except _NotGrafana:
        return None
    return plain(told["message"]) if isinstance(told, dict) and told.get("message") else None


def bearer(token: str) -> str | None:
    """The authorization by a token; None if it is empty.

    Raises:
        Misuse: it cannot be one. It is not repeated.
    """
    bare = token.strip()
    if not (bare.isascii() and bare.isprintable()) or " " in bare:
        raise Misuse(
            "the token (GRAFANA_TOKEN, --token) has a space, a line break, or another character that no token has: "
            "is it one token, and nothing else?"
        )
    return f"Bearer {bare}" if bare else None


def basic(user: str, password: str) -> str:
    """The authorization by a name and a password.

    Raises:
        Misuse: they are no text. They are not repeated.
    """
    try:
        return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode('ascii')}"
    except UnicodeEncodeError:
        raise Misuse("the user or the password (--user, GRAFANA_PASSWORD) is not UTF-8") from None
