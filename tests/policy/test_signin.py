"""Those who guess passwords are slowed down."""

from sendryd.policy.signin import FIRST_PAUSE, FORGET, FREE_TRIES, MAX_ENTRIES, MAX_PAUSE, SignInThrottle

ANN, HOME, AWAY = "ann@acme.example", "192.0.2.1", "198.51.100.9"


def failed(times: int) -> SignInThrottle:
    throttle = SignInThrottle()
    for _ in range(times):
        throttle.fail(HOME, ANN, 0.0)
    return throttle


def test_the_first_tries_are_free_then_each_pause_doubles_up_to_a_limit() -> None:
    assert failed(FREE_TRIES - 1).wait(HOME, ANN, 0.0) == 0.0
    assert [failed(FREE_TRIES + more).wait(HOME, ANN, 0.0) for more in (0, 1, 2)] == [FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE]
    assert failed(100).wait(HOME, ANN, 0.0) == MAX_PAUSE
    assert failed(FREE_TRIES).wait(HOME, ANN, FIRST_PAUSE) == 0.0


def test_failures_count_for_the_email_and_for_the_address() -> None:
    throttle = failed(FREE_TRIES)
    assert throttle.wait(AWAY, ANN, 0.0) > 0
    assert throttle.wait(HOME, "bob@acme.example", 0.0) > 0
    assert throttle.wait(AWAY, "bob@acme.example", 0.0) == 0.0


def test_a_known_device_waits_for_nobody_elses_failures() -> None:
    assert failed(FREE_TRIES).wait(AWAY, ANN, 0.0, is_known_device=True) == 0.0
    assert failed(FREE_TRIES).wait(HOME, ANN, 0.0, is_known_device=True) > 0


def test_a_right_answer_and_time_end_it() -> None:
    throttle = failed(FREE_TRIES)
    assert throttle.wait(HOME, ANN, FORGET + 1) == 0.0
    throttle.succeed(HOME, ANN)
    assert throttle.wait(HOME, ANN, 0.0) == 0.0


def test_a_flood_of_addresses_is_forgotten() -> None:
    throttle = failed(FREE_TRIES)
    for number in range(MAX_ENTRIES):
        throttle.fail(f"10.0.{number >> 8}.{number & 255}", f"{number}@x.example", 0.0)
    assert throttle.wait(HOME, ANN, 0.0) == 0.0
