"""Facts of the contract and of the parties one relies on, as anyone can check them."""

from __future__ import annotations

from dataclasses import dataclass

from coordinator.domain.competitions.paid_out import attempt_of, pinned_of
from coordinator.domain.competitions.states import Competition
from coordinator.domain.facts import ContractSigned, OracleEvent
from coordinator.domain.lane import Lane
from coordinator.views.rosters import roster_of
from coordinator.views.words import counted, sats
from coordinator_core.competition.chain_cost import ContractShape


@dataclass(frozen=True, slots=True)
class Row:
    """A term and its value; `code` values are identifiers, shown whole."""

    label: str
    value: str
    code: bool = False


def contract_facts(state: Competition, lane: Lane) -> tuple[Row, ...]:
    """Outpoint, amounts and signatures of the contract; nothing before its parameters are pinned."""
    pin = pinned_of(state, lane)
    if pin is None:
        return ()
    shape = ContractShape(len(roster_of(state, lane)), lane.terms.places)
    signed = lane.facts.get(ContractSigned, pin.attempt) is not None
    signatures = counted(shape.signing_items, "signature")
    return (
        Row("Outpoint", f"{pin.funding_txid}:{pin.funding_vout}", code=True),
        Row("Funding value", sats(pin.funding_value)),
        Row("Fee rate", f"{pin.fee_rate / 250:.2f} sat/vB"),
        Row("Outcomes", f"{counted(shape.rankings, 'ranking')}, refund to all, and the expiry"),
        Row("Signatures", f"{signatures}, every one verified" if signed else f"{signatures} to come"),
    )


def oracle_facts(state: Competition, lane: Lane) -> tuple[Row, ...]:
    """The oracle's key, and the event of the attempt once it was verified."""
    oracle = lane.terms.oracle
    rows = (Row("Oracle", oracle.url), Row("Oracle key", oracle.public_key, code=True))
    attempt = attempt_of(state, lane)
    event = None if attempt is None else lane.facts.get(OracleEvent, attempt)
    if event is None:
        return rows
    return (*rows, Row("Event", event.event_id, code=True), Row("Nonce point", event.nonce_point, code=True))


def signer_facts(lane: Lane) -> tuple[Row, ...]:
    """The keymeld gateway, and that no attestation of its enclaves is verified."""
    keymeld = lane.terms.keymeld
    trust = "unattested, test networks only"
    if keymeld.pcrs:
        measured = counted(len(keymeld.pcrs), "measurement register")
        trust += f" (the terms name {measured}, but this version verifies no attestation)"
    return (Row("keymeld", keymeld.gateway), Row("Enclaves", trust))
