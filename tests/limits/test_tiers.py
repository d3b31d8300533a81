"""Tiers: the ready ones, those in code, and those in a file."""

from __future__ import annotations

import copy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from otel_sessions import ConfigurationError, InvalidValueError
from otel_sessions.limits import READY, Concurrency, Quota, Rate, Tier
from otel_sessions.limits.tiers import tiers

TRIAL = Tier(
    "trial",
    Quota("tokens", 100_000, per="day"),
    Quota("tokens", 1_000_000, per="month", scope="tenant"),
    Quota("cost", 2.5),
    Rate("upload", "60/minute; 1000/hour", strategy="fixed-window"),
    Concurrency("export", 3),
)

TOML = """
[tiers.trial.quotas]
tokens = [{limit = 100000, per = "day"}, {limit = 1000000, per = "month", scope = "tenant"}]
cost = 2.5
[tiers.trial.rates]
upload = {limit = "60/minute; 1000/hour", strategy = "fixed-window"}
[tiers.trial.concurrency]
export = 3
"""

YAML = """
tiers:
  trial:
    quotas:
      tokens:
        - {limit: 100000, per: day}
        - {limit: 1000000, per: month, scope: tenant}
      cost: 2.5
    rates:
      upload: {limit: 60/minute; 1000/hour, strategy: fixed-window}
    concurrency:
      export: 3
"""


class TestTier:
    def test_by_name(self) -> None:
        """Its limits are found by name; of quotas there may be several."""
        assert ["tokens", "cost"] == list(TRIAL.quotas)
        assert ["day", "month"] == [quota.per for quota in TRIAL.quotas["tokens"]]
        assert "60/minute; 1000/hour" == TRIAL.rates["upload"].limit
        assert 3 == TRIAL.concurrency["export"].limit
        assert 5 == len(TRIAL.limits)

    def test_value(self) -> None:
        """It is a value: equal ones are equal, and can be copied."""
        assert TRIAL == copy.deepcopy(TRIAL)
        assert hash(TRIAL) == hash(copy.deepcopy(TRIAL))
        assert TRIAL != Tier("trial")
        assert "Concurrency(name='export', limit=3" in repr(TRIAL)

    @pytest.mark.parametrize(
        "limits",
        [
            [Quota("tokens", 1), Quota("tokens", 2)],
            [Rate("upload", "1/hour"), Rate("upload", "2/minute")],
            [Concurrency("file", 1), Concurrency("file", 2, scope="tenant")],
        ],
    )
    def test_contradiction(self, limits: Any) -> None:
        """Two limits that say two things of one are refused."""
        with pytest.raises(InvalidValueError, match="two limits"):
            Tier("trial", *limits)

    def test_wrong(self) -> None:
        """So are a name that is none, and what is no limit."""
        with pytest.raises(InvalidValueError, match="tier"):
            Tier("my tier")
        with pytest.raises(InvalidValueError, match="'60/minute' is no limit of the tier 'trial'"):
            Tier("trial", "60/minute")  # type: ignore[arg-type]


class TestReady:
    def test_ready(self) -> None:
        """The four that come ready have the same limits, each with more room than the one before."""
        assert ["free", "basic", "pro", "enterprise"] == list(READY)
        names = [(list(tier.quotas), list(tier.rates), list(tier.concurrency)) for tier in READY.values()]
        assert all(each == names[0] for each in names)
        limits = [[quota.limit for quotas in tier.quotas.values() for quota in quotas] for tier in READY.values()]
        assert all(a < b for a, b in zip(limits[0], limits[1], strict=True))  # type: ignore[operator]
        assert {None} == set(limits[3])

    def test_own(self) -> None:
        """One of the user's with the same name takes its place."""
        mine = Tier("pro", Quota("tokens", 1))
        assert [*READY, "trial"] == list(tiers([mine, TRIAL]))
        assert mine == tiers([mine])["pro"]
        assert READY == tiers(())

    def test_light(self) -> None:
        """Whoever defines no rates does not load the library that reads them."""
        code = "import sys, otel_sessions.limits; print('limits' in sys.modules, 'yaml' in sys.modules)"
        done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
        assert "False False" == done.stdout.strip()


class TestFile:
    @pytest.mark.parametrize(("name", "text"), [("tiers.toml", TOML), ("tiers.yaml", YAML), ("tiers.yml", YAML)])
    def test_read(self, tmp_path: Path, name: str, text: str) -> None:
        """A file says the same as code."""
        path = tmp_path / name
        path.write_text(text)
        assert TRIAL == tiers(str(path))["trial"]
        assert TRIAL == tiers(path)["trial"]

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "`tiers`"),
            ("[limits]", "`tiers`"),
            ("tiers = 3", "`tiers`"),
            ("tiers.trial = 3", "'trial'"),
            ("[tiers.trial.quota]", "quotas, rates, concurrency"),
            ("[tiers.trial]\nquotas = 3", "have to be a table"),
            ("[tiers.trial.quotas]\ntokens = 'many'", "the limit of 'tokens'"),
            ("[tiers.trial.quotas]\ntokens = {limit = 3, every = 'day'}", "every"),
            ("[tiers.trial.quotas]\ntokens = {per = 'day'}", "limit"),
            ("[tiers.trial.rates]\nupload = 'often'", "'often' cannot be the rate of 'upload'"),
            ("[tiers.'my tier'.rates]", "'my tier' cannot be a tier"),
            ("[tiers", "is not TOML"),
        ],
    )
    def test_wrong(self, tmp_path: Path, text: str, message: str) -> None:
        """What is wrong in it is said, with the name of the file."""
        path = tmp_path / "tiers.toml"
        path.write_text(text)
        with pytest.raises(ConfigurationError, match=r"tiers\.toml") as raised:
            tiers(path)
        assert message in str(raised.value)

    def test_wrong_yaml(self, tmp_path: Path) -> None:
        """So it is of a file that is no YAML."""
        path = tmp_path / "tiers.yaml"
        path.write_text("a: [")
        with pytest.raises(ConfigurationError, match="is not YAML"):
            tiers(path)

    def test_missing(self, tmp_path: Path) -> None:
        """A file that is not there, or no text, cannot be read."""
        with pytest.raises(ConfigurationError, match="cannot be read"):
            tiers(tmp_path / "none.toml")
        (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
        with pytest.raises(ConfigurationError, match="cannot be read"):
            tiers(tmp_path / "binary.toml")
        with pytest.raises(ConfigurationError, match="cannot be read"):
            tiers("no\0path.toml")

    def test_wrong_objects(self) -> None:
        """In code, too: what is no tier, and two of one name."""
        with pytest.raises(ConfigurationError, match="is no Tier"):
            tiers(["trial"])  # type: ignore[list-item]
        with pytest.raises(ConfigurationError, match="the same name"):
            tiers([TRIAL, TRIAL])
