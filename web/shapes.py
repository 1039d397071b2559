"""The words that JSON schemas are written in here: types, lists, objects, references."""

from typing import Any, Final

Schema = dict[str, Any]

TEXT: Final[Schema] = {"type": "string"}
FLAG: Final[Schema] = {"type": "boolean"}
WHOLE: Final[Schema] = {"type": "integer"}
NUMBER: Final[Schema] = {"type": "number"}
TIME: Final[Schema] = {"type": "string", "format": "date-time"}
ANY: Final[Schema] = {}
ANY_OBJECT: Final[Schema] = {"type": "object", "additionalProperties": True}
TEXTS: Final[Schema] = {"type": "array", "items": TEXT}
TEXT_MAP: Final[Schema] = {"type": "object", "additionalProperties": TEXT}


def ref(name: str) -> Schema:
    """A reference to another schema of this document."""
    return {"$ref": f"#/components/schemas/{name}"}


def many(item: Schema) -> Schema:
    """A list."""
    return {"type": "array", "items": item}


def maybe(schema: Schema) -> Schema:
    """The value, or null for absent."""
    return {"anyOf": [schema, {"type": "null"}]}


def shape(fields: dict[str, Schema], *, optional: bool = False, extra: bool = False) -> Schema:
    """An object with these fields; all of them always there unless `optional`."""
    told: Schema = {"type": "object", "properties": fields}
    if not optional:
        told["required"] = list(fields)
    if optional and not extra:
        told["additionalProperties"] = False
    return told
