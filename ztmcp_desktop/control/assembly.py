"""Every real thing, made once and wired: what the gateway, the window and the command line all stand on."""

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path

from ztmcp_desktop.audit.store import Store, public_key
from ztmcp_desktop.audit.timeline import SqliteTimeline
from ztmcp_desktop.clock import SystemClock
from ztmcp_desktop.control.configuration import Configuration
from ztmcp_desktop.control.doorkeeper import Doorkeeper, DoorkeeperParts
from ztmcp_desktop.control.lock import StoredLockdown
from ztmcp_desktop.control.machine import open_runtimes, open_sandbox
from ztmcp_desktop.control.pairing import Pairing
from ztmcp_desktop.control.parts import Front, PlaneParts
from ztmcp_desktop.control.plane import Outside, Plane
from ztmcp_desktop.control.proposals import Proposals
from ztmcp_desktop.control.resources import resource_text
from ztmcp_desktop.control.verifying import HEAD_COPY
from ztmcp_desktop.domain.names import ClientName, SessionId
from ztmcp_desktop.gateway.catalogue import PinnedCatalogue
from ztmcp_desktop.gateway.clients import Clients
from ztmcp_desktop.gateway.http_client import AiohttpClient
from ztmcp_desktop.gateway.listeners import Listeners
from ztmcp_desktop.gateway.listing import Listing
from ztmcp_desktop.gateway.login.logins import Logins
from ztmcp_desktop.gateway.login.parts import LoginParts
from ztmcp_desktop.gateway.oauth.documents import GuardedDocuments
from ztmcp_desktop.gateway.oauth.door import OAuthParts
from ztmcp_desktop.gateway.oauth.pairing import PairingTime
from ztmcp_desktop.gateway.outbound_guard import GuardedResolver
from ztmcp_desktop.gateway.peers import Peers
from ztmcp_desktop.gateway.sessions import Sessions
from ztmcp_desktop.gateway.upstreams import StdioAndHttpUpstreams
from ztmcp_desktop.pipeline.chain import Pipeline, PipelineParts, build_pipeline
from ztmcp_desktop.pipeline.reverse import Reverse
from ztmcp_desktop.policy.grants import Grants
from ztmcp_desktop.policy.rules import Rules
from ztmcp_desktop.ports import ConsentDesk
from ztmcp_desktop.scan.redact import redact
from ztmcp_desktop.settings import Home, Settings
from ztmcp_desktop.vault.folders import prepare
from ztmcp_desktop.vault.installation import service_name
from ztmcp_desktop.vault.keychain import Keychain, open_keychain
from ztmcp_desktop.vault.keys import Keys, load_keys
from ztmcp_desktop.vault.state import SealedState


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The whole, wired. `plane` has the person's word, `outside` gets it first; `oauth` is for clients that log in."""

    home: Home
    settings: Settings
    clock: SystemClock
    store: Store
    timeline: SqliteTimeline
    configuration: Configuration
    catalogue: PinnedCatalogue
    clients: Clients
    rules: Rules
    upstreams: StdioAndHttpUpstreams
    listeners: Listeners
    http: AiohttpClient
    logins: Logins
    pipeline: Pipeline
    plane: Plane
    outside: Outside
    oauth: OAuthParts
    pairing: Pairing
    front: Front

    async def close(self) -> None:
        """End what runs and write what waits."""
        await self.pipeline.calls.abort(lambda _call: True)
        await self.upstreams.stop()
        await self.logins.close()
        await self.http.close()
        await self.clients.keep_seen()
        await self.store.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ground:
    """What stands before anything else may: without keys nothing runs."""

    vault: Keychain
    keys: Keys
    state: SealedState
    store: Store
    clock: SystemClock


async def assemble(home: Home, settings: Settings, desk: ConsentDesk, front: Front, user_home: Path) -> Parts:
    """The parts for one home, whose lock the caller holds. Call it on the loop that they are to live on.

    Raises:
        Denial: the folders, the keychain, the ledger or the settings file cannot be used; the reason says how to
            mend it.
    """
    configuration = Configuration(home.config_file)
    ground = await _ground(home)
    try:
        return await _above(home, settings, desk, front, user_home, configuration, ground)
    except BaseException:
        await ground.store.close()
        raise


async def _ground(home: Home) -> _Ground:
    prepare(home)
    clock = SystemClock()
    vault = open_keychain(service_name(home.state))
    keys = await load_keys(vault, home)
    state = SealedState(home.state, keys.state_key)
    store = await Store.open(home.ledger, home.state / HEAD_COPY, keys.signing_key, keys.digester, clock)
    return _Ground(vault=vault, keys=keys, state=state, store=store, clock=clock)


async def _above(  # noqa: PLR0913, PLR0917 - the composition root's one step, split for its length
    home: Home,
    settings: Settings,
    desk: ConsentDesk,
    front: Front,
    user_home: Path,
    configuration: Configuration,
    ground: _Ground,
) -> Parts:
    clock, state, store, digester = ground.clock, ground.state, ground.store, ground.keys.digester
    catalogue, listeners = PinnedCatalogue(state, configuration, digester), Listeners()
    lockdown, proposals = StoredLockdown(state), Proposals(desk, digester, clock, settings.patience_s)
    sandbox, reverse, peers = open_sandbox(home, user_home), Reverse(), Peers()
    http = AiohttpClient(GuardedResolver(frozenset(settings.internal_hosts)))
    logins = Logins(
        LoginParts(
            http=http,
            vault=ground.vault,
            state=state,
            clock=clock,
            ledger=store,
            word=proposals,
            lockdown=lockdown,
            redact=redact,
            page=lambda: front.open_page,
            document=settings.client_metadata_url,
        )
    )
    upstreams = StdioAndHttpUpstreams(
        servers=configuration,
        catalogue=catalogue,
        sandbox=sandbox,
        reverse=reverse,
        ledger=store,
        clock=clock,
        http=http,
        logins=logins,
        digester=digester,
        listeners=listeners,
    )
    clients = Clients(state, clock, Sessions(clock, settings.session_idle_s))
    grants = Grants(clock, settings.session_idle_s)
    rules, pairing_time = await asyncio.to_thread(_rules, home, state), PairingTime(clock)
    pipeline = build_pipeline(
        PipelineParts(
            clients=clients,
            catalogue=catalogue,
            servers=configuration,
            policy=rules,
            grants=grants,
            vault=ground.vault,
            upstreams=upstreams,
            lists=Listing(catalogue),
            desk=desk,
            ledger=store,
            lockdown=lockdown,
            redact=redact,
            digester=digester,
            clock=clock,
            settings=settings,
            own_folders=home.folders(),
            user_home=user_home,
        )
    )
    reverse.bind(pipeline)
    _end_with_sessions(clients, grants, pipeline)
    timeline = SqliteTimeline(home.ledger, home.state / HEAD_COPY, public_key(ground.keys.signing_key), store.subscribe)
    plane_parts = PlaneParts(
        home=home,
        user_home=user_home,
        configuration=configuration,
        catalogue=catalogue,
        clients=clients,
        client_logins=clients.logins,
        pairing=pairing_time,
        grants=grants,
        rules=rules,
        vault=ground.vault,
        state=state,
        ledger=store,
        timeline=timeline,
        upstreams=upstreams,
        logins=logins,
        sandbox=sandbox,
        runtimes=open_runtimes(home, user_home),
        flight=pipeline.calls,
        digester=digester,
        clock=clock,
        front=front,
        redact=redact,
        prune=store.prune,
    )
    plane = Plane(plane_parts, lockdown)
    doorkeeper_parts = DoorkeeperParts(
        proposals=proposals,
        clients=clients,
        rules=rules,
        ledger=store,
        lockdown=lockdown,
        clock=clock,
        redact=redact,
    )
    oauth = OAuthParts(
        servers=configuration,
        doorkeeper=Doorkeeper(doorkeeper_parts),
        peers=peers,
        pairing=pairing_time,
        documents=GuardedDocuments(http),
        logins=clients.logins,
    )
    return Parts(
        home=home,
        settings=settings,
        clock=clock,
        store=store,
        timeline=timeline,
        configuration=configuration,
        catalogue=catalogue,
        clients=clients,
        rules=rules,
        upstreams=upstreams,
        listeners=listeners,
        http=http,
        logins=logins,
        pipeline=pipeline,
        plane=plane,
        outside=Outside(plane, plane_parts, proposals),
        oauth=oauth,
        pairing=Pairing(plane_parts, proposals, lockdown),
        front=front,
    )


def _rules(home: Home, state: SealedState) -> Rules:
    return Rules(home.rules, resource_text("policy/default.cedar"), state, resource_text("policy/schema.cedarschema"))


def _end_with_sessions(clients: Clients, grants: Grants, pipeline: Pipeline) -> None:
    """What a session remembers goes with it."""

    def end(_client: ClientName, session: SessionId | None) -> None:
        if session is not None:
            grants.end_session(session)
            pipeline.surrogates.forget(session)

    clients.on_revoke(end)


def settings_of(home: Home, port: int | None) -> Settings:
    """The settings of a home, with the port of the command line if there is one.

    Raises:
        Denial: the file is wrong, with its line.
    """
    settings = Configuration(home.config_file).settings
    return settings if port is None else replace(settings, port=port)
