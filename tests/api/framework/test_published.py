"""What is published stays: each operation's method, path, scope, parameters, body and answers are those of the stored copy.

Sentences may change, and so they are left out. After a change that clients are told of: `SENDRYD_TEST_WRITE=1 pytest tests/api/framework`.
"""

import hashlib
import json
import os
from pathlib import Path
from typing import Any, Final

from sendryd.testing.api import ApiWorld

STORED: Final = Path(__file__).parents[2] / "data" / "openapi.json"
WORDS: Final = {"description", "summary", "example", "examples"}


def resolved(item: Any, document: Any, inside: tuple[str, ...] = ()) -> Any:
    """The item without words, and with what its references lead to, each named once on the way down."""
    if isinstance(item, list):
        return [resolved(each, document, inside) for each in item]
    if not isinstance(item, dict):
        return item
    reference = item.get("$ref")
    if isinstance(reference, str):
        if reference in inside:
            return reference
        target = document
        for name in reference.removeprefix("#/").split("/"):
            target = target[name]
        return resolved(target, document, (*inside, reference))
    return {name: _inner(name, each, document, inside) for name, each in item.items() if name not in WORDS}


def _inner(name: str, item: Any, document: Any, inside: tuple[str, ...]) -> Any:
    """Of properties, every name is kept: one may be called `description`."""
    if name == "properties":
        return {each: resolved(schema, document, inside) for each, schema in item.items()}
    return resolved(item, document, inside)


def digest(item: Any) -> str:
    return hashlib.sha256(json.dumps(item, sort_keys=True).encode()).hexdigest()[:16]


def published(document: Any) -> dict[str, Any]:
    """By operation: what clients depend on. Schemas are digests, since they are long."""
    found: dict[str, Any] = {}
    for path, item in document["paths"].items():
        for method, operation in item.items():
            whole = resolved(operation, document)
            found[f"{method.upper()} {path}"] = {
                "id": operation["operationId"],
                "scope": next((scopes[0] for each in operation["security"] for scopes in each.values()), None),
                "parameters": {f"{each['in']} {each['name']}": digest(each) for each in whole.get("parameters", ())},
                "body": digest(whole["requestBody"]) if "requestBody" in whole else None,
                "answers": {status: digest(answer) for status, answer in whole["responses"].items()},
            }
    return found


async def test_the_published_operations_are_those_of_the_stored_copy(api: ApiWorld) -> None:
    found = published((await api.get("/openapi.json")).json)
    if os.environ.get("SENDRYD_TEST_WRITE"):
        STORED.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", "utf-8")
    stored = json.loads(STORED.read_text("utf-8"))
    assert set(found) == set(stored)
    for name, operation in found.items():
        assert operation == stored[name], name


async def test_a_changed_field_is_noticed_and_a_changed_sentence_is_not(api: ApiWorld) -> None:
    document = (await api.get("/openapi.json")).json
    before = published(document)
    document["components"]["schemas"]["Domain"]["description"] = "Another sentence."
    document["paths"]["/v1/domains"]["get"]["summary"] = "Another one"
    assert published(document) == before
    del document["components"]["schemas"]["Domain"]["properties"]["name"]
    changed = {name for name, each in published(document).items() if each != before[name]}
    assert "GET /v1/domains/{id}" in changed
    assert "GET /v1/emails" not in changed
