"""What requests are made of: the base of all bodies and queries, and the types that they share. Pure.

Unknown fields are left aside, as the hosted service does; null stands for a field that is not given, as some SDKs send it.
"""

import re
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

MAX_LIMIT: Final = 100
DEFAULT_LIMIT: Final = 50
MAX_TEXT: Final = 320  # characters that are looked for: an address has no more
MAX_SHOWN_FAULTS: Final = 10
_WHOLE: Final = re.compile(r"[0-9]{1,9}", re.ASCII)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_TRUE: Final = {"true": True, "1": True, "false": False, "0": False}


class Body(BaseModel):
    """A JSON object."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True, defer_build=True)  # for the first request that has one


class Query(BaseModel):
    """The query parameters. An empty value counts as absent."""

    model_config = ConfigDict(extra="ignore", frozen=True, defer_build=True)


def _read_whole(value: object) -> object:
    # int() takes signs, spaces, underscores and the digits of other scripts.
    if isinstance(value, str):
        if not _WHOLE.fullmatch(value):
            raise ValueError("write a whole number in digits")
        return int(value)
    return value


def _read_flag(value: object) -> object:
    if isinstance(value, str):
        if value.lower() not in _TRUE:
            raise ValueError("write true or false")
        return _TRUE[value.lower()]
    return value


def one_line(text: str) -> str:
    """Text that may stand in one line. Raises `ValueError`."""
    if _CONTROL.search(text):
        raise ValueError("it must not have line breaks or other control characters")
    return text


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("it must not be blank")
    return text


Whole = Annotated[int, BeforeValidator(_read_whole)]
Flag = Annotated[bool, BeforeValidator(_read_flag)]
Line = Annotated[str, AfterValidator(one_line)]
Name = Annotated[Line, Field(min_length=1, max_length=200, json_schema_extra={"pattern": r"\S"}), AfterValidator(_not_blank)]
Limit = Annotated[Whole, Field(ge=1, le=MAX_LIMIT)]
SearchText = Annotated[str, Field(max_length=MAX_TEXT)]


class PageQuery(Query):
    """Of every list that has pages."""

    limit: Limit = DEFAULT_LIMIT
    cursor: Annotated[str, Field(max_length=200, description="The `next_cursor` of the previous page.")] | None = None


class SearchQuery(PageQuery):
    """Of a list that can be searched."""

    q: SearchText | None = None


def explain(error: ValidationError, data: object) -> tuple[str, dict[str, object]]:
    """One sentence on the first fault in the data, and the details: its field, and all faults if there are several."""
    faults = [
        {"field": ".".join(str(part) for part in _place(fault["loc"], data)), "message": _say(fault)}
        for fault in error.errors(include_url=False, include_context=True, include_input=False)[:MAX_SHOWN_FAULTS]
    ]
    first = faults[0]
    sentence = f"{first['field']}: {first['message']}" if first["field"] else first["message"]
    details: dict[str, object] = {"field": first["field"]}
    return sentence, details if len(faults) == 1 else {**details, "errors": faults}


def _place(location: tuple[int | str, ...], data: object) -> list[int | str]:
    # After a union, pydantic names the member that it tried. One address that was given alone is not the first of a list.
    place = [part for part in location if not (isinstance(part, str) and (part in _MEMBERS or "[" in part))]
    is_alone = len(place) == 2 and isinstance(place[1], int) and isinstance(data, dict) and isinstance(data.get(place[0]), str)
    return place[:1] if is_alone else place


_MEMBERS: Final = frozenset({"str", "list", "int", "bool", "dict", "float", "none"})
_SENTENCES: Final = {
    "missing": "it is required",
    "string_type": "it is a string",
    "list_type": "it is a list",
    "dict_type": "it is an object",
    "model_type": "it is an object",
    "model_attributes_type": "it is an object",
    "bool_type": "it is true or false",
    "int_type": "it is a whole number",
}


def _say(fault: ErrorDetails) -> str:
    if fault["type"] in _SENTENCES:
        return _SENTENCES[fault["type"]]
    context = fault.get("ctx", {})
    if fault["type"] in {"too_short", "too_long"}:
        unit = "characters" if context["field_type"] == "Value" else "items"  # pydantic counts the items of checked text
        bound = f"at least {context['min_length']}" if fault["type"] == "too_short" else f"at most {context['max_length']}"
        return f"it has {bound} {unit.removesuffix('s') if bound.endswith(' 1') else unit}"
    text = str(fault["msg"]).removeprefix("Value error, ")
    is_name = text[1:2].isupper() or text[1:2] == "-"  # URL, X-Sendry-Tag
    return text if is_name else text[:1].lower() + text[1:]
