"""How a login is put to the person: before a browser opens, for each client and server."""

import re
from collections.abc import Iterable

from ztmcp_desktop.domain.consent import Widening
from ztmcp_desktop.domain.names import ClientName
from ztmcp_desktop.gateway.login.callback import HOST, PATH
from ztmcp_desktop.gateway.login.held import Flow, Held
from ztmcp_desktop.gateway.login.plan import OFFLINE, Plan
from ztmcp_desktop.gateway.outbound_guard import read

MANY_SCOPES = 8
_BROAD = re.compile(r"(?i)(?:^|[^a-z])(?:admin|all|full|manage|owner|root|super|write|delete)(?:[^a-z]|$)|\*")
_NARROW = re.compile(r"(?i)(?:^|[^a-z])(?:read|readonly|view|list|basic|profile|openid|email)(?:[^a-z]|$)")


def smallest_first(scopes: Iterable[str]) -> tuple[str, ...]:
    """The scopes with what sounds like little first. It decides nothing but the order on the screen."""
    return tuple(sorted(scopes, key=lambda scope: (bool(_BROAD.search(scope)), not _NARROW.search(scope), scope)))


def login_words(plan: Plan, clients: tuple[ClientName, ...]) -> Widening:
    """The question whether to log in so, for these clients."""
    browser = plan.flow is Flow.PERSON
    facts = [
        ("Server", plan.server),
        ("Address", plan.url),
        ("For the client", "\n".join(clients) or "none yet; each one asks when it comes"),
        ("Authorization server", plan.issuer.identifier),
        ("Rights asked for", _rights(plan.scopes)),
        ("Known there as", _known_as(plan)),
        *_proof(plan),
    ]
    if browser and plan.issuer.authorize is not None:
        facts += [("Page that opens", read(plan.issuer.authorize).host), ("Comes back to", f"{HOST}{PATH}")]
    return Widening(
        title=f"Log in at {plan.server}",
        sentence="Your browser opens there; what it brings back is kept in the keychain, and sent to this server alone."
        if browser
        else "ztmcp logs in as itself; what it is given is kept in the keychain, and sent to this server alone.",
        facts=tuple(facts),
        warnings=_warnings(plan),
    )


def use_words(held: Held, server: str, client: ClientName) -> Widening:
    """The question whether one more client may use a login that there is."""
    return Widening(
        title=f"Let {client} use your login at {server}",
        sentence="It calls this server in your name, with these rights; it never gets to see the login itself.",
        facts=(
            ("Client", client),
            ("Server", server),
            ("Address", held.url),
            ("Authorization server", held.issuer),
            ("Rights", _rights(held.allowed())),
        ),
    )


def _rights(scopes: tuple[str, ...]) -> str:
    return "\n".join(smallest_first(scopes)) or "what the authorization server gives by itself"


def _known_as(plan: Plan) -> str:
    if plan.registration is None:
        return "ztmcp, which is registered there by this login"
    return f"{plan.registration.client_id} ({plan.registration.how.value})"


def _proof(plan: Plan) -> tuple[tuple[str, str], ...]:
    """What of the person's own secrets the login uses: whoever names one may have meant it for somebody else."""
    known = plan.registration
    if known is None or known.secret_name is None:
        return ()
    if known.method == "private_key_jwt":
        return (("Signs with", f"the private key {known.secret_name}, which stays here"),)
    return (("Sends there", f"the secret {known.secret_name}"),)


def _warnings(plan: Plan) -> tuple[str, ...]:
    found = []
    if plan.before and plan.before != plan.issuer.identifier:
        found.append(f"Until now the authorization server was {plan.before}. The server names another one.")
    if read(plan.issuer.identifier).host != read(plan.url).host:
        found.append("The authorization server is on another host than the server.")
    if len(plan.scopes) > MANY_SCOPES:
        found.append(f"It asks for {len(plan.scopes)} rights at once; log in with --scope to ask for fewer.")
    broad = [scope for scope in plan.scopes if scope != OFFLINE and _BROAD.search(scope)]
    if broad:
        found.append(f"These sound like more than looking: {', '.join(broad)}.")
    return tuple(found)
