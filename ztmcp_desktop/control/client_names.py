"""What a client that comes by itself is called."""

from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.names import ClientName
from ztmcp_desktop.policy.rules import Rules
from ztmcp_desktop.ports import ClientBook


def free_name(stem: str, clients: ClientBook, rules: Rules) -> ClientName:
    """`stem`, with a number where need be: a name that no client has and no rule speaks of.

    A rule that was written for another must not count for whoever comes under its name.

    Raises:
        Denial: there are too many of this name (`not-permitted`).
    """
    taken = {client.name for client in clients.all()}
    texts = "\n".join(rule.text for rule in rules.all())
    for name in (stem if number == 1 else f"{stem}-{number}" for number in range(1, 1000)):
        if name not in taken and f'"{name}"' not in texts:
            return ClientName(name)
    raise Denial(Code.NOT_PERMITTED, "there are too many clients of this name already")
