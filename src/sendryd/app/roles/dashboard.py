"""The dashboard's part of the role `http`."""

from collections.abc import Callable
from functools import partial
from typing import Final

from starlette.routing import Route

from sendryd.accounts.domain_checks import DomainChecks
from sendryd.accounts.egress import EgressAddresses
from sendryd.accounts.passkeys import Passkeys
from sendryd.accounts.provider import ProviderSignIn
from sendryd.app.build import DEFAULT_ACCOUNT, Basics
from sendryd.app.roles.running import Running, Shared, attention_of, intake_of, invitations_of, watch_of
from sendryd.app.settings import PREFIX, Settings, read_oidc_secret
from sendryd.dashboard.access import Access, Site
from sendryd.dashboard.app import routes
from sendryd.dashboard.counts import Counts
from sendryd.dashboard.glances import Glances
from sendryd.dashboard.live import Streams
from sendryd.dashboard.pages import PAGES
from sendryd.dashboard.previews import Previews
from sendryd.dashboard.remotepictures import TIMEOUT, RemotePictures
from sendryd.dashboard.rendering import Pages
from sendryd.dashboard.visit import EffectiveSetting, Needs
from sendryd.delivery.rulefile import load_rules
from sendryd.intake.notices import Notices
from sendryd.policy.egress import Pools, write_pools
from sendryd.policy.shaping.rules import Rules
from sendryd.policy.weborigin import origin_of_page
from sendryd.runtime.answers import Answers
from sendryd.runtime.oidc import Client, Provider
from sendryd.runtime.posting import ClosableClient, LateClient
from sendryd.runtime.tls import client_context
from sendryd.web.foreign import ForeignFramer

PLACEHOLDER_LENGTH: Final = 43
PROVIDER_TIMEOUT: Final = 10.0  # seconds for one answer of the identity provider, while somebody waits for a page


def dashboard_routes(basics: Basics, running: Running, shared: Shared, smtp_port: int) -> list[Route]:
    """The pages; none if they are switched off."""
    settings = basics.settings
    if not settings.dashboard:
        return []
    streams = Streams(basics.clock, basics.rand.secret(PLACEHOLDER_LENGTH))
    running.stops.insert(0, streams.stop)
    return routes(_needs(basics, running, shared, smtp_port), PAGES, streams)


def _needs(basics: Basics, running: Running, shared: Shared, smtp_port: int) -> Needs:
    settings = basics.settings
    site, attention = _site(settings, shared), attention_of(basics)
    answers = Answers(shared.budget.showing, shared.budget.page_files, shared.budget.turns, settings.data_dir)
    return Needs(
        store=basics.store,
        dialogues=basics.dialogues,
        smtp_sessions=shared.smtp_sessions,
        people=basics.people,
        signin=basics.signin,
        passkeys=_passkeys(basics, shared),
        provider=_provider(basics, running, shared),
        audit=basics.audit,
        invitations=invitations_of(basics, running, shared),
        keys=basics.keys,
        domains=basics.domains,
        checks=DomainChecks(basics.domains, basics.clock),
        lists=basics.lists,
        webhooks=basics.webhooks,
        webhook_tries=len(settings.webhook_retry_schedule) + 1,
        templates=basics.templates,
        intake=intake_of(basics, running, shared),
        fences=basics.fences,
        framer=ForeignFramer(basics.fences.previews),
        pictures=_pictures(basics, running),
        previews=Previews(basics.clock, basics.rand),
        glances=Glances(basics.store, answers),
        answers=answers,
        access=Access(basics.signin, site, shared.secret),
        site=site,
        pages=Pages(),
        clock=basics.clock,
        ids=basics.ids,
        rand=basics.rand,
        secret=shared.secret,
        account_id=DEFAULT_ACCOUNT,
        hostname=settings.hostname,
        smtp=f"{settings.hostname if settings.smtp_public_port else settings.smtp_listen[0].host}:{settings.smtp_public_port or smtp_port}",
        http=shared.public_url,
        cert_path=settings.cert_path,
        queue_lifetime=settings.max_queue_age,
        notices=Notices(basics.store, intake_of(basics, running, shared), rand=basics.rand),
        watch=watch_of(basics, running),
        attention=attention,
        counts=Counts(attention, basics.store, basics.clock),
        paths=frozenset(page.path for page in PAGES),
        rules=_rules(settings),
        egress=EgressAddresses(basics.store, basics.audit, basics.pools, clock=basics.clock),
        settings=lambda: effective(settings, basics.pools),
    )


def _site(settings: Settings, shared: Shared) -> Site:
    is_apart = settings.content_url and origin_of_page(settings.content_url) != origin_of_page(shared.public_url)
    return Site(
        public_url=shared.public_url,
        content_url=settings.content_url if is_apart else "",
        hosts=frozenset({settings.hostname, settings.http_listen.host}),
        allows_plain_text=settings.insecure_dashboard,
    )


def _passkeys(basics: Basics, shared: Shared) -> Passkeys:
    return Passkeys(
        basics.store,
        clock=basics.clock,
        rand=basics.rand,
        audit=basics.audit,
        signin=basics.signin,
        secret=shared.secret,
        public_url=shared.public_url,
    )


def _provider(basics: Basics, running: Running, shared: Shared) -> ProviderSignIn | None:
    """Signing in by an identity provider; None if the settings name none."""
    settings = basics.settings
    if not settings.oidc_issuer:
        return None

    def load() -> Callable[[], ClosableClient]:
        from sendryd.runtime.http import AiohttpClient, look_up_in_system

        return partial(
            AiohttpClient,
            basics.resolver,
            basics.clock,
            allow_private=True,  # the operator names the provider, as a smart host
            system_lookup=None if settings.dns_resolver else look_up_in_system,
            tls=client_context(verify=True, ca_file=settings.ca_file),
            total_timeout=PROVIDER_TIMEOUT,
        )

    http = LateClient(load)
    running.stops.append(http.aclose)
    client = Client(
        issuer=settings.oidc_issuer,
        client_id=settings.oidc_client_id,
        client_secret=read_oidc_secret(settings),
        redirect_uri=f"{shared.public_url}/sign-in/oidc/callback",
    )
    return ProviderSignIn(
        basics.store,
        Provider(client, http, basics.clock),
        clock=basics.clock,
        rand=basics.rand,
        audit=basics.audit,
        signin=basics.signin,
        people=basics.people,
        secret=shared.secret,
    )


def _pictures(basics: Basics, running: Running) -> RemotePictures:
    def load() -> Callable[[], ClosableClient]:
        from sendryd.runtime.http import AiohttpClient

        tls = client_context(verify=True)
        return partial(AiohttpClient, basics.resolver, basics.clock, allow_private=False, tls=tls, total_timeout=TIMEOUT)

    client = LateClient(load)
    running.stops.append(client.aclose)
    return RemotePictures(client)


def effective(settings: Settings, pools: Pools) -> list[EffectiveSetting]:
    """Every setting, with the pools as they are now; secrets are hidden."""
    found = []
    for name, field in Settings.model_fields.items():
        value = getattr(settings, name)
        if name == "egress":
            value = write_pools(pools)
        text = "set" if name == "smarthost" and value is not None else "" if value is None else str(value)
        source = "set" if name in settings.model_fields_set else "default"
        found.append(EffectiveSetting(name=f"{PREFIX}{name.upper()}", value=text, source=source, description=field.description or ""))
    return found


def _rules(settings: Settings) -> Callable[[], Rules]:
    """The shaping rules, read again when their file has changed."""
    file = load_rules(settings.shaping_file)

    def read() -> Rules:
        file.reload_if_changed()
        return file.rules

    return read
