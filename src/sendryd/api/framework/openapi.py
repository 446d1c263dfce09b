"""The description of the API as an OpenAPI 3.1 document, made of the operations' declarations. Pure, and the same for the same declarations.

Words that many operations share stand in `words`.
"""

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode
from typing_extensions import override

from sendryd import __version__
from sendryd.api.framework.answers import Error, Json, error_json
from sendryd.api.framework.group import Group, PathParameter
from sendryd.api.framework.operation import Operation
from sendryd.api.framework.words import INTRODUCTION, QUERY_PARAMETERS, QUERY_WORDS
from sendryd.model.apikey import Scope
from sendryd.policy.refusal import Refusal, RefusalKey

OPENAPI: Final = "3.1.0"
JSON: Final = "application/json"
MAX_IDEMPOTENCY_KEY: Final = 256  # characters: the contract
_COMPONENTS: Final = "#/components/schemas/{model}"
_GENERIC: Final = re.compile(r"\A([A-Za-z]+)_([A-Za-z]+)_\Z")
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

_HEADERS: Final[Json] = {
    "X-Request-Id": {
        "description": "The id of the request; the server's log has the details under it.",
        "required": True,
        "schema": {"type": "string"},
    },
    "RateLimit-Limit": {"description": "Requests allowed in a burst; absent without a limit.", "schema": {"type": "integer"}},
    "RateLimit-Remaining": {"description": "Requests left in the burst.", "schema": {"type": "integer"}},
    "RateLimit-Reset": {"description": "Seconds until the whole burst is available again.", "schema": {"type": "integer"}},
    "Retry-After": {"description": "Seconds to wait before the next request.", "schema": {"type": "integer", "minimum": 0}},
    "Idempotent-Replayed": {
        "description": "The answer is that of an earlier request with the same `Idempotency-Key`.",
        "schema": {"type": "string", "enum": ["true"]},
    },
    "WWW-Authenticate": {"description": "The authentication scheme: `Bearer`.", "required": True, "schema": {"type": "string"}},
    "Content-Disposition": {"description": "The file name to save the download under.", "required": True, "schema": {"type": "string"}},
}
_LIMIT_WORDS: Final = {"ge": "minimum", "le": "maximum"}  # pydantic leaves its own words where a validator stands before a limit
_LIMITS: Final = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")

# By status: the name, what it means, an example of why, and headers of its own.
_ERRORS: Final[Mapping[int, tuple[str, str, Refusal, tuple[str, ...]]]] = {
    400: ("BadRequest", "The body is not JSON.", Refusal(RefusalKey.BAD_REQUEST, "The body is not JSON"), ()),
    401: ("Unauthorized", "The request has no API key, or an invalid one.", Refusal(RefusalKey.AUTH_FAILED), ("WWW-Authenticate",)),
    403: ("Forbidden", "The API key lacks the right to do this.", Refusal(RefusalKey.SCOPE_MISSING, Scope.FULL_ACCESS.value), ()),
    404: ("NotFound", "The account has no such resource.", Refusal(RefusalKey.NOT_FOUND, "Email"), ()),
    409: ("Conflict", "The request conflicts with the present state.", Refusal(RefusalKey.CONFLICT, "The email has begun to be sent"), ()),
    413: ("PayloadTooLarge", "The body is larger than this server accepts.", Refusal(RefusalKey.MESSAGE_TOO_BIG), ()),
    422: ("Invalid", "A field is invalid; `details.field` names it.", Refusal(RefusalKey.VALIDATION_ERROR, "to: it is required"), ()),
    429: ("RateLimited", "Too many requests, or the sending quota is used up.", Refusal(RefusalKey.RATE_LIMITED), ("Retry-After",)),
    503: ("Unavailable", "The server cannot store the request now.", Refusal(RefusalKey.TEMPORARILY_UNAVAILABLE), ("Retry-After",)),
}
_DETAILS: Final[Mapping[int, Json]] = {
    401: {"expected": "one header, Authorization: Bearer <API key>"},
    413: {"limit": 1_048_576},
    422: {"field": "to"},
}
_INTERNAL: Final = error_json(500, "internal_error", "Internal error; it has been logged under the id in X-Request-Id")


class _Generator(GenerateJsonSchema):
    """Without a title for every field that repeats its name."""

    @override
    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def describe(operations: Iterable[Operation]) -> Json:
    """The document. Aliases are left out."""
    listed = [operation for operation in operations if operation.is_listed]
    schemas = _Schemas(listed)
    groups: dict[str, Group] = {}
    for operation in listed:
        groups.pop(operation.group.name, None)  # a group stands where its own resource is: others lend it operations before
        groups[operation.group.name] = operation.group
    parameters = {segment: parameter for group in groups.values() for segment, parameter in group.parameters.items()}
    paths: dict[str, Json] = {}
    for operation in listed:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _describe_operation(operation, schemas, parameters)
    return {
        "openapi": OPENAPI,
        "info": {"title": "sendryd", "version": __version__, "description": INTRODUCTION, "license": {"name": "MIT", "identifier": "MIT"}},
        "servers": [{"url": "/", "description": "This server"}],
        "tags": [{"name": group.name, "description": group.description} for group in groups.values()],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "BearerAuth": {"type": "http", "scheme": "bearer", "description": "An API key: `sn_live_…` sends, `sn_test_…` tests."}
            },
            "headers": _HEADERS,
            "parameters": {"IdempotencyKey": _IDEMPOTENCY_KEY},
            "responses": _error_responses(),
            "schemas": schemas.components,
        },
    }


_IDEMPOTENCY_KEY: Final[Json] = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "Makes repeats of a request send once: for 24 hours, the same key and body get the first answer again.",
    "schema": {"type": "string", "minLength": 1, "maxLength": MAX_IDEMPOTENCY_KEY, "pattern": "^[!-~]([ -~]*[!-~])?$"},
    "example": "order-4711-shipped",
}


class _Schemas:
    """The schemas of all bodies and answers, each named type once."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        inputs: list[tuple[tuple[str, str], JsonSchemaMode, TypeAdapter[Any]]] = [(("", "error"), "serialization", TypeAdapter(Error))]
        for operation in operations:
            name = _name(operation)
            if operation.body is not None:
                inputs.append(((name, "body"), "validation", TypeAdapter(operation.body)))
            if operation.answer is not None:
                inputs.append(((name, "answer"), "serialization", TypeAdapter(operation.answer)))
        made, shared = TypeAdapter.json_schemas(inputs, ref_template=_COMPONENTS, schema_generator=_Generator)
        self._places = {key: _tidy(schema) for (key, _), schema in made.items()}
        every = {_rename(name): _tidy(schema) for name, schema in shared["$defs"].items()}
        used = _reach([*self._places.values(), {"$ref": "#/components/schemas/Error"}], every)
        self.components: Json = {name: every[name] for name in sorted(used)}

    def body(self, operation: Operation) -> Any:
        """The schema of its body."""
        return self._places[_name(operation), "body"]

    def answer(self, operation: Operation) -> Any:
        """The schema of its answer."""
        return self._places[_name(operation), "answer"]

    def describe_answer(self, operation: Operation) -> str:
        """What its answer is, in words."""
        name = str(self.answer(operation).get("$ref", "")) if operation.answer is not None else ""
        return str(self.components.get(name.rpartition("/")[2], {}).get("description", "Done."))


def _reach(start: Any, components: Mapping[str, Any]) -> set[str]:
    """The names of all schemas that something refers to, itself or through others."""
    found: set[str] = set()
    waiting = [start]
    while waiting:
        item = waiting.pop()
        if isinstance(item, list):
            waiting += item
        elif isinstance(item, dict):
            waiting += item.values()
            name = str(item.get("$ref", "")).rpartition("/")[2]
            if name in components and name not in found:
                found.add(name)
                waiting.append(components[name])
    return found


def _name(operation: Operation) -> str:
    return f"{operation.method} {operation.path}"


def _rename(name: str) -> str:
    """`Page_Email_` as `PageOfEmail`."""
    return _GENERIC.sub(r"\1Of\2", name)


def _tidy(schema: Any) -> Any:
    """A schema as the document has it: generic types by our names, limits by their names in JSON Schema, nothing that says nothing."""
    if isinstance(schema, list):
        return [_tidy(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    tidied: Json = {}
    for name, value in schema.items():
        if name in _LIMIT_WORDS and not isinstance(value, dict):
            tidied[_LIMIT_WORDS[name]] = value
        elif (name, value) == ("format", "date-time"):
            tidied["anyOf"] = [{"format": "date-time"}, {"format": "date"}]
        elif name == "$ref":
            start, _, last = value.rpartition("/")
            tidied[name] = f"{start}/{_rename(last)}"
        elif name == "description" and isinstance(value, str):
            tidied[name] = value
        elif not (name == "default" and value is None) and not (name == "title" and isinstance(value, str)):
            tidied[name] = _tidy(value)
    return tidied


def _describe_operation(operation: Operation, schemas: _Schemas, known: Mapping[str, PathParameter]) -> Json:
    described: Json = {
        "operationId": operation_id(operation),
        "tags": [operation.group.name],
        "summary": operation.summary,
        "description": _describe_in_words(operation),
        "security": [] if operation.scope is None else [{"BearerAuth": [operation.scope.value]}],
    }
    parameters = [*_path_parameters(operation.path, known), *(_query_parameters(operation.query) if operation.query else ())]
    if operation.is_idempotent:
        parameters.append({"$ref": "#/components/parameters/IdempotencyKey"})
    if parameters:
        described["parameters"] = parameters
    if operation.body is not None:
        content = {"schema": schemas.body(operation)}
        if operation.example is not None:
            content["examples"] = {"usual": {"value": operation.example}}
        described["requestBody"] = {"required": _is_required(operation, schemas), "content": {JSON: content}}
    described["responses"] = _responses(operation, schemas)
    return described


def operation_id(operation: Operation) -> str:
    """Method and path as one word: `get_emails_by_id_events`."""
    segments = operation.path.removeprefix("/v1/").split("/")
    words = [f"by_{_CAMEL.sub('_', each[1:-1]).lower()}" if each.startswith("{") else each.replace("-", "_") for each in segments]
    return "_".join((operation.method.lower(), *words))


def _describe_in_words(operation: Operation) -> str:
    """The operation's own text, the scope, and when there is a 403, 404 or 409 that is not as everywhere."""
    sentences = [operation.description] if operation.description else []
    sentences.append("For everybody." if operation.scope is None else f"Scope: `{operation.scope.value}`.")
    if operation.is_live_only:
        sentences.append("Test keys get a 403: live mail depends on what this changes.")
    reasons = ((403, operation.forbidden), (404, operation.missing), (409, operation.conflict))
    sentences += [f"{status}: {reason}" for status, reason in reasons if reason]
    return "\n\n".join(sentences)


def _path_parameters(path: str, known: Mapping[str, PathParameter]) -> Iterator[Json]:
    segments = path.split("/")
    for before, segment in itertools.pairwise(segments):
        if segment.startswith("{"):
            parameter = known.get(before, PathParameter("", segment, ""))
            yield {
                "name": segment[1:-1],
                "in": "path",
                "required": True,
                "description": parameter.description,
                "schema": {"type": "string", "minLength": 1},
                "example": parameter.example,
            }


def _query_parameters(model: type[BaseModel]) -> Iterator[Json]:
    schema = model.model_json_schema(schema_generator=_Generator)
    required = schema.get("required", ())
    for name, given in schema["properties"].items():
        inner = _without_null(given)
        named = schema["$defs"][inner.pop("$ref").rpartition("/")[2]] if "$ref" in inner else {}
        inner = _tidy({**named, **inner})
        inner |= {"enum": list(QUERY_WORDS[name])} if name in QUERY_WORDS and "enum" not in inner else {}
        text = inner.pop("description", given.get("description")) or QUERY_PARAMETERS.get(name)
        parameter: Json = {"name": name, "in": "query", "required": name in required, "schema": inner}
        parameter |= {} if parameter["required"] else {"allowEmptyValue": True}  # an empty value is one that is not given
        yield {**parameter, "description": text} if text else parameter


def _without_null(schema: Json) -> Json:
    """A query has no null: what may be null may be left out."""
    others = [each for each in schema.get("anyOf", ()) if each != {"type": "null"}]
    rest = {name: value for name, value in schema.items() if name != "anyOf"}
    return {**rest, **others[0]} if len(others) == 1 else dict(schema)


def _is_required(operation: Operation, schemas: _Schemas) -> bool:
    """Whether nothing is not enough: an empty body is read as an empty object."""
    schema = schemas.body(operation)
    if "$ref" in schema:
        schema = schemas.components[schema["$ref"].rpartition("/")[2]]
    return bool(schema.get("required"))


# Answers.


def _responses(operation: Operation, schemas: _Schemas) -> Json:
    has_key = operation.scope is not None
    names = ["X-Request-Id", *(_LIMITS if has_key else ()), *(("Idempotent-Replayed",) if operation.is_idempotent else ())]
    content: Json = {} if operation.answer is None else {JSON: {"schema": schemas.answer(operation)}}
    for media, text in (operation.media or {}).items():
        content[media] = {"schema": {"type": "string", "description": text}} if media.startswith("text/") else {}
    if content and operation.answer is None:
        names.append("Content-Disposition")
    answer: Json = {"description": schemas.describe_answer(operation), "headers": _header_references(names), "content": content}
    reasons = {403: operation.forbidden, 404: operation.missing, 409: operation.conflict}
    errors = {status: _error_reference(status, reasons.get(status, "")) for status in _statuses(operation)}
    return {"200": answer, **{str(status): errors[status] for status in sorted(errors)}}


def _statuses(operation: Operation) -> Iterator[int]:
    """The errors that an operation can answer with."""
    yield 500
    if operation.scope is not None:
        yield from (401, 429, 503)
        if operation.scope is not Scope.READ_ONLY or operation.forbidden:  # every key may read
            yield 403
    if operation.body is not None:
        yield from (400, 413)
    if operation.body is not None or operation.query is not None or operation.is_checked:
        yield 422
    if "{" in operation.path or operation.missing:
        yield 404
    if operation.conflict:
        yield 409


def _error_reference(status: int, reason: str) -> Json:
    name = "Internal" if status == 500 else _ERRORS[status][0]
    reference: Json = {"$ref": f"#/components/responses/{name}"}
    return {**reference, "description": reason} if reason else reference


def _error_responses() -> Json:
    responses = {name: _error_response(text, _example(status, why), headers) for status, (name, text, why, headers) in _ERRORS.items()}
    return {**responses, "Internal": _error_response("The server failed; its log has the details.", _INTERNAL, ())}


def _example(status: int, refusal: Refusal) -> Json:
    body = error_json(status, refusal.http_code, refusal.sentence, _DETAILS.get(status))
    if status == 429:
        body["error"]["retry_after"] = 3
    return body


def _error_response(text: str, example: Json, headers: Sequence[str]) -> Json:
    return {
        "description": text,
        "headers": _header_references(("X-Request-Id", *headers)),
        "content": {JSON: {"schema": {"$ref": "#/components/schemas/Error"}, "example": example}},
    }


def _header_references(names: Iterable[str]) -> Json:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}
