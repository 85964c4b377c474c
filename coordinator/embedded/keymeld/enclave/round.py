"""One signing session inside one enclave: nonces, partial signatures, and on the coordinator's enclave the result.

Where every key of an item is in this enclave it signs alone; otherwise each enclave is one MuSig2 signer for all
its keys. Nonce and partial strings travel through the gateway under the session secret.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from coordinator.embedded.keymeld.crypto.encrypted_data import NONCE_DATA, SIGNATURE_DATA
from coordinator.embedded.keymeld.enclave.items import PlannedSignature
from coordinator.embedded.keymeld.enclave.session import KeygenSession
from coordinator_core.errors import InvalidInput, Misuse
from coordinator_core.musig2 import (
    MultiSigner,
    SigningItem,
    SoloSigner,
    aggregate_nonces,
    aggregate_signatures,
)


class _RoundMessage(msgspec.Struct, frozen=True):
    signing_session_id: str
    enclave_id: int
    values: dict[int, str]


class SigningRound:
    """Holds the nonces of one batch; every step works once."""

    def __init__(
        self, session: KeygenSession, signing_session_id: str, enclave_id: int, planned: Sequence[PlannedSignature]
    ) -> None:
        self.session = session
        self.planned = planned
        self._signing_session_id = signing_session_id
        self._enclave_id = enclave_id
        self._shared = [
            index for index, plan in enumerate(planned) if len(plan.holders) > 1 and enclave_id in plan.holders
        ]
        self._keys = list(session.secret_keys.values())
        self._signer: MultiSigner | None = None
        self._aggregated: list[bytes] = []

    def nonces(self) -> str:
        """Round one: this enclave's public nonces, 66 bytes an item it shares."""
        if self._signer is not None:
            raise Misuse("nonces of a signing session were asked for twice")
        self._signer = MultiSigner(self._keys)
        return self._seal(self._signer.nonces(self._items(self._shared)), NONCE_DATA)

    def partial_signatures(self, nonces: Mapping[int, str]) -> str:
        """Round two, from every enclave's nonces: this enclave's partial signatures. Raises InvalidInput."""
        if self._signer is None:
            raise Misuse("partial signatures were asked for before nonces")
        values = self._collect(nonces, NONCE_DATA, self._shared)
        self._aggregated = [aggregate_nonces(values[index]) for index in self._shared]
        return self._seal(self._signer.sign(self._aggregated), SIGNATURE_DATA)

    def finalize(self, partials: Mapping[int, str]) -> list[tuple[bytes, bytes]]:
        """(signature, public nonce of 66 bytes) of every item, verified. On the coordinator's enclave only."""
        nonce_points: dict[int, bytes] = dict(zip(self._shared, self._aggregated, strict=True))
        signatures = self._finish_shared(partials)
        own = [index for index in range(len(self.planned)) if index not in signatures]
        for index, signature in zip(own, SoloSigner(self._keys).sign(self._items(own)), strict=True):
            signatures[index] = signature
            nonce_points[index] = _solo_nonce(signature)
        return [(signatures[index], nonce_points[index]) for index in range(len(self.planned))]

    def abort(self) -> None:
        """Wipe the nonces."""
        if self._signer is not None:
            self._signer.abort()

    def _finish_shared(self, partials: Mapping[int, str]) -> dict[int, bytes]:
        if not self._shared:
            return {}
        values = self._collect(partials, SIGNATURE_DATA, self._shared)
        ordered = [values[index] for index in self._shared]
        finished = aggregate_signatures(self._items(self._shared), self._aggregated, ordered)
        return dict(zip(self._shared, finished, strict=True))

    def _items(self, indexes: Sequence[int]) -> list[SigningItem]:
        return [self.planned[index].item for index in indexes]

    def _seal(self, values: Sequence[bytes], context: str) -> str:
        numbered = {index: value.hex() for index, value in zip(self._shared, values, strict=True)}
        message = _RoundMessage(self._signing_session_id, self._enclave_id, numbered)
        return self.session.cipher.encrypt(msgspec.json.encode(message), context)

    def _collect(self, sealed: Mapping[int, str], context: str, indexes: Sequence[int]) -> dict[int, list[bytes]]:
        """Each item's values, one from each of its holders in the order of enclave ids."""
        messages = {enclave: self._open(text, context, enclave) for enclave, text in sealed.items()}
        collected: dict[int, list[bytes]] = {}
        for index in indexes:
            holders = sorted(self.planned[index].holders)
            missing = [h for h in holders if h not in messages or index not in messages[h]]
            if missing:
                raise InvalidInput(context, f"enclave {missing[0]} is missing", "collect from every enclave")
            collected[index] = [messages[holder][index] for holder in holders]
        return collected

    def _open(self, sealed: str, context: str, enclave_id: int) -> dict[int, bytes]:
        plaintext = self.session.cipher.decrypt(sealed, context, context)
        try:
            message = msgspec.json.decode(plaintext, type=_RoundMessage)
            values = {index: bytes.fromhex(value) for index, value in message.values.items()}
        except ValueError as error:
            raise InvalidInput(context, f"does not decode: {error}", "pass on what the enclaves made") from None
        if (message.signing_session_id, message.enclave_id) != (self._signing_session_id, enclave_id):
            raise InvalidInput(context, "is of another session or enclave", "pass on what the enclaves made")
        return values


def _solo_nonce(signature: bytes) -> bytes:
    # A lone signer has one nonce R; the pair (R, infinity) aggregates to the same point. A plain signature gives
    # only its x, and its R has an even y.
    return (signature[:33] if len(signature) == 65 else b"\x02" + signature[:32]) + bytes(33)
