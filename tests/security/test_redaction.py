"""What must vanish from free text, what must stay, and in what time."""

from __future__ import annotations

import math
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_sessions.security.redaction import is_redacted, is_secret_name, redact

LONG = "hunter2" * 100

SECRETS = [
    # Credentials in URLs.
    ("postgres://user:hunter2@db/app", "postgres://[redacted]@db/app"),
    ("redis://:hunter2@localhost:6379/0", "redis://[redacted]@localhost:6379/0"),
    ("amqp://guest:p@hunter2@mq", "amqp://[redacted]@mq"),
    ("two: a://u:hunter2@h b://u:hunter2@h", "two: a://[redacted]@h b://[redacted]@h"),
    ("https://x.test/?a=1&access_token=hunter2&b=2", "https://x.test/?a=1&access_token=[redacted]&b=2"),
    ("https://x.test/c?sv=1&sig=hunter2", "https://x.test/c?sv=1&sig=[redacted]"),
    # Header fields.
    ("Authorization: Bearer hunter2", "Authorization: [redacted]"),
    ("authorization: token hunter2 hunter2", "authorization: [redacted]"),
    ("Proxy-Authorization: Basic aHVudGVyMg==", "Proxy-Authorization: [redacted]"),
    ('Authorization: Digest username="ann", response="hunter2"', "Authorization: [redacted]"),
    ("Cookie: a=1; sid=hunter2\nHost: x", "Cookie: [redacted]\nHost: x"),
    ("Set-Cookie: sid=hunter2; HttpOnly", "Set-Cookie: [redacted]"),
    ("X-Api-Key: hunter2", "X-Api-Key: [redacted]"),
    ("X-Auth-Token: hunter2", "X-Auth-Token: [redacted]"),
    ("{'cookie': 'sid=hunter2'}", "{'cookie': [redacted]}"),
    ("[(b'cookie', b'sid=hunter2'), (b'host', b'x')]", "[(b'cookie', [redacted]), (b'host', b'x')]"),
    ("cookie='sid=hunter2'", "cookie=[redacted]"),
    ("got Bearer hunter2.hunter2", "got Bearer [redacted]"),
    ("got basic aHVudGVyMg==", "got basic [redacted]"),
    # Names that say that the value is secret.
    ("password=hunter2", "password=[redacted]"),
    ("PASSWORD = 'hunter2 hunter2'", "PASSWORD = [redacted]"),
    ("db.password: hunter2, retry", "db.password: [redacted], retry"),
    ("passwd:hunter2", "passwd:[redacted]"),
    ("passphrase=hunter2", "passphrase=[redacted]"),
    ("client_secret=hunter2", "client_secret=[redacted]"),
    ("clientSecret=hunter2", "clientSecret=[redacted]"),
    ("accessToken: hunter2", "accessToken: [redacted]"),
    ('{"refresh_token": "hunter2", "n": 1}', '{"refresh_token": [redacted], "n": 1}'),
    ('{"userPassword":"hunter2"}', '{"userPassword":[redacted]}'),
    ('{"password": "a\\"hunter2"}', '{"password": [redacted]}'),
    (r"{\"password\": \"hunter2\"}", None),
    ("{'password': b'hunter2'}", "{'password': [redacted]}"),
    ("Login(user='ann', password='hunter2')", "Login(user='ann', password=[redacted])"),
    ("passwords=['hunter2', 'other']", None),
    ("password=[hunter2]", None),
    ('password="hunter2', None),
    ("Server=db;UID=sa;PWD=hunter2;", "Server=db;UID=sa;PWD=[redacted];"),
    ("api_key=hunter2", "api_key=[redacted]"),
    ("apikey: hunter2", "apikey: [redacted]"),
    ("AWS_SECRET_ACCESS_KEY=hunter2", "AWS_SECRET_ACCESS_KEY=[redacted]"),
    ("SPRING_DATASOURCE_HIKARI_CONNECTION_PASSWORD=hunter2 x", None),
    (f"token={LONG}", "token=[redacted]"),
    (f'token="{LONG}"', "token=[redacted]"),
    # Keys and tokens that are known by their shape.
    ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.hunter2", "[token]"),
    ("use sk-proj-hunter2hunter2hunter2", "use [key]"),
    ("rk_live_hunter2hunter2hunter2", "[key]"),
    ("ghp_hunter2hunter2hunter2hunter2", "[key]"),
    ("github_pat_11ABCDEFG0hunter2_hunter2hunter2", "[key]"),
    ("glpat-hunter2hunter2hunter2", "[key]"),
    ("npm_hunter2hunter2hunter2hunter2", "[key]"),
    ("AKIAIOSFODNN7EXAMPLE", "[key]"),
    ("ASIAIOSFODNN7EXAMPLE", "[key]"),
    ("AIzaSyhunter2hunter2hunter2hunter2hunter", "[key]"),
    ("xoxb-1234567890-hunter2", "[key]"),
    ("-----BEGIN RSA PRIVATE KEY-----\nhunter2\n-----END RSA PRIVATE KEY-----", "[key]"),
    ("-----BEGIN PRIVATE KEY-----\nhunter2", "[key]"),
    # Personal data.
    ("mail hunter2@example.com now", "mail [email] now"),
    ("first.last+hunter2@mail.example.co.uk", "[email]"),
    ("jörg.hunter2@example.com", "[email]"),
    ("card 4111 1111 1111 1111 refused", "card [number] refused"),
    ("4111-1111-1111-1111", "[number]"),
    ("4111111111111111", "[number]"),
    ("3782 822463 10005", "[number]"),
    ("378282246310005.", "[number]."),
    ("from 192.168.1.17, port 80", "from [address], port 80"),
    ("('10.0.0.1', 8080)", "('[address]', 8080)"),
    ("connect to 10.0.0.1:8080 failed", "connect to [address]:8080 failed"),
    ("client:10.0.0.1", "client:[address]"),
    ("2001:db8:0:0:8:800:200c:417a", "[address]"),
    ("[2001:db8::1]:443", "[[address]]:443"),
    ("fe80::8a2e:370:7334 left", "[address] left"),
    ("::ffff:10.0.0.1", "[address]"),
]

HARMLESS = [
    "",
    "half way",
    "12 of 40 done, 3.5 % left",
    "input_tokens: 1500, output_tokens: 2000",
    "max_tokens=2048 tokens=5 token_count: 7 token_usage=9",
    "tokenizer=bert-base",
    "secretary: John",
    "the secret of success",
    "the key=value store, a keyboard: x, monkey=1",
    "forgot the password, sent a token",
    "signal=SIGTERM sign: x sigma=0.5 design=5 assign = 3",
    "a basic plan: upgrade",
    "the bearer of good news",
    "cookies: 3",
    "user at example.com",
    "@decorator a @ b x@y",
    "https://example.com:8080/a/b?c=d#e",
    "https://example.com/@name",
    "git@github:team",
    "2026-01-01T10:20:30.123456Z",
    "at 1767225600000 ms",
    "at 1767225600000000000 ns",
    "3.14159265358979",
    "order 1234567890123",
    "1234 5678 9012 3456",
    "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
    "commit 93252ce0a1b2c3d4e5f60718293a4b5c6d7e8f90",
    "0f" * 16,
    "version 1.2.3",
    "1.2.3.4.5",
    "999.1.1.1",
    "10:20:30",
    "std::vector a::b dead::beef ::",
    'File "app.py", line 10, in main',
    "C:\\Users",
    "KeyError: 'name'",
    "Ünïcödé 漢字 🎉",
]


class TestSecrets:
    @pytest.mark.parametrize(("text", "expected"), SECRETS)
    def test_vanish(self, text: str, expected: str | None) -> None:
        """A secret does not survive; what stands around it does."""
        found = redact(text)
        assert not re.search(r"hunter|1111|10005|EXAMPLE|10\.0|db8|8a2e|aHVu|eyJ", found)
        assert expected in {None, found}

    @pytest.mark.parametrize(("text", "expected"), SECRETS)
    def test_in_a_sentence(self, text: str, expected: str | None) -> None:
        """Also in the middle of other text, on a line of its own."""
        found = redact(f"cannot connect:\n{text}\nretrying")
        assert not re.search(r"hunter|1111|10005|EXAMPLE|10\.0|db8|8a2e|aHVu|eyJ", found)
        assert found.startswith("cannot connect:\n")

    @pytest.mark.parametrize(("text", "expected"), SECRETS)
    def test_twice(self, text: str, expected: str | None) -> None:
        """What is redacted already stays as it is."""
        assert redact(text) == redact(redact(text))

    @pytest.mark.parametrize(("text", "expected"), SECRETS)
    def test_remains(self, text: str, expected: str | None) -> None:
        """It is seen of a text that something was taken out of it."""
        assert is_redacted(redact(text))
        assert not is_redacted("a [note] of mine")


class TestHarmless:
    @pytest.mark.parametrize("text", HARMLESS)
    def test_stay(self, text: str) -> None:
        """A text without secrets stays as it is."""
        assert text == redact(text)


PARTS = st.sampled_from(
    [
        *(f" {text} " for text, _ in SECRETS),
        *HARMLESS,
        *("password", "token", "cookie", "Authorization", "bearer ", "basic ", "eyJ", "sk-", "://", "@", ":", "="),
        *('"', "'", "\\", "\n", " ", ",", ";", "&", "[", "]", "(", ")", ".", "-", "1", "a", "::", "\ud800"),
        "[redacted]",
    ]
)


class TestAnything:
    @settings(max_examples=300, deadline=None)
    @given(st.text())
    def test_never_raises(self, text: str) -> None:
        """Whatever the text is, nothing raises."""
        assert isinstance(redact(text), str)

    @settings(max_examples=300, deadline=None)
    @given(st.one_of(st.lists(st.characters()).map("".join), st.lists(PARTS, max_size=8).map("".join)))
    def test_idempotent(self, text: str) -> None:
        """Redacting twice is redacting once."""
        once = redact(text)
        assert once == redact(once)

    @settings(max_examples=100, deadline=None)
    @given(st.lists(PARTS, max_size=4).map("".join), st.lists(PARTS, max_size=4).map("".join))
    def test_in_the_middle(self, before: str, after: str) -> None:
        """A credential in a URL vanishes whatever stands around it."""
        assert "s3cr3t" not in redact(f"{before}\nredis://:s3cr3t@host\n{after}")


EVIL = [
    *("a", " ", "1", "1234 ", "1.", "ffff:", ":", "@", "a@", "a@a.", "a.", "a-", "_", "\\", "'", '"'),
    *("eyJaaaaaaaa-", "eyJaaaaaaaa.aaaa-", "token", "token-", "token ", "token='", "token= ", "token=["),
    *("password\\", "api_key", "sig", "cookie: '", "authorization ", "'cookie',", "bearer ", "basic a ", "basic/"),
    *("://", "://a:", "://:@", "sk-", "xoxb-a", "-----BEGIN PRIVATE KEY-----", "-----BEGIN A ", "\ud800"),
]
LENGTHS = (2_000, 10_000, 100_000)


def growth(before: str, part: str) -> float:
    """By which power of its length the time for a text grows; it is measured up to the first that takes a second."""
    times: list[float] = []
    for length in LENGTHS:
        text = (before + part * length)[:length]
        began = time.perf_counter()
        redact(text)
        times.append(time.perf_counter() - began)
        if times[-1] > 1:
            break
    if len(times) == 1:
        return math.inf
    return math.log(times[-1] / max(times[0], 0.0002)) / math.log(LENGTHS[len(times) - 1] / LENGTHS[0])


class TestTime:
    @pytest.mark.parametrize("before", ["", "token='", "://a:"])
    def test_linear(self, before: str) -> None:
        """No text, however evil, takes more than in proportion to its length."""
        slow = [part for part in EVIL if growth(before, part) > 1.5]
        assert {} == {part: power for part in slow if (power := growth(before, part)) > 1.5}


class TestSecretNames:
    @pytest.mark.parametrize(
        "name",
        [
            *("password", "db.password", "PASSWORD", "user_password", "userPassword", "passwd", "passphrase", "secret"),
            *("client_secret", "clientSecret", "token", "auth.token", "access_token", "accessToken", "api_key"),
            *(
                "apiKey",
                "x-api-key",
                "http.request.header.authorization",
                "Authorization",
                "cookie",
                "set-cookie",
                "credentials",
            ),
        ],
    )
    def test_secret(self, name: str) -> None:
        """Under such a name a value is a secret, whatever it looks like."""
        assert is_secret_name(name)

    @pytest.mark.parametrize(
        "name",
        [
            *("tokens", "input_tokens", "token_count", "gen_ai.usage.input_tokens", "gen_ai.token.type", "key"),
            *(
                "monkey",
                "secretary",
                "password_changed",
                "password.length",
                "cookie_count",
                "author",
                "signal",
                "step",
                "",
            ),
        ],
    )
    def test_harmless(self, name: str) -> None:
        """Such a name says nothing about secrets."""
        assert not is_secret_name(name)
