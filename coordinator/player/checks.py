"""What the player checks before each step that binds it. All of it is pure; a refusal is the coordinator's fault."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from coordinator.player.answers import received_from
from coordinator.player.gateway import Enclave
from coordinator.player.wire.competition import MAX_ENTRIES, ContractDocument, ListedEntry
from coordinator_core.competition.contract import verify_parameters
from coordinator_core.competition.documents import decode_strict
from coordinator_core.competition.entries import Entry, EntryDocument, check_unique, verify_entry
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


def refusal(what: str, reason: str) -> VerificationFailed:
    """What a coordinator did that this player does not accept."""
    return VerificationFailed(what, reason, fault=Fault.COORDINATOR)


def require(condition: bool, what: str, reason: str) -> None:
    """Raise VerificationFailed at the coordinator's fault."""
    if not condition:
        raise refusal(what, reason)


def check_terms(raw: bytes, competition_id: str, expected_hash: bytes | None) -> Terms:
    """Terms as published; once known, their hash never changes."""
    with received_from(Fault.COORDINATOR):
        terms = decode_terms(raw)
    require(str(terms.competition_id) == competition_id, "terms", "are of another competition")
    require(expected_hash is None or terms.hash == expected_hash, "terms", "changed since the ticket was reserved")
    return terms


def check_receipt(event: Event, terms: Terms, player: bytes, entry_id: str) -> ReservationReceipt:
    """The signed receipt repeats terms, price and player."""
    with received_from(Fault.COORDINATOR):
        receipt = verify_reservation(event, terms, player)
    require(str(receipt.entry_id) == entry_id, "receipt.entry_id", "is another entry")
    return receipt


@dataclass(frozen=True, slots=True)
class OtherEntry:
    """An entry of the competition as everyone sees it: signed, and opened once it was sealed."""

    entry: Entry
    picks: tuple[Pick, ...] | None


def read_entries(listed: Sequence[ListedEntry], terms: Terms) -> dict[str, OtherEntry]:
    """Every signed entry with its opened picks, each verified against its own signature and commitment.

    Raises VerificationFailed, InvalidInput, DuplicateInEntry: the coordinator should not have taken such an entry.
    """
    require(len(listed) <= MAX_ENTRIES, "entries", "are too many")
    with received_from(Fault.COORDINATOR):
        known = {str(item.entry_id): _read_entry(item, terms) for item in listed}
        require(len(known) == len(listed), "entries", "hold one id twice")
        for one in known.values():
            check_unique(one.entry, [other.entry for other in known.values()])
    return known


def _read_entry(item: ListedEntry, terms: Terms) -> OtherEntry:
    stated = decode_strict(item.event.content, EntryDocument, "entry")
    entry = verify_entry(
        item.event,
        terms_hash=terms.hash,
        entry_id=item.entry_id,
        ticket_hash=bytes.fromhex(stated.ticket_hash),
        author=item.event.author,
    )
    if item.opened is None:
        return OtherEntry(entry, None)
    salt = bytes.fromhex(item.opened.salt)
    picks = verify_opening(entry.commitment, entry.id, salt, item.opened.picks, terms.observation)
    return OtherEntry(entry, picks)


def check_own_entry(entries: Mapping[str, OtherEntry], own: Entry) -> None:
    """The list shows what this player signed for its present ticket: otherwise its prize would be another's."""
    listed = entries.get(str(own.id))
    require(listed is not None, "entries", "do not hold this player's entry")
    if listed is not None:
        same = listed.entry.player == own.player and listed.entry.document == own.document
        require(same, "entries", "hold another entry in this player's place")


def check_first_seen(entries: Mapping[str, OtherEntry], seen: Mapping[str, str], players: Sequence[str]) -> None:
    """Everyone in the session entered before this player opened its picks, and nobody changed the entry since.

    `seen` is the event id (hex) by entry id, as it was before the opening.
    """
    for player in players:
        require(player in seen, "entries", "hold one that came after the picks were opened")
        same = entries[player].entry.event.id == seen[player]
        require(same, "entries", "hold one that was exchanged after the picks were opened")


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
    with received_from(Fault.COORDINATOR):
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
        opened = entries[entry_id].picks
        require(opened is not None, "entries", "hold one in the contract whose picks were not opened")
        same = stated.get(entry_id) == opened
        require(same, "entries", "another entry stands at the oracle than the one that was opened")
    return nonce


def check_contract(
    document: ContractDocument,
    terms: Terms,
    attempt: int,
    entries: Mapping[str, OtherEntry],
    roster: Sequence[str],
    nonce: bytes,
    market_maker: bytes,
) -> Contract:
    """The contract derived by the player itself from terms, entries and the oracle's nonce; all but fee rate, market
    maker key and outpoint follow from them."""
    require(document.attempt == attempt, "contract", "is of another attempt")
    with received_from(Fault.COORDINATOR):
        parameters = parameters_from_value(document.parameters, "contract.parameters")
        require(parameters.market_maker == market_maker, "contract", "has another market maker key than the session")
        points = locking_points(terms.oracle_key, nonce, len(roster), terms.places)
        verify_parameters(parameters, terms, [entries[e].entry for e in roster], attempt=attempt, locking_points=points)
        return Contract.build(parameters, OutPoint.parse(document.outpoint, "contract.outpoint"))
