"""The log of requests to the REST API, for their account."""

from dataclasses import dataclass
from datetime import datetime

from sendryd.model.ids import AccountId, ApiKeyId, ApiRequestId


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiRequest:
    """One authenticated request with its answer."""

    id: ApiRequestId
    account_id: AccountId
    api_key_id: ApiKeyId
    method: str
    path: str
    status_code: int
    request_body: str | None  # JSON, redacted
    response_body: str | None  # JSON, redacted
    duration_ms: int
    user_agent: str | None
    created_at: datetime
