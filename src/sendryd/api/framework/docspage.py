"""The description as a page to read: one HTML document made of the OpenAPI document, that fetches nothing from elsewhere. Pure.

Without JavaScript everything is there; with it, the list can be searched. All text is escaped; `code` in it is marked as such.
"""

import json
import re
import shlex
from collections.abc import Iterator, Sequence
from html import escape
from typing import Any, Final

from sendryd.api.framework.answers import Json

MAX_DEPTH: Final = 4  # of schemas in one another: what lies deeper is named only
_CODE: Final = re.compile(r"`([^`]*)`")
_STRONG: Final = re.compile(r"\*\*([^*]+)\*\*")
_METHODS: Final = ("get", "post", "put", "patch", "delete")


def render_docs(document: Json, *, style_path: str, script_path: str) -> str:
    """The page of a document that `openapi.describe` made."""
    return "".join(_page(document, style_path, script_path))


def _page(document: Json, style_path: str, script_path: str) -> Iterator[str]:
    title = f"{escape(document['info']['title'])} API"
    groups = [(tag, _operations(document, tag["name"])) for tag in document["tags"]]
    yield (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">'
        f'<link rel="stylesheet" href="{style_path}"><script src="{script_path}" defer></script></head><body>'
        '<a class="skip" href="#content">Skip to the operations</a>'
        f'<nav aria-label="Operations"><p class="brand">{title} <small>{escape(document["info"]["version"])}</small></p>'
        '<input id="search" type="search" placeholder="Search" aria-label="Search operations" hidden>'
    )
    for tag, operations in groups:
        yield f'<h2><a href="#{_slug(tag["name"])}">{escape(tag["name"])}</a></h2><ul>'
        yield from (
            f'<li><a href="#{operation["operationId"]}"><b class="{method}">{method.upper()}</b>{escape(path.removeprefix("/v1"))}</a></li>'
            for path, method, operation in operations
        )
        yield "</ul>"
    yield f'</nav><main id="content"><header><h1>{title}</h1>{_text(document["info"]["description"])}'
    yield (
        '<p>The same for programs: <a href="/openapi.json">openapi.json</a>. In the examples, <code>SENDRYD_URL</code> is the address of this '
        "server and <code>SENDRYD_API_KEY</code> a key.</p></header>"
    )
    for tag, operations in groups:
        yield f'<section id="{_slug(tag["name"])}"><h2>{escape(tag["name"])}</h2>{_text(tag["description"])}'
        for path, method, operation in operations:
            yield from _operation(document, path, method, operation)
        yield "</section>"
    yield "</main></body></html>"


def _operations(document: Json, group: str) -> list[tuple[str, str, Json]]:
    found = ((path, method, item[method]) for path, item in document["paths"].items() for method in _METHODS if method in item)
    return [entry for entry in found if entry[2]["tags"] == [group]]


def _operation(document: Json, path: str, method: str, operation: Json) -> Iterator[str]:
    shown_path = "".join(f"<i>{escape(part)}</i>" if part.startswith("{") else escape(part) for part in re.split(r"(\{\w+\})", path))
    scopes = [scope for needed in operation["security"] for scope in needed["BearerAuth"]] or ["for everybody"]
    yield (
        f'<details class="operation" id="{operation["operationId"]}"><summary><b class="{method}">{method.upper()}</b>'
        f'<code>{shown_path}</code><span class="summary">{_inline(operation["summary"])}</span>'
        f'<span class="scope">{escape(scopes[0])}</span></summary><div class="body">{_text(operation["description"])}'
    )
    parameters = [_resolve(document, each) for each in operation.get("parameters", ())]
    if parameters:
        yield "<h3>Parameters</h3>" + _rows([_parameter_row(document, each) for each in parameters])
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content:
        yield "<h3>Body</h3>" + _schema(document, content["schema"])
    yield "<h3>Answer</h3>" + _answer(document, operation["responses"]["200"])
    yield "<h3>Errors</h3>" + _rows(
        [_error_row(document, status, each) for status, each in operation["responses"].items() if status != "200"]
    )
    yield f"<h3>Example</h3><pre><code>{escape(_curl(path, method, operation, parameters))}</code></pre></div></details>"


def _parameter_row(document: Json, parameter: Json) -> tuple[str, str, str]:
    place = {"path": "in the path", "query": "in the query", "header": "a header"}[parameter["in"]]
    notes = [
        place,
        _type(document, parameter["schema"]),
        *_limits(parameter["schema"]),
        *(["required"] if parameter.get("required") else []),
    ]
    return parameter["name"], ", ".join(notes), _inline(parameter.get("description", ""))


def _error_row(document: Json, status: str, response: Json) -> tuple[str, str, str]:
    whole = _resolve(document, response)
    code = whole["content"]["application/json"]["example"]["error"]["code"]
    return status, code, _inline(response.get("description") or whole["description"])


def _rows(rows: Sequence[tuple[str, str, str]]) -> str:
    """Name, notes (text) and description (HTML) of each."""
    made = (f"<dt><code>{escape(name)}</code> <small>{escape(notes)}</small></dt><dd>{text}</dd>" for name, notes, text in rows)
    return f"<dl>{''.join(made)}</dl>"


def _answer(document: Json, response: Json) -> str:
    content = response["content"]
    shown = []
    for media, entry in content.items():
        if media == "application/json":
            shown.append(_schema(document, entry["schema"]))
        else:
            text = entry.get("schema", {}).get("description", response["description"])
            shown.append(f"<p><code>{escape(media)}</code>: {_inline(text)}</p>")
    return "".join(shown)


# Schemas.


def _resolve(document: Json, item: Json) -> Json:
    if "$ref" not in item:
        return item
    found: Any = document
    for name in item["$ref"].removeprefix("#/").split("/"):
        found = found[name]
    return dict(found)


def _schema(document: Json, schema: Json) -> str:
    fields = _fields(document, schema, 0)
    return fields or f"<p>{escape(_type(document, schema))}</p>"


def _fields(document: Json, schema: Json, depth: int) -> str:
    """The fields of an object, of the objects in a list, or of the one object that a union has; nothing for what has no fields."""
    whole = _object_in(document, schema)
    if whole is None or depth > MAX_DEPTH:
        return ""
    required = whole.get("required", ())
    made = []
    for name, given in whole["properties"].items():
        notes = [_type(document, given), *_limits(given), *(["required"] if name in required else [])]
        inner = _fields(document, given, depth + 1)
        nested = f"<details><summary>{escape(_named(given) or 'fields')}</summary>{inner}</details>" if inner else ""
        text = _inline(_described(given))
        made.append(f"<dt><code>{escape(name)}</code> <small>{escape(', '.join(notes))}</small></dt><dd>{text}{nested}</dd>")
    return f"<dl>{''.join(made)}</dl>"


def _object_in(document: Json, schema: Json) -> Json | None:
    whole = _resolve(document, schema)
    if "properties" in whole:
        return whole
    inner = [each for each in (*whole.get("anyOf", ()), whole.get("items"), whole.get("additionalProperties")) if isinstance(each, dict)]
    found = (_object_in(document, each) for each in inner)
    return next((each for each in found if each is not None), None)


def _named(schema: Json) -> str:
    text = json.dumps(schema)
    found = re.search(r"#/components/schemas/(\w+)", text)
    return found[1] if found else ""


def _described(schema: Json) -> str:
    if "description" in schema and "properties" not in schema:
        return str(schema["description"])
    return next((str(each["description"]) for each in schema.get("anyOf", ()) if "description" in each), "")


def _type(document: Json, schema: Json) -> str:
    """A schema in a few words."""
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if "enum" in schema:
        return " | ".join(json.dumps(word) for word in schema["enum"])
    if "const" in schema:
        return json.dumps(schema["const"])
    if "anyOf" in schema:
        formats = [each["format"] for each in schema["anyOf"] if set(each) == {"format"}]
        if formats:
            return f"string ({' or '.join(formats)})"
        return " or ".join(dict.fromkeys(_type(document, each) for each in schema["anyOf"]))
    kind = schema.get("type")
    if kind == "array":
        return f"list of {_type(document, schema.get('items', {}))}"
    if kind == "object":
        values = schema.get("additionalProperties")
        return f"object of {_type(document, values)}" if isinstance(values, dict) and values else "object"
    return f"{kind or 'any'} ({schema['format']})" if "format" in schema else str(kind or "any")


def _limits(schema: Json) -> Iterator[str]:
    """What a value may be, in words, and what it is if it is not given."""
    kinds = [schema, *schema.get("anyOf", ())]
    found = {name: each[name] for each in reversed(kinds) for name in each}
    low, high = found.get("minimum"), found.get("maximum")
    if low is not None or high is not None:
        yield f"{_figure(low)} to {_figure(high)}"
    for name, unit in (("maxLength", "characters"), ("maxItems", "items"), ("maxProperties", "names")):
        if name in found:
            yield f"at most {found[name]:,} {unit}"
    if "default" in schema:
        yield f"else {json.dumps(schema['default'])}"


def _figure(number: float | None) -> str:
    return "…" if number is None else f"{number:,}"


# Text.


def _curl(path: str, method: str, operation: Json, parameters: Sequence[Json]) -> str:
    query = "&".join(
        f"{each['name']}={'2026-05-01' if 'anyOf' in each['schema'] else each['schema'].get('enum', ['…'])[0]}"
        for each in parameters
        if each["in"] == "query" and each["required"]
    )
    for each in parameters:
        if each["in"] == "path":
            path = path.replace(f"{{{each['name']}}}", str(each["example"]))
    lines = [f'curl "$SENDRYD_URL{path}{"?" if query else ""}{query}"']
    if method != "get":
        lines.append(f"-X {method.upper()}")
    if operation["security"]:
        lines.append('-H "Authorization: Bearer $SENDRYD_API_KEY"')
    examples = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("examples")
    if examples:
        body = json.dumps(examples["usual"]["value"], ensure_ascii=False, indent=2)
        lines += ["-H 'Content-Type: application/json'", f"-d {shlex.quote(body)}"]
    return " \\\n  ".join(lines)


def _text(text: str) -> str:
    return "".join(f"<p>{_inline(paragraph)}</p>" for paragraph in text.strip().split("\n\n") if paragraph)


def _inline(text: str) -> str:
    marked = _CODE.sub(r"<code>\1</code>", escape(text, quote=False))
    return _STRONG.sub(r"<strong>\1</strong>", marked)


def _slug(name: str) -> str:
    return "group-" + name.lower().replace(" ", "-")
