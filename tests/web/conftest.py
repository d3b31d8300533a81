"""What the tests of the web integrations share."""

from __future__ import annotations

import pytest

from .sites import Site, fastapi_site, flask_site


@pytest.fixture(name="site", params=[fastapi_site, flask_site], ids=["fastapi", "flask"])
def _site(request: pytest.FixtureRequest) -> Site:
    """The same site in each framework."""
    found: Site = request.param
    return found
