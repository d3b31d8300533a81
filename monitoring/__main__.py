"""Write what is generated, or check that nothing would change."""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Sequence

from .dashboards import OUTPUTS as DASHBOARDS
from .outputs import ROOT, stale


def main(arguments: Sequence[str] | None = None) -> int:
    """Write or check all files; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m monitoring", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, fail if something would change")
    check = parser.parse_args(arguments).check
    changed = stale()
    if not DASHBOARDS:
        print(f"left out: the dashboards, which need Python 3.11 to be built; this is {platform.python_version()}")
    for path, text in () if check else changed.items():
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_text(text, encoding="utf-8")
    for path in changed:
        print(f"{'out of date, run `make monitoring`' if check else 'written'}: {path}")
    return 1 if check and changed else 0


if __name__ == "__main__":
    sys.exit(main())
