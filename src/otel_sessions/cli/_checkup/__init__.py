"""What `otel-sessions doctor` looks at: a module for each thing, apart from how it is shown."""

from ._consistency import consistency
from ._exporting import exporting
from ._finding import Finding
from ._instrumentations import instrumentations
from ._packages import packages
from ._store import Reached, store
from ._variables import variables

__all__ = ["Finding", "Reached", "consistency", "exporting", "instrumentations", "packages", "store", "variables"]
