"""An approval as a client sends it is an approval as keymeld's rules read it."""

from __future__ import annotations

import msgspec

from coordinator.api.documents.closing import Approvals
from coordinator_core.keymeld.approval import ParticipantApproval

USER = "01890a5d-ac96-774b-bcce-b302099a8057"


def test_the_signature_stays_an_array() -> None:
    body = {
        "entry_id": USER,
        "attempt": 1,
        "approvals": [
            {
                "signing_session_id": USER,
                "approval": {"user_id": USER, "timestamp": 1_700_000_000, "signature": list(range(64))},
                "x_user_signature": f"v1:1700000000:{'0' * 32}:{'0' * 128}",
            }
        ],
    }
    received = msgspec.json.decode(msgspec.json.encode(body), type=Approvals)
    read = ParticipantApproval.from_value(received.approvals[0].command().approval, "approval")
    assert (read.user_id, read.signature) == (USER, bytes(range(64)))
