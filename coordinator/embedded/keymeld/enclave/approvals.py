"""No signature without the approvals that participants asked for (keymeld sections 3.7 and 4.8)."""

from __future__ import annotations

from coordinator.embedded.keymeld.enclave.commands import InitSigning
from coordinator.embedded.keymeld.enclave.session import KeygenSession
from coordinator_core.errors import InvalidInput, Refused


def check_approvals(session: KeygenSession, command: InitSigning, now: int) -> None:
    """Every participant registered with require_signing_approval approved this exact batch, and lately.

    Raises Refused when one is missing, InvalidInput when one is stale, InvalidSignature when one is not for this batch.
    """
    approvals = {approval.user_id: approval for approval in command.approvals}
    if len(approvals) != len(command.approvals):
        raise InvalidInput("approvals", "a participant occurs twice", "one approval each")
    for user_id, registration in session.registrations.items():
        context = registration.context
        if not context.require_signing_approval:
            continue
        if user_id not in approvals:
            raise Refused("approvals", f"{user_id} has not approved", "collect every approval")
        approvals[user_id].verify(
            bytes(context.auth_pubkey), session.session_id, command.signing_session_id, command.batch, now
        )
