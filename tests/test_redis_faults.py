"""The store in Redis when something is wrong: with the address, the server, the network, or what is stored."""

from __future__ import annotations

import json
import secrets
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import redis

from otel_sessions import StoreError
from otel_sessions.security.redaction import redact
from otel_sessions.stores import _redis_errors
from otel_sessions.stores.redis import RedisStore
from otel_sessions.typing import SessionRecord, Totals

from . import redis_server
from .redis_server import RedisServer
from .test_redis_store import SECOND, START, beginning, close, delta, ids, totals


class Clock:
    """The real one, unless a test lets the pause after a failure pass at once."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead

    def pass_pause(self) -> None:
        self.ahead += 100


@pytest.fixture(name="clock")
def _clock() -> Clock:
    return Clock()


@pytest.fixture(name="start")
def _start() -> Iterator[Callable[..., RedisServer]]:
    """Starts servers of the test's own."""
    servers: list[RedisServer] = []

    def start(*options: str, **arguments: Any) -> RedisServer:
        servers.append(RedisServer(*options, **arguments))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@contextmanager
def serving(handler: Any, server_type: Any = socketserver.ThreadingTCPServer) -> Iterator[int]:
    """A server of something else on a free port."""
    with server_type(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        server.block_on_close = False
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def failure(store: RedisStore) -> str:
    """What the store says when it is asked."""
    with pytest.raises(StoreError) as raised:
        store.get("a")
    return str(raised.value)


def refusal(url: str, **options: Any) -> str:
    """What a new store says when it is asked."""
    store = RedisStore(url, **options)
    try:
        return failure(store)
    finally:
        store.shutdown()


def seconds(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


class TestAddress:
    def test_wrong_password(self, start: Callable[..., RedisServer]) -> None:
        """A wrong password is named as such, and not shown."""
        server = start("--requirepass", "right")
        for url in (f"redis://:hunter2@127.0.0.1:{server.port}", f"redis://me:hunter2@127.0.0.1:{server.port}"):
            for protocol in (2, 3):
                said = refusal(f"{url}?protocol={protocol}")
                assert "redis: it refuses the user name or the password; correct them in the URL" == said
        asks = "redis: it asks for a password; put a colon, the password and an @ before the host of the URL"
        assert asks == refusal(server.url)
        needless = refusal(f"redis://:hunter2@127.0.0.1:{redis_server.shared().port}")
        assert "redis: it has no password, and the URL gives one; take it out of the URL" == needless
        store = RedisStore(f"redis://:right@127.0.0.1:{server.port}")
        assert store.create(beginning("a")) is None
        store.shutdown()

    def test_wrong_database(self) -> None:
        """A database that there is not is named by the server's own words."""
        store = RedisStore(f"redis://127.0.0.1:{redis_server.shared().port}/99")
        wrong = "redis: ResponseError: DB index is out of range; correct the number at the end of the URL"
        assert failure(store).startswith(wrong)

    @pytest.mark.parametrize(
        ("url", "said"),
        [
            (
                "redis://:hunter2@127.0.0.1:1",
                "connecting to 127.0.0.1:1. Connection refused; start it, or correct host and port in the URL",
            ),
            ("redis://:hunter2@nobody.invalid", "connecting to nobody.invalid:6379."),
            ("unix:///nowhere/redis.sock?password=hunter2", "connecting to /nowhere/redis.sock."),
        ],
    )
    def test_nobody_there(self, url: str, said: str) -> None:
        """An address where nobody listens is named, and no credential of it."""
        message = refusal(url, timeout=5)
        assert said in message
        assert "; " in message
        assert "hunter2" not in message

    def test_not_redis(self, clock: Clock) -> None:
        """Another kind of server is recognised as one."""

        class Quiet(BaseHTTPRequestHandler):
            def log_message(self, *_: Any) -> None:
                pass

        with serving(Quiet, HTTPServer) as port:
            for protocol in (2, 3):
                said = refusal(f"redis://:hunter2@127.0.0.1:{port}?protocol={protocol}", timeout=5)
                assert said in {
                    "redis: what answers there does not speak the protocol of Redis; correct host and port in the URL",
                    "redis: ConnectionError: Connection closed by server; if it speaks TLS, begin the URL with rediss://",
                }

    def test_echo(self) -> None:
        """What a server repeats of the password is not repeated in the message, nor in its cause."""

        class Echo(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self.wfile.write(b"-ERR unknown command `AUTH`, with args beginning with: `hunter2`\r\n")
                self.rfile.read()

        with serving(Echo) as port:
            store = RedisStore(f"redis://:hunter2@127.0.0.1:{port}", timeout=5)
            with pytest.raises(StoreError, match="is it a Redis server") as raised:
                store.get("a")
        assert "hunter2" not in str(raised.value)
        assert raised.value.__cause__ is None
        assert raised.value.__suppress_context__

    @pytest.mark.parametrize(
        "nonsense", [b":x\r\n", b"*2\r\n", b"%1\r\n", b"$-7\r\n", b"\xff\xfe\r\n", b"\r\n", b"+\r\n"]
    )
    @pytest.mark.parametrize("protocol", [2, 3])
    def test_nonsense(self, nonsense: bytes, protocol: int) -> None:
        """Whatever is answered, the store says in time that it cannot be used."""

        class Nonsense(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                while self.rfile.readline():
                    self.wfile.write(nonsense)

        with serving(Nonsense) as port:
            assert refusal(f"redis://127.0.0.1:{port}?protocol={protocol}", timeout=0.3).startswith("redis: ")

    def test_silent(self, clock: Clock) -> None:
        """A port where nothing answers costs one timeout, and then nothing for a while."""
        with socket.create_server(("127.0.0.1", 0)) as silent:
            store = RedisStore(f"redis://127.0.0.1:{silent.getsockname()[1]}", timeout=0.2, clock=clock)
            assert seconds(lambda: failure(store)) < 1
            assert seconds(lambda: [failure(store) for _ in range(100)]) < 0.15
            why = (
                "redis: no answer within 0.2 s; see whether it is overloaded, a firewall is in between, or only one "
                "side speaks TLS"
            )
            assert f"{why} (left alone since then; asked again after 0.2 s)" == failure(store)
            clock.pass_pause()
            assert why == failure(store)

    def test_old(self) -> None:
        """A server that is too old is told apart."""

        class Old(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                while line := self.rfile.readline():
                    count = int(line[1:])
                    words = [(self.rfile.readline(), self.rfile.readline())[1].strip() for _ in range(count)]
                    text = b"# Server\r\nredis_version:5.0.7\r\n"
                    answer = b"$%d\r\n%s\r\n" % (len(text), text) if words[0] == b"INFO" else b"+OK\r\n"
                    self.wfile.write(answer)

        with serving(Old) as port:
            said = refusal(f"redis://127.0.0.1:{port}", timeout=5)
        assert "redis: the server is Redis 5.0.7, 6.0 or newer is needed" == said


def test_advice_is_not_redacted() -> None:
    """What is logged, and told by a report, is redacted; that leaves what to do as it is."""
    for advice in (*_redis_errors._TOLD.values(), *_redis_errors._TO_DO.values()):
        assert advice == redact(advice)


class TestPause:
    """While it is left alone, each call says why."""

    def told(self, url: str, clock: Clock, **options: Any) -> tuple[str, str, str]:
        """What the first call says, the second, and the one after the pause."""
        store = RedisStore(url, clock=clock, **{"timeout": 2, **options})
        first, second = failure(store), failure(store)
        clock.pass_pause()
        third = failure(store)
        store.shutdown()
        return first, second, third

    def test_unreachable(self, clock: Clock) -> None:
        """Nobody listens there."""
        first, second, third = self.told("redis://:hunter2@127.0.0.1:1", clock)
        assert "Connection refused; start it" in first
        assert (f"{first} (left alone since then; asked again after 2 s)", first) == (second, third)

    def test_refused(self, start: Callable[..., RedisServer], clock: Clock) -> None:
        """It asks for a password, or for another one."""
        server = start("--requirepass", "right")
        for url, said in (
            (server.url, "redis: it asks for a password"),
            (f"redis://:hunter2@127.0.0.1:{server.port}", "redis: it refuses the user name or the password"),
        ):
            first, second, third = self.told(url, clock)
            assert first.startswith(said)
            assert "hunter2" not in first
            assert (f"{first} (left alone since then; asked again after 2 s)", first) == (second, third)

    def test_loading(self, clock: Clock) -> None:
        """It has just started."""

        class Loading(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                while line := self.rfile.readline():
                    for _ in range(2 * int(line[1:])):
                        self.rfile.readline()
                    self.wfile.write(b"-LOADING Redis is loading the dataset in memory\r\n")

        with serving(Loading) as port:
            first, second, third = self.told(f"redis://127.0.0.1:{port}", clock)
        assert first == "redis: it has started and still loads its data; wait, it is asked again by itself"
        assert (f"{first} (left alone since then; asked again after 2 s)", first) == (second, third)

    def test_too_many_clients(self, start: Callable[..., RedisServer], clock: Clock) -> None:
        """It takes no more of them."""
        server = start()
        with server.client() as client:
            client.config_set("maxclients", 1)
            first, second, _ = self.told(server.url, clock)
        assert first == "redis: it has too many clients; raise its maxclients"
        assert f"{first} (left alone since then; asked again after 2 s)" == second

    def test_other_reason(self, start: Callable[..., RedisServer], clock: Clock) -> None:
        """The reason is that of the last call that was let through; when it answers again, there is none."""
        server = start("--requirepass", "right")
        store = RedisStore(f"redis://:right@127.0.0.1:{server.port}", timeout=5, clock=clock)
        assert store.get("a") is None
        server.kill()
        assert "it" in failure(store)
        server.options = ("--requirepass", "other")
        server.start()
        clock.pass_pause()
        assert failure(store).startswith("redis: it refuses the user name or the password")
        assert failure(store).startswith(
            "redis: it refuses the user name or the password; correct them in the URL (left"
        )
        with redis.Redis(unix_socket_path=str(server.socket), password="other") as client:
            client.config_set("requirepass", "right")
        clock.pass_pause()
        assert store.get("a") is None
        store.shutdown()


class TestTls:
    @pytest.fixture(name="secure")
    def _secure(self, tmp_path: Path, start: Callable[..., RedisServer]) -> tuple[RedisServer, int, Path]:
        """A server with a certificate of its own."""
        openssl = redis_server.need("openssl")
        key, certificate, port = tmp_path / "key.pem", tmp_path / "cert.pem", redis_server.free_port()
        made = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
        names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
        subprocess.run([*made, *names], check=True, capture_output=True)
        files = (
            "--tls-cert-file",
            str(certificate),
            "--tls-key-file",
            str(key),
            "--tls-ca-cert-file",
            str(certificate),
        )
        server = start("--tls-port", str(port), "--tls-auth-clients", "no", *files)
        return server, port, certificate

    def test_trusted(self, secure: tuple[RedisServer, int, Path]) -> None:
        """With the certificate it works."""
        _, port, certificate = secure
        store = RedisStore(f"rediss://127.0.0.1:{port}?ssl_ca_certs={certificate}", timeout=5)
        assert store.create(beginning("a", key="k")) is None
        assert store.find("k") is not None
        store.shutdown()

    def test_mismatch(self, secure: tuple[RedisServer, int, Path]) -> None:
        """Without it, or where only one side speaks TLS, the store says so in time."""
        server, port, _ = secure
        untrusted = refusal(f"rediss://:hunter2@127.0.0.1:{port}", timeout=2)
        assert "CERTIFICATE_VERIFY_FAILED" in untrusted
        assert "; add ssl_ca_certs=" in untrusted
        for url, advice in (
            (f"rediss://:hunter2@127.0.0.1:{server.port}", "only one side speaks TLS"),
            (f"redis://:hunter2@127.0.0.1:{port}", "begin the URL with rediss://"),
        ):
            said = refusal(url, timeout=2)
            assert said.startswith("redis: ")
            assert said.endswith(advice)
            assert "hunter2" not in said


class TestServer:
    def test_read_only(self, start: Callable[..., RedisServer]) -> None:
        """A replica can be read, and says that it cannot be written."""
        store = RedisStore(start("--replicaof", "127.0.0.1", str(redis_server.shared().port)).url, timeout=5)
        redis_server.until(lambda: answered(lambda: store.get("a")))
        with pytest.raises(
            StoreError, match=r"^redis: it is a read-only replica; the store needs the primary, so name"
        ):
            store.create(beginning("a"))
        store.shutdown()

    def test_full(self, start: Callable[..., RedisServer]) -> None:
        """A full Redis refuses starts whole; sessions that are there can be ended, and then there is room again."""
        server = start("--maxmemory", "4mb", "--maxmemory-policy", "noeviction")
        store = RedisStore(server.url, timeout=5)
        started = 0

        def fill() -> None:
            nonlocal started
            while started < 20_000:
                text = {"text": "x" * 500}
                store.create(beginning(f"s{started}", key=f"k{started}", user="u", attributes=text))
                started += 1

        with pytest.raises(StoreError, match=r"^redis: its memory is full, and it does not evict; raise"):
            fill()
        assert {("chat", None): started} == dict(store.counts())
        assert started == len(store.active(user="u")) == store.most_of_a_user({})
        with pytest.raises(StoreError, match="memory is full"):
            store.merge({"s0": delta(requests=1)})
        with server.client() as client:
            client.config_set("maxmemory", "8mb")
        assert set() == store.merge({"s0": delta(requests=1)})
        assert 1 == totals(store, "s0").requests
        store.shutdown()

    def test_cannot_save(self, start: Callable[..., RedisServer]) -> None:
        """A Redis that cannot save its data takes nothing more, and is not left alone: it can still be read."""
        server = start("--save", "1 1", "--dbfilename", "in-the-way")
        (server.directory / "in-the-way").mkdir()
        with server.client() as client:
            client.set("any", 1)
            client.bgsave()
            redis_server.until(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err")
        store = RedisStore(server.url, timeout=5)
        with pytest.raises(StoreError, match="takes nothing because it could not save its data; its own log says why"):
            store.create(beginning("a"))
        assert store.get("a") is None
        store.shutdown()

    def test_shut_down_meanwhile(self, start: Callable[..., RedisServer]) -> None:
        """A store that is shut down lets the calls of other threads end, and is still there for who comes later."""
        server = start()
        store = RedisStore(server.url, timeout=10)
        assert store.create(beginning("first")) is None
        server.pause()
        with ThreadPoolExecutor() as threads:
            call = threads.submit(store.create, beginning("second"))
            redis_server.until(lambda: store._line._calls)
            end = threads.submit(store.shutdown)
            redis_server.until(lambda: store._line._client is None)
            server.resume()
            assert call.result() is None
            end.result()
        assert {"first", "second"} == {record.id for record in store.active()}
        store.shutdown()

    def test_evicts(self, start: Callable[..., RedisServer]) -> None:
        """A Redis that evicts loses sessions, but none by half, and nothing that is left goes wrong."""
        server = start("--maxmemory", "4mb", "--maxmemory-policy", "allkeys-random")
        store = RedisStore(server.url, timeout=5)
        names = [f"s{number}" for number in range(6000)]
        for name in names:
            store.create(beginning(name, key=f"k{name}", user="u", idle_timeout_ns=SECOND))
            store.merge({name: delta(START, requests=1)})
        kept = [record for name in names if (record := store.get(name)) is not None]
        assert 0 < len(kept) < 6000
        assert {"u"} == {record.user for record in kept}
        list(store.due(START + 2 * SECOND))
        for name in names:
            close(store, name)
        assert [] == store.active()
        store.shutdown()

    def test_lost(self) -> None:
        """A session that Redis has lost is missing; merging does not bring it back, and its key is free."""
        store = redis_server.store(prefix=(prefix := secrets.token_hex(4)))
        for name in "abc":
            store.create(beginning(name, key=name, user="u", owner="o", topology="scoped", idle_timeout_ns=SECOND))
        with redis_server.shared().client() as client:
            client.delete(*(f"{{{prefix}}}:s:{name}" for name in "abc"))
        assert {"a"} == store.merge({"a": delta(requests=1)})
        assert (None, None, None) == (store.get("a"), close(store, "a"), store.find("a"))
        assert store.create(beginning("b", key="b")) is None
        assert store.create(beginning("d", key="c")) is None
        assert ["b", "d"] == ids(store.active())
        assert [] == list(store.due(START + 2 * SECOND))
        assert {("chat", None): 2} == dict(store.counts())
        assert 0 == store.most_of_a_user({})
        store.beat("o", 1)
        with redis_server.shared().client() as client:
            client.delete(f"{{{prefix}}}:s:b")
        assert [] == [record.id for record in store.take_over("o", 1, "p") if record.id != "d"]
        store.beat("p", 1)
        assert [] == [record.id for record in store.take_over("p", 1, "q") if record.id != "d"]
        store.shutdown()

    def test_empty_again(self, start: Callable[..., RedisServer], clock: Clock) -> None:
        """A Redis that comes back empty is an empty store with the same secret; what is merged is missing."""
        server = start()
        store = RedisStore(server.url, timeout=5, clock=clock)
        secret = store.secret()
        store.create(beginning("a", key="k"))
        server.kill()
        assert "refused" in failure(store) or "No such file" in failure(store)
        server.start()
        clock.pass_pause()
        assert {"a"} == store.merge({"a": delta(requests=1)})
        assert (None, {}, []) == (store.find("k"), dict(store.counts()), store.active())
        assert store.create(beginning("a", key="k")) is None
        assert secret == store.secret()
        store.shutdown()

    def test_back_at_once(self, start: Callable[..., RedisServer]) -> None:
        """A restart that nobody noticed costs no call: connections from the pool are made anew."""
        server = start("--appendonly", "yes", "--appendfsync", "always")
        store = RedisStore(server.url, timeout=5)
        store.create(beginning("a", key="k"))
        server.kill()
        server.start()
        assert store.find("k") is not None
        store.shutdown()

    @pytest.mark.parametrize("other", [1, 3])
    def test_other_format(self, other: int) -> None:
        """What an earlier or a later version has written is not misread: both formats are named."""
        store = redis_server.store(prefix=(prefix := secrets.token_hex(4)))
        store.create(beginning("a"))
        with redis_server.shared().client() as client:
            client.hset(f"{{{prefix}}}:meta", "format", other)
        said = f"redis: what is stored has the format {other}, this version of otel-sessions knows 2"
        for work in (
            lambda: store.get("a"),
            lambda: store.create(beginning("b")),
            lambda: store.merge({"a": delta()}),
            lambda: close(store, "a"),
            lambda: list(store.due(START)),
        ):
            with pytest.raises(StoreError) as raised:
                work()
            assert said == str(raised.value)
        store.shutdown()

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            *[("b", "no JSON"), ("b", "[]"), ("b", '{"x":1}'), ("e", "[1"), ("e", "3")],
            *[("d1", "{"), ("d1", "[]"), ("d1", "3"), ("d1", '{"error":[]}'), ("d1", '{"tokens":[1]}')],
            ("d1", "[" * 100_000),
        ],
    )
    def test_damaged(self, field: str, value: str) -> None:
        """A record that cannot be read is an error of the store."""
        store = redis_server.store(prefix=(prefix := secrets.token_hex(4)))
        store.create(beginning("a"))
        with redis_server.shared().client() as client:
            client.hset(f"{{{prefix}}}:s:a", field, value)
        assert "redis: the record of a session cannot be read; `otel-sessions verify` says which" == failure(store)
        store.shutdown()

    def test_damaged_sums(self) -> None:
        """A record that cannot be read is not compacted, and what else is merged is."""
        store = redis_server.store(prefix=(prefix := secrets.token_hex(4)))
        for name in ("a", "b"):
            store.create(beginning(name))
        with redis_server.shared().client() as client:
            client.hset(f"{{{prefix}}}:s:a", "t", "no sums")
            for _ in range(60):
                assert set() == store.merge({"a": delta(), "b": delta()})
            assert client.hlen(f"{{{prefix}}}:s:b") < 40 < client.hlen(f"{{{prefix}}}:s:a")
        assert ["b"] == [record.id for record in store.active()]
        store.shutdown()

    def test_a_field_of_a_later_version(self) -> None:
        """A field that this version does not know does not keep it from reading the record."""
        store = redis_server.store(prefix=(prefix := secrets.token_hex(4)))
        store.create(beginning("a"))
        with redis_server.shared().client() as client:
            stored = json.loads(client.hget(f"{{{prefix}}}:s:a", "b"))
            client.hset(f"{{{prefix}}}:s:a", "b", json.dumps({**stored, "later": 1}))
        found = store.get("a")
        assert found is not None
        assert beginning("a") == found.beginning
        store.shutdown()

    def test_foreign_keys(self) -> None:
        """Sessions over whose keys somebody else has written are lost, and no others; a new one is refused there."""
        store = redis_server.store(prefix=(prefix := secrets.token_hex(4)))
        for name in ("a", "b", "c"):
            store.create(beginning(name, key=name, owner="o", topology="scoped", idle_timeout_ns=SECOND))
        for name in ("exported", "owed", "left"):
            store.create(beginning(name))
            close(store, name, owner="o")
        store.exported(["exported"])
        with redis_server.shared().client() as client:
            for name in ("a", "exported", "owed"):
                client.set(f"{{{prefix}}}:s:{name}", "mine")

        assert {"a"} == store.merge({name: delta(requests=1) for name in ("a", "b")})
        assert (1, None, None) == (totals(store, "b").requests, store.get("a"), store.find("a"))
        assert (None, "b") == (close(store, "a"), getattr(close(store, "b"), "id", None))
        assert ["c"] == ids(store.active())
        assert ["c"] == ids(store.due(START + 2 * SECOND))
        assert {("chat", None): 1} == dict(store.counts())
        assert ["b", "left"] == ids(store.ended(9))
        store.exported(["owed", "left"])
        assert ["b", "left"] == ids(store.ended(9))
        assert (2, 0) == (store.purgeable(START + 2 * SECOND), store.facts().owed)
        assert store.purge(START + 2 * SECOND) >= 2
        with pytest.raises(StoreError, match=r"WRONGTYPE.*; somebody else writes to keys of this store: give it a pre"):
            store.create(beginning("a"))
        with redis_server.shared().client() as client:
            assert [b"mine"] * 3 == [client.get(f"{{{prefix}}}:s:{name}") for name in ("a", "exported", "owed")]
        store.shutdown()

    def test_few_rights(self, start: Callable[..., RedisServer]) -> None:
        """A user who may not run scripts is told so; INFO is not needed."""
        server = start()
        with server.client() as client:
            client.acl_setuser("weak", enabled=True, passwords=["+p"], categories=["-@all"], keys=["*"])
            client.acl_setuser(
                "fit", enabled=True, passwords=["+p"], categories=["+@all"], commands=["-info"], keys=["*"]
            )
        assert "the user may not do what the store needs" in failure(
            RedisStore(f"redis://weak:p@127.0.0.1:{server.port}")
        )
        store = RedisStore(f"redis://fit:p@127.0.0.1:{server.port}", timeout=5)
        assert store.get("a") is None
        store.shutdown()


class Slow(socketserver.StreamRequestHandler):
    """Passes on what the server says, each time a while later."""

    delay = 0.0
    target = 0

    def handle(self) -> None:
        with socket.create_connection(("127.0.0.1", type(self).target)) as server:
            threading.Thread(target=self._there, args=(server,), daemon=True).start()
            while data := server.recv(65536):
                time.sleep(type(self).delay)
                try:
                    self.connection.sendall(data)
                except OSError:
                    return

    def _there(self, server: socket.socket) -> None:
        try:
            while data := self.connection.recv(65536):
                server.sendall(data)
            server.shutdown(socket.SHUT_WR)
        except OSError:
            pass


class TestSlow:
    @pytest.mark.parametrize("protocol", [2, 3])
    def test_one_bounded_wait(self, protocol: int, clock: Clock) -> None:
        """The timeout holds for a call as a whole, however many answers it waits for, each of them in time."""
        handler = type("Slower", (Slow,), {"delay": 0.25, "target": redis_server.shared().port})
        with serving(handler) as port:
            url = f"redis://127.0.0.1:{port}/1?client_name=me&protocol={protocol}"
            store = RedisStore(url, timeout=0.4, clock=clock)
            spent = seconds(lambda: failure(store))
            assert 0.3 < spent < 0.7
            store.shutdown()

    def test_late_answers_are_not_mixed_up(self, clock: Clock) -> None:
        """The answer to a call that was given up is not taken for that to the next one."""
        handler = type("Slower", (Slow,), {"delay": 0.0, "target": redis_server.shared().port})
        with serving(handler) as port:
            store = RedisStore(f"redis://127.0.0.1:{port}", prefix=secrets.token_hex(4), timeout=0.3, clock=clock)
            store.create(beginning("a", key="k", user="u"))
            handler.delay = 0.6  # type: ignore[attr-defined]  # of the class made above
            assert "no answer" in failure(store)
            handler.delay = 0.0  # type: ignore[attr-defined]  # of the class made above
            clock.pass_pause()
            assert {("chat", None): 1} == dict(store.counts())
            assert 1 == store.most_of_a_user({})
            found = store.find("k")
            assert found is not None
            assert "a" == found.id
            store.shutdown()

    def test_threads_wait_once(self, start: Callable[..., RedisServer]) -> None:
        """When Redis stops, no thread waits longer than the timeout, however many there are."""
        server = start()
        store = RedisStore(server.url, timeout=0.5)
        store.create(beginning("a"))
        server.pause()
        spent: list[float] = []

        def ask() -> None:
            spent.extend(seconds(lambda: failure(store)) for _ in range(10))

        threads = [threading.Thread(target=ask) for _ in range(40)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        server.resume()
        assert max(spent) < 1
        assert len([one for one in spent if one > 0.2]) <= 60
        store.shutdown()


class TestUnanswered:
    """A call that was given up may be carried out later. It counts once nevertheless."""

    @staticmethod
    def give_up(clock: Clock, work: Callable[[], object]) -> None:
        """Ask a server that does not answer, and again: not every time may be long enough to send what is asked."""
        for _ in range(3):
            with pytest.raises(StoreError):
                work()
            clock.pass_pause()

    @pytest.fixture(name="stopped")
    def _stopped(self, start: Callable[..., RedisServer], clock: Clock) -> Iterator[tuple[RedisServer, RedisStore]]:
        """A store with a session, whose server has stopped to answer but still gets what is sent to it."""
        server = start()
        store = RedisStore(server.url, timeout=0.3, clock=clock)
        store.create(beginning("a", key="k"))
        store.merge({"a": delta(requests=1)})
        # Scripts that the server does not have yet cannot be carried out late.
        assert close(store, "unknown", owner="p") is None
        assert not store.owe(SessionRecord(beginning("a"), Totals(START), ended_ns=START), "p")
        server.pause()
        yield server, store
        store.shutdown()

    def test_merge(self, stopped: tuple[RedisServer, RedisStore], clock: Clock) -> None:
        """A batch that is sent again, with what has happened since, takes the place of the first one."""
        server, store = stopped
        for requests in (10, 20, 30):
            with pytest.raises(StoreError):
                store.merge({"a": delta(START + requests, requests=requests, tokens={"input": 0.5})})
            clock.pass_pause()
        server.resume()
        store.merge({"a": delta(START + 100, requests=100, tokens={"input": 0.5})})
        assert delta(START + 100, requests=101, tokens={"input": 0.5}) == totals(store, "a")
        store.merge({"a": delta(START + 101, requests=1)})
        assert 102 == totals(store, "a").requests

    def test_close(self, stopped: tuple[RedisServer, RedisStore], clock: Clock) -> None:
        """Who closes it again receives the record; nobody else does."""
        server, store = stopped
        self.give_up(clock, lambda: close(store, "a", delta=delta(requests=10), owner="p"))
        other = RedisStore(server.url, timeout=5)
        server.resume()
        redis_server.until(lambda: (record := other.get("a")) is not None and not record.is_active)
        assert close(other, "a", owner="p") is None
        record = close(store, "a", delta=delta(requests=10), owner="p")
        assert record is not None
        assert (11, False) == (record.totals.requests, record.is_active)
        assert record == other.get("a")
        assert close(store, "a", owner="p") is None
        other.shutdown()

    def test_close_that_nobody_owes(self, stopped: tuple[RedisServer, RedisStore], clock: Clock) -> None:
        """What was merged but not answered for is in its record once, and so it is in the sums."""
        server, store = stopped
        self.give_up(clock, lambda: store.merge({"a": delta(requests=10)}))
        self.give_up(clock, lambda: close(store, "a", delta=delta(requests=15)))
        other = RedisStore(server.url, timeout=5)
        server.resume()
        redis_server.until(lambda: 11 == totals(other, "a").requests)
        record = close(store, "a", delta=delta(requests=15))
        assert record is not None
        assert [record.totals.requests] == [each.tally.requests for each in other.tallies(0, 2**31)] == [16]
        assert close(store, "a") is None
        other.shutdown()

    def test_merge_and_close(self, stopped: tuple[RedisServer, RedisStore], clock: Clock) -> None:
        """What could not be merged, and was, is in the record once when the session is closed with it."""
        server, store = stopped
        self.give_up(clock, lambda: store.merge({"a": delta(requests=10)}))
        other = RedisStore(server.url, timeout=5)
        server.resume()
        redis_server.until(lambda: 11 == totals(other, "a").requests)
        record = close(store, "a", delta=delta(requests=15))
        assert record is not None
        assert 16 == record.totals.requests
        other.shutdown()

    def test_create(self, stopped: tuple[RedisServer, RedisStore], clock: Clock) -> None:
        """Who creates it again has created it."""
        server, store = stopped
        self.give_up(clock, lambda: store.create(beginning("b", key="l")))
        other = RedisStore(server.url, timeout=5)
        server.resume()
        redis_server.until(lambda: other.find("l"))
        assert store.create(beginning("b", key="l")) is None
        assert store.create(beginning("b", key="l")) is not None
        other.shutdown()

    def test_owe(self, stopped: tuple[RedisServer, RedisStore], clock: Clock) -> None:
        """Who asks again whether it owes a part does; nobody else."""
        server, store = stopped
        over = SessionRecord(beginning("a#part=1", part=1), Totals(START), ended_ns=START)
        self.give_up(clock, lambda: store.owe(over, "p"))
        other = RedisStore(server.url, timeout=5)
        server.resume()
        redis_server.until(lambda: other.get(over.id))
        assert not other.owe(over, "q")
        assert store.owe(over, "p")
        other.shutdown()

    def test_take_over(self, start: Callable[..., RedisServer], clock: Clock) -> None:
        """Who takes over again receives what it took over; nobody else does."""
        server = start()
        store, other = RedisStore(server.url, timeout=0.3, clock=clock), RedisStore(server.url, timeout=5)
        store.create(beginning("a", owner="dead", topology="scoped"))
        store.beat("dead", 1)
        assert [] == store.take_over("nobody", 1, "b")
        server.pause()
        with pytest.raises(StoreError):
            store.take_over("dead", 1, "b")
        server.resume()
        redis_server.until(lambda: other.owners() == {"b": 1})
        clock.pass_pause()
        assert [] == other.take_over("dead", 1, "c")
        assert ["a"] == ids(store.take_over("dead", 1, "b"))
        assert [] == store.take_over("dead", 1, "b")
        store.shutdown()
        other.shutdown()

    def test_bounded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """What is noted of calls that failed does not grow for ever; the latest count."""
        monkeypatch.setattr("otel_sessions.stores.redis._MAX_DOUBTS", 3)
        store = RedisStore(f"redis://127.0.0.1:{redis_server.free_port()}")
        for number in range(10):
            for work in (
                lambda number=number: store.merge({f"s{number}": delta()}),
                lambda number=number: store.create(beginning(f"s{number}")),
            ):
                with pytest.raises(StoreError):
                    work()
        assert ["s7", "s8", "s9"] == list(store._unanswered)
        assert [("create", "s7"), ("create", "s8"), ("create", "s9")] == list(store._doubts._tokens)

    def test_merges_one_at_a_time(self) -> None:
        """A merge that waits for another one waits no longer than the timeout."""
        store = redis_server.store(timeout=0.05)
        with store._merging, pytest.raises(StoreError, match=r"an earlier merge is not done within 0\.05 s"):
            store.merge({"a": delta()})
        assert {"a"} == store.merge({"a": delta()})
        store.shutdown()

    def test_under_load(self, start: Callable[..., RedisServer]) -> None:
        """While Redis stops, goes on, is killed and started again, every request is counted, and counted once."""
        server = start("--appendonly", "yes", "--appendfsync", "always")
        store = RedisStore(server.url, timeout=0.5)
        other = RedisStore(server.url, timeout=5)
        store.create(beginning("a"))
        done = threading.Event()
        counted = []

        def work() -> None:
            pending, total = Totals(START), 0
            while not done.is_set() or pending.requests:
                pending.requests += 1
                total += 1
                try:
                    assert set() == store.merge({"a": pending.copy()})
                    pending = Totals(START)
                except StoreError:
                    done.wait(0.01)
            counted.append(total)

        worker = threading.Thread(target=work)
        worker.start()
        for _ in range(4):
            time.sleep(0.05)
            server.pause()
            time.sleep(0.6)
            server.resume()
        server.kill()
        server.start()
        time.sleep(0.2)
        done.set()
        worker.join()
        redis_server.until(lambda: answered(lambda: other.get("a")))
        assert counted == [totals(other, "a").requests]
        store.shutdown()
        other.shutdown()


class TestKilledClient:
    def test_nothing_acknowledged_lost(self) -> None:
        """A process killed in the middle of its work has lost nothing that was acknowledged."""
        prefix = secrets.token_hex(4)
        store = redis_server.store(prefix=prefix)
        for number in range(3):
            store.create(beginning(f"s{number}"))
            code = dedent(f"""
                from otel_sessions.stores.redis import RedisStore
                from otel_sessions.typing import SessionRecord, Totals
                store = RedisStore({redis_server.shared().url!r}, prefix={prefix!r}, timeout=10)
                count = 0
                while True:
                    one = Totals()
                    one.requests = 1
                    store.merge({{"s{number}": one}})
                    count += 1
                    print(count, flush=True)
            """)
            with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
                assert process.stdout is not None
                for _ in range(100 + number * 37):
                    process.stdout.readline()
                process.send_signal(signal.SIGKILL)
                acknowledged = 100 + number * 37 + len(process.stdout.read().splitlines())
            assert totals(store, f"s{number}").requests in {acknowledged, acknowledged + 1}
        store.shutdown()


def answered(work: Callable[[], object]) -> bool:
    """Whether it succeeds."""
    try:
        work()
    except StoreError:
        return False
    return True
