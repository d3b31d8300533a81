"""Judging how sessions are, by the same measure as the alert rules for Prometheus."""
