"""Where telemetry can be sent to, and what comes of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc  # type: ignore[import-untyped]  # it has no types of its own
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)


@contextmanager
def answering(answer: Callable[[bytes, Mapping[str, str]], tuple[int, bytes]]) -> Iterator[str]:
    """A server that answers each request as it is told; yields its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, told = answer(body, dict(self.headers))
            self.send_response(status)
            self.send_header("Content-Length", str(len(told)))
            self.end_headers()
            self.wfile.write(told)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
            """Not here."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Traces(TraceServiceServicer):
    """What came by gRPC, and with which headers."""

    def __init__(self) -> None:
        self.spans: list[str] = []
        self.headers: dict[str, str] = {}

    def Export(self, request: Any, context: Any) -> Any:  # noqa: N802 - the service's name
        self.headers = dict(context.invocation_metadata())
        self.spans += [
            span.name for some in request.resource_spans for scope in some.scope_spans for span in scope.spans
        ]
        return ExportTraceServiceResponse()


@contextmanager
def taking_grpc(traces: Traces) -> Iterator[str]:
    """A server that takes spans by gRPC; yields its address."""
    server = grpc.server(ThreadPoolExecutor(2))
    add_TraceServiceServicer_to_server(traces, server)  # type: ignore[no-untyped-call]  # it is so
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stop(None).wait()
