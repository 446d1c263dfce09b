"""The declaration of an operation: its path, who may call it, what it takes and gives, what the description says of it.

Every operation is declared once, in the `operations.py` of its resource. Requests are admitted and read by the declaration, and `/openapi.json`
is made of it. The types of body, query and answer are those that the handler's signature names, so that mypy holds the handler to them.
"""

import itertools
import typing
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field, replace
from functools import cache
from types import NoneType, UnionType
from typing import Any, Final, Generic, TypeVar

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from sendryd.accounts.audit import By, Client
from sendryd.api.framework.group import Group
from sendryd.api.framework.requestbody import Room
from sendryd.model.apikey import ApiKey
from sendryd.model.apikey import Scope as KeyScope
from sendryd.model.ids import API_KEY_PREFIX, format_id, parse_id
from sendryd.store.errors import NotFound

SMALL_BODY: Final = 1024 * 1024  # octets: everything but mail and templates is far smaller

BodyT = TypeVar("BodyT", covariant=True)
QueryT = TypeVar("QueryT", covariant=True)


@dataclass(slots=True)
class Call(Generic[BodyT, QueryT]):
    """One request on its way, with what was read of it. A handler's annotation says of which types: `Call[NewKeyBody, None]`."""

    request: Request
    params: dict[str, str]
    caller: ApiKey | None
    room: Room  # for work on large bodies and messages
    body: BodyT
    query: QueryT
    raw: bytes = b""  # the body as it came

    @property
    def key(self) -> ApiKey:
        """The key of an operation that asks for one."""
        if self.caller is None:
            raise AssertionError("a public operation asks who calls")
        return self.caller

    @property
    def author(self) -> By:
        """Who makes a change, as the audit names them."""
        request = self.request
        client = Client(address=request.client.host if request.client else "", agent=request.headers.get("user-agent", ""))
        return By(account_id=self.key.account_id, actor=format_id(API_KEY_PREFIX, self.key.id), client=client)

    def read_id(self, *prefixes: str, name: str = "id") -> int:
        """The number of an id in the path. Raises `NotFound` for one of another form."""
        number = parse_id(self.params[name], *prefixes)
        if number is None:
            raise NotFound("no such id")
        return number


Handler = Callable[[Any], Awaitable[Mapping[str, object] | Response]]  # of a `Call` whose types its own annotation names


@dataclass(frozen=True, slots=True)
class Operation:
    """The declaration: `Operation(GROUP, "GET /v1/domains/{id}", self.get)`.

    The first line of the handler's docstring is the summary in the description, the rest its text. A GET needs a key that may read, everything
    else a key with full access, unless the declaration names another scope. Sentences are empty where the answer they explain cannot occur.
    """

    group: Group
    route: str  # method and path; parameters of the path in braces
    handler: Handler
    _: KW_ONLY
    scope: KeyScope | None = None  # after construction, None: public, no key is needed
    is_public: bool = False
    max_body: int = SMALL_BODY
    is_live_only: bool = False  # test keys are refused, whatever their scope: live mail depends on what it changes
    is_logged: bool = True  # in the account's log of API requests
    is_listed: bool = True  # in the description; aliases are not
    is_send: bool = False  # a door for mail: its refusals are lines of the mail log
    is_timed: bool = True  # counts for the latency; operations that wait by design do not
    answers: Any = None  # the type of a JSON answer where the handler gives a `Response` of its own
    noun: str = ""  # what a 404 says is not there; else what the last parameter of the path names
    # For the description alone.
    example: object = None  # a body
    conflict: str = ""  # when there is a 409
    missing: str = ""  # when there is a 404 though nothing in the path varies
    forbidden: str = ""  # when there is a 403 though the key has the scope
    is_checked: bool = False  # its path can be refused with a 422
    is_idempotent: bool = False  # takes an Idempotency-Key
    media: Mapping[str, str] | None = None  # types of an answer that is not JSON, with what it is

    # By the route, and by the handler's docstring and signature.
    method: str = field(init=False)
    path: str = field(init=False)
    summary: str = field(init=False)
    description: str = field(init=False)
    body: type[BaseModel] | None = field(init=False)
    query: type[BaseModel] | None = field(init=False)
    answer: Any = field(init=False)  # the type of the answer's JSON; None: it is something else

    def __post_init__(self) -> None:
        """Raises `TypeError` for a handler whose signature does not say."""
        body, query, answer = _signature(getattr(self.handler, "__func__", self.handler))
        method, _, path = self.route.partition(" ")
        summary, _, text = (self.handler.__doc__ or "").partition("\n")
        usual = KeyScope.READ_ONLY if method == "GET" else KeyScope.FULL_ACCESS
        derived = {
            "scope": None if self.is_public else self.scope or usual,
            "method": method,
            "path": path,
            "noun": self.noun or _noun(self.group, path),
            "summary": summary.removesuffix("."),
            "description": " ".join(text.split()),
            "body": body,
            "query": query,
            "answer": self.answers or answer,
        }
        for name, value in derived.items():
            object.__setattr__(self, name, value)

    def alias(self, route: str) -> "Operation":
        """The same operation at another route that older clients use."""
        return replace(self, route=route, is_listed=False)


def _noun(group: Group, path: str) -> str:
    named = [before for before, segment in itertools.pairwise(path.split("/")) if segment.startswith("{")]
    return group.parameters[named[-1]].noun if named else "Resource"


@cache  # evaluating annotations is most of what a declaration costs
def _signature(handler: Callable[..., object]) -> tuple[type[BaseModel] | None, type[BaseModel] | None, Any]:
    """The types of body, query and answer. Raises `TypeError` for a handler whose signature does not say."""
    hints = typing.get_type_hints(handler)
    called = next((typing.get_args(hint) for name, hint in hints.items() if name != "return"), ())
    if len(called) != 2:
        raise TypeError(f"{handler.__qualname__} takes call: Call[body, query]")
    body, query = (None if each is NoneType else each for each in called)
    return body, query, _without_response(hints["return"])


def _without_response(annotation: Any) -> Any:
    """The type of the JSON answer. A handler may give a `Response` instead where the octets are there already."""
    parts = typing.get_args(annotation) if isinstance(annotation, UnionType) else (annotation,)
    others = [part for part in parts if not (isinstance(part, type) and issubclass(part, Response))]
    return others[0] if others else None
