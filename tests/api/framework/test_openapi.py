"""The description at /openapi.json: whole, valid, and made of what the server does."""

import asyncio
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from sendryd.api.framework.openapi import describe
from sendryd.api.framework.operation import Operation
from sendryd.api.framework.words import QUERY_PARAMETERS
from sendryd.api.templates.operations import GROUP
from sendryd.model.actor import System
from sendryd.model.ids import AccountId
from sendryd.testing.api import ApiWorld
from sendryd.testing.http import Answer
from sendryd.testing.stores import quick_folder

Document = dict[str, Any]
METHODS = {"get", "post", "put", "patch", "delete"}


@pytest.fixture(scope="module")
def answered() -> tuple[Answer, list[Operation]]:
    """The description as it is served, and the declarations that it is made of."""

    async def ask(data_dir: Path) -> tuple[Answer, list[Operation]]:
        async with ApiWorld.open(data_dir) as api:
            return await api.get("/openapi.json"), api.operations

    with tempfile.TemporaryDirectory(dir=quick_folder()) as folder:
        return asyncio.run(ask(Path(folder)))


@pytest.fixture
def document(answered: tuple[Answer, list[Operation]]) -> Document:
    answer, _ = answered
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    found: Document = answer.json
    return found


@pytest.fixture
def operations(answered: tuple[Answer, list[Operation]]) -> list[Operation]:
    return answered[1]


def described(document: Document) -> Iterator[tuple[str, Document]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield f"{method.upper()} {path}", operation


def references(item: Any) -> Iterator[str]:
    if isinstance(item, list):
        for each in item:
            yield from references(each)
    elif isinstance(item, dict):
        if isinstance(item.get("$ref"), str):
            yield item["$ref"]
        for each in item.values():
            yield from references(each)


def resolve(document: Document, reference: str) -> Any:
    found: Any = document
    for name in reference.removeprefix("#/").split("/"):
        found = found[name]
    return found


def schemas(item: Any) -> Iterator[Any]:
    """All schemas that stand in a document outside of others."""
    if isinstance(item, list):
        for each in item:
            yield from schemas(each)
    elif isinstance(item, dict):
        for name, each in item.items():
            if name == "schema":
                yield each
            else:
                yield from schemas(each)


def test_every_operation_that_is_listed_is_described_and_no_other(document: Document, operations: list[Operation]) -> None:
    listed = {f"{each.method} {each.path}" for each in operations if each.is_listed}
    assert {name for name, _ in described(document)} == listed
    assert len(listed) > 80


def test_all_references_lead_somewhere_and_all_components_are_used(document: Document) -> None:
    used = set(references(document))
    for reference in used:
        assert isinstance(resolve(document, reference), dict), reference
    for kind in ("schemas", "responses", "headers", "parameters"):
        for name in document["components"][kind]:
            assert f"#/components/{kind}/{name}" in used


def test_all_schemas_are_schemas(document: Document) -> None:
    found = [*schemas({**document, "components": {}}), *document["components"]["schemas"].values()]
    assert len(found) > 200
    for schema in found:
        jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})
        assert set(keywords(schema)) <= KEYWORDS


KEYWORDS = {
    *("$ref", "additionalProperties", "anyOf", "const", "default", "description", "enum", "format", "items", "maxItems", "maxLength"),
    *("maxProperties", "maximum", "minItems", "minLength", "minimum", "pattern", "properties", "propertyNames", "required", "type"),
}


def keywords(schema: Any) -> Iterator[str]:
    """Everything that a schema says, so that a word of another vocabulary is found: validators pass over those."""
    for name, value in schema.items():
        yield name
        if name == "properties":
            for each in value.values():
                yield from keywords(each)
        elif name == "anyOf":
            for each in value:
                yield from keywords(each)
        elif name in {"items", "additionalProperties", "propertyNames"} and isinstance(value, dict):
            yield from keywords(value)


def test_the_document_is_formed_as_openapi_says(document: Document) -> None:
    assert document["openapi"] == "3.1.0"
    assert set(document) == {"openapi", "info", "servers", "tags", "paths", "components"}
    identifiers = [operation["operationId"] for _, operation in described(document)]
    assert len(identifiers) == len(set(identifiers))
    tags = {tag["name"] for tag in document["tags"]}
    for name, operation in described(document):
        path = name.partition(" ")[2]
        assert operation["summary"]
        assert operation["tags"][0] in tags
        parameters = [resolve(document, each["$ref"]) if "$ref" in each else each for each in operation.get("parameters", [])]
        keys = [(each["in"], each["name"]) for each in parameters]
        assert len(keys) == len(set(keys))
        assert {each["name"] for each in parameters if each["in"] == "path"} == set(re.findall(r"\{(\w+)\}", path))
        assert all(each["required"] for each in parameters if each["in"] == "path")
        assert "requestBody" not in operation or not name.startswith(("GET", "DELETE"))
        for status, response in operation["responses"].items():
            whole = {**(resolve(document, response["$ref"]) if "$ref" in response else {}), **response}
            assert re.fullmatch(r"[1-5]\d\d", status)
            assert whole["description"]
            assert set(whole) <= {"$ref", "description", "headers", "content"}


def test_names_of_schemas_are_words(document: Document) -> None:
    assert all(re.fullmatch(r"[A-Z][A-Za-z]+", name) for name in document["components"]["schemas"])


def test_everything_that_can_be_given_is_explained(document: Document) -> None:
    for name, operation in described(document):
        for each in operation.get("parameters", []):
            assert "$ref" in each or each.get("description"), f"{name}: {each['name']}"


def test_words_are_of_what_there_is(document: Document, operations: list[Operation]) -> None:
    groups = {each.group.name: each.group for each in operations if each.is_listed}
    assert [each["name"] for each in document["tags"]] == list(dict.fromkeys(each["name"] for each in document["tags"]))
    assert {each["name"] for each in document["tags"]} == set(groups)
    assert all(each["description"] for each in document["tags"])
    segments = sorted(dict.fromkeys(each for path in document["paths"] for each in re.findall(r"/([\w-]+)/\{", path)))
    assert sorted(segment for group in groups.values() for segment in group.parameters) == segments
    given = {each.get("name") for _, operation in described(document) for each in operation.get("parameters", [])}
    assert set(QUERY_PARAMETERS) <= given


def test_every_body_has_an_example_and_every_example_is_taken(document: Document, operations: list[Operation]) -> None:
    validator_of = {name: jsonschema_rs.Draft202012Validator({**operation_body(document, each)}) for name, each in with_body(document)}
    for operation in operations:
        if operation.body is not None and operation.is_listed:
            name = f"{operation.method} {operation.path}"
            operation.body.model_validate(operation.example)
            validator_of[name].validate(operation.example)


def with_body(document: Document) -> list[tuple[str, Document]]:
    return [(name, each) for name, each in described(document) if "requestBody" in each]


def operation_body(document: Document, operation: Document) -> Document:
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    return {**schema, "components": document["components"]}


def test_examples_of_errors_have_the_shape_of_errors(document: Document) -> None:
    validator = jsonschema_rs.Draft202012Validator({"$ref": "#/components/schemas/Error", "components": document["components"]})
    for response in document["components"]["responses"].values():
        validator.validate(response["content"]["application/json"]["example"])


def test_scopes_are_those_of_the_declarations(document: Document, operations: list[Operation]) -> None:
    needed = {f"{each.method} {each.path}": each.scope for each in operations}
    for name, operation in described(document):
        scope = needed[name]
        assert operation["security"] == ([] if scope is None else [{"BearerAuth": [scope.value]}])
        assert ("401" in operation["responses"]) == (scope is not None)
        assert (scope.value if scope else "For everybody") in operation["description"]
        assert set(operation) <= {
            *METHODS,
            "operationId",
            "tags",
            "summary",
            "description",
            "security",
            "parameters",
            "requestBody",
            "responses",
        }


def test_a_query_says_what_its_declaration_says(document: Document) -> None:
    parameters = {each["name"]: each for each in document["paths"]["/v1/analytics"]["get"]["parameters"]}
    assert parameters["from"]["required"]
    assert parameters["from"]["schema"]["anyOf"] == [{"format": "date-time"}, {"format": "date"}]
    assert parameters["granularity"]["schema"] == {"type": "string", "enum": ["hour", "day", "week", "month"], "default": "day"}
    limit = next(each for each in document["paths"]["/v1/emails"]["get"]["parameters"] if each["name"] == "limit")
    assert limit["schema"] == {"type": "integer", "minimum": 1, "maximum": 100, "default": 50}


def test_recipients_and_designs_are_described_by_their_parts(document: Document) -> None:
    components = document["components"]["schemas"]
    assert components["SendBody"]["properties"]["to"]["anyOf"] == [
        {"type": "string", "minLength": 3},
        {"type": "array", "minItems": 1, "maxItems": 50, "items": {"type": "string", "minLength": 3}},
    ]
    design = components["CompileBody"]["properties"]["design"]
    assert design["required"] == ["blocks"]
    assert {"type": "null"} in design["properties"]["globalStyles"]["anyOf"]
    assert "youtube" in design["properties"]["blocks"]["items"]["properties"]["type"]["enum"]
    assert "avg_open_rate" in components["BenchmarkRow"]["required"]


async def test_what_may_be_left_out_of_a_query_may_be_empty(api: ApiWorld, document: Document) -> None:
    parameters = [each for _, operation in described(document) for each in operation.get("parameters", ()) if each.get("in") == "query"]
    assert len(parameters) > 80
    assert all(each.get("allowEmptyValue", False) is not each["required"] for each in parameters)
    _, secret = await api.keys.create(System(AccountId(1)), "reader")
    assert (await api.get("/v1/emails?limit=&cursor=&status=&q=&include_total=", secret)).status == 200
    assert (await api.get("/v1/analytics?from=&to=2026-03-01", secret)).json["details"]["field"] == "from"


async def test_the_example_of_a_design_is_there(api: ApiWorld) -> None:
    _, secret = await api.keys.create(System(AccountId(1)), "reader")
    example = GROUP.parameters["visual-starters"].example
    assert (await api.get(f"/v1/templates/visual-starters/{example}", secret)).status == 200


def test_sending_takes_an_idempotency_key(document: Document) -> None:
    takes = [name for name, each in described(document) if {"$ref": "#/components/parameters/IdempotencyKey"} in each.get("parameters", [])]
    assert sorted(takes) == ["POST /v1/emails", "POST /v1/emails/batch", "POST /v1/emails/marketing"]


def test_the_description_is_the_same_for_the_same_declarations(operations: list[Operation]) -> None:
    assert describe(operations) == describe(list(operations))


async def test_the_description_needs_no_key_and_is_small(api: ApiWorld) -> None:
    answer = await api.get("/openapi.json")
    assert len(answer.body) < 300_000
    assert (await api.request("POST", "/openapi.json")).status == 405


def test_a_404_names_what_the_path_asks_for(operations: list[Operation]) -> None:
    nouns = {each.path: each.noun for each in operations if "{" in each.path}
    assert nouns["/v1/domains/{id}/region"] == "Domain"
    assert nouns["/v1/webhooks/deliveries/{id}/replay"] == "Webhook delivery"
    assert "Resource" not in nouns.values()
