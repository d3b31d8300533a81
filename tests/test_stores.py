"""Stores by URL, and what is particular to the one in memory."""

from __future__ import annotations

from pathlib import Path

import pytest

import otel_sessions
from otel_sessions import ConfigurationError, session
from otel_sessions.stores import MemoryStore, from_url
from otel_sessions.typing import Beginning, Store

from . import interpreter
from .failing_store import FailingStore

SECOND = 1_000_000_000

MODULE = """
from otel_sessions import ConfigurationError
from otel_sessions.stores import MemoryStore

class ParcelStore(MemoryStore):
    name = "parcel"
    def __init__(self, url):
        super().__init__()
        self.url = url

def choosy(url):
    raise ConfigurationError("parcel: say which depot")

def broken(url):
    raise OSError(f"cannot reach {url}")
"""

ENTRY_POINTS = """
[otel_sessions_store]
parcel = parcel_store:ParcelStore
broken = parcel_store:broken
choosy = parcel_store:choosy
gone = no_such_module:Store
"""


@pytest.fixture(name="parcel")
def _parcel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed distribution that offers stores of its own."""
    (tmp_path / "parcel_store.py").write_text(MODULE)
    information = tmp_path / "parcel_store-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: parcel-store\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(ENTRY_POINTS)
    monkeypatch.syspath_prepend(tmp_path)


class TestFromUrl:
    @pytest.mark.parametrize("url", ["memory://", "MEMORY://"])
    def test_memory(self, url: str) -> None:
        """The memory store has the scheme `memory`."""
        store = from_url(url)
        assert isinstance(store, MemoryStore)
        assert ("memory", False) == (store.name, store.shared)

    def test_history(self) -> None:
        """It remembers as many ended sessions as it is told to."""
        store = from_url("memory://", history=1)
        for name in "ab":
            store.create(Beginning(name, "chat", "durable", 0, key=name))
            store.close(name, status="success", reason="completed", ended_ns=1)
        assert (None, True) == (store.get("a"), store.get("b") is not None)

    @pytest.mark.usefixtures("parcel")
    def test_entry_point(self) -> None:
        """A distribution's own store answers to its scheme, and gets the whole URL."""
        store = from_url("parcel://user:hunter2@host/1?a=b")
        assert ("parcel", "parcel://user:hunter2@host/1?a=b") == (store.name, vars(store)["url"])

    @pytest.mark.usefixtures("parcel")
    def test_entry_point_configured(self) -> None:
        """`configure()` takes such a URL, and sessions live there."""
        otel_sessions.configure(store="parcel://host", background=False)
        with session("job") as handle:
            assert [handle.id] == [record.id for record in otel_sessions.active()]

    def test_of_ones_own(self) -> None:
        """An object that has the verbs is a store; it needs no class of ours."""
        store: Store = FailingStore()
        otel_sessions.configure(store=store, background=False)
        handle = otel_sessions.start("chat")
        assert [handle.id] == [record.id for record in store.active()]

    @pytest.mark.usefixtures("parcel")
    def test_unknown_scheme(self) -> None:
        """An unknown scheme is refused with those that there are."""
        with pytest.raises(ConfigurationError) as raised:
            from_url("nope://host")
        assert (
            "store: no store answers to a URL nope://...; "
            "there are broken://, choosy://, gone://, memory://, parcel://, "
            "redis://, rediss://, sqlite://, unix://" == str(raised.value)
        )

    @pytest.mark.usefixtures("parcel")
    @pytest.mark.parametrize(
        "url",
        [
            "nope://user:hunter2@host",
            "nope://:hunter2@host:6379/0",
            "nope://host?password=hunter2",
            "nope://user:hunter2",
            "nope://user:a@hunter2@host",
            "nope://[hunter2",
            "nope://user:hunter2@ho\u2100st",
            "nope:user:hunter2@host",
            "hunter2",
            "hunter2://host",
            "/hunter2/store.db",
            " memory://hunter2",
            "broken://user:hunter2@host",
            "gone://user:hunter2@host",
        ],
    )
    def test_credentials_not_shown(self, url: str) -> None:
        """Whatever is wrong with a URL, the error shows nothing of it but a scheme."""
        with pytest.raises(ConfigurationError) as raised:
            from_url(url)
        assert "hunter2" not in str(raised.value).replace("hunter2://", "")

    @pytest.mark.usefixtures("parcel")
    def test_own_words(self) -> None:
        """What a store itself says is wrong is not said in other words."""
        with pytest.raises(ConfigurationError, match=r"^parcel: say which depot$"):
            from_url("choosy://host")

    @pytest.mark.usefixtures("parcel")
    @pytest.mark.parametrize("url", ["broken://host", "gone://host"])
    def test_broken_does_not_stop_the_application(
        self, url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Where only a variable names a store that cannot be made, the memory store is used, with a warning."""
        monkeypatch.setenv("OTEL_SESSIONS_STORE", url)
        monkeypatch.setenv("OTEL_SESSIONS_BACKGROUND", "false")
        with session("job") as handle:
            assert handle.is_active
        assert "memory store is used instead" in caplog.text


def durable(session_id: str, **fields: int) -> Beginning:
    return Beginning(session_id, "chat", "durable", 0, key=f"id:{session_id}", **fields)  # type: ignore[arg-type]  # only times are given


def entries(held: object) -> int:
    """How much is in a container, and in those inside it."""
    if isinstance(held, dict):
        return sum(entries(inner) if isinstance(inner, dict | list) else 1 for inner in held.values())
    return len(held) if isinstance(held, list | set) else 0


def kept(store: MemoryStore) -> dict[str, int]:
    """How much each attribute of the store holds, as far as it holds anything."""
    return {name: size for name, held in vars(store).items() if (size := entries(held))}


class TestMemoryStore:
    @pytest.mark.parametrize("history", [0, 1, 10])
    def test_history_bounded(self, history: int) -> None:
        """As many ended sessions as it was told are remembered, the latest; of the others nothing is left."""
        store = MemoryStore(history=history)
        names = [f"s{number}" for number in range(100)]
        for name in names:
            store.create(durable(name))
            store.close(name, status="success", reason="completed", ended_ns=1)
        remembered = names[100 - history :]
        assert remembered == [name for name in names if store.get(name) is not None]
        assert remembered == [name for name in names if store.previous(f"id:{name}") == name]

    def test_predecessor_outlives_its_predecessors(self) -> None:
        """When an older session of a key leaves the history, the latest one is still known as the predecessor."""
        store = MemoryStore(history=2)
        for name in ("a", "b"):
            store.create(Beginning(name, "chat", "durable", 0, key="k"))
            store.close(name, status="success", reason="completed", ended_ns=1)
        store.create(durable("other"))
        store.close("other", status="success", reason="completed", ended_ns=1)
        assert (None, "b") == (store.get("a"), store.previous("k"))

    @pytest.mark.parametrize("step", [0.5, 1, 7, 3600])
    def test_nothing_left(self, step: float) -> None:
        """10,000 sessions that started and expired leave nothing behind but the history, however often one looks."""
        store = MemoryStore(history=10)
        for number in range(10_000):
            store.create(durable(f"s{number}", idle_timeout_ns=(1 + number % 40) * SECOND))
        now, ended = 0, 0
        while ended < 10_000:
            now += int(step * SECOND)
            for record in store.due(now):
                store.close(record.id, status="expired", reason="idle_timeout", ended_ns=now)
                ended += 1
        list(store.due(now + 3 * SECOND))
        assert {"_ended": 10, "_last_by_key": 10} == kept(store)

    def test_ended_early(self) -> None:
        """Sessions that were ended before they could expire leave nothing behind either, once that time has passed."""
        store = MemoryStore(history=0)
        for number in range(1_000):
            store.create(durable(f"s{number}", idle_timeout_ns=10 * SECOND))
            store.close(f"s{number}", status="success", reason="completed", ended_ns=1)
        assert [] == list(store.due(12 * SECOND))
        assert {} == kept(store)

    def test_fork(self) -> None:
        """A child begins with an empty store and the same secret, though a thread of the parent was using the store."""
        completed = interpreter.run("""
            import os, signal, threading
            from otel_sessions.stores import MemoryStore
            from otel_sessions.typing import Beginning
            store, began = MemoryStore(), Beginning("a", "chat", "durable", 0, key="k")
            store.create(began)
            secret = store.secret()
            held, release = threading.Event(), threading.Event()
            def hold():
                with store._lock:
                    held.set()
                    release.wait()
            threading.Thread(target=hold).start()
            held.wait()
            child = os.fork()
            if child == 0:
                signal.alarm(20)
                store.after_fork()
                print(store.active(), store.create(began), store.secret() == secret, flush=True)
                os._exit(0)
            os.waitpid(child, 0)
            release.set()
            print([record.id for record in store.active()])
        """)
        assert ["[] None True", "['a']"] == completed.stdout.splitlines()
