"""A batch job whose every run is a session.

Run it with `python examples/batch.py`; to see what it sends:

    opentelemetry-instrument --traces_exporter console --logs_exporter console --metrics_exporter none \\
        python examples/batch.py
"""

import csv
import io

from otel_sessions import current_session, session

DELIVERIES = """article,amount
lamp,3
desk,two
chair,12
"""


@session("delivery_import", attributes={"warehouse": "north"})
def import_deliveries(file: io.StringIO) -> int:
    run = current_session()
    run.progress("Reading", step=1)
    stored = sum(map(amount, csv.DictReader(file)))
    run.progress("Stored", step=2, articles=stored)
    return stored


def amount(row: dict[str, str]) -> int:
    try:
        return int(row["amount"])
    except ValueError as error:
        current_session().error(error, article=row["article"])
        return 0


if __name__ == "__main__":
    print(f"stored {import_deliveries(io.StringIO(DELIVERIES))} articles")
