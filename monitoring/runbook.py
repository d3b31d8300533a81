"""The runbook: a section for each alert."""

from __future__ import annotations

from itertools import groupby
from typing import Final

from .alerts import EVERY, Alert
from .alerts.model import GRAFANA
from .thresholds import THRESHOLDS, Threshold

_HEAD: Final = """\
<!-- Written by `python -m monitoring` from monitoring/alerts. Do not edit: change that, and write it anew. -->
# Runbook

What each alert means, how to see that it is so, and what to do. In the queries `{{job}}` stands for the alert's label
of that name. Where alerts begin is said in [monitoring](monitoring.md#alerts).
"""


def page() -> str:
    """The whole page."""
    sections = [_section(name, list(rules)) for name, rules in groupby(_in_order(), lambda each: each.name)]
    return _HEAD + "".join(sections)


def alert_table() -> str:
    """Every alert, with what it compares with."""
    lines = ["| alert | severity | component | when | for |\n", "| --- | --- | --- | --- | --- |\n"]
    return "".join([*lines, *map(_row, EVERY)])


def _row(alert: Alert) -> str:
    link = f"[{alert.name}](runbook.md#{alert.anchor})"
    return f"| {link} | {alert.severity} | {alert.component} | {_when(alert)} | {alert.wait} |\n"


def threshold_table() -> str:
    """Every threshold."""
    lines = ["| threshold | default | unit | what it is compared with |\n", "| --- | --- | --- | --- |\n"]
    lines += [f"| `{each.name}` | {each.value:.10g} | {each.unit} | {each.about} |\n" for each in THRESHOLDS]
    return "".join(lines)


def _in_order() -> list[Alert]:
    names = list(dict.fromkeys(each.name for each in EVERY))
    return sorted(EVERY, key=lambda each: names.index(each.name))


def _when(alert: Alert) -> str:
    limit = alert.threshold
    return f"`{limit.name}`: {limit.value:.10g} {limit.unit}" if isinstance(limit, Threshold) else f"not: {limit}"


def _section(name: str, rules: list[Alert]) -> str:
    first = rules[0]
    severities = " and ".join(each.severity for each in rules)
    queries = "".join(f"{query}\n" for query in first.entry.confirm)
    steps = "".join(f"{number}. {step}\n" for number, step in enumerate(first.entry.act, 1))
    return f"""
## {name}

{first.summary} Severity: {severities}; component: {first.component}.

**What it means.** {first.entry.means}

**How to confirm it.** On the [dashboard]({GRAFANA}/{first.dashboard}), or:

```promql
{queries}```

**What to do.**

{steps}"""
