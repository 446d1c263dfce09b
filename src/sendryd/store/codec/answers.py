"""Answers to idempotent requests and rows of `answer`."""

from typing import Any

from sendryd.model.ids import AccountId
from sendryd.store.base import Answer
from sendryd.store.codec.reading import Row
from sendryd.store.codec.values import from_ms, to_ms


def answer_row(answer: Answer) -> dict[str, Any]:
    """The columns of an answer."""
    return {
        "account_id": answer.account_id,
        "key": answer.key,
        "fingerprint": answer.fingerprint,
        "body": answer.body,
        "created_at": to_ms(answer.created_at),
    }


def read_answer(row: Row) -> Answer:
    """An answer."""
    return Answer(
        account_id=AccountId(row["account_id"]),
        key=row["key"],
        fingerprint=bytes(row["fingerprint"]),
        body=bytes(row["body"]),
        created_at=from_ms(row["created_at"]),
    )
