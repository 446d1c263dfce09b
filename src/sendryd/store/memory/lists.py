"""Answers to idempotent requests, suppressed and unsubscribed addresses, in dictionaries."""

from collections.abc import Sequence
from datetime import datetime

from sendryd.model.ids import AccountId
from sendryd.store.base import Answer, NewSuppression, NewUnsubscribe


class MemoryLists:
    """The look-ups of `intake` before it accepts."""

    def __init__(self) -> None:
        super().__init__()
        self._answers: dict[tuple[AccountId, str], Answer] = {}
        self._suppressed: dict[tuple[AccountId, str], NewSuppression] = {}
        self._unsubscribed: dict[tuple[AccountId, str, str | None], NewUnsubscribe] = {}

    async def find_answer(self, account_id: AccountId, key: str, *, kept_since: datetime) -> Answer | None:
        answer = self._answers.get((account_id, key))
        return answer if answer is not None and answer.created_at >= kept_since else None

    async def delete_answers(self, *, created_before: datetime, limit: int) -> int:
        old = [name for name, answer in self._answers.items() if answer.created_at < created_before][:limit]
        for name in old:
            del self._answers[name]
        return len(old)

    async def find_suppressed(self, account_id: AccountId, emails: Sequence[str]) -> frozenset[str]:
        return frozenset(email for email in emails if (account_id, email) in self._suppressed)

    async def find_unsubscribed(self, account_id: AccountId, list_id: str | None, emails: Sequence[str]) -> frozenset[str]:
        return frozenset(
            email
            for email in emails
            if (account_id, email, None) in self._unsubscribed or (account_id, email, list_id) in self._unsubscribed
        )

    def _suppress(self, account_id: AccountId, new: NewSuppression | None) -> None:
        if new is not None:
            self._suppressed.setdefault((account_id, new.email), new)

    def _unsubscribe(self, account_id: AccountId, new: NewUnsubscribe | None) -> None:
        if new is not None:
            self._unsubscribed.setdefault((account_id, new.email, new.list_id), new)
