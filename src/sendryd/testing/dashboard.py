"""The dashboard's owner, for what looks at its pages in a browser."""

import html
import re
from http.client import HTTPConnection
from typing import Final
from urllib.parse import urlencode, urlsplit

from sendryd.testing.process import RelayProcess

PASSWORD: Final = "four words make one"
TIMEOUT: Final = 30.0  # seconds; a test machine is not idle
_TOKEN: Final = re.compile(r'name="token" value="([^"]+)"')


def become_owner(relay: RelayProcess, name: str, email: str) -> dict[str, str]:
    """Uses the link that the first start prints; gives the cookies of the browser that is signed in then."""
    base, path = relay.ready["http"], urlsplit(relay.ready["owner_url"]).path
    connection = HTTPConnection(urlsplit(base).netloc, timeout=TIMEOUT)
    connection.request("GET", path)
    shown = connection.getresponse()
    cookie = (shown.getheader("Set-Cookie") or "").partition(";")[0]
    token = html.unescape(_TOKEN.findall(shown.read().decode())[0])
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Origin": base, "Sec-Fetch-Site": "same-origin", "Cookie": cookie}
    connection.request("POST", path, urlencode({"token": token, "name": name, "email": email, "password": PASSWORD}), headers)
    entered = connection.getresponse()
    entered.read()
    connection.close()
    pairs = [value.partition(";")[0].partition("=") for field, value in entered.getheaders() if field.lower() == "set-cookie"]
    return {name: value for name, _, value in pairs if value.strip('"')}
