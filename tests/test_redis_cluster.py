"""The store in a real Redis Cluster."""

from __future__ import annotations

import secrets
import subprocess
import time
from collections.abc import Iterator

import pytest

from otel_sessions import StoreError
from otel_sessions.limits import Concurrency, Quota, Rate, Tier
from otel_sessions.stores.redis import RedisStore
from otel_sessions.typing import Charge, LimitStore, Wanted

from . import redis_server
from .redis_server import RedisServer
from .test_redis_faults import answered
from .test_redis_store import SECOND, START, beginning, close, delta, ids, totals


@pytest.fixture(name="nodes", scope="module")
def _nodes() -> Iterator[list[RedisServer]]:
    """Three nodes that share all slots."""
    program = redis_server.need("redis-cli")
    nodes: list[RedisServer] = []
    try:
        for _ in range(3):
            port = ("--cluster-port", str(redis_server.free_port()))
            nodes.append(RedisServer("--cluster-enabled", "yes", "--cluster-node-timeout", "2000", *port))
        addresses = [f"127.0.0.1:{node.port}" for node in nodes]
        subprocess.run(
            [program, "--cluster", "create", *addresses, "--cluster-yes"],
            check=True,
            capture_output=True,
            timeout=60,
        )
        redis_server.until(lambda: all(_covered(node) for node in nodes))
        yield nodes
    finally:
        for node in nodes:
            node.stop()


def _covered(node: RedisServer) -> bool:
    with node.client() as client:
        return b"cluster_state:ok" in client.execute_command("CLUSTER", "INFO")


class TestCluster:
    def test_all_verbs(self, nodes: list[RedisServer]) -> None:
        """Everything works, whichever node is named, and wherever the deployment's slot is."""
        for number in range(12):
            prefix = secrets.token_hex(4)
            url = f"redis://127.0.0.1:{nodes[number % 3].port}/0?cluster=true&prefix={prefix}"
            store = RedisStore(url, timeout=10)
            assert (
                store.create(beginning("a", key="k", user="u", owner="o", topology="scoped", idle_timeout_ns=SECOND))
                is None
            )
            assert store.create(beginning("b", key="k")) is not None
            assert store.create(beginning("b", key="{l}")) is None
            for _ in range(40):
                assert {"c"} == store.merge({"a": delta(requests=1), "b": delta(requests=2), "c": delta()})
            assert [40, 80] == [totals(store, "a").requests, totals(store, "b").requests]
            assert ["a"] == ids(store.due(START + 2 * SECOND))
            assert {("chat", None): 2} == dict(store.counts())
            assert ["a"] == ids(store.active(user="u"))
            assert 1 == store.most_of_a_user({})
            assert 32 == len(store.secret())
            store.beat("o", 1)
            assert {"o": 1} == store.owners()
            assert ["a"] == ids(store.take_over("o", 1, "p"))
            assert close(store, "a", owner="p") is not None
            assert close(store, "b") is not None
            store.exported(["a"])
            assert ["a", "b"] == [store.previous("k"), store.previous("{l}")]
            assert (["a", "b"], ["a"]) == (ids(store.ended(9)), ids(store.history(Wanted(user="u"), 9)))
            assert 2 == store.purge(START + 10 * SECOND)
            self.limits(store.limits)
            store.retire("p")
            store.shutdown()

    @staticmethod
    def limits(limits: LimitStore) -> None:
        free, pro = (Tier(name, Quota("tokens", 2, per="day"), Concurrency("file", 1)) for name in ("free", "pro"))
        charges = [
            Charge(free.quotas["tokens"][0].bucket("tokens|{u}", 0, "free")),
            Charge(free.concurrency["file"].bucket("file|u"), 1, "a"),
            Charge(Rate("upload", "1/minute").buckets("upload|u")[0]),
        ]
        assert [True, False] == [limits.admit(charges, 0).admitted for _ in range(2)]
        assert [True] == list(limits.renew(charges[1:2], 0))
        group = charges[0].bucket
        assert 0.5 == limits.standings([group], 0)[0].highest
        limits.admit([Charge(pro.quotas["tokens"][0].bucket("tokens|{u}", 0, "pro"))], 0)
        assert [0, 1] == [each.highest for each in limits.standings([group, group._replace(group="pro")], 0)]
        assert [2, 1, 1] == [level.used for level in limits.levels([charge.bucket for charge in charges], 0)]

    def test_one_bounded_wait(self, nodes: list[RedisServer]) -> None:
        """When the nodes stop, a call takes no longer than the timeout; when they go on, so does the store."""
        store = RedisStore(f"{nodes[0].url}?cluster=true", prefix=secrets.token_hex(4), timeout=0.5)
        store.create(beginning("a", key="k"))
        for node in nodes:
            node.pause()
        began = time.monotonic()
        try:
            with pytest.raises(StoreError, match=r"^redis: "):
                store.find("k")
            assert time.monotonic() - began < 1
        finally:
            for node in nodes:
                node.resume()
        redis_server.until(lambda: all(_covered(node) for node in nodes))
        redis_server.until(lambda: answered(lambda: store.find("k")))
        store.shutdown()

    def test_not_said(self, nodes: list[RedisServer]) -> None:
        """Whoever does not say that it is a cluster is told so, unless the slot happens to be on that node."""
        said = set()
        for _ in range(12):
            store = RedisStore(nodes[0].url, prefix=secrets.token_hex(4))
            try:
                store.create(beginning("a"))
            except StoreError as error:
                said.add(str(error))
            store.shutdown()
        assert {"redis: it is a Redis Cluster; add cluster=true to the parameters of the URL"} == said

    def test_not_a_cluster(self) -> None:
        """Whoever says so of a server that is none is told, too."""
        store = RedisStore(f"redis://:hunter2@127.0.0.1:{redis_server.free_port()}?cluster=true", timeout=2)
        with pytest.raises(StoreError, match=r"^redis: ") as raised:
            store.create(beginning("a"))
        assert "hunter2" not in str(raised.value)
        store = RedisStore(redis_server.shared().url + "?cluster=true", timeout=5)
        with pytest.raises(StoreError, match=r"^redis: .*[Cc]luster"):
            store.create(beginning("a"))
