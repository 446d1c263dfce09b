"""How long a client waits, beside the minima of RFC 5321 §4.5.3.2."""

from sendryd.smtp.timeouts import CLIENT_TIMEOUTS, Step
from sendryd.testing.cases import cases


@cases(
    ("step", "minimum"),
    [(Step.GREETING, 300), (Step.MAIL, 300), (Step.RCPT, 300), (Step.DATA, 120), (Step.DATA_BLOCK, 180), (Step.FINAL_DOT, 600)],
)
def test_no_step_is_cut_short(step: Step, minimum: float) -> None:
    assert CLIENT_TIMEOUTS[step] >= minimum


def test_every_step_of_a_client_has_an_end() -> None:
    assert set(CLIENT_TIMEOUTS) == set(Step) - {Step.COMMAND}
