from dataclasses import replace

import pytest

from tests.fakes import PRINCIPAL, START, FakeClock
from ztmcp_desktop.domain.consent import Grant
from ztmcp_desktop.domain.names import ClientName, Digest, GrantId, ServerName, SessionId
from ztmcp_desktop.policy.grants import MAX_GRANTS, Grants

GRANT = Grant(
    id=GrantId("g1"),
    client=PRINCIPAL.client,
    session=PRINCIPAL.session,
    server=ServerName("files"),
    subject="read_file",
    digest=Digest("d1"),
    granted_at=START,
)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def grants(clock: FakeClock) -> Grants:
    return Grants(clock, idle_s=100)


def test_a_grant_is_for_one_client_one_session_and_one_digest(grants: Grants) -> None:
    grants.add(GRANT)
    assert grants.find(replace(PRINCIPAL, client=ClientName("other")), GRANT.digest) is None
    assert grants.find(replace(PRINCIPAL, session=SessionId("s2")), GRANT.digest) is None
    assert grants.find(PRINCIPAL, Digest("d2")) is None
    assert grants.find(PRINCIPAL, GRANT.digest) == replace(GRANT, used=1)


def test_each_use_is_counted(grants: Grants) -> None:
    grants.add(GRANT)
    grants.find(PRINCIPAL, GRANT.digest)
    grants.find(PRINCIPAL, GRANT.digest)
    assert [grant.used for grant in grants.all()] == [2]


def test_a_revoked_grant_is_gone(grants: Grants) -> None:
    grants.add(GRANT)
    assert grants.revoke(GRANT.id)
    assert not grants.revoke(GRANT.id)
    assert grants.find(PRINCIPAL, GRANT.digest) is None


def test_grants_end_with_their_session_and_no_other(grants: Grants) -> None:
    grants.add(GRANT)
    other = replace(GRANT, id=GrantId("g2"), session=SessionId("s2"))
    grants.add(other)
    grants.end_session(GRANT.session)
    assert grants.all() == (other,)


async def test_an_idle_session_loses_its_grants(grants: Grants, clock: FakeClock) -> None:
    grants.add(GRANT)
    await clock.advance(100)
    assert grants.find(PRINCIPAL, GRANT.digest) is None
    assert grants.all() == ()


async def test_a_session_that_goes_on_keeps_them(grants: Grants, clock: FakeClock) -> None:
    grants.add(GRANT)
    for _ in range(3):
        await clock.advance(60)
        assert grants.find(PRINCIPAL, Digest("another")) is None
    assert grants.find(PRINCIPAL, GRANT.digest) is not None


def test_too_many_grants_forget_the_oldest(grants: Grants) -> None:
    for number in range(MAX_GRANTS + 1):
        grants.add(replace(GRANT, id=GrantId(f"g{number}"), digest=Digest(f"d{number}")))
    assert len(grants.all()) == MAX_GRANTS
    assert grants.find(PRINCIPAL, Digest("d0")) is None
    assert grants.find(PRINCIPAL, Digest(f"d{MAX_GRANTS}")) is not None
