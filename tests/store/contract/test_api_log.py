"""The log of API requests."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from sendryd.model.apirequest import ApiRequest
from sendryd.model.ids import AccountId, ApiKeyId, ApiRequestId
from sendryd.store.base import ApiRequestFilter, Store
from sendryd.testing.samples import ACCOUNT, NOW, Samples

OTHER = AccountId(2)


def api_request(samples: Samples, method: str = "GET", path: str = "/v1/emails", status_code: int = 200, **fields: Any) -> ApiRequest:
    made = ApiRequest(
        id=ApiRequestId(samples.number()),
        account_id=ACCOUNT,
        api_key_id=ApiKeyId(5),
        method=method,
        path=path,
        status_code=status_code,
        request_body='{"a":"\u00fc"}',
        response_body=None,
        duration_ms=12,
        user_agent=None,
        created_at=NOW,
    )
    return replace(made, **fields)


async def test_requests_are_listed_newest_first_by_pages(store: Store, samples: Samples) -> None:
    made = [api_request(samples, user_agent=f"curl/{number}") for number in range(4)]
    await store.add_api_requests(made)
    await store.add_api_requests([])
    await store.add_api_requests([api_request(samples, account_id=OTHER)])
    page = await store.page_api_requests(ACCOUNT, ApiRequestFilter(), limit=3)
    assert (list(page.items), page.has_more) == (made[:0:-1], True)
    page = await store.page_api_requests(ACCOUNT, ApiRequestFilter(), limit=3, before=made[1].id)
    assert (list(page.items), page.has_more) == (made[:1], False)
    assert await store.count_api_requests(ACCOUNT, ApiRequestFilter()) == 4


async def test_the_last_requests_are_counted_by_key(store: Store, samples: Samples) -> None:
    codes = [(6, 401), (5, 500), (5, 200), (6, 200), (5, 422), (5, 399)]
    await store.add_api_requests([api_request(samples, status_code=code, api_key_id=ApiKeyId(key)) for key, code in codes])
    await store.add_api_requests([api_request(samples, account_id=OTHER, status_code=500)])
    assert await store.count_requests_of_keys(ACCOUNT, most=5) == {5: (4, 2), 6: (1, 0)}
    assert await store.count_requests_of_keys(AccountId(9), most=5) == {}


@pytest.mark.parametrize(
    ("which", "expected"),
    [
        (ApiRequestFilter(method="POST"), [1, 2]),
        (ApiRequestFilter(status_code=422), [2]),
        (ApiRequestFilter(path="/v1/emails"), [0, 1]),
        (ApiRequestFilter(text="TEMPL"), [2, 3]),
        (ApiRequestFilter(text="dele"), [3]),
        (ApiRequestFilter(text="_"), [3]),
        (ApiRequestFilter(method="POST", text="emails"), [1]),
        (ApiRequestFilter(method="POST", path="/v1/emails", status_code=422), []),
    ],
)
async def test_requests_are_filtered(store: Store, samples: Samples, which: ApiRequestFilter, expected: list[int]) -> None:
    made = [
        api_request(samples),
        api_request(samples, "POST"),
        api_request(samples, "POST", "/v1/templates", 422),
        api_request(samples, "DELETE", "/v1/templates/tmpl_1"),
    ]
    await store.add_api_requests(made)
    page = await store.page_api_requests(ACCOUNT, which, limit=9)
    assert [made.index(each) for each in reversed(page.items)] == expected
    assert await store.count_api_requests(ACCOUNT, which) == len(expected)


async def test_what_strangers_send_is_kept_as_far_as_it_is_text(store: Store, samples: Samples) -> None:
    await store.add_api_requests([api_request(samples, path="/v1/\ud800", request_body="\udfff", user_agent="\ud800x")])
    (found,) = (await store.page_api_requests(ACCOUNT, ApiRequestFilter(), limit=9)).items
    assert (found.path, found.request_body, found.user_agent) == ("/v1/?", "?", "?x")
    assert await store.count_api_requests(ACCOUNT, ApiRequestFilter(path="/v1/\ud800")) == 1


async def test_old_requests_are_deleted(store: Store) -> None:
    old = [api_request(Samples(NOW - timedelta(days=number)), created_at=NOW - timedelta(days=number)) for number in (9, 8, 7, 1)]
    await store.add_api_requests(old)
    assert await store.delete_api_requests(created_before=NOW - timedelta(days=5), limit=2) == 2
    page = await store.page_api_requests(ACCOUNT, ApiRequestFilter(), limit=9)
    assert list(page.items) == [old[3], old[2]]
    assert await store.delete_api_requests(created_before=NOW - timedelta(days=5), limit=2) == 1
