"""Sending a test: a short mail from a domain of the account, through the door like any other."""

from typing import Final

from starlette.responses import Response

from sendryd.dashboard.app import Page
from sendryd.dashboard.visit import Visit
from sendryd.intake.notices import TestMail
from sendryd.message.errors import MalformedMessage
from sendryd.model.domain import DomainStatus
from sendryd.policy.refusal import Refusal
from sendryd.policy.rights import Right


async def show(visit: Visit) -> Response:
    """`GET /send-test`."""
    return await _show(visit, to=visit.me.signed_in.person.email, wrong="", status=200)


async def send(visit: Visit) -> Response:
    """`POST /send-test`: sends it, and shows what becomes of it."""
    domain, to = visit.fields.get("domain", ""), visit.fields.get("to", "").strip()
    person = visit.me.signed_in.person
    try:
        receipt = await visit.needs.notices.send_test(visit.account_id, TestMail(domain=domain, to=to, by=person.name))
    except MalformedMessage as error:
        return await _show(visit, to=to, wrong=f"{error.reason[0].upper()}{error.reason[1:]}.", status=422)
    if isinstance(receipt, Refusal):
        return await _show(visit, to=to, wrong=f"{receipt.sentence.rstrip('.')}.", status=422)
    await visit.needs.audit.add(visit.account_id, person.email, visit.client, "email.test_sent", receipt.message_id, after={"to": to})
    return visit.go(f"/emails/{receipt.message_id}")


async def _show(visit: Visit, *, to: str, wrong: str, status: int) -> Response:
    domains = await visit.needs.store.list_domains(visit.account_id)
    verified = [each.name for each in domains if each.status is DomainStatus.VERIFIED]
    return visit.show("send_test.html", "home", {"domains": verified, "my_email": to, "wrong": wrong}, status=status)


PAGES: Final = (Page(path="/send-test", get=show, post=send, needs=Right.ADMINISTER, needs_to_change=Right.ADMINISTER),)
