"""What is started once for the tests of a file, and stopped after them: traffic keeps a processor busy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from .pipeline import Pipeline


@pytest.fixture(name="pipeline", scope="module")
def _pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """Traffic, collectors and Prometheus, with every series there."""
    with ExitStack() as held:
        pipeline = Pipeline(tmp_path_factory.mktemp("pipeline"))
        pipeline.run(held)
        yield pipeline
