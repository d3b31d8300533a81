"""Certificates for this machine, and backends that speak TLS and remember who came."""

from __future__ import annotations

import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import grpc  # type: ignore[import-untyped]
import trustme
from google.protobuf.message import Message

_SERVICE: Final = "opentelemetry.proto.collector.trace.v1.TraceService"


@dataclass(frozen=True)
class Certificate:
    """Where a certificate and its key are."""

    certificate: Path
    key: Path


class Authority:
    """Signs certificates, and writes them into a directory."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._authority = trustme.CA()
        self.file = directory / "authority.pem"
        self._authority.cert_pem.write_to_path(self.file)

    def sign(self, name: str) -> Certificate:
        """A certificate for this machine."""
        issued = self._authority.issue_cert("127.0.0.1", "localhost", common_name=name)
        made = Certificate(self._directory / f"{name}.pem", self._directory / f"{name}.key")
        made.certificate.write_bytes(b"".join(part.bytes() for part in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(made.key)
        return made

    def context(self, own: Certificate | None = None) -> ssl.SSLContext:
        """For HTTP: trusts this authority, and shows a certificate of one's own if there is one."""
        context = ssl.create_default_context(cafile=self.file)
        if own is not None:
            context.load_cert_chain(own.certificate, own.key)
        return context

    def credentials(self, own: Certificate | None = None) -> Any:
        """The same for gRPC."""
        shown = (None, None) if own is None else (own.key.read_bytes(), own.certificate.read_bytes())
        return grpc.ssl_channel_credentials(self.file.read_bytes(), *shown)


def send(address: str, request: Message, *, credentials: Any = None, token: str | None = None) -> str:
    """Send spans over gRPC once, and return the name of the answer's status; without credentials in the clear."""
    channel = grpc.secure_channel(address, credentials) if credentials else grpc.insecure_channel(address)
    metadata = [] if token is None else [("authorization", token)]
    with channel:
        export = channel.unary_unary(
            f"/{_SERVICE}/Export", request_serializer=lambda message: message.SerializeToString()
        )
        try:
            export(request, metadata=metadata, timeout=10)
        except grpc.RpcError as refusal:
            name: str = refusal.code().name
            return name
    return "OK"


@dataclass
class Visits:
    """What the requests that arrived said in their header `authorization`."""

    authorizations: list[str | None] = field(default_factory=list)


class TraceBackend(Visits):
    """Takes spans, over gRPC with TLS."""

    def __init__(self, certificate: Certificate) -> None:
        super().__init__()
        handlers = {"Export": grpc.unary_unary_rpc_method_handler(self._export)}
        self._server = grpc.server(
            ThreadPoolExecutor(2), handlers=[grpc.method_handlers_generic_handler(_SERVICE, handlers)]
        )
        credentials = grpc.ssl_server_credentials(
            [(certificate.key.read_bytes(), certificate.certificate.read_bytes())]
        )
        self.address = f"127.0.0.1:{self._server.add_secure_port('127.0.0.1:0', credentials)}"

    def __enter__(self) -> TraceBackend:
        self._server.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._server.stop(None).wait()

    def _export(self, request: bytes, context: Any) -> bytes:
        self.authorizations.append(dict(context.invocation_metadata()).get("authorization"))
        # An answer that rejects nothing.
        return b""


class LogBackend(Visits):
    """Takes log records, over HTTP with TLS."""

    def __init__(self, certificate: Certificate) -> None:
        super().__init__()
        backend = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                backend.authorizations.append(self.headers["Authorization"])
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
                """Not on the console of whoever runs the tests."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                """Who does not trust the certificate goes away; that is what the tests are about."""

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate.certificate, certificate.key)
        self._server = Server(("127.0.0.1", 0), Handler)
        # Shaking hands is for the connection's own thread.
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self.address = f"127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> LogBackend:
        self._thread.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
