"""Everything an operator may have set up wrongly between the coordinator and LND, in one sentence each."""

from __future__ import annotations

from coordinator.adapters.http import CERTIFICATE
from coordinator.adapters.lightning import refusals, versions
from coordinator.adapters.lightning.lnd import SERVICE, LndNode
from coordinator.ports.condition import Condition
from coordinator.ports.faults import PortError, Unsuitable
from coordinator.ports.lightning import NodeInfo

FRESH_CERTIFICATE = "copy the node's tls.cert again (lightning.certificate_file)"


class LndExamination:
    """See ports.condition.Examined. `network` is LND's name of the network that the settings name."""

    service = SERVICE

    def __init__(self, node: LndNode, network: str) -> None:
        self._node = node
        self._network = network
        self._rights: tuple[str, ...] | None = ()
        self._asked_rights = False

    async def condition(self) -> Condition:
        """See ports.condition.Examined."""
        try:
            info = await self._node.info()
            await self._ask_rights()
        except PortError as error:
            return Condition(SERVICE, problem=_sentence(error), answers=False, unsuitable=isinstance(error, Unsuitable))
        return self._judge(info)

    async def _ask_rights(self) -> None:
        # They cannot change while this macaroon is used.
        if not self._asked_rights:
            self._rights = await self._node.missing_rights()
            self._asked_rights = True

    def _judge(self, info: NodeInfo) -> Condition:
        if info.network != self._network:
            found = info.network or "no network"
            reason = f"LND is on {found}, the settings say {self._network}: point both to one network"
            return Condition(SERVICE, info.version, reason, answers=False, unsuitable=True)
        if self._rights:
            reason = f"the macaroon does not allow {', '.join(self._rights)}: {refusals.BAKE}"
            return Condition(SERVICE, info.version, reason, answers=False, unsuitable=True)
        if not info.synced_to_chain:
            reason = f"LND is not in step with the chain, it is at block {info.block_height}: wait, or look at its log"
            return Condition(SERVICE, info.version, reason)
        return Condition(SERVICE, info.version, note=self._note(info))

    def _note(self, info: NodeInfo) -> str:
        notes = [versions.note(info.version)]
        if self._rights is None:
            notes.append(f"whether the macaroon allows every call cannot be asked with it: {refusals.BAKE}")
        return "; ".join(filter(None, notes))


def _sentence(error: PortError) -> str:
    return f"{error.reason}: {FRESH_CERTIFICATE}" if CERTIFICATE in error.reason else error.reason
