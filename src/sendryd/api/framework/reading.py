"""From the octets of a request to the values that an operation declares."""

from typing import Final, TypeVar
from urllib.parse import parse_qsl

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json
from starlette.requests import Request

from sendryd.api.framework.bodies import explain
from sendryd.api.framework.operation import SMALL_BODY
from sendryd.api.framework.requests import Refused, invalid
from sendryd.policy.refusal import Refusal, RefusalKey

# Brackets and commas outside of strings. A hundred mails with all fields have half of that, and so has one with all the variables of a
# template; parsing more would delay all other requests.
MAX_VALUES: Final = 200_000
MAX_QUERY: Final = 8 * 1024  # octets, as much as servers in front of us pass on
MAX_PARAMETERS: Final = 50
_WHOLE: Final = ""  # the field of a fault that is no single field's

Model = TypeVar("Model", bound=BaseModel)


def parse_json(raw: bytes) -> object:
    """What a body says. Raises `Refused`."""
    if not raw:
        return {}  # some clients send a content type and no body
    if len(raw) > SMALL_BODY and _has_too_many_values(raw):
        raise Refused(Refusal(RefusalKey.BAD_REQUEST, f"The body has more than {MAX_VALUES:,} values: send several requests"))
    try:
        return from_json(raw, allow_inf_nan=False, cache_strings="keys")
    except ValueError as error:
        raise Refused(Refusal(RefusalKey.BAD_REQUEST, f"The body is not JSON: {error}")) from None


def _has_too_many_values(raw: bytes) -> bool:
    if _count_marks(raw) <= MAX_VALUES:
        return False
    plain = raw.replace(b"\\\\", b"").replace(b'\\"', b"")  # quotation marks in strings would look like ends of them
    if plain.count(b'"') > 4 * MAX_VALUES:  # those of a name and a string for each value
        return True
    return _count_marks(b"".join(plain.split(b'"')[::2])) > MAX_VALUES


def _count_marks(raw: bytes) -> int:
    return raw.count(b",") + raw.count(b"[") + raw.count(b"{")


def validate(model: type[Model], data: object) -> Model:
    """The data as the model has it. Raises `Refused`."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        sentence, details = explain(error, data)
        raise Refused(Refusal(RefusalKey.VALIDATION_ERROR, sentence), details=details) from None


def read_query(model: type[BaseModel], request: Request) -> BaseModel:
    """The query as the model has it. Raises `Refused`."""
    text = request.scope["query_string"].decode("latin-1")
    if len(text) > MAX_QUERY:
        raise invalid(_WHOLE, f"the query has at most {MAX_QUERY} characters")
    try:
        pairs = parse_qsl(text, keep_blank_values=False, max_num_fields=MAX_PARAMETERS, errors="strict")
    except ValueError:
        raise invalid(_WHOLE, f"the query cannot be read: percent-encode it as UTF-8, and give at most {MAX_PARAMETERS} values") from None
    values = dict(pairs)
    if len(values) < len(pairs):
        _check_given_once(model, [name for name, _ in pairs])
    return validate(model, values)


def _check_given_once(model: type[BaseModel], given: list[str]) -> None:
    """Whether each parameter that the query reads has one value. What it does not read may be given as often as one likes. Raises `Refused`."""
    for name in model.model_fields:
        if given.count(name) > 1:
            raise invalid(name, f"{name}: it is given more than once; give it once")
