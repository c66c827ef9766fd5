import asyncio
from pathlib import Path

import pytest

from tests.fakes import FakeVault
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.settings import Home
from ztmcp_desktop.vault.folders import prepare
from ztmcp_desktop.vault.keys import ENTRY, load_keys


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(**{name: tmp_path / name for name in ("config", "data", "state", "run", "logs")})
    prepare(made)
    return made


@pytest.mark.attack("C12")
@pytest.mark.parametrize("left", ["data/ledger.db", "state/pins.json", "state/.index.json", "state/ledger.head"])
async def test_a_home_in_use_is_never_given_new_keys(home: Home, left: str) -> None:
    (home.data.parent / left).write_text("")
    vault = FakeVault()
    with pytest.raises(Denial) as refused:
        await load_keys(vault, home)
    assert refused.value.code is Code.SECRET_MISSING
    assert str(home.data) in refused.value.reason
    assert vault.values == {}


@pytest.mark.attack("C12")
async def test_a_locked_keychain_makes_no_keys(home: Home) -> None:
    vault = FakeVault()
    vault.locked = True
    with pytest.raises(Denial, match="locked"):
        await load_keys(vault, home)


@pytest.mark.parametrize("damaged", ["", "AAAA", "not base64", "ä"])
async def test_damaged_keys_are_refused_and_not_replaced(home: Home, damaged: str) -> None:
    vault = FakeVault(**{ENTRY: damaged})
    with pytest.raises(Denial) as refused:
        await load_keys(vault, home)
    assert refused.value.code is Code.GATEWAY_FAULT
    assert vault.values == {ENTRY: damaged}


async def test_a_keychain_that_gives_other_keys_back_is_refused(home: Home) -> None:
    class Forgetful(FakeVault):
        async def write(self, name: str, value: object) -> None:
            self.values[name] = "A" * 128

    with pytest.raises(Denial, match="other keys"):
        await load_keys(Forgetful(), home)


async def test_the_keys_are_three_and_stay_the_same(home: Home) -> None:
    vault = FakeVault()
    first = await load_keys(vault, home)
    (home.data / "ledger.db").write_text("")
    second = await load_keys(vault, home)
    public = [keys.signing_key.open().public_key().public_bytes_raw() for keys in (first, second)]
    assert public[0] == public[1]
    assert first.state_key.open() == second.state_key.open()
    assert first.digester.of("x", 1) == second.digester.of("x", 1)
    assert len({first.state_key.open(), first.digester._key.open(), first.signing_key.open().private_bytes_raw()}) == 3


def test_two_homes_have_different_keys(home: Home) -> None:
    one = asyncio.run(load_keys(FakeVault(), home))
    two = asyncio.run(load_keys(FakeVault(), home))
    assert one.state_key.open() != two.state_key.open()
