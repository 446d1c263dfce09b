"""What schemathesis is told besides the description: which key is its own, and what every refusal must have."""

import os
from typing import Any

import schemathesis
from schemathesis import Case, CheckContext, HookContext, Response
from schemathesis.core.failures import Failure
from schemathesis.openapi.checks import AllowHeaderMismatch, EnsureResourceAvailability, UnsupportedMethodResponse

OWN_KEY = os.environ["SCHEMA_TEST_OWN_KEY"]
NO_KEY = "key_0000000000000"
ALIASED = {"/v1/webhooks/{id}", "/v1/templates/{id}", "/v1/emails/{id}"}
WAITS = {str(seconds) for seconds in range(1, 61)}


@schemathesis.hook
def before_call(_context: HookContext, case: Case[Any], _kwargs: dict[str, Any]) -> None:
    """It must not revoke its own key, or all that follows would be a 401; and it waits for nothing."""
    if case.path_parameters.get("id") == OWN_KEY:
        case.path_parameters["id"] = NO_KEY
    if case.path.endswith("/wait") and str(case.query.get("timeout") or 10) in WAITS:
        case.query["timeout"] = 0


@schemathesis.hook
def filter_failure(_context: HookContext, failure: Failure, case: Case[Any], _response: Response) -> bool:
    """What is meant to be so.

    Older clients change webhooks and templates by PATCH, and cancel by DELETE: the description leaves such aliases out. A new domain has no logo.
    """
    is_alias = isinstance(failure, AllowHeaderMismatch | UnsupportedMethodResponse) and case.path in ALIASED
    return not is_alias and not (isinstance(failure, EnsureResourceAvailability) and case.path == "/v1/domains/{id}/bimi")


@schemathesis.check
def refusals_have_one_shape(_context: CheckContext, response: Response, case: Case[Any]) -> None:
    """Nested and flat, with a sentence; a 422 names its field, a 429 and a 503 say when to come back."""
    if response.status_code < 400 or case.method == "HEAD":
        return
    body = response.json()
    error = body["error"]
    assert set(body) == {"error", "statusCode", "code", "message", "details"}, body
    assert body["statusCode"] == response.status_code, body
    assert (error["code"], error["message"], error["details"]) == (body["code"], body["message"], body["details"]), body
    assert error["message"], body
    if response.status_code == 422:
        field = error["details"]["field"]
        known = {*(case.query or {}), *(case.path_parameters or {}), *(case.headers or {}), *described(case)}
        assert field == "" or field.partition(".")[0] in known, f"{field} is no field of {case.method} {case.path}"
    if response.status_code in {429, 503}:
        assert response.headers["retry-after"][0].isdecimal()


def described(case: Case[Any]) -> set[str]:
    """The fields of the request, as it was made and as it is described."""
    made = set(case.body) if isinstance(case.body, dict) else set()
    body = case.operation.definition.raw.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    components = case.operation.schema.raw_schema["components"]["schemas"]
    schema = components.get(body.get("$ref", "").rpartition("/")[2], body)
    parameters = case.operation.definition.raw.get("parameters", ())
    return {*made, *schema.get("properties", ()), *(each["name"] for each in parameters if "name" in each), "Idempotency-Key"}
