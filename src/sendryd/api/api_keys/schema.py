"""API keys as requests and answers have them. Pure."""

from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field
from typing_extensions import TypedDict

from sendryd.api.framework.answers import timestamp_or_none
from sendryd.api.framework.bodies import Body, Line
from sendryd.api.framework.moments import StartMoment
from sendryd.model import apikey as model
from sendryd.model.ids import API_KEY_PREFIX, format_id
from sendryd.model.moment import timestamp

MAX_LIFETIME: Final = 100 * 365 * 86_400  # seconds: whoever wants more wants a key that does not expire


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("say in a few words what the key is for")
    return text


class NewKeyBody(Body):
    """An API key to create."""

    name: Annotated[Line, Field(min_length=1, max_length=100), AfterValidator(_not_blank)]
    scope: Literal["full_access", "sending_access", "read_only"] | None = None
    mode: Literal["live", "test"] | None = None
    expires_in: Annotated[int, Field(ge=1, le=MAX_LIFETIME, description="The key's lifetime in seconds.")] | None = None
    expires_at: StartMoment | None = None


class ApiKey(TypedDict):
    """An API key without its secret."""

    id: str
    name: str
    scope: Literal["full_access", "sending_access", "read_only"]
    mode: Literal["live", "test"]
    key_prefix: str
    last_used_at: str | None
    created_at: str
    expires_at: str | None
    revoked_at: str | None


class NewApiKey(ApiKey):
    """An API key with its secret, which is shown only once."""

    key: str


def key_json(key: model.ApiKey) -> ApiKey:
    """A key."""
    return {
        "id": format_id(API_KEY_PREFIX, key.id),
        "name": key.name,
        "scope": key.scope.value,
        "mode": key.mode.value,
        "key_prefix": key.prefix,
        "last_used_at": timestamp_or_none(key.last_used_at),
        "created_at": timestamp(key.created_at),
        "expires_at": timestamp_or_none(key.expires_at),
        "revoked_at": timestamp_or_none(key.revoked_at),
    }


def new_key_json(key: model.ApiKey, secret: str) -> NewApiKey:
    """A key in the answer that made it."""
    return {**key_json(key), "key": secret}
