"""What verbs write with `--json`, held to a schema each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it has no types of its own

_SCHEMAS = Path(__file__).parent / "schemas"


def checked(verb: str, written: str) -> Any:
    """What a verb has written, which is what its schema says."""
    found = json.loads(written)
    schema = json.loads((_SCHEMAS / f"{verb}.json").read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(found, schema, jsonschema.Draft202012Validator)
    return found
