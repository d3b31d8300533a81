"""Names that cannot be turned back."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import otel_sessions
from otel_sessions.security.pseudonyms import Pseudonyms
from otel_sessions.stores import MemoryStore
from otel_sessions.testing import RecordedSessions, record_sessions

from ..failing_store import FailingStore

KEY = b"0123456789abcdef"

quick = settings(max_examples=100, deadline=None)


class TestUser:
    def test_hmac(self) -> None:
        """A pseudonym is HMAC-SHA-256 of the purpose and the name, truncated to 128 bits."""
        expected = hmac.digest(KEY, b"user\0" + "Zoë".encode(), hashlib.sha256)[:16].hex()
        assert expected == Pseudonyms(KEY).user("Zoë")

    @quick
    @given(st.text(), st.text())
    def test_told_apart(self, one: str, other: str) -> None:
        """The same name has the same pseudonym, another name another one; 32 hexadecimal digits, whatever the name."""
        pseudonyms = Pseudonyms(KEY)
        assert (one == other) == (pseudonyms.user(one) == pseudonyms.user(other))
        assert 32 == len(f"{int(pseudonyms.user(one), 16):032x}")
        assert Pseudonyms(KEY).user(one) == pseudonyms.user(one)

    def test_another_key(self) -> None:
        """Under another key the same name has another pseudonym."""
        assert Pseudonyms(KEY).user("ann") != Pseudonyms(KEY + b"0").user("ann")

    def test_not_utf8(self) -> None:
        """A name that is no valid text has a pseudonym as well, one of its own."""
        assert 2 == len({Pseudonyms(KEY).user(name) for name in ("\ud800", "\ud801")})

    def test_bounded(self) -> None:
        """Names that come only once do not fill the memory, and the pseudonyms stay what they are."""
        pseudonyms = Pseudonyms(KEY)
        first = pseudonyms.user("user 0"), pseudonyms.client("cookie", "user 0")
        for number in range(5_000):
            pseudonyms.user(f"user {number}")
            pseudonyms.client("cookie", f"user {number}")
        kept = [len(getattr(pseudonyms, name)) for name in Pseudonyms.__slots__ if name != "_base"]
        assert sum(kept) <= 2_048
        assert first == (pseudonyms.user("user 0"), pseudonyms.client("cookie", "user 0"))


class TestClient:
    def test_kind_in_front(self) -> None:
        """A client's key says how it was recognised, and nothing of the evidence."""
        key = Pseudonyms(KEY).client("cookie", "hunter2")
        kind, _, digest = key.partition(":")
        assert ("cookie", 32) == (kind, len(digest))
        assert "hunter2" not in key

    @quick
    @given(st.text())
    def test_purposes_apart(self, value: str) -> None:
        """One value has different digests as a user, as a cookie and as a credential."""
        pseudonyms = Pseudonyms(KEY)
        digests = {
            pseudonyms.user(value),
            *(pseudonyms.client(kind, value).partition(":")[2] for kind in ("cookie", "credential")),
        }
        assert 3 == len(digests)


class TestKey:
    @pytest.mark.parametrize("length", [0, 15])
    def test_too_short(self, length: int) -> None:
        """A key that could be guessed is refused."""
        with pytest.raises(ValueError, match=f"at least 16 bytes, this one has {length}"):
            Pseudonyms(bytes(length))

    def test_configured(self) -> None:
        """Two deployments with the same key make the same pseudonyms, whatever their stores."""
        found = []
        for _ in range(2):
            with record_sessions(pseudonym_key=KEY.decode()):
                found.append(otel_sessions.start("chat", user="ann").user)
        assert [Pseudonyms(KEY).user("ann")] * 2 == found

    def test_of_the_store(self, recorded_sessions: RecordedSessions) -> None:
        """Without a configured key the store's secret is the key."""
        with record_sessions(store=(store := MemoryStore())):
            assert Pseudonyms(store.secret()).user("ann") == otel_sessions.start("chat", user="ann").user

    def test_shared_store_warns(self, caplog: pytest.LogCaptureFixture) -> None:
        """A key that a shared store keeps beside the data protects less: one warning says how to do better."""
        with record_sessions(store=FailingStore(shared=True)):
            for name in ("ann", "ben"):
                otel_sessions.start("chat", user=name)
        assert ["OTEL_SESSIONS_PSEUDONYM_KEY" in message for message in caplog.messages] == [True]

    def test_store_without_secret(self, caplog: pytest.LogCaptureFixture) -> None:
        """When the store does not answer users still become pseudonyms, though only this process's."""
        store = FailingStore()
        store.failing = {"secret"}
        with record_sessions(store=store):
            users = [otel_sessions.start("chat", user=name).user for name in ("ann", "ben", "ann")]
        assert [users[0], users[1], users[0]] == users
        assert users[0] != users[1]
        assert [32, 32] == [len(user or "") for user in users[:2]]
