"""What tokens cost, by the list of `genai-prices`."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import os
import sys
from typing import Any

import pytest
from genai_prices import Usage, calc_price

import otel_sessions
from otel_sessions._consumption import Consumption
from otel_sessions._prices import PriceList
from otel_sessions.testing import record_sessions

from .interpreter import answer

TIME_NS = int(dt.datetime(2026, 11, 1, tzinfo=dt.timezone.utc).timestamp()) * 10**9


def consumption(
    model: str | None = "gpt-4o", provider: str | None = "openai", *, tokens: dict[str, int] | None = None, **more: Any
) -> Consumption:
    return Consumption(tokens or {"input": 1_000_000, "output": 1_000_000}, model, provider, TIME_NS, **more)


def price(*arguments: Any, **more: Any) -> float | None:
    return PriceList(enabled=True).price(consumption(*arguments, **more))


def listed(model: str, provider: str, **usage: int) -> float:
    """What the list itself says."""
    when = dt.datetime.fromtimestamp(TIME_NS / 1e9, dt.timezone.utc)
    return float(calc_price(Usage(**usage), model, provider_id=provider, genai_request_timestamp=when).total_price)


class TestPrice:
    def test_in_dollars(self) -> None:
        """A known model of a known provider has the price of the list, at that time."""
        assert listed("gpt-4o", "openai", input_tokens=10**6, output_tokens=10**6) == price()

    def test_model_alone(self) -> None:
        """Without a provider it is the price of the model's maker."""
        assert price("gpt-4o", "openai") == price("gpt-4o", None)

    @pytest.mark.parametrize(
        ("provider", "model", "same_as"),
        [
            ("azure.ai.openai", "gpt-4o", "azure"),
            ("azure.ai.inference", "gpt-4o", "azure"),
            ("az.ai.inference", "gpt-4o", "azure"),
            ("gcp.gemini", "gemini-2.5-pro", "google"),
            ("gcp.vertex_ai", "gemini-2.5-pro", "google"),
            ("gcp.gen_ai", "gemini-2.5-pro", "google"),
            ("anthropic", "claude-sonnet-4-0", "anthropic"),
            ("aws.bedrock", "anthropic.claude-3-5-sonnet-20240620-v1:0", "aws"),
            ("mistral_ai", "mistral-large-latest", "mistral"),
            ("x_ai", "grok-4", "x-ai"),
            ("cohere", "command-r-plus", "cohere"),
            ("deepseek", "deepseek-chat", "deepseek"),
            ("groq", "llama-3.3-70b-versatile", "groq"),
            ("perplexity", "sonar", "perplexity"),
            ("OpenAI", "gpt-4o", "openai"),
        ],
    )
    def test_providers(self, provider: str, model: str, same_as: str) -> None:
        """Providers are known by the names of the semantic conventions, and some old spellings of them."""
        assert listed(model, same_as, input_tokens=10**6, output_tokens=10**6) == price(model, provider)

    @pytest.mark.parametrize(
        ("model", "provider"),
        [("my-model", None), ("my-model", "openai"), ("gpt-4o", "ollama"), (None, "openai"), ("_OTHER", None)],
    )
    def test_unknown(self, model: str | None, provider: str | None) -> None:
        """What the list does not know has no price, and that is not zero: a provider of one's own may cost nothing."""
        assert price(model, provider) is None

    def test_the_answer_is_more_exact(self) -> None:
        """The model that answered is looked up first, then the one that was asked for."""
        assert price("gpt-4o-mini") == price("gpt-4o", answered_by="gpt-4o-mini-2024-07-18")
        assert price("gpt-4o") == price("gpt-4o", answered_by="our-deployment")

    def test_cache(self) -> None:
        """What is read from the cache is cheaper; it is part of the input."""
        read = price("claude-sonnet-4-0", "anthropic", tokens={"input": 1_000, "cache_read": 900, "output": 10})
        assert (
            listed("claude-sonnet-4-0", "anthropic", input_tokens=1_000, cache_read_tokens=900, output_tokens=10)
            == read
        )
        write = price("claude-sonnet-4-0", "anthropic", tokens={"input": 1_000, "cache_write": 600})
        assert listed("claude-sonnet-4-0", "anthropic", input_tokens=1_000, cache_write_tokens=600) == write
        assert write == price("claude-sonnet-4-0", "anthropic", tokens={"input": 1_000, "cache_creation": 600})

    def test_cache_apart(self) -> None:
        """Counts of an API whose input leaves the cache out are understood."""
        apart = price("claude-sonnet-4-0", "anthropic", tokens={"input": 100, "cache_read": 900, "output": 10})
        together = price("claude-sonnet-4-0", "anthropic", tokens={"input": 1_000, "cache_read": 900, "output": 10})
        assert together == apart

    def test_reasoning(self) -> None:
        """Reasoning is part of the output."""
        assert price("o3", tokens={"output": 100}) == price("o3", tokens={"output": 100, "reasoning": 80})

    def test_service_tier(self) -> None:
        """A provider that says that it served the call at another price is believed."""
        flex, standard = price("o3", service_tier="flex"), price("o3", service_tier="default")
        assert price("o3") == standard
        assert flex is not None
        assert standard is not None
        assert flex < standard

    def test_disabled(self) -> None:
        """Whoever wants no prices has none, and the list is not loaded."""
        prices = PriceList(enabled=False)
        assert prices.is_loaded
        assert prices.price(consumption()) is None


class TestLog:
    def test_unknown_model(self, caplog: pytest.LogCaptureFixture) -> None:
        """That a model has no price is said once, as information."""
        with caplog.at_level(logging.INFO, "otel_sessions"):
            price("my-model")
            price("other-model", None)
        [record] = caplog.records
        assert logging.INFO == record.levelno
        assert "does not know the model 'my-model' of 'openai'" in record.getMessage()

    def test_not_installed(self, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without the extra nothing is priced; the log explains it once, as information, and says what to install."""
        monkeypatch.setitem(sys.modules, "genai_prices", None)
        prices = PriceList(enabled=True)
        with caplog.at_level(logging.INFO, "otel_sessions"):
            assert [None, None] == [prices.price(consumption()), prices.price(consumption())]
        [record] = caplog.records
        assert logging.INFO == record.levelno
        assert "pip install 'otel-sessions[genai]'" in record.getMessage()

    def test_broken(self, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
        """A list that cannot be used costs a message, not the application."""
        monkeypatch.setitem(sys.modules, "genai_prices", object())
        assert price() is None
        assert ["load the price list"] == [
            record.args[0] for record in caplog.records if isinstance(record.args, tuple)
        ]

    def test_failing(self, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
        """So does one that fails at some price."""

        def fail(*_: Any, **__: Any) -> None:
            raise RuntimeError("no such unit")

        prices = PriceList(enabled=True)
        prices.load()
        monkeypatch.setattr("genai_prices.calc_price", fail)
        assert prices.price(consumption()) is None
        assert ["price tokens"] == [record.args[0] for record in caplog.records if isinstance(record.args, tuple)]


class TestLoading:
    def test_on_first_use(self) -> None:
        """Neither the import of the package nor a session loads the list; the first price does."""
        code = """
        import json, sys
        import otel_sessions
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry import trace
        trace.set_tracer_provider(TracerProvider())
        loaded = []
        with otel_sessions.session("chat") as s:
            with s.turn(model="gpt-4o") as turn:
                turn.tokens(input=1)
                turn.cost(0.5)
            loaded.append("genai_prices" in sys.modules)
            with s.turn(model="gpt-4o") as turn:
                turn.tokens(input=1)
            loaded.append("genai_prices" in sys.modules)
        print(json.dumps(loaded))
        """
        assert [False, True] == answer(code)

    def test_nothing_is_fetched(self) -> None:
        """Prices come from the package itself: no socket is opened."""
        code = """
        import json, sys
        NETWORK = {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname"}
        opened = []
        sys.addaudithook(lambda event, _: opened.append(event) if event in NETWORK else None)
        import otel_sessions
        with otel_sessions.session("chat") as s, s.turn(model="gpt-4o") as turn:
            turn.tokens(input=1000)
        print(json.dumps([s.snapshot().totals.cost, opened]))
        """
        assert [{"USD": 0.0025}, []] == answer(code)

    def test_event_loop_goes_on(self) -> None:
        """At the end of a turn of async code the list is loaded in another thread."""
        code = """
        import asyncio, json, sys, threading
        import otel_sessions
        loaders = []
        class Finder:
            def find_spec(self, name, *_):
                if name == "genai_prices":
                    loaders.append(threading.current_thread() is threading.main_thread())
        sys.meta_path.insert(0, Finder())
        async def main():
            async with otel_sessions.session("chat") as s:
                async with s.turn(model="gpt-4o") as turn:
                    turn.tokens(input=1000)
                return s.snapshot().totals.cost
        print(json.dumps([asyncio.run(main()), loaders]))
        """
        assert [{"USD": 0.0025}, [False]] == answer(code)

    def test_cancelled_meanwhile(self) -> None:
        """A turn that is cancelled while the list is loaded is counted, price and all, and cancelled."""

        async def ask(handle: otel_sessions.Session) -> None:
            async with handle.turn(model="gpt-4o") as turn:
                turn.tokens(input=1_000)
                task = asyncio.current_task()
                assert task is not None
                task.cancel()

        with record_sessions() as recorded, otel_sessions.session("chat") as handle:
            with pytest.raises(asyncio.CancelledError):
                asyncio.run(ask(handle))
            assert 0.0025 == recorded.metric("app_session.cost")

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
    def test_fork_amid_loading(self) -> None:
        """A process forked while the list is loaded can load it itself."""
        code = """
        import json, os, threading, warnings
        warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside threads
        from otel_sessions._consumption import Consumption
        from otel_sessions._prices import PriceList
        prices = PriceList(enabled=True)
        loader = threading.Thread(target=prices.load)
        loader.start()
        if os.fork() == 0:
            known = prices.price(Consumption({"input": 1000}, "gpt-4o", None, 1_800_000_000 * 10**9))
            os._exit(0 if known else 1)
        loader.join()
        print(json.dumps(os.waitstatus_to_exitcode(os.wait()[1])))
        """
        assert 0 == answer(code)
