"""Changes in the Test Inbox: clearing a view, playing an outcome on a mail, releasing it to a real address."""

from collections.abc import Awaitable, Callable
from typing import Final

from starlette.responses import Response

from sendryd.accounts.audit import By
from sendryd.accounts.captures import Captures
from sendryd.dashboard.app import Page
from sendryd.dashboard.inbox import choose
from sendryd.dashboard.mailparts import BUSY
from sendryd.dashboard.pages.testinbox import address, captured, chosen_key, message_id_of, releases_of, show_inbox, test_keys, view_of
from sendryd.dashboard.visit import Visit
from sendryd.message.errors import MalformedMessage
from sendryd.model.actor import Person
from sendryd.model.ids import TEST_MESSAGE_PREFIX, format_id
from sendryd.model.message import Message
from sendryd.policy.privacy import shown_content
from sendryd.policy.refusal import Refusal
from sendryd.policy.rights import Right
from sendryd.policy.simulation import PLAYED
from sendryd.runtime.budget import BudgetExhausted
from sendryd.store.errors import StoreError


async def clear(visit: Visit) -> Response:
    """`POST /test/clear`: deletes the mails of the view that the reader was asked about."""
    newest = message_id_of(visit.fields.get("newest", ""))
    key = chosen_key(visit, await test_keys(visit))
    if newest is None or (visit.query("key") and key is None):
        return _missing(visit)
    clearing = await choose(visit, view_of(visit, key), newest)
    words = f" with {visit.query('q')}" if visit.query("q") else ""
    number = await _captures(visit).clear(clearing.message_ids, _by(visit), f"{key.name if key else 'all test keys'}{words}")
    return visit.go(address(visit, before="", did="clear", n=str(number)))


async def play(visit: Visit, message: Message) -> Response:
    """`POST /test/{id}/play`."""
    played = visit.fields.get("what", "")
    if played not in PLAYED:
        return _missing(visit)
    number = await _captures(visit).play(message.id, played, _by(visit))
    return visit.go(address(visit, open=format_id(TEST_MESSAGE_PREFIX, message.id), part="timeline", did=played, n=str(number)))


async def release(visit: Visit, message: Message) -> Response:
    """`POST /test/{id}/release`: the copy goes through the door, which may refuse it."""
    signed_in = visit.me.signed_in
    actor = Person(visit.account_id, signed_in.person.id, signed_in.membership.role)
    try:
        async with visit.needs.answers.room(message.size):
            content = shown_content(message, await visit.needs.store.read_content(message.id))
            made = await releases_of(visit).release(message, content, visit.fields.get("to", ""), actor, _by(visit))
    except MalformedMessage as error:
        made, wrong = None, f"{error.reason[:1].upper()}{error.reason[1:]}."
    except BudgetExhausted:
        made, wrong = None, BUSY
    except StoreError:
        made, wrong = None, "The stored content of this mail cannot be read."
    else:
        wrong = made.sentence if isinstance(made, Refusal) else ""
    return await show_inbox(visit, message.id, wrong=wrong) if wrong else visit.go(f"/emails/{made}")


def _on_mail(work: Callable[[Visit, Message], Awaitable[Response]]) -> Callable[[Visit], Awaitable[Response]]:
    """A change of the captured mail that the path names."""

    async def handle(visit: Visit) -> Response:
        message = await captured(visit, message_id_of(visit.request.path_params["id"]))
        return _missing(visit) if message is None else await work(visit, message)

    return handle


def _captures(visit: Visit) -> Captures:
    needs = visit.needs
    return Captures(needs.store, needs.audit, clock=needs.clock, ids=needs.ids)


def _by(visit: Visit) -> By:
    return By(account_id=visit.account_id, actor=visit.me.signed_in.person.email, client=visit.client)


def _missing(visit: Visit) -> Response:
    return visit.show("missing.html", "missing", {}, status=404)


PAGES: Final = (
    Page(path="/test/clear", post=clear),
    Page(path="/test/{id}/play", post=_on_mail(play)),
    Page(path="/test/{id}/release", post=_on_mail(release), needs_to_change=Right.ADMINISTER),
)
