# The demo application: docker build --file compose/demo.Dockerfile .
FROM python:3.13-slim

# What to install: this checkout, or a released version.
ARG PACKAGE=.[fastapi,redis,genai]

WORKDIR /src
COPY . .
# uvicorn serves the demo's web application, and the instrumentation opens the spans of its requests.
RUN pip install --no-cache-dir "$PACKAGE" uvicorn opentelemetry-instrumentation-fastapi \
    && useradd --create-home demo \
    && install --directory --owner=demo /var/log/app

USER demo
WORKDIR /home/demo
# SIGTERM makes it export what it holds, and end.
ENTRYPOINT ["python", "-m", "otel_sessions.demo"]
CMD ["traffic"]
