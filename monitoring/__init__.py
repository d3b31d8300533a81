"""The rules, dashboards and runbook as code: `python -m monitoring` writes them, from the names that are emitted.

What is written is committed (`prometheus/rules`, `grafana/dashboards`, `docs/runbook.md`), so that nobody who only
wants to use them needs this; `python -m monitoring --check` fails if something would change.
"""
