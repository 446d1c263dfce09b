"""What answers look like, as types: the description at `/openapi.json` is made of them, and tests hold every answer to them. Pure."""

from typing import NotRequired, TypeVar

from typing_extensions import TypedDict

Item = TypeVar("Item")


# Keys.


# Webhooks.


# Lists.


# Analytics and logs.
