"""TLS and tokens: who may send to the collector, and whom it sends to."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from ..redis_server import until
from . import otlp, tls
from .collector import Collector
from .tls import Authority

TOKEN: Final = "token-of-tests"
_SECRETS: Final = (b"for-tempo", b"for-loki", b"ab" * 16, b"the-body-of-a-log")
_QUEUED: Final = {"otlp_grpc/tempo": "traces", "otlp_http/loki": "logs"}
# It is tried again soon; by default, after five seconds.
_SOON: Final = (
    "{exporters: {otlp_grpc/tempo: {retry_on_failure: {initial_interval: 200ms, max_interval: 500ms}},"
    " otlp_http/loki: {retry_on_failure: {initial_interval: 200ms, max_interval: 500ms}}}}"
)


@pytest.fixture(scope="module", name="authority")
def _authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module", name="stranger")
def _stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("stranger"))


def _guarded(authority: Authority, directory: Path, **more: str) -> Collector:
    own = authority.sign("collector")
    files = {"OTLP_CERT_FILE": str(own.certificate), "OTLP_KEY_FILE": str(own.key)}
    return Collector("local", "auth", directory=directory, OTLP_TOKEN=TOKEN, **files, **more)


class Senders:
    """What is sent to a collector with auth.yaml, over HTTP and over gRPC."""

    def __init__(self, collector: Collector) -> None:
        self.collector = collector
        self.https = collector.endpoint.replace("http:", "https:")
        self.grpc = f"127.0.0.1:{collector.ports['OTLP_GRPC_ENDPOINT']}"
        self.request = otlp.traces([otlp.session_span()])

    def accepted(self) -> float:
        return self.collector.own("otelcol_receiver_accepted_spans_total", 'receiver="otlp"')


@pytest.fixture(scope="module", name="senders")
def _senders(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Senders]:
    with _guarded(authority, tmp_path_factory.mktemp("guarded")) as collector:
        yield Senders(collector)


@pytest.fixture(scope="module", name="known_senders")
def _known_senders(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Senders]:
    directory = tmp_path_factory.mktemp("known")
    with _guarded(authority, directory, OTLP_CLIENT_CA_FILE=str(authority.file)) as collector:
        yield Senders(collector)


class TestTokens:
    def test_who_has_the_token_may_send(self, senders: Senders, authority: Authority) -> None:
        """Over HTTP and over gRPC, to a collector whose certificate one trusts."""
        before = senders.accepted()
        right = {"Authorization": f"Bearer {TOKEN}"}
        assert otlp.send(senders.https, senders.request, headers=right, context=authority.context()) == 200
        credentials = authority.credentials()
        assert tls.send(senders.grpc, senders.request, credentials=credentials, token=f"Bearer {TOKEN}") == "OK"
        assert senders.accepted() - before == 2

    @pytest.mark.parametrize("token", ["Bearer another", TOKEN[:-1], "", None])
    def test_with_another_token_or_none_one_may_not(
        self, senders: Senders, authority: Authority, token: str | None
    ) -> None:
        """And nothing of it is taken."""
        before = senders.accepted()
        headers = {} if token is None else {"Authorization": token}
        assert otlp.send(senders.https, senders.request, headers=headers, context=authority.context()) == 401
        credentials = authority.credentials()
        assert tls.send(senders.grpc, senders.request, credentials=credentials, token=token) == "UNAUTHENTICATED"
        assert senders.accepted() == before
        # They do not come as far as the receiver, which would count them.
        assert senders.collector.own("otelcol_receiver_refused_spans_total") == 0

    def test_in_the_clear_nothing_is_taken(self, senders: Senders) -> None:
        """Not even with the token."""
        before = senders.accepted()
        right = {"Authorization": f"Bearer {TOKEN}"}
        assert otlp.send(senders.collector.endpoint, senders.request, headers=right) == 400
        assert tls.send(senders.grpc, senders.request, token=f"Bearer {TOKEN}") == "UNAVAILABLE"
        assert senders.accepted() == before

    @pytest.mark.parametrize("missing", ["OTLP_TOKEN", "OTLP_CERT_FILE"])
    def test_without_token_or_certificate_it_does_not_start(
        self, authority: Authority, tmp_path: Path, missing: str
    ) -> None:
        """An open door would be worse than a closed one."""
        collector = _guarded(authority, tmp_path)
        del collector.environment[missing]
        with pytest.raises(AssertionError, match="the collector did not start"):
            collector.start()


class TestClientCertificates:
    def test_who_shows_a_certificate_of_the_authority_may_send(
        self, known_senders: Senders, authority: Authority
    ) -> None:
        """OTLP_CLIENT_CA_FILE names the authority; the token is asked for as well."""
        own = authority.sign("application")
        right = {"Authorization": f"Bearer {TOKEN}"}
        request, context = known_senders.request, authority.context(own)
        assert otlp.send(known_senders.https, request, headers=right, context=context) == 200
        assert otlp.send(known_senders.https, request, context=context) == 401
        credentials = authority.credentials(own)
        assert tls.send(known_senders.grpc, request, credentials=credentials, token=f"Bearer {TOKEN}") == "OK"
        assert tls.send(known_senders.grpc, request, credentials=credentials) == "UNAUTHENTICATED"

    @pytest.mark.parametrize("shows", ["none", "another authority's"])
    def test_who_shows_none_or_another_may_not(
        self, known_senders: Senders, authority: Authority, stranger: Authority, shows: str
    ) -> None:
        """Not even with the token: the connection ends before a request is read."""
        own = None if shows == "none" else stranger.sign("stranger")
        before = known_senders.accepted()
        right = {"Authorization": f"Bearer {TOKEN}"}
        with pytest.raises(OSError):  # noqa: PT011 - which one depends on how far the handshake has come
            otlp.send(known_senders.https, known_senders.request, headers=right, context=authority.context(own))
        credentials = authority.credentials(own)
        answer = tls.send(known_senders.grpc, known_senders.request, credentials=credentials, token=f"Bearer {TOKEN}")
        assert answer == "UNAVAILABLE"
        assert known_senders.accepted() == before


def _sending(directory: Path, tempo: str, loki: str, **more: str) -> Collector:
    return Collector(
        *("backends", "backends-auth"),
        directory=directory,
        extra=_SOON,
        TEMPO_ENDPOINT=tempo,
        LOKI_ENDPOINT=f"https://{loki}/otlp",
        TEMPO_AUTHORIZATION="Bearer for-tempo",
        LOKI_AUTHORIZATION="Basic for-loki",
        **more,
    )


def _send_both(collector: Collector) -> None:
    assert otlp.send(collector.endpoint, otlp.traces([otlp.session_span("ab" * 16)])) == 200
    assert otlp.send(collector.endpoint, otlp.logs("the-body-of-a-log")) == 200


def _waiting(collector: Collector) -> dict[str, float]:
    """How many items wait for each exporter."""
    return {
        exporter: collector.own("otelcol_exporter_queue_size", f'exporter="{exporter}"', f'data_type="{signal}"')
        for exporter, signal in _QUEUED.items()
    }


class TestBackends:
    def test_each_backend_gets_its_token(self, authority: Authority, tmp_path: Path) -> None:
        """Over TLS, with certificates of the authority that BACKEND_CA_FILE names."""
        own = authority.sign("backend")
        with tls.TraceBackend(own) as tempo, tls.LogBackend(own) as loki:
            sending = _sending(tmp_path, tempo.address, loki.address, BACKEND_CA_FILE=str(authority.file))
            with sending as collector:
                _send_both(collector)
                until(lambda: tempo.authorizations and loki.authorizations)
                until(lambda: _waiting(collector) == dict.fromkeys(_QUEUED, 0))
        assert (set(tempo.authorizations), set(loki.authorizations)) == ({"Bearer for-tempo"}, {"Basic for-loki"})

    @pytest.mark.parametrize("trusts", ["another authority", "those of the system"])
    def test_a_backend_that_is_not_trusted_gets_nothing(
        self, authority: Authority, stranger: Authority, tmp_path: Path, trusts: str
    ) -> None:
        """Neither a token nor data: all of it waits, the log says why, and it is sent when trust is there."""
        own = stranger.sign("backend")
        trusted = {"BACKEND_CA_FILE": str(authority.file)} if trusts == "another authority" else {}
        with tls.TraceBackend(own) as tempo, tls.LogBackend(own) as loki:
            collector = _sending(tmp_path, tempo.address, loki.address, **trusted)
            with collector:
                _send_both(collector)
                until(lambda: collector.log.count("certificate signed by unknown authority") >= 2)
                until(lambda: _waiting(collector) == dict.fromkeys(_QUEUED, 1))
                for kind in ("spans", "log_records"):
                    assert collector.own(f"otelcol_exporter_send_failed_{kind}_total") == 0
                assert tempo.authorizations == loki.authorizations == []
                collector.kill()
                collector.environment["BACKEND_CA_FILE"] = str(stranger.file)
                collector.start()
                until(lambda: tempo.authorizations and loki.authorizations)

    def test_nothing_is_sent_in_the_clear(self, tmp_path: Path) -> None:
        """To something that speaks no TLS: a handshake is begun, and no more."""
        with Listener() as tempo, Listener() as loki:
            with _sending(tmp_path, tempo.address, loki.address) as collector:
                _send_both(collector)
                until(lambda: tempo.heard and loki.heard)
                until(lambda: _waiting(collector) == dict.fromkeys(_QUEUED, 1))
            for heard in (*tempo.heard, *loki.heard):
                # The first bytes of a TLS handshake.
                assert heard.startswith(b"\x16\x03")
                assert not [secret for secret in _SECRETS if secret in heard]


class Listener:
    """Takes connections, remembers what is said first, and hangs up."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self.heard: list[bytes] = []

    def __enter__(self) -> Listener:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(5)
                if said := connection.recv(65536):
                    self.heard.append(said)
