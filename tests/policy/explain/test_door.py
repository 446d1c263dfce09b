"""What a search says of mail that was refused."""

from sendryd.policy.explain import Action, RefusedAtDoor, explain_refused
from sendryd.policy.refusal import RefusalKey


def test_an_unverified_domain_is_named_with_the_way_out() -> None:
    reply = "550 5.7.1 The domain acme.example is not verified in this account"
    found = explain_refused(RefusedAtDoor(times=3, key=RefusalKey.DOMAIN_NOT_VERIFIED, sender_domain="acme.example", reply=reply))
    assert found.sentence == (
        "No such mail was accepted. 3 messages were refused in the last hour: the domain acme.example is not verified."
    )
    assert found.actions == (Action.VERIFY, Action.SMTP_LOG)
    assert found.detail == reply


def test_another_refusal_repeats_what_the_client_was_told() -> None:
    found = explain_refused(
        RefusedAtDoor(times=1, key=RefusalKey.MALFORMED_MESSAGE, sender_domain="acme.example", reply="554 5.6.0 A field is damaged")
    )
    assert found.sentence == "No such mail was accepted. 1 message was refused in the last hour: 554 5.6.0 A field is damaged"
