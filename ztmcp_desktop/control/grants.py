"""Remembered consents: listed and revocable."""

from ztmcp_desktop.control.parts import PlaneParts
from ztmcp_desktop.control.verbs import Arguments, Verb, Verbs
from ztmcp_desktop.domain.denial import Code, Denial
from ztmcp_desktop.domain.json import JsonObject
from ztmcp_desktop.domain.ledger import Draft, EntryKind
from ztmcp_desktop.domain.names import GrantId


class Grants:
    """The verbs `grant.list` and `grant.revoke`."""

    def __init__(self, parts: PlaneParts) -> None:
        self._parts = parts

    def verbs(self) -> Verbs:
        return {"grant.list": Verb(do=self.list), "grant.revoke": Verb(do=self.revoke)}

    async def list(self, untrusted: JsonObject) -> JsonObject:
        Arguments.of(untrusted)
        return {
            "grants": [
                {
                    "id": grant.id,
                    "client": grant.client,
                    "server": grant.server,
                    "subject": grant.subject,
                    "granted_at": grant.granted_at.isoformat(),
                    "used": grant.used,
                }
                for grant in self._parts.grants.all()
            ]
        }

    async def revoke(self, untrusted: JsonObject) -> JsonObject:
        grant = GrantId(Arguments.of(untrusted, "id").text("id"))
        if not self._parts.grants.revoke(grant):
            raise Denial(Code.NOT_PERMITTED, "there is no such grant any more")
        await self._parts.ledger.append(Draft(kind=EntryKind.GRANT, method="revoke", body={"grant": grant}))
        return {"id": grant}
