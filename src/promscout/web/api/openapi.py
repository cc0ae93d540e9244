"""The OpenAPI document, made from the table of endpoints. Imported when it is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final, TypeAlias

import msgspec
import yaml

from promscout import __version__
from promscout.web.answers import JSON
from promscout.web.api import routes as api
from promscout.web.api.described import OPERATIONS
from promscout.web.api.endpoints import TEXT, Endpoint, Operation, Parameter

Node: TypeAlias = dict[str, Any]

VERSION: Final = "3.1.0"

_REF: Final = "#/components/schemas/{name}"
_NO_WIDTH: Final = 1 << 30
_MEANINGS: Final = {
    400: "What is asked for cannot be understood.",
    403: "It is not allowed to ask for this.",
    404: "There is no such thing.",
    422: "It is understood, but cannot be done.",
    500: "It has failed.",
    503: "It is not there now.",
}
_REFUSED: Final = {
    401: "A web configuration asks for a password or a token, and it is not this one.",
    403: "The server has no such name.",
    429: "More requests than a web configuration allows.",
}
"""What can come of any request, before it is looked at what it asks for."""

_GROUPS: Final = {
    "targets": "Targets and their jobs.",
    "metadata": "What targets say about their metrics.",
    "status": "The agent itself.",
    "features": "What there is.",
    "notifications": "What the user should know.",
    "unavailable": "What Prometheus has and an agent has not.",
    "management": "Health, reload and end.",
    "metrics": "The agent's own metrics.",
    "downstream": "Lists of targets for other servers.",
}


class _Dumper(yaml.CSafeDumper):
    """Writes out what stands in several places: not every reader of OpenAPI knows aliases."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - the same for all
        return True


class ErrorAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A refusal. Source: prometheus v3.x web/api/v1/api.go Response."""

    status: str
    error_type: str
    error: str


@lru_cache(maxsize=2)
def encoded(paths: frozenset[str], root: str, content_type: str) -> bytes:
    """The document of what is at ``paths``, below the path prefix ``root``, as YAML or JSON."""
    described = (one for one in (*api.ENDPOINTS, *OPERATIONS) if one.path in paths)
    made = document(tuple(described), root)
    if content_type == JSON:
        return msgspec.json.encode(made)
    return yaml.dump(made, Dumper=_Dumper, sort_keys=False, allow_unicode=True, encoding="utf-8", width=_NO_WIDTH)


def document(operations: tuple[Operation, ...], root: str) -> Node:
    """The document of ``operations``, as what JSON and YAML are made of."""
    schemas = _Schemas(operations)
    paths: dict[str, Node] = {}
    for operation in operations:
        for method in operation.methods:
            paths.setdefault(operation.path, {})[method.lower()] = _operation(operation, method, schemas)
    groups = dict.fromkeys(operation.group for operation in operations)
    return {
        "openapi": VERSION,
        "info": {
            "title": "promscout",
            "description": "Prometheus's HTTP API as an agent has it, and what promscout has beyond it.",
            "version": __version__,
        },
        "servers": [{"url": root or "/"}],
        "tags": [{"name": name, "description": _GROUPS[name]} for name in groups],
        "paths": paths,
        "components": {
            "schemas": schemas.components,
            "responses": {
                f"Refused{status}": {"description": meaning, "content": _content(TEXT, {"type": "string"})}
                for status, meaning in _REFUSED.items()
            },
            "securitySchemes": {name: {"type": "http", "scheme": name} for name in ("basic", "bearer")},
        },
        "security": [{}, {"basic": []}, {"bearer": []}],
    }


class _Schemas:
    """The schemas of all types that the document needs, each once."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        types: dict[str, Any] = {repr(ErrorAnswer): ErrorAnswer}
        for operation in operations:
            for wanted in (operation.answer, *(parameter.type for parameter in operation.parameters)):
                if wanted is not None:
                    types[repr(wanted)] = wanted
        made, components = msgspec.json.schema_components(types.values(), ref_template=_REF)
        self._made = dict(zip(types, made, strict=True))
        self.components: Mapping[str, Any] = components

    def of(self, wanted: object) -> Node:
        """The schema of a type; of a struct a reference."""
        return self._made[repr(wanted)]


def _operation(operation: Operation, method: str, schemas: _Schemas) -> Node:
    name = operation.path.strip("/").removeprefix("api/v1/")
    for sign in "/-.{}":
        name = name.replace(sign, "_")
    node: Node = {
        "operationId": "_".join(filter(None, (method.lower(), *name.split("_")))),
        "summary": operation.summary,
        "tags": [operation.group],
    }
    if operation.parameters:
        node["parameters"] = [_parameter(parameter, schemas) for parameter in operation.parameters]
    return node | {"responses": dict(_responses(operation, schemas))}


def _parameter(parameter: Parameter, schemas: _Schemas) -> Node:
    schema = schemas.of(parameter.type)
    example = [parameter.example] if parameter.many else parameter.example
    return {
        "name": parameter.name,
        "in": parameter.where,
        "description": parameter.summary,
        "required": parameter.required,
        "schema": {"type": "array", "items": schema} if parameter.many else schema,
        **({} if parameter.example is None else {"example": example}),
    }


def _responses(operation: Operation, schemas: _Schemas) -> Iterator[tuple[str, Node]]:
    """By status; of two for one status the later holds."""
    for status in _REFUSED:
        yield str(status), {"$ref": f"#/components/responses/Refused{status}"}
    if operation.success is not None:
        yield str(operation.success), _answer(operation, schemas)
    if isinstance(operation, Endpoint) and operation.success is not None and operation.tagged:
        yield "304", {"description": "As the client has it already, by its entity tag."}
    refused = _content(JSON, schemas.of(ErrorAnswer))
    for status in operation.errors:
        in_words = operation.content_type == TEXT
        yield (
            str(status),
            {"description": _MEANINGS[status], "content": _content(TEXT, {"type": "string"}) if in_words else refused},
        )
    if isinstance(operation, Endpoint) and operation.needs_ready:
        yield "503", {"description": "It starts up or shuts down.", "content": _content(TEXT, {"type": "string"})}


def _answer(operation: Operation, schemas: _Schemas) -> Node:
    node: Node = {"description": "What is asked for."}
    if operation.answer is None:
        return node
    schema = schemas.of(operation.answer)
    if operation.enveloped:
        schema = {
            "type": "object",
            "properties": {"status": {"const": "success"}, "data": schema},
            "required": ["status", "data"],
            "additionalProperties": False,
        }
    return node | {"content": _content(operation.content_type, schema)}


def _content(content_type: str, schema: Node) -> Node:
    return {content_type: {"schema": schema}}
