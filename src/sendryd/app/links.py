"""Where people reach this installation."""

from sendryd.app.served import read_served
from sendryd.app.settings import Settings
from sendryd.app.values import Address


def public_url(settings: Settings, http: Address | None = None) -> str:
    """The base of links, without a final slash: `SENDRYD_PUBLIC_URL`, else the HTTP address. `http`: the address that is bound, if it is
    known; else that of a running `serve` stands for a port 0.
    """
    if settings.public_url:
        return settings.public_url
    scheme = "https" if settings.http_tls else "http"
    if http is None and not settings.http_listen.port:  # the system has chosen one
        http = read_served(settings.data_dir).http
    return f"{scheme}://{(http or settings.http_listen).reached_by(settings.hostname)}"
