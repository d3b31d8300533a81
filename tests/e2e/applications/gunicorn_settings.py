"""How gunicorn is set up for OpenTelemetry: each worker has an SDK of its own, made after the fork.

https://opentelemetry-python.readthedocs.io/en/latest/examples/fork-process-model/README.html
"""

from opentelemetry.instrumentation.auto_instrumentation import initialize


def post_fork(server: object, worker: object) -> None:
    """Called by gunicorn in each new worker."""
    initialize()
