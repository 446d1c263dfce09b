"""Passkeys with the virtual authenticator of Chromium: added, used to sign in and to prove who somebody is, removed."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import CDPSession, Page, expect

from sendryd.store.drivers.sqlite import FILE_NAME, open_connection
from sendryd.testing.process import RelayProcess

from .conftest import EMAIL, PASSWORD, Browser, become_owner, open_tab
from .looks import FRAME, Axe

pytestmark = [pytest.mark.sockets, pytest.mark.needs("chromium")]

PHONE = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RelayProcess]:
    """The program under a name: browsers bind no passkey to an address."""
    with RelayProcess(tmp_path_factory.mktemp("passkeys") / "data", {"SENDRYD_HTTP_LISTEN": "localhost:0"}) as relay:
        yield relay


@pytest.fixture(scope="module")
def holder(named: RelayProcess) -> Browser:
    return become_owner(named)


class Device:
    """The authenticator of a tab."""

    def __init__(self, tab: Page) -> None:
        self._session: CDPSession = tab.context.new_cdp_session(tab)
        self._session.send("WebAuthn.enable")
        self._id = self._session.send("WebAuthn.addVirtualAuthenticator", {"options": PHONE})["authenticatorId"]

    def verifies(self, does: bool) -> None:
        self._session.send("WebAuthn.setUserVerified", {"authenticatorId": self._id, "isUserVerified": does})

    def credentials(self) -> list[dict[str, object]]:
        found: list[dict[str, object]] = self._session.send("WebAuthn.getCredentials", {"authenticatorId": self._id})["credentials"]
        return found

    def copy(self, credential: dict[str, object]) -> None:
        self._session.send("WebAuthn.clearCredentials", {"authenticatorId": self._id})
        self._session.send("WebAuthn.addCredential", {"authenticatorId": self._id, "credential": credential})


def age(relay: RelayProcess) -> None:
    """The last proof of everybody was more than 15 minutes ago."""
    connection = open_connection(relay.data_dir / FILE_NAME, may_create=False)
    connection.execute("UPDATE session SET elevated_until = 1")
    connection.close()


def test_a_passkey_from_me_to_the_sign_in_and_back(chromium: Chromium, named: RelayProcess, holder: Browser) -> None:
    assert holder.base.startswith("http://localhost:")
    with open_tab(chromium, holder, width=360, height=800, may_be_refused=True) as tab:
        device = Device(tab)
        tab.goto("/me")
        tab.get_by_role("link", name="Add one").click()
        tab.wait_for_url("**/me/passkeys")
        assert tab.evaluate(FRAME) == []
        assert Axe().ask(tab) == []
        tab.fill("#f-name", "My phone")
        tab.get_by_role("button", name="Make the passkey").click()
        expect(tab.get_by_role("status").filter(has_text="The passkey is added")).to_be_visible()
        (credential,) = device.credentials()
        assert (credential["rpId"], credential["isResidentCredential"]) == ("localhost", True)
        expect(tab.locator("tr", has_text="My phone")).to_contain_text("Not used yet")

        tab.goto("/me/passkeys")
        tab.get_by_role("button", name="Make the passkey").click()
        expect(tab.get_by_role("alert")).to_have_text("This device has a passkey of yours already.")

        tab.goto("/me")
        tab.locator(".menu summary").click()
        tab.evaluate("document.querySelector('form[action=\"/sign-out\"]').requestSubmit()")
        expect(tab.get_by_role("heading", name="Sign in")).to_be_visible()
        tab.wait_for_load_state()
        assert tab.evaluate(FRAME) == []
        assert Axe().ask(tab) == []
        tab.goto("/me?said=look")
        assert urlsplit(tab.url).path == "/sign-in"
        tab.get_by_role("button", name="Sign in with a passkey").click()
        expect(tab.get_by_role("heading", name="Me", exact=True)).to_be_visible()
        assert tab.url.endswith("/me?said=look")
        expect(tab.locator('tr[data-status="this"]')).to_contain_text("passkey")
        expect(tab.locator("tr", has_text="My phone")).not_to_contain_text("Not used yet")

        age(named)
        tab.locator("tr", has_text="My phone").get_by_role("button", name="Remove").click()
        expect(tab.get_by_role("heading", name="Confirm it is you")).to_be_visible()
        tab.wait_for_load_state()
        assert Axe().ask(tab) == []
        tab.get_by_role("button", name="Use a passkey").click()
        expect(tab.get_by_role("status").filter(has_text="The passkey is removed here")).to_be_visible()
        assert tab.locator("tr", has_text="My phone").count() == 0

        tab.context.clear_cookies()
        tab.goto("/sign-in")
        tab.get_by_role("button", name="Sign in with a passkey").click()
        expect(tab.get_by_role("alert").filter(has_text="This passkey does not let you in")).to_be_visible()
        tab.fill("#f-email", EMAIL)
        tab.fill("#f-password", PASSWORD)
        tab.get_by_role("button", name="Sign in", exact=True).click()
        expect(tab.locator('body[data-page="home"]')).to_be_visible()
        tab.goto("/audit?q=passkey")
        for action in ("person.passkey_added", "person.passkey_removed"):
            expect(tab.get_by_text(action).first).to_be_visible()


def test_a_device_that_does_not_verify_its_user_or_was_copied_lets_nobody_in(
    chromium: Chromium, named: RelayProcess, holder: Browser
) -> None:
    assert holder.cookies
    again = Browser(named.ready["http"])
    assert again.send("/sign-in", {"email": EMAIL, "password": PASSWORD}).status == 303
    with open_tab(chromium, again, may_be_refused=True) as tab:
        device = Device(tab)
        tab.goto("/me/passkeys")
        tab.get_by_role("button", name="Make the passkey").click()
        expect(tab.get_by_role("status").filter(has_text="The passkey is added")).to_be_visible()
        (copied,) = device.credentials()

        def sign_in() -> None:
            tab.context.clear_cookies()
            tab.goto("/sign-in")
            tab.get_by_role("button", name="Sign in with a passkey").click()

        sign_in()
        expect(tab.locator('body[data-page="home"]')).to_be_visible()
        device.copy(copied)  # its counter stands where it was
        sign_in()
        expect(tab.get_by_role("alert").filter(has_text="This passkey does not let you in")).to_be_visible()
        device.verifies(False)
        sign_in()
        expect(tab.get_by_role("alert").filter(has_text="No passkey was chosen")).to_be_visible()
