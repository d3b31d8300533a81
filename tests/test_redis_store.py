"""What is particular to the store in Redis: what it keeps there, for how long, and what a repeated call does.

How it meets the failures of a server stands in `test_redis_faults`.
"""

from __future__ import annotations

import math
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest

from otel_sessions import ConfigurationError, StoreError
from otel_sessions.stores import _redis_format as form
from otel_sessions.stores import _redis_socket, from_url
from otel_sessions.stores._redis_deployment import Deployment
from otel_sessions.stores._redis_pages import owed, past, remembered
from otel_sessions.stores.redis import RedisStore
from otel_sessions.typing import Beginning, Event, SessionRecord, SharedStore, Totals, Wanted

from . import interpreter, redis_server

SECOND = 1_000_000_000
START = 1_767_225_600 * SECOND
HOUR_NS = 3_600 * SECOND
DAY_MS = 86_400_000


def beginning(session_id: str, **fields: Any) -> Beginning:
    return Beginning(**{"id": session_id, "type": "chat", "topology": "durable", "started_ns": START, **fields})


def delta(at_ns: int = START, **fields: Any) -> Totals:
    totals = Totals(at_ns)
    for name, value in fields.items():
        setattr(totals, name, value)
    return totals


def close(store: RedisStore, session_id: str, **fields: Any) -> SessionRecord | None:
    return store.close(session_id, **{"status": "success", "reason": "completed", "ended_ns": START + SECOND, **fields})


def totals(store: RedisStore, session_id: str) -> Totals:
    record = store.get(session_id)
    assert record is not None
    return record.totals


def ids(records: Any) -> list[str]:
    return sorted(record.id for record in records)


def names(server: Any, prefix: str) -> set[str]:
    """The names of all keys of a deployment."""
    return {key.decode().partition(":")[2] for key in server.scan_iter(f"{{{prefix}}}:*", count=10_000)}


@pytest.fixture(name="prefix")
def _prefix() -> str:
    return secrets.token_hex(4)


@pytest.fixture(name="store")
def _store(prefix: str) -> Iterator[RedisStore]:
    store = redis_server.store(prefix=prefix)
    yield store
    store.shutdown()


@pytest.fixture(name="server")
def _server() -> Any:
    """A client of the server, to look behind the store."""
    with redis_server.shared().client() as client:
        yield client


class TestUrl:
    def test_from_url(self) -> None:
        """The scheme leads to the store, in any case; parameters for the store and for redis-py live side by side."""
        url = redis_server.shared().url.replace("redis", "REDIS") + "?prefix=one&timeout=5&client_name=me&protocol=3"
        store = from_url(url, retention=60)
        assert isinstance(store, RedisStore)
        assert ("redis", True, True) == (store.name, store.shared, isinstance(store, SharedStore))
        assert store.create(beginning(secrets.token_hex(8))) is None
        store.shutdown()

    def test_unix(self, prefix: str) -> None:
        """A socket of this machine will do."""
        store = RedisStore(f"unix://{redis_server.shared().socket}?db=1", prefix=prefix)
        assert store.create(beginning("a")) is None
        store.shutdown()

    def test_nobody_needs_to_be_there(self) -> None:
        """Making a store does not ask whether Redis can be reached."""
        store = RedisStore(f"redis://user:hunter2@127.0.0.1:{redis_server.free_port()}/0")
        with pytest.raises(StoreError, match=r"^redis: ConnectionError: .*refused"):
            store.get("a")

    @pytest.mark.parametrize(
        ("url", "message"),
        [
            ("redis://:hunter2@host:port", "a host or a port"),
            ("redis://:hunter2@host:0", "a host or a port"),
            ("redis://:hunter2@[host", "a host or a port"),
            ("redis://:hunter2@host/db", "the number of a database"),
            ("redis://:hunter2@host/0/1", "the number of a database"),
            ("redis://:hunter2@host?db=hunter2", "cannot use the parameters of the URL, ValueError"),
            ("redis://:hunter2@host?protocol=4", "cannot use the parameters of the URL, ConnectionError"),
            ("redis://:hunter2@host?protcol=3", "does not know protcol of the URL"),
            ("redis://:hunter2@host?socket_timeout=3", "socket_timeout .* say timeout instead"),
            ("redis://:hunter2@host?decode_responses=true", "the store reads bytes"),
            ("redis://:hunter2@host?timeout=0", "timeout must be seconds, from 0.001 to 3.2e8, but it is '0'"),
            ("redis://:hunter2@host?timeout=nan", "timeout must be seconds"),
            ("redis://:hunter2@host?retention=long", "retention must be seconds, .* but it is 'long'"),
            ("redis://:hunter2@host?prefix=", "prefix must be"),
            ("redis://:hunter2@host?prefix=%7Ba%7D", "prefix must be .* '{a}'"),
            ("redis://:hunter2@host?cluster=yes", "cluster must be true or false, but it is 'yes'"),
            ("redis://:hunter2@host/1?cluster=true", "has no database but 0"),
            ("unix:///path?password=hunter2&cluster=true", "has no database but 0"),
            ("unix://?password=hunter2", "needs the path"),
            ("rediss://:hunter2@host?health_check_interval=hunter2", "cannot use the parameters"),
            ("http://:hunter2@host", "begins with redis://"),
            ("redis:hunter2", "begins with redis://"),
        ],
    )
    def test_malformed(self, url: str, message: str) -> None:
        """What cannot be a URL of Redis is refused at once, and no credential is shown."""
        with pytest.raises(ConfigurationError, match=message) as raised:
            RedisStore(url)
        assert "hunter2" not in str(raised.value)
        assert raised.value.__suppress_context__ or raised.value.__context__ is None

    @pytest.mark.parametrize("argument", [{"prefix": "{a}"}, {"timeout": 0}, {"retention": math.inf}])
    def test_arguments(self, argument: dict[str, Any]) -> None:
        """Arguments are held to the same rules."""
        with pytest.raises(ConfigurationError, match=next(iter(argument))):
            RedisStore("redis://host", **argument)

    def test_missing_extra(self) -> None:
        """Without redis-py the error holds the command that installs it."""
        completed = interpreter.run("""
            import sys
            sys.modules["redis"] = None
            import otel_sessions
            from otel_sessions.stores import from_url
            try:
                from_url("redis://host")
            except otel_sessions.MissingExtraError as error:
                print(error)
        """)
        assert "Run: pip install 'otel-sessions[redis]'" in completed.stdout

    def test_loaded_late(self) -> None:
        """Redis is not imported by who does not use it."""
        code = "import otel_sessions.stores, json, sys; print(json.dumps('redis' in sys.modules))"
        assert interpreter.answer(code) is False


class TestKept:
    def test_any_text(self, store: RedisStore) -> None:
        """Ids, keys, users and owners may be any text; whatever it is, they are not mixed up."""
        odd = ["", "a:b", "{a}", "\0", "\n'\"", "grüße", "\ud800", "1:a", ":", "*", "=", "x" * 300]
        for number, text in enumerate(odd):
            fields = {"key": text, "user": text, "owner": text, "tier": text}
            assert store.create(beginning("id " + text, type=text, started_ns=START + number, **fields)) is None
        for text in odd:
            assert ["id " + text] == ids(store.active(user=text))
            found = store.find(text)
            assert found is not None
            assert ("id " + text, text) == (found.id, found.beginning.owner)
        assert {(text, text): 1 for text in odd} == dict(store.counts())
        for text in odd:
            assert close(store, "id " + text) is not None
            assert "id " + text == store.previous(text)
        assert [] == store.active()

    def test_sums_exact(self, store: RedisStore) -> None:
        """Whole numbers of any size stay exact, fractions are added as Python adds them; neither becomes the other."""
        store.create(beginning("a"))
        for _ in range(3):
            sums = {"big": 2**63 - 1, "more": 2**80 + 1, "part": 0.1, "huge": 1e308}
            store.merge({"a": delta(requests=2**62 + 1, tokens=dict(sums))})
        found = totals(store, "a")
        assert found.tokens is not None
        assert (3 * 2**62 + 3, 3 * 2**63 - 3, 3 * 2**80 + 3) == (
            found.requests,
            found.tokens["big"],
            found.tokens["more"],
        )
        assert (0.1 + 0.1 + 0.1, math.inf) == (found.tokens["part"], found.tokens["huge"])
        assert [int, float] == [type(found.tokens["big"]), type(found.tokens["part"])]

    def test_bounded(self, store: RedisStore, server: Any, prefix: str) -> None:
        """However often a session is merged, and by how many processes, its record stays small, and the sums right."""
        store.create(beginning("a"))
        others = [redis_server.store(prefix=prefix) for _ in range(5)]
        for number in range(300):
            one = delta(START + number, requests=1)
            one.append(Event("step", START + number, {"number": number}))
            others[number % 5].merge({"a": one})
        found = totals(store, "a")
        assert (300, 172, START + 299) == (found.requests, found.dropped_events, found.last_activity_ns)
        assert found.recent is not None
        assert list(range(172, 300)) == [event.attributes["number"] for event in found.recent]
        assert server.hlen(f"{{{prefix}}}:s:a") < 50
        for other in others:
            other.shutdown()

    def test_writers_of_old(self, store: RedisStore, server: Any, prefix: str) -> None:
        """A session that has seen many processes does not keep something of each."""
        store.create(beginning("a"))
        for hour in range(100):
            store.after_fork()
            store.merge({"a": delta(START + hour * 1800 * SECOND, requests=1)})
        assert 100 == totals(store, "a").requests
        assert server.hlen(f"{{{prefix}}}:s:a") < 50

    def test_due_exactly(self, store: RedisStore) -> None:
        """Redis orders by milliseconds; a session is due at its nanosecond nevertheless."""
        store.create(beginning("a", idle_timeout_ns=SECOND + 500))
        assert [] == list(store.due(START + SECOND + 499))
        assert ["a"] == ids(store.due(START + SECOND + 500))

    def test_deployments_apart(self, store: RedisStore) -> None:
        """Two deployments on one Redis do not see each other."""
        other = redis_server.store()
        store.create(beginning("a", key="k", user="u", owner="o", topology="scoped", idle_timeout_ns=1))
        store.beat("o", 1)
        assert [None, None, [], [], {}, {}] == [
            other.find("k"),
            other.get("a"),
            other.active(user="u"),
            list(other.due(START + SECOND)),
            other.counts(),
            other.owners(),
        ]
        assert other.create(beginning("a", key="k")) is None
        assert store.secret() != other.secret()
        other.shutdown()

    def test_seen_by_others(self, store: RedisStore, prefix: str) -> None:
        """Another process of the deployment sees the same sessions and the same secret."""
        store.create(beginning("a", key="k"))
        other = redis_server.store(prefix=prefix)
        assert store.find("k") == other.find("k") == store.get("a")
        assert store.secret() == other.secret()
        other.shutdown()

    def test_millions_of_keys_but_one_slot(self, store: RedisStore, server: Any, prefix: str) -> None:
        """All keys have one hash tag, so that they are on one node of a cluster."""
        store.create(beginning("{b}", key="{k}", user="u", owner="o", topology="scoped", idle_timeout_ns=1))
        close(store, "{b}", owner="p")
        store.beat("o", 1)
        store.take_over("o", 1, "q")
        store.exported(["{b}"])
        keys = [key for key in server.scan_iter(count=10_000) if prefix.encode() in key]
        assert len(keys) > 5
        assert [True] * len(keys) == [key.startswith(b"{%s}:" % prefix.encode()) for key in keys]


class TestHistory:
    def test_of_a_user(self, store: RedisStore, server: Any, prefix: str, caplog: pytest.LogCaptureFixture) -> None:
        """Who asks for those of one user has no other one read: here nobody could read those."""
        for number in range(20):
            store.create(beginning(f"s{number}", user=f"u{number % 10}"))
            close(store, f"s{number}", ended_ns=START + number)
            if number % 10 != 7:
                server.hset(f"{{{prefix}}}:s:s{number}", "b", "no")
        assert ["s17", "s7"] == [record.id for record in store.history(Wanted(user="u7"), 9)]
        assert not caplog.records
        assert ["s17", "s7"] == ids(store.history(Wanted(), 9))
        assert "cannot be read" in caplog.text
        server.delete(f"{{{prefix}}}:s:s17")
        assert ["s7"] == ids(store.history(Wanted(user="u7"), 9))

    def test_parts_are_not_in_the_index(self, store: RedisStore, server: Any, prefix: str) -> None:
        """Nor is what nobody is the user of."""
        part = SessionRecord(beginning("a", user="u").as_part(1), Totals(START), "success", "completed", START)
        assert store.owe(part, "p")
        store.create(beginning("b"))
        close(store, "b", owner="p")
        store.exported([part.id, "b"])
        assert (2, 0) == tuple(server.zcard(f"{{{prefix}}}:{name}") for name in ("ended", "ended_users"))

    def test_of_a_user_whose_id_was_used_again(self, prefix: str, server: Any) -> None:
        """When the first one expires the second one stays, and the first one's user has none any more."""
        short, store = (redis_server.store(prefix=prefix, retention=seconds) for seconds in (0.05, 3600))
        short.create(beginning("a", user="u"))
        close(short, "a")
        redis_server.until(lambda: store.get("a") is None)
        store.create(beginning("a", user="v"))
        close(store, "a", ended_ns=START + 2 * SECOND)
        store.beat("p", START)
        assert [[], ["a"]] == [ids(store.history(Wanted(user=user), 9)) for user in "uv"]
        assert 1 == server.zcard(f"{{{prefix}}}:ended_users")
        short.shutdown()
        store.shutdown()


class TestPages:
    """Who goes through ended sessions meets each once that stays, whatever goes on meanwhile."""

    ODD: Final = ("", "a", "ab", "z", "\0", "é", "\ud800", "\U0001f600", ":")

    def end(self, store: RedisStore, number: int, milliseconds: int, owner: str | None = None) -> list[str]:
        """So many sessions, in the order in which Redis has those that ended within so many milliseconds."""
        times = {f"{self.ODD[each % len(self.ODD)]}{each}": each % milliseconds for each in range(number)}
        for name, after in times.items():
            store.create(beginning(name))
            close(store, name, ended_ns=START + after * 1_000_000, owner=owner)
        return sorted(times, key=lambda name: (times[name], form.encode(name)))

    @staticmethod
    def told(store: RedisStore, prefix: str, order: str) -> Iterator[list[str]]:
        """The pages."""
        deployment = Deployment(store._line, prefix)
        if order == "earliest first":
            return past(deployment, "+inf")
        return (list(map(form.decode, page.ids)) for page in remembered(deployment, "-inf", "+inf"))

    @pytest.mark.parametrize("order", ["earliest first", "latest first"])
    @pytest.mark.parametrize("milliseconds", [1, 7])
    @pytest.mark.parametrize("gone", [slice(None), slice(-1, None)])
    def test_those_told_go(self, store: RedisStore, prefix: str, gone: slice, milliseconds: int, order: str) -> None:
        """All of them, or the last one: what stands behind them is neither skipped nor told again."""
        names = self.end(store, 450, milliseconds)
        pages = self.told(store, prefix, order)
        first = next(pages)
        store.remove(first[gone])
        found = first + [name for page in pages for name in page]
        assert found == (names if order == "earliest first" else names[::-1])

    def test_others_end(self, store: RedisStore, prefix: str) -> None:
        """What ends meanwhile moves none."""
        names = self.end(store, 450, 450)
        pages = self.told(store, prefix, "latest first")
        first = next(pages)
        for number in range(250):
            store.create(beginning(f"later {number}"))
            close(store, f"later {number}", ended_ns=START + number * SECOND)
        found = first + [name for page in pages for name in page]
        assert [name for name in found if "later" not in name] == names[::-1]

    def test_exported_meanwhile(self, store: RedisStore, prefix: str) -> None:
        """What is owed, and is exported before it is told, is among the others when they are asked for."""
        deployment, names = Deployment(store._line, prefix), self.end(store, 450, 450, owner="p")
        pages = owed(deployment, "-inf", "+inf")
        told = [*next(pages).ids]
        store.exported(names[::2])
        told += [raw for page in pages for raw in page.ids]
        told += [raw for page in remembered(deployment, "-inf", "+inf") for raw in page.ids]
        assert set(map(form.decode, told)) == set(names)


class TestUsers:
    def test_a_step_is_bounded(self, store: RedisStore, prefix: str) -> None:
        """Whole hours are told until they are enough, others served in between; the last tells what is owed, too."""
        for number in range(9):
            store.create(beginning(f"s{number}", user=f'"u\n{number % 3}\ud800'))
            close(store, f"s{number}", ended_ns=START + number // 3 * HOUR_NS)
        store.create(beginning("owed", user="v"))
        close(store, "owed", owner="p")
        hours = [f"{{{prefix}}}:u:{START // HOUR_NS + number}".encode() for number in range(3)]
        step = Deployment(store._line, prefix).run
        [told, counts, owed] = step("user_counts", 4, 0, "+inf", keys=hours)
        assert (2, []) == (told, owed)
        assert [{f'"u\n{number}\ud800': 1 for number in range(3)}] * 2 == [form.user_counts(each) for each in counts]
        [told, counts, owed] = step("user_counts", 4, 0, "+inf", keys=hours[2:])
        assert (1, 1, [b"owed"]) == (told, len(counts), owed)

    def test_very_many_of_an_hour(self, store: RedisStore, server: Any, prefix: str) -> None:
        """They are told as well, in steps of their own; and what is owed, whichever hour is the last."""
        for number in range(4):
            store.create(beginning(f"s{number}", user="u"))
            close(store, f"s{number}", ended_ns=START + number * HOUR_NS)
        store.create(beginning("owed", user="u"))
        close(store, "owed", owner="p")
        hour = START // HOUR_NS
        for number in (1, 3):
            server.zadd(f"{{{prefix}}}:u:{hour + number}", {f"{user:032x}": number for user in range(12_000)})
        users = store.users(hour, hour + 4, 20_000, {"v": 2})
        found = dict(users.most_frequent)
        assert (users.total, found.pop("u"), found.pop("v")) == (12_002, 5, 2)
        assert found == {f"{user:032x}": 4 for user in range(12_000)}

    def test_very_many_are_recounted_in_steps(self, store: RedisStore, server: Any, prefix: str) -> None:
        """All that are kept of an hour are told, and it is seen when one is counted between two looks at it."""
        store.create(beginning("s", user="u"))
        close(store, "s", ended_ns=START)
        hour, users = START // HOUR_NS, f"{{{prefix}}}:u:{START // HOUR_NS}"
        more = {f"{number:032x}": 1 for number in range(12_000)}
        server.zadd(users, more)
        found = store.recount_hour(hour)
        assert found is not None
        assert (found.kept_users, found.counted_users) == ({"u": 1, **more}, {"u": 1})
        store.create(beginning("later", user="u"))
        close(store, "later", ended_ns=START)
        assert not store.replace_hour(hour, found)
        again = store.recount_hour(hour)
        assert again is not None
        assert store.replace_hour(hour, again)
        assert store.users(hour, hour + 1, 9, {}) == ([("u", 2)], 1)

    def test_very_many_are_replaced_in_steps(self, store: RedisStore, server: Any, prefix: str) -> None:
        """Redis is never asked for long, whatever an hour had, and what was put aside is not left over."""
        store.create(beginning("s", user="u"))
        close(store, "s", ended_ns=START)
        hour, users = START // HOUR_NS, f"{{{prefix}}}:u:{START // HOUR_NS}"
        found = store.recount_hour(hour)
        assert found is not None
        more = {f"{number:032x}": 2 for number in range(300_000)}
        server.config_set("slowlog-log-slower-than", 250_000)
        server.slowlog_reset()
        assert store.replace_hour(hour, found._replace(counted_users=more))
        assert server.slowlog_get() == []
        assert (server.zcard(users), server.zscore(users, f"{299_999:032x}")) == (300_000, 2)
        assert server.pttl(users) > DAY_MS // 2
        # Something has happened since.
        assert not store.replace_hour(hour, found._replace(counted_users={"v": 1}))
        assert server.zcard(users) == 300_000
        assert server.keys(f"{users}*") == [users.encode()]

    def test_put_aside_for_a_while(self, store: RedisStore, server: Any, prefix: str) -> None:
        """Nothing stays that is never put in its place; and an hour does not get some of its users."""
        store.create(beginning("s", user="u"))
        close(store, "s", ended_ns=START)
        hour = START // HOUR_NS
        found = store.recount_hour(hour)
        assert found is not None
        deployment = Deployment(store._line, prefix)
        staged, of_hour = deployment.key("staged"), [deployment.hourly(hour), deployment.user_counts(hour)]
        deployment.run("stage_users", 600_000, b"v", 1, keys=[staged])
        assert 0 < server.pttl(staged) <= 600_000
        within = (hour * 3_600_000, f"({(hour + 1) * 3_600_000}")
        keys = [*of_hour, staged, deployment.daily(hour // 24)]
        assert isinstance(found.stamp, bytes)
        assert deployment.run("replace_sums", *within, found.stamp, DAY_MS, hour, 2, keys=keys) == 0
        assert not server.exists(staged)
        assert store.users(hour, hour + 1, 9, {}) == ([("u", 1)], 1)


class TestLife:
    """Nothing lives for ever."""

    def test_everything_expires(self, store: RedisStore, server: Any, prefix: str) -> None:
        """Every key has an end."""
        for name in ("a", "b", "c"):
            store.create(beginning(name, key=name, user="u", owner="o", topology="scoped", idle_timeout_ns=SECOND))
        store.merge({"a": delta(user="v")})
        close(store, "b")
        close(store, "c", owner="p")
        store.beat("o", 1)
        store.beat("p", 1)
        store.take_over("o", 1, "q")
        store.secret()
        keys = [key for key in server.scan_iter(count=10_000) if prefix.encode() in key]
        assert len(keys) > 12
        assert [] == [key for key in keys if not 0 < server.pttl(key) <= 400 * DAY_MS]

    @pytest.mark.parametrize(
        ("fields", "days"),
        [
            ({"idle_timeout_ns": 10 * 86_400 * SECOND}, 11),
            ({"max_duration_ns": 5 * 86_400 * SECOND}, 6),
            ({"max_duration_ns": 5 * 86_400 * SECOND, "idle_timeout_ns": SECOND}, 1),
            ({}, 367),
            ({"idle_timeout_ns": 2**70}, 1_157_408),
        ],
    )
    def test_active(self, store: RedisStore, server: Any, prefix: str, fields: dict[str, Any], days: float) -> None:
        """An active session stays as long as its timeouts let it live, and a day to be ended; activity renews that."""
        store.create(beginning("a", **fields))
        key = f"{{{prefix}}}:s:a"
        assert days * DAY_MS == pytest.approx(server.pttl(key), rel=0.001)
        server.pexpire(key, 1000)
        store.merge({"a": delta()})
        assert days * DAY_MS == pytest.approx(server.pttl(key), rel=0.001)

    def test_ended(self, prefix: str, server: Any) -> None:
        """An ended session is remembered for the retention; then its key has no predecessor any more, either."""
        store = redis_server.store(prefix=prefix, retention=0.2)
        store.create(beginning("a", key="k"))
        close(store, "a")
        assert "a" == store.previous("k")
        redis_server.until(lambda: store.get("a") is None)
        store.create(beginning("b", key="l"))
        close(store, "b")
        assert [None, "b"] == [store.previous("k"), store.previous("l")]
        assert store.create(beginning("a", key="k")) is None
        store.shutdown()

    def test_ended_by_who_remembers_for_less(self, prefix: str, server: Any) -> None:
        """What others want to be remembered for longer stays, with its key, whoever ends another one."""
        store, short = (redis_server.store(prefix=prefix, retention=seconds) for seconds in (3600, 0.05))
        store.create(beginning("a", key="k"))
        close(store, "a")
        for number in range(3):
            short.create(beginning(f"s{number}", key=f"k{number}"))
            close(short, f"s{number}")
            redis_server.until(lambda number=number: short.get(f"s{number}") is None)  # type: ignore[misc]
        assert (["a"], "a") == (ids(store.ended(9)), store.previous("k"))
        # Nor does it keep the others: but for the last, after which nobody came, they are gone with all they had.
        assert [b"a", b"s2"] == sorted(server.zrange(f"{{{prefix}}}:ended", 0, -1))
        assert [None, None, "s2"] == [store.previous(f"k{number}") for number in range(3)]
        store.shutdown()
        short.shutdown()

    def test_owed(self, prefix: str, server: Any) -> None:
        """One whose export is owed stays for a month; when it was exported, for the retention."""
        store = redis_server.store(prefix=prefix, retention=3600)
        store.create(beginning("a"))
        close(store, "a", owner="o")
        key = f"{{{prefix}}}:s:a"
        assert 30 * DAY_MS == pytest.approx(server.pttl(key), rel=0.001)
        store.exported(["a", "unknown"])
        assert 3_600_000 == pytest.approx(server.pttl(key), rel=0.01)
        store.shutdown()

    def test_sums_of_who_keeps_them_longest(self, prefix: str, server: Any) -> None:
        """Sums are kept as long as any process wants; another one, such as the command, cuts nothing off."""
        long, short = (redis_server.store(prefix=prefix, retention=days * 86_400) for days in (90, 1))
        hours = [START // HOUR_NS + 24 * day for day in range(40)]
        for hour in hours:
            long.create(beginning(f"s{hour}", user="u"))
            close(long, f"s{hour}", ended_ns=hour * HOUR_NS)
        short.create(beginning("last"))
        close(short, "last", ended_ns=hours[-1] * HOUR_NS)
        recounted = short.recount_hour(hours[-2])
        assert recounted is not None
        assert short.replace_hour(hours[-2], recounted)
        assert 40 == len({each.hour for each in short.tallies(0, 2**31)})
        for name in ("h", "u"):
            assert 90 * DAY_MS == pytest.approx(server.pttl(f"{{{prefix}}}:{name}:{hours[-1]}"), rel=0.001)
        long.shutdown()
        short.shutdown()

    def test_a_day_that_is_made_anew(self, store: RedisStore, server: Any, prefix: str) -> None:
        """It expires as any other does, if it was not there before."""
        store.create(beginning("a"))
        close(store, "a")
        key = f"{{{prefix}}}:d:{START // HOUR_NS // 24}"
        server.delete(key)
        store.replace_day(START // HOUR_NS // 24)
        assert 10 * DAY_MS == pytest.approx(server.pttl(key), rel=0.001)

    def test_index_of_sums(self, store: RedisStore, server: Any, prefix: str) -> None:
        """It has an hour as long as there are sums of its day, by the clock of Redis; others stay."""
        hours = [START // HOUR_NS + number for number in (0, 5, 24)]
        for hour in hours:
            store.create(beginning(f"s{hour}"))
            close(store, f"s{hour}", ended_ns=hour * HOUR_NS)
        notes = dict(server.zrange(f"{{{prefix}}}:expiring", 0, -1, withscores=True)[-2:])
        left = [server.pttl(f"{{{prefix}}}:d:{hours[0] // 24 + number}") for number in (0, 1)]
        assert list(notes.values()) == pytest.approx([time.time() * 1000 + each for each in left], abs=5_000)
        server.zadd(f"{{{prefix}}}:expiring", {min(notes): 0})
        store.beat("p", START)
        assert hours[2:] == [int(hour) for hour in server.zrange(f"{{{prefix}}}:hours", 0, -1)]

    def test_sums_that_are_not_in_the_index(self, store: RedisStore, server: Any, prefix: str) -> None:
        """Nobody finds them; so they count as lost, and come back with a repair."""
        store.create(beginning("s", user="u"))
        close(store, "s", ended_ns=START)
        server.delete(f"{{{prefix}}}:hours")
        hour = START // HOUR_NS
        assert (store.tallies(0, 2**31), store.next_hour(-1)) == ([], hour)
        found = store.recount_hour(hour)
        assert found is not None
        assert (found.kept, len(found.counted)) == ({}, 1)
        assert store.replace_hour(hour, found)
        assert [each.tally.sessions for each in store.tallies(0, 2**31)] == [1]
        assert [each.tally.sessions for each in store.daily_tallies(0, 2**31)] == [1]

    def test_what_expired_was_forgotten_in_order(self, prefix: str) -> None:
        """Whatever retention it has who recounts: of an hour of which sessions have expired nothing is said."""
        store, command = redis_server.store(prefix=prefix, retention=0.2), redis_server.store(prefix=prefix)
        for number in range(3):
            store.create(beginning(f"s{number}"))
            close(store, f"s{number}", ended_ns=START + number * HOUR_NS)
        redis_server.until(lambda: store.get("s2") is None)
        hours = [START // HOUR_NS + number for number in range(3)]
        assert [command.recount_hour(hour).is_partial for hour in hours] == [True] * 3  # type: ignore[union-attr]
        # Who ends another one lets go of what has expired.
        store.create(beginning("s3"))
        close(store, "s3", ended_ns=START + 3 * HOUR_NS)
        recounted = [command.recount_hour(hour) for hour in [*hours, hours[-1] + 1]]
        assert [each is not None and each.is_partial for each in recounted] == [True, True, True, False]
        store.shutdown()
        command.shutdown()

    def test_nothing_left(self, store: RedisStore, server: Any, prefix: str) -> None:
        """Of sessions that have ended and were purged nothing is left, once their day is over."""
        for number in range(300):
            store.create(
                beginning(
                    f"s{number}", key=f"k{number}", user="u", owner="o", topology="scoped", idle_timeout_ns=SECOND
                )
            )
        store.merge({f"s{number}": delta(user="v") for number in range(300)})
        for number in range(300):
            close(store, f"s{number}", ended_ns=START + number)
        assert 100 == store.purge(START + 100)
        assert [None, "s100"] == [store.previous("k99"), store.previous("k100")]
        assert 200 == store.purge(START + 300)
        assert 0 == store.purge(START + 300 + 86_400 * SECOND)
        store.retire("o")
        assert {"meta"} == names(server, prefix)

    @pytest.mark.parametrize("upkeep", [lambda store: store.purge(0), lambda store: store.beat("p", 1)])
    def test_nothing_left_of_what_expired(
        self, prefix: str, server: Any, upkeep: Callable[[RedisStore], object]
    ) -> None:
        """What Redis has let expire is no more in the indexes, even if no session ends any more."""
        store = redis_server.store(prefix=prefix, retention=0.05)
        for number in range(30):
            store.create(beginning(f"s{number}", key=f"k{number}", user="u"))
            close(store, f"s{number}", owner="p")
        store.exported([f"s{number}" for number in range(30)])
        redis_server.until(lambda: not any(store.get(f"s{number}") for number in range(30)))
        assert {"ended", "expiring", "previous"} <= names(server, prefix)
        upkeep(store)
        assert {"meta", "hours", "owners", "expiring"} == {name for name in names(server, prefix) if ":" not in name}
        assert 1 == server.zcard(f"{{{prefix}}}:expiring"), "of the sums of a day, which are kept for longer"
        store.shutdown()

    def test_nothing_left_of_what_cannot_be_read(self, store: RedisStore, server: Any, prefix: str) -> None:
        """Who removes it removes what stands in the indexes with it."""
        store.create(beginning("a", key="k", user="u"))
        close(store, "a")
        server.hset(f"{{{prefix}}}:s:a", "b", "no")
        hour = START // HOUR_NS
        recounted = store.recount_hour(hour)
        assert recounted is not None
        assert (recounted.unreadable, store.replace_hour(hour, recounted)) == (["a"], True)
        assert {"meta"} == names(server, prefix)

    def test_of_what_is_damaged_all_through(self, store: RedisStore, server: Any, prefix: str) -> None:
        """It can be removed even if nothing says when it ended; its other traces go in their time."""
        for name in ("a", "b"):
            store.create(beginning(name, user="u"))
            close(store, name)
        server.hdel(f"{{{prefix}}}:s:a", "z")
        server.hset(f"{{{prefix}}}:s:b", "z", "no")
        store.remove(["a", "b"])
        assert ([], []) == (store.ended(9), store.history(Wanted(user="u"), 9))
        assert not {"s:a", "s:b", "ended"} & names(server, prefix)

    def test_an_id_that_is_used_again(self, prefix: str) -> None:
        """When the first one that had it expires, or is forgotten, the second one stays."""
        short, store = (redis_server.store(prefix=prefix, retention=seconds) for seconds in (0.05, 3600))
        short.create(beginning("a", key="k"))
        close(short, "a")
        redis_server.until(lambda: store.get("a") is None)
        store.create(beginning("a", key="k"))
        close(store, "a", ended_ns=START + 2 * SECOND)
        store.beat("p", START)
        assert (["a"], "a") == (ids(store.ended(9)), store.previous("k"))
        short.shutdown()
        store.shutdown()

    @pytest.mark.parametrize("is_owed", [False, True])
    def test_purge_after_redis_has_lost_one(
        self, store: RedisStore, server: Any, prefix: str, *, is_owed: bool
    ) -> None:
        """What has its id since, and is active or owed, is not what is forgotten."""
        store.create(beginning("a"))
        close(store, "a")
        server.delete(f"{{{prefix}}}:s:a")
        store.create(beginning("a"))
        if is_owed:
            close(store, "a", owner="p")
        assert 0 == store.purge(START + HOUR_NS)
        assert store.get("a") is not None


class TestShared:
    def test_debts(self, store: RedisStore) -> None:
        """An owner owes its scoped sessions and what it closed, until that is done; one of all takes it over."""
        store.beat("dead", 7)
        store.create(beginning("scoped", topology="scoped", owner="dead"))
        store.create(beginning("closed", owner="other"))
        store.create(beginning("exported"))
        store.create(beginning("foreign", owner="other"))
        close(store, "closed", owner="dead")
        close(store, "exported", owner="dead")
        store.exported(["exported"])
        assert [] == store.take_over("dead", 6, "b")
        assert [] == store.take_over("unknown", 7, "b")
        taken = store.take_over("dead", 7, "b")
        assert ["closed", "scoped"] == ids(taken)
        assert {"closed": False, "scoped": True} == {record.id: record.is_active for record in taken}
        assert [] == store.take_over("dead", 7, "c")
        assert {"b": 7} == store.owners()

    def test_taken_over_again(self, store: RedisStore) -> None:
        """Who takes over owes it from then on, and may die too."""
        store.beat("a", 1)
        store.create(beginning("s", topology="scoped", owner="a"))
        store.take_over("a", 1, "b")
        store.beat("b", 2)
        assert ["s"] == ids(store.take_over("b", 2, "c"))
        store.beat("c", 3)
        close(store, "s")
        assert [] == store.take_over("c", 3, "d")

    def test_owners(self, store: RedisStore) -> None:
        """The last heartbeat counts, exact to the nanosecond; who retires is forgotten."""
        store.beat("a", START + 1)
        store.beat("a", START + 3)
        store.beat("b", 2**62 + 1)
        assert {"a": START + 3, "b": 2**62 + 1} == store.owners()
        store.retire("a")
        store.retire("a")
        assert {"b": 2**62 + 1} == store.owners()

    def test_purge_leaves_what_is_owed(self, store: RedisStore) -> None:
        """What is owed is not forgotten; purging ends at the given time, exactly."""
        for number in range(3):
            store.create(beginning(f"s{number}"))
        close(store, "s0", ended_ns=START + 1)
        close(store, "s1", ended_ns=START + 2)
        close(store, "s2", ended_ns=START + 1, owner="o")
        assert 1 == store.purge(START + 2)
        assert [False, True, True] == [store.get(f"s{number}") is not None for number in range(3)]
        store.exported(["s2"])
        assert 2 == store.purge(START + 3)

    def test_exported_while_active(self, store: RedisStore) -> None:
        """A session that has not ended is still owed."""
        store.beat("a", 1)
        store.create(beginning("s", topology="scoped", owner="a"))
        store.exported(["s"])
        assert ["s"] == ids(store.take_over("a", 1, "b"))


class TestFork:
    def test_both_go_on(self, prefix: str) -> None:
        """A child has connections of its own; those of the parent are not touched."""
        completed = interpreter.run(f"""
            import os
            from otel_sessions.stores.redis import RedisStore
            from otel_sessions.typing import Beginning, Totals
            store = RedisStore({redis_server.shared().url!r}, prefix={prefix!r}, timeout=10)
            store.create(Beginning("a", "chat", "durable", 0))
            def work(times):
                for _ in range(times):
                    one = Totals()
                    one.requests = 1
                    assert store.merge({{"a": one}}) == set()
            children = []
            for _ in range(4):
                child = os.fork()
                if child == 0:
                    store.after_fork()
                    work(100)
                    os._exit(0)
                children.append(child)
            work(100)
            print([os.waitpid(child, 0)[1] for child in children], store.get("a").totals.requests)
        """)
        assert "[0, 0, 0, 0] 500" == completed.stdout.strip()


class TestClose:
    def test_one_step(self, store: RedisStore, server: Any, prefix: str) -> None:
        """What nobody owes is in the sums as soon as it has ended: between the two nothing can fail."""
        key = f"{{{prefix}}}:s:a"
        store.create(beginning("a"))
        with server.monitor() as monitor:
            close(store, "a")
            told = [monitor.next_command()["command"]]
            while not told[-1].startswith(f"HSETNX {key} n"):
                told.append(monitor.next_command()["command"])
        [ended] = [at for at, command in enumerate(told) if command.startswith(f"HSET {key} e")]
        assert not any(command.startswith("EVAL") for command in told[ended:])

    def test_while_others_merge(self, store: RedisStore, prefix: str) -> None:
        """What nobody owes is in the sums as it has ended, in one step: with all that was merged until then."""
        other, stop = redis_server.store(prefix=prefix), threading.Event()
        names = [f"s{number}" for number in range(100)]
        for name in names:
            store.create(beginning(name))

        def merge() -> None:
            while not stop.is_set():
                other.merge({name: delta(requests=1) for name in names})

        thread = threading.Thread(target=merge)
        thread.start()
        try:
            ended = [close(store, name, delta=delta(requests=1000)) for name in names]
            seen = [each.tally for each in store.tallies(0, 2**31)]
        finally:
            stop.set()
            thread.join()
        other.shutdown()
        requests = sum(record.totals.requests for record in ended if record is not None)
        assert [(100, requests)] == [(tally.sessions, tally.requests) for tally in seen]
        recounted = store.recount_hour(START // HOUR_NS)
        assert recounted is not None
        assert recounted.kept == recounted.counted


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
class TestProcesses:
    def test_one_ends_each(self, prefix: str) -> None:
        """Of 50 processes that end the same 200 sessions exactly one wins each."""
        completed = interpreter.run(f"""
            import os, random
            from otel_sessions.stores.redis import RedisStore
            from otel_sessions.typing import Beginning
            store = RedisStore({redis_server.shared().url!r}, prefix={prefix!r}, timeout=30)
            names = [f"s{{number}}" for number in range(200)]
            for name in names:
                store.create(Beginning(name, "chat", "durable", 0, key=name))
            receive, send = os.pipe()
            start, go = os.pipe()
            children = []
            for number in range(50):
                child = os.fork()
                if child == 0:
                    os.close(go)
                    store.after_fork()
                    mine = list(names)
                    random.Random(number).shuffle(mine)
                    os.read(start, 1)
                    for name in mine:
                        if store.close(name, status="success", reason="completed", ended_ns=number + 1) is not None:
                            os.write(send, f"{{name}} {{number + 1}}\\n".encode())
                    os._exit(0)
                children.append(child)
            os.close(send)
            os.close(start)
            os.close(go)
            won = os.fdopen(receive).read().split("\\n")[:-1]
            codes = {{os.waitpid(child, 0)[1] for child in children}}
            same = all(store.get(line.split()[0]).ended_ns == int(line.split()[1]) for line in won)
            print(codes, len(won), len({{line.split()[0] for line in won}}), same, store.counts())
        """)
        assert "{0} 200 200 True {}" == completed.stdout.strip()


class TestDeadline:
    def test_outside_of_a_call(self) -> None:
        """A connection that is used outside of a call, as when the pool tidies up, has a timeout too."""
        assert 1 == _redis_socket._deadline.remaining()
        with _redis_socket.within(5):
            assert 4 < _redis_socket._deadline.remaining() <= 5
