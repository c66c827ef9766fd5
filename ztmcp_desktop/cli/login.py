"""`ztmcp server login` and `ztmcp server logout`: the gateway logs in at a remote server in the person's name."""

import argparse
from typing import Any

from ztmcp_desktop.cli.approving import print_shown, yes
from ztmcp_desktop.cli.connection import connected
from ztmcp_desktop.cli.usage import DONE, REFUSED, fail, guarded, show
from ztmcp_desktop.domain.json import JsonObject


def register(nouns: Any) -> None:  # noqa: ANN401 - argparse does not name this type
    """Add these verbs to the parser of `ztmcp server`."""
    login = nouns.add_parser("login", help="log in at a remote server that wants it, in a browser")
    logout = nouns.add_parser("logout", help="forget the login at a remote server")
    for parser in (login, logout):
        parser.add_argument("name", metavar="NAME")
    login.add_argument("--client", action="append", default=[], metavar="C", help="a client that may use the login")
    login.add_argument("--scope", action="append", default=[], metavar="SCOPE", help="ask for just these rights")
    login.add_argument("--client-id", default="", metavar="ID", help="how the authorization server knows ztmcp already")
    login.add_argument("--client-secret", default="", metavar="SECRET", help="the secret that belongs to the client id")
    login.add_argument("--client-key", default="", metavar="SECRET", help="a secret with a private key, in its place")
    login.add_argument("--client-credentials", action="store_true", help="ztmcp logs in as itself, without a browser")
    login.add_argument("--yes", action="store_true", help="the yes, for scripts; does not count where a window asks")
    login.set_defaults(do=guarded(log_in))
    logout.set_defaults(do=guarded(log_out))


def log_in(arguments: argparse.Namespace) -> int:
    """`ztmcp server login`."""
    with connected() as connection:
        elsewhere = bool(connection.ask("status")["screen"])
        terms = connection.ask("server.login-terms", _wanted(arguments))
        print_shown(terms)
        if not (arguments.yes or elsewhere) and not yes(f"{terms['sentence']} Log in?"):
            return fail(f"you are not logged in at {arguments.name}", REFUSED)
        begun = connection.ask("server.login", {"name": arguments.name, "digest": terms["digest"]})
        if begun["page"]:
            show("Open this page in a browser on this machine, within five minutes:")
            show(begun["page"])
        connection.ask("server.login-wait", {"name": arguments.name})
    show(f"Logged in at {arguments.name}. If what it offers is not approved yet: ztmcp server approve {arguments.name}")
    return DONE


def _wanted(arguments: argparse.Namespace) -> JsonObject:
    return {
        "name": arguments.name,
        "clients": arguments.client,
        "scopes": arguments.scope,
        "client_id": arguments.client_id,
        "client_secret": arguments.client_secret,
        "client_key": arguments.client_key,
        "client_credentials": arguments.client_credentials,
    }


def log_out(arguments: argparse.Namespace) -> int:
    """`ztmcp server logout`."""
    with connected() as connection:
        connection.ask("server.logout", {"name": arguments.name})
    show(f"Logged out at {arguments.name}; the token is gone from the keychain.")
    return DONE
