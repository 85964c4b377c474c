"""What the player checks about its prize: the kit, what it is worth, and the receipt of a debt."""

from __future__ import annotations

from dataclasses import dataclass

from coordinator.player.answers import received_from
from coordinator.player.checks import require
from coordinator_core.claim_kit import ClaimKit
from coordinator_core.competition.entries import Entry
from coordinator_core.competition.payouts import payouts_at
from coordinator_core.competition.terms import Terms
from coordinator_core.dlc.outcomes import EXPIRY, Outcome, WinCondition
from coordinator_core.errors import Fault
from coordinator_core.nostr.event import Event
from coordinator_core.oracle.attestation import attested_outcome
from coordinator_core.receipts.debt import DebtReason, verify_debt
from coordinator_core.transaction import OutPoint
from coordinator_core.units import Sats


def read_kit(raw: bytes) -> ClaimKit:
    """A kit as the coordinator serves it, verified in itself. Raises as ClaimKit.from_json, at its fault."""
    with received_from(Fault.COORDINATOR):
        return ClaimKit.from_json(raw)


def check_kit(kit: ClaimKit, terms: Terms, own: Entry, approved: str | None) -> None:
    """The kit is of the contract that this player approved (its digest, hex), and pays this player's entry."""
    require(kit.terms.hash == terms.hash, "kit.terms", "are others than those of the ticket")
    require(kit.entry_id == own.id, "kit.entry_id", "is another entry")
    hashes = (kit.own.ticket_hash, kit.own.payout_hash)
    require(hashes == (own.ticket_hash, own.payout_hash), "kit", "pays another ticket or payout hash")
    require(kit.own.public_key == own.key(kit.attempt), "kit", "pays another key")
    same = kit.signed.contract.digest.hex() == approved
    require(same, "kit", "is for another contract than the one approved")


@dataclass(frozen=True, slots=True)
class Due:
    """What an entry has coming over Lightning, and the output that secures it; output None without a prize."""

    net: Sats
    output: OutPoint | None


def prize_due(kit: ClaimKit, attestation: bytes | None) -> Due:
    """By terms and contract alone, for the attested outcome, or for the expiry when there is no attestation.

    Raises UnknownAttestation.
    """
    parameters = kit.signed.contract.parameters
    attested = None if attestation is None else attested_outcome(attestation, parameters.event.locking_points)
    payouts = payouts_at(kit.terms, len(parameters.players), attested)
    own = next((payout for payout in payouts if payout.player == kit.player), None)
    if own is None:
        return Due(Sats(0), None)
    condition = WinCondition(EXPIRY if attested is None else Outcome(attested), kit.player)
    return Due(own.net, kit.signed.contract.split_outpoint(condition))


def check_prize(net: Sats, due: Due) -> None:
    """An invoice on the payout hash sells the prize: never for less than it is."""
    require(net >= due.net, "payout.net", f"is less than the {due.net} sat that terms and outcome give")


def check_debt(event: Event, terms: Terms, own: Entry, net: Sats, due: Due) -> None:
    """The debt receipt for a payout preimage that was handed over. Raises VerificationFailed, InvalidSignature."""
    debt = verify_debt(event, terms, own)
    require(debt.reason is DebtReason.PRIZE, "debt receipt", "is for something else")
    require(debt.amount == net, "debt receipt", "names another amount")
    secured = due.output is None or debt.output == str(due.output)
    require(secured, "debt receipt", "names another output")
