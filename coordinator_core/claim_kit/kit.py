"""The claim kit: one JSON document without secrets, verified whole whenever it is read.

With it, the attestation, the ticket preimage (from the Lightning wallet) and the player's secret, a prize is
claimed on chain. The kit itself gives nobody anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import msgspec

from coordinator_core.competition.contract import compare_parameters, parameters_for_players
from coordinator_core.competition.documents import convert_strict
from coordinator_core.competition.player_keys import entry_key
from coordinator_core.competition.terms import Terms
from coordinator_core.dlc import Contract, Player, SignedContract
from coordinator_core.dlc.serialization import signed_contract_parts_from_value, signed_contract_to_value
from coordinator_core.dlc.strict_json import dump, expect_integer, expect_object, load
from coordinator_core.errors import Fault, InvalidInput, Refused, VerificationFailed
from coordinator_core.oracle.locking import locking_points
from coordinator_core.oracle.statement import SignedStatement, verify_statement
from coordinator_core.secp256k1 import SecretKey
from coordinator_core.secret import Secret

VERSION: Final = 1
PREIMAGE_NOTE: Final = (
    "The ticket preimage is the proof of payment that your Lightning wallet shows for the ticket; "
    "`coordinator claim` asks for it. Keep it and your player secret out of this file."
)
_FIELDS: Final = ("version", "terms", "entry_id", "attempt", "contract", "statement", "ticket_preimage")


@dataclass(frozen=True, slots=True)
class ClaimKit:
    """A verified kit: signatures are those that this entry can claim with."""

    terms: Terms
    entry_id: UUID
    attempt: int
    signed: SignedContract
    statement: SignedStatement

    @classmethod
    def build(
        cls, terms: Terms, entry_id: UUID, attempt: int, signed: SignedContract, statement: SignedStatement
    ) -> ClaimKit:
        """The kit of one entry out of the whole signed contract. Raises as from_json."""
        player = _player_index(statement, entry_id)
        kit = cls(terms, entry_id, attempt, signed.pruned(player), statement)
        kit.verify()
        return kit

    @classmethod
    def from_json(cls, raw: bytes | str) -> ClaimKit:
        """Read and verify a kit.

        Raises InvalidInput or Refused naming the member for what is malformed or breaks a rule,
        VerificationFailed for what contradicts the terms, the oracle's statement or the signatures.
        """
        document = load(raw, "kit")
        _require_unicode(document)
        fields = expect_object(document, "kit", _FIELDS)
        expect_integer(fields["version"], "kit.version", VERSION, VERSION)
        convert_strict(fields["ticket_preimage"], str, "kit.ticket_preimage")
        parameters, outpoint, signatures = signed_contract_parts_from_value(fields["contract"], "kit.contract")
        kit = cls(
            terms=convert_strict(fields["terms"], Terms, "kit.terms"),
            entry_id=convert_strict(fields["entry_id"], UUID, "kit.entry_id"),
            attempt=expect_integer(fields["attempt"], "kit.attempt", 1, 8),
            signed=SignedContract(Contract.build(parameters, outpoint), signatures),
            statement=convert_strict(fields["statement"], SignedStatement, "kit.statement"),
        )
        kit.verify()
        return kit

    def to_json(self) -> str:
        """The document, for the player to keep."""
        contract = self.signed.contract
        document: dict[str, Any] = {
            "version": VERSION,
            "terms": msgspec.to_builtins(self.terms),
            "entry_id": str(self.entry_id),
            "attempt": self.attempt,
            "contract": signed_contract_to_value(contract.parameters, contract.outpoint, self.signed.signatures),
            "statement": msgspec.to_builtins(self.statement),
            "ticket_preimage": PREIMAGE_NOTE,
        }
        return dump(document)

    @property
    def player(self) -> int:
        """The index of this entry in the contract."""
        return _player_index(self.statement, self.entry_id)

    @property
    def own(self) -> Player:
        """Key and hashes of this entry in the contract."""
        return self.signed.contract.parameters.players[self.player]

    def entry_key(self, secret: Secret) -> SecretKey:
        """The key of this entry from the player's secret, or from the key itself. Raises InvalidInput."""
        derived = entry_key(secret, self.entry_id, self.attempt)
        if derived.public_key == self.own.public_key:
            return derived
        given = SecretKey.from_bytes(secret.reveal(), field="player secret")
        if given.public_key == self.own.public_key:
            return given
        raise InvalidInput("player secret", "does not lead to the key of this entry", "the one it was made with")

    def verify(self) -> None:
        """Statement, parameters and signatures. Raises VerificationFailed, InvalidInput or Refused."""
        parameters = self.signed.contract.parameters
        stated = verify_statement(
            self.statement,
            self.terms,
            attempt=self.attempt,
            entry_ids=self.statement.statement.outcomes.entry_ids,
            nonce_point=self.statement.statement.nonce,
        )
        if len(stated.outcomes.entry_ids) != len(parameters.players):
            raise VerificationFailed("kit.contract", "has other players than the statement", fault=Fault.COORDINATOR)
        wanted = parameters_for_players(
            self.terms,
            parameters.players,
            market_maker=parameters.market_maker,
            locking_points=locking_points(
                self.terms.oracle_key, stated.nonce, len(parameters.players), self.terms.places
            ),
            fee_rate=parameters.fee_rate,
        )
        compare_parameters(parameters, wanted)
        SignedContract.verified(self.signed.contract, self.signed.signatures, player=self.player)


def _require_unicode(document: object) -> None:
    """JSON may escape half a character; such text can be neither hashed nor shown."""
    try:
        msgspec.json.encode(document)
    except UnicodeEncodeError:
        raise InvalidInput("kit", "holds text that is not Unicode", "UTF-8 without lone surrogates") from None
    except OverflowError:
        raise InvalidInput("kit", "holds a number beyond 64 bits", "the kit as it was given to you") from None


def _player_index(statement: SignedStatement, entry_id: UUID) -> int:
    listed = statement.statement.outcomes.entry_ids
    if entry_id not in listed:
        raise Refused("kit.entry_id", "is not among the entries of the statement", "the kit of another entry")
    return listed.index(entry_id)
