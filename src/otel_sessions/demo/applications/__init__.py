"""The programs of the demo. `web_fastapi` and `web_flask` know nothing of sessions, nor of OpenTelemetry."""
