"""The official Python SDK as its users have it, nothing changed but the base URL, with every answer held to the type that the SDK declares."""

import inspect
import re
from collections.abc import Callable, Mapping
from types import UnionType
from typing import Any, Final, List, Literal, Optional, Union, get_args, get_origin, get_type_hints, is_typeddict  # noqa: UP035

import pytest
from sendry import AsyncSendry, Sendry, _types
from sendry.resources.attachments import EmailAttachmentDownload

from sendryd.testing.loopthread import LoopThread
from sendryd.testing.world import World

_TIME: Final = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{3})?Z", re.ASCII)

# The SDK declares its lists as lists of anything; what they hold stands in the sentences beside it.
ITEMS: Final[Mapping[str, type]] = {
    "emails.list": _types.Email,
    "domains.list": _types.Domain,
    "templates.list": _types.Template,
    "api_keys.list": _types.ApiKey,
    "webhooks.list": _types.WebhookListItem,
    "analytics.logs": _types.LogEvent,
    "suppression.list": _types.SuppressionEntry,
    "unsubscribes.list": _types.UnsubscribeEntry,
    "inbound.list": _types.InboundEmail,
    "status.get_history": _types.Incident,
    "test_emails.list": _types.TestEmailSummary,
}

# Where the SDK's types differ from what the service describes and its other SDKs read, answers have the latter: the key and the type instead.
# (The Python SDK checks nothing, so that its users get the answer as it is.)
DEPARTURES: Final[Mapping[tuple[str, str], tuple[str, Any]]] = {
    # The status of the system.
    ("SystemStatus", "incidents"): ("active_incidents", List[Any]),  # noqa: UP006
    ("LatencyStats", "target_p50_ms"): ("target_ms", float),
    ("LatencyStats", "current_p50_ms"): ("current_p50_ms", Optional[float]),  # noqa: UP045
    # Recipients of captured mail are a list, as everywhere.
    ("TestEmail", "to"): ("to", List[str]),  # noqa: UP006
    ("TestEmailSummary", "to"): ("to", List[str]),  # noqa: UP006
    # An account without a preferred region has none.
    ("OrgRegionSettings", "default_region"): ("default_region", Optional[str]),  # noqa: UP045
}
# Keys that the service describes as optional, and the SDK as always there: one message has its attachments, a list of messages does not.
LEFT_OUT_OF_LISTS: Final = {("Email", "attachments")}


class WrongAnswer(AssertionError):
    """An answer is not of the type that the SDK declares."""


class Client:
    """`Sendry` or `AsyncSendry` behind one face: `call("domains.create", {…})`. Remembers what was called."""

    def __init__(self, loop: LoopThread, base_url: str, key: str, *, is_async: bool, headers: dict[str, str] | None = None) -> None:
        self._loop = loop
        self._base_url = base_url
        self.is_async = is_async
        make: Callable[..., Any] = AsyncSendry if is_async else Sendry
        self.sdk = make(key, base_url=base_url, retries=0, default_headers=headers)
        self.called: set[str] = set()

    @property
    def kind(self) -> str:
        """Which of the two, for names that must not be taken twice."""
        return "async" if self.is_async else "sync"

    def with_key(self, key: str, headers: dict[str, str] | None = None) -> "Client":
        """Another client of the same server."""
        return Client(self._loop, self._base_url, key, is_async=self.is_async, headers=headers)

    def call(self, name: str, *args: Any) -> Any:
        """What a method answers. Raises `WrongAnswer`, and what the SDK raises."""
        group, _, method = name.partition(".")
        found = getattr(getattr(self.sdk, group), method)
        answer = self._wait_for(found(*args))
        self.called.add(name)
        check(get_type_hints(found)["return"], answer, name)
        if name in ITEMS:
            for index, item in enumerate(answer["data"]):
                check(ITEMS[name], item, f"{name}.data[{index}]", is_in_list=True)
        return answer

    def request(self, method: str, path: str, answer_type: Any, body: Any = None, params: Any = None) -> Any:
        """What an operation answers that the SDK has no method for, asked for with the SDK's own means."""
        answer = self._wait_for(self.sdk.emails._client.request(method, path, body=body, params=params))
        check(answer_type, answer, f"{method} {path}")
        return answer

    def _wait_for(self, found: Any) -> Any:
        return self._loop.run(found) if inspect.iscoroutine(found) else found


def methods(client: Client, group: str) -> set[str]:
    """The public methods of a group, as `call` names them."""
    found = inspect.getmembers(getattr(client.sdk, group), inspect.ismethod)
    return {f"{group}.{name}" for name, _ in found if not name.startswith("_")}


def check(kind: Any, value: Any, path: str, *, is_in_list: bool = False) -> None:
    """Raises `WrongAnswer` unless the value is of the type: keys that must be there, types of all values. Other keys may be there too."""
    if kind is Any:
        return
    if is_typeddict(kind):
        _check_dict(kind, value, path, is_in_list=is_in_list)
        return
    origin, args = get_origin(kind), get_args(kind)
    if origin is Union or origin is UnionType:
        _check_union(args, value, path)
    elif origin is Literal:
        if value not in args:
            raise WrongAnswer(f"{path} is {value!r}, not one of {args}")
    elif origin is list:
        _expect(list, value, path)
        for index, item in enumerate(value):
            check(args[0], item, f"{path}[{index}]")
    elif origin is dict:
        _expect(dict, value, path)
        for name, item in value.items():
            check(args[0], name, f"the key {name!r} of {path}")
            check(args[1], item, f"{path}.{name}")
    elif kind is float:
        _expect(int if type(value) is int else float, value, path)
    elif kind is EmailAttachmentDownload:
        _expect(kind, value, path)
        for name, each in get_type_hints(kind).items():
            check(each, getattr(value, name), f"{path}.{name}")
    else:
        _expect(kind, value, path)


def _expect(kind: type, value: Any, path: str) -> None:
    if type(value) is not kind:
        raise WrongAnswer(f"{path} is {value!r}, not of type {kind.__name__}")


def _check_union(kinds: tuple[Any, ...], value: Any, path: str) -> None:
    reasons = []
    for kind in kinds:
        try:
            check(kind, value, path)
        except WrongAnswer as error:
            reasons.append(str(error))
        else:
            return
    raise WrongAnswer("; ".join(reasons))


def _check_dict(kind: Any, value: Any, path: str, *, is_in_list: bool) -> None:
    _expect(dict, value, path)
    for declared, declared_type in get_type_hints(kind).items():
        name, its_type = DEPARTURES.get((kind.__name__, declared), (declared.removesuffix("_"), declared_type))
        if name not in value:
            if declared in kind.__required_keys__ and not (is_in_list and (kind.__name__, declared) in LEFT_OUT_OF_LISTS):
                raise WrongAnswer(f"{path} lacks {name!r}")
            continue
        check(its_type, value[name], f"{path}.{name}")
        if name.endswith("_at") and value[name] is not None and not _TIME.fullmatch(value[name]):
            raise WrongAnswer(f"{path}.{name} is {value[name]!r}, not a time in UTC")


@pytest.fixture
def on_loopback(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy of the machine is asked, and one certificate is read for each call instead of all of the web's, which takes longer than the call."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("SSL_CERT_FILE", str(world.relay.cert))


@pytest.fixture(params=["sync", "async"])
def client(request: pytest.FixtureRequest, world: World, on_loopback: None) -> Client:
    """The SDK with the live key of the shared world."""
    return Client(world.thread, world.relay.ready["http"], world.live_key, is_async=request.param == "async")
