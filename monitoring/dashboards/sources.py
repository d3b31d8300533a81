"""The data sources, as variables: whoever opens a dashboard chooses them, and none is written down in it."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.models.common import DataSourceRef

PROMETHEUS: Final = DataSourceRef("prometheus", "${datasource}")
TEMPO: Final = DataSourceRef("tempo", "${tempo}")
LOKI: Final = DataSourceRef("loki", "${loki}")
