"""What the player checks before each step that binds it. All of it is pure; a refusal is the coordinator's fault."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import msgspec

from coordinator.player.gateway import Enclave
from coordinator_core.competition.contract import verify_parameters
from coordinator_core.competition.entries import Entry, check_unique, verify_entry
from coordinator_core.competition.picks import Pick, verify_opening
from coordinator_core.competition.terms import Terms, decode_terms
from coordinator_core.dlc.contract import Contract
from coordinator_core.dlc.serialization import parameters_from_value
from coordinator_core.errors import Fault, VerificationFailed
from coordinator_core.keymeld.audit import audit_manifest, audit_recipients
from coordinator_core.keymeld.manifest import SignedManifest
from coordinator_core.keymeld.recipients import EnclaveRecipients
from coordinator_core.nostr.event import Event
from coordinator_core.oracle.locking import locking_points
from coordinator_core.oracle.statement import SignedStatement, verify_statement
from coordinator_core.receipts.reservation import ReservationReceipt, verify_reservation
from coordinator_core.transaction import OutPoint


def require(condition: bool, what: str, reason: str) -> None:
    """Raise VerificationFailed at the coordinator's fault."""
    if not condition:
        raise VerificationFailed(what, reason, fault=Fault.COORDINATOR)


def check_terms(raw: bytes, competition_id: str, expected_hash: bytes | None) -> Terms:
    """Terms as published; once known, their hash never changes."""
    terms = decode_terms(raw)
    require(str(terms.competition_id) == competition_id, "terms", "are of another competition")
    require(expected_hash is None or terms.hash == expected_hash, "terms", "changed since the ticket was reserved")
    return terms


def check_receipt(event: Event, terms: Terms, player: bytes, entry_id: str) -> ReservationReceipt:
    """The signed receipt repeats terms, price and player."""
    receipt = verify_reservation(event, terms, player)
    require(str(receipt.entry_id) == entry_id, "receipt.entry_id", "is another entry")
    return receipt


@dataclass(frozen=True, slots=True)
class OtherEntry:
    """An entry of the competition as everyone sees it: signed, and opened once it was sealed."""

    entry: Entry
    picks: tuple[Pick, ...] | None


def read_entries(listed: Sequence[Mapping[str, object]], terms: Terms) -> dict[str, OtherEntry]:
    """Every signed entry with its opened picks, each verified against its own signature and commitment."""
    known: dict[str, OtherEntry] = {}
    for item in listed:
        event = msgspec.convert(item["event"], Event)
        document = msgspec.json.decode(event.content)
        entry = verify_entry(
            event,
            terms_hash=terms.hash,
            entry_id=UUID(str(item["entry_id"])),
            ticket_hash=bytes.fromhex(document["ticket_hash"]),
            author=event.author,
        )
        opened = item.get("opened")
        picks = _opened(entry, opened, terms) if isinstance(opened, dict) else None
        known[str(entry.id)] = OtherEntry(entry, picks)
    for one in known.values():
        check_unique(one.entry, [other.entry for other in known.values()])
    return known


def _opened(entry: Entry, opened: Mapping[str, object], terms: Terms) -> tuple[Pick, ...]:
    picks = msgspec.convert(opened["picks"], tuple[Pick, ...])
    return verify_opening(entry.commitment, entry.id, bytes.fromhex(str(opened["salt"])), picks, terms.observation)


def check_session(
    manifest: SignedManifest,
    recipients: EnclaveRecipients,
    terms: Terms,
    entries: Mapping[str, OtherEntry],
    own: str,
    session_id: str,
    enclaves: Mapping[int, Enclave],
) -> None:
    """Manifest and recipients before a key is sealed: own slot, signed entries only, exact subsets and quota, and the
    enclave keys that the gateway itself serves."""
    players = [user for user in manifest.manifest.users if user != manifest.manifest.coordinator_user_id]
    require(own in players, "manifest", "has no slot for this entry")
    unknown = [user for user in players if user not in entries]
    require(not unknown, "manifest", "names a player without a signed entry")
    slot_keys = {user: entries[user].entry.slot_key for user in players}
    audit_manifest(manifest, slot_keys=slot_keys, places=terms.places, keygen_session_id=session_id)
    audit_recipients(recipients, manifest, {eid: enclave.public_key for eid, enclave in enclaves.items()})


def check_statement(
    statement: SignedStatement,
    stated: Mapping[str, tuple[Pick, ...]],
    terms: Terms,
    attempt: int,
    entries: Mapping[str, OtherEntry],
    roster: Sequence[str],
) -> bytes:
    """The oracle's own word on event and entries; its nonce point."""
    nonce = statement.statement.nonce
    ids = [UUID(entry_id) for entry_id in roster]
    verify_statement(statement, terms, attempt=attempt, entry_ids=ids, nonce_point=nonce)
    for entry_id in roster:
        same = stated.get(entry_id) == entries[entry_id].picks
        require(same, "entries", "another entry stands at the oracle than the one that was opened")
    return nonce


def check_contract(
    document: Mapping[str, object],
    terms: Terms,
    attempt: int,
    entries: Mapping[str, OtherEntry],
    roster: Sequence[str],
    nonce: bytes,
    market_maker: bytes,
) -> Contract:
    """The contract derived by the player itself from terms, entries and the oracle's nonce; all but fee rate, market
    maker key and outpoint follow from them."""
    parameters = parameters_from_value(document["parameters"], "parameters")
    require(document["attempt"] == attempt, "contract", "is of another attempt")
    require(parameters.market_maker == market_maker, "contract", "has another market maker key than the session")
    points = locking_points(terms.oracle_key, nonce, len(roster), terms.places)
    verify_parameters(parameters, terms, [entries[e].entry for e in roster], attempt=attempt, locking_points=points)
    return Contract.build(parameters, OutPoint.parse(document["outpoint"]))
