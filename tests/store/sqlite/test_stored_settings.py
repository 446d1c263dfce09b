"""Settings that an earlier version stored."""

from pathlib import Path

import apsw

from sendryd.model.account import AccountSettings, Branding
from sendryd.store.drivers.sqlite import FILE_NAME
from sendryd.store.sqlite import open_store
from sendryd.testing.samples import ACCOUNT, NOW, Samples


async def test_settings_that_were_stored_without_later_ones_have_their_defaults(tmp_path: Path, samples: Samples) -> None:
    store = open_store(tmp_path)
    await store.ensure_account(ACCOUNT, "default", NOW)
    new = samples.domain()
    await store.add_domain(new)
    connection = apsw.Connection(str(tmp_path / FILE_NAME))
    connection.execute(
        """UPDATE account SET settings = '{"branding":{"brand_logo":"https://example.test/l.png"},"benchmark_opt_in":true}'"""
    )
    connection.execute("""UPDATE sending_domain SET settings = '{"track_opens":true,"tls_policy":"enforced"}'""")
    connection.close()
    account, domain = await store.get_account(ACCOUNT), await store.get_domain(new.domain.id)
    assert account is not None
    assert account.settings == AccountSettings(branding=Branding(brand_logo="https://example.test/l.png"), benchmark_opt_in=True)
    assert domain is not None
    assert (domain.settings.track_opens, domain.settings.region) == (True, None)
    await store.aclose()
