"""docs/openapi.yaml as a schemathesis schema, with serializers for JSON Lines and CSV."""

import json
from pathlib import Path
from typing import Any

import schemathesis
from schemathesis.schemas import BaseSchema

PATH = Path(__file__).resolve().parents[2] / "docs" / "openapi.yaml"


def load() -> BaseSchema:
    """The description of the routes."""
    schema: BaseSchema = schemathesis.openapi.from_path(PATH)
    return schema


@schemathesis.serializer("application/jsonlines")
def _to_lines(_context: Any, value: Any) -> bytes:
    items = value if isinstance(value, list) else [value]
    return b"\n".join(json.dumps(item).encode() for item in items)


@schemathesis.serializer("text/csv")
def _to_csv(_context: Any, value: Any) -> bytes:
    return str(value).encode("utf-8", "surrogatepass")


@schemathesis.deserializer("application/jsonlines")
def _from_lines(_context: Any, response: Any) -> list[Any]:
    return [json.loads(line) for line in response.content.split(b"\n")] if response.content else []


@schemathesis.deserializer("text/csv")
def _from_csv(_context: Any, response: Any) -> str:
    return str(response.content.decode())
