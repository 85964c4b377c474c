"""States in plain words: what happens now, and what a player has to do for it (mostly: nothing)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from coordinator.domain.competitions.awaited import Party
from coordinator.domain.facts import PrizeState

STEP_NAMES = ("Open", "Closing", "Signing", "Funding", "Waiting for the result", "Paying out", "Done")


@dataclass(frozen=True, slots=True)
class Words:
    """`now`: what happens. `you`: what a player does."""

    now: str
    you: str


_APPOINTMENT = "Keep your client running until it says that the closing is done."
_NOTHING = "Nothing to do."
_PAID_BY_ITSELF = "A winner's client asks for the payment by itself; keep it running, or claim on chain with your kit."

STATES = {
    "created": Words("The terms are being completed with the oracle's lines. No ticket is sold yet.", _NOTHING),
    "collecting_entries": Words(
        "Tickets are sold until the closing time. A ticket is only held: it is settled when the contract is "
        "confirmed, and given back when it does not come about.",
        "Come back at the closing time, or leave your client running: it keeps the appointment by itself.",
    ),
    "awaiting_escrow": Words("Entries are closed. Every held ticket is read once more.", _APPOINTMENT),
    "escrow_confirmed": Words("The oracle is asked whether it can assess every pick of the terms.", _APPOINTMENT),
    "event_created": Words("The oracle makes the event of this attempt.", _APPOINTMENT),
    "awaiting_keygen": Words("Every player's client seals its key with keymeld and opens its picks.", _APPOINTMENT),
    "entries_submitted": Words(
        "The entries are with the oracle; contract and coins are about to be fixed.", _APPOINTMENT
    ),
    "awaiting_signing": Words(
        "Every player's client compares the contract with its own and approves it; then keymeld signs.", _APPOINTMENT
    ),
    "funding_ready": Words(
        "The contract is signed and every signature was verified. The funding transaction is next.",
        "Your client keeps the claim kit: with it you are paid without this coordinator.",
    ),
    "funding_broadcasted": Words("The funding transaction waits for its confirmations.", _NOTHING),
    "funding_confirmed": Words("The contract is on chain. The held tickets are being settled.", _NOTHING),
    "awaiting_attestation": Words(
        "The contract is funded and every ticket is settled. The oracle attests the result; "
        "if it stays silent, everyone gets the stake back from the expiry on.",
        _NOTHING,
    ),
    "outcome_broadcasted": Words("The oracle attested the result and winners are being paid.", _PAID_BY_ITSELF),
    "expiry_broadcasted": Words("The oracle stayed silent: every stake goes back.", _PAID_BY_ITSELF),
    "delta_broadcasted": Words(
        "Each prize has its own output on chain; what is unpaid can be claimed.", _PAID_BY_ITSELF
    ),
    "completed": Words("Every prize is settled.", _NOTHING),
    "returning": Words("It ends without a contract. What is held is being given back.", _NOTHING),
    "cancelled": Words("It ended without a contract.", _NOTHING),
    "failed": Words("It ended without a contract because a service failed.", _NOTHING),
}

ASIDE = {"returning": "Returning", "cancelled": "Cancelled", "failed": "Failed"}
"""States beside the seven steps."""
BESIDE = {**ASIDE, "created": "In preparation"}
"""States that are not called by the name of a step."""

PRIZES = {
    PrizeState.CLAIMABLE: "waits for the winner's invoice",
    PrizeState.PAYING: "being paid over Lightning",
    PrizeState.PAID: "paid over Lightning",
    PrizeState.UNKNOWN: "payment on its way, result not known yet",
    PrizeState.ONCHAIN: "to be claimed on chain",
    PrizeState.CLAIMED: "claimed on chain",
    PrizeState.OWED: "owed by the coordinator",
    PrizeState.LAPSED: "lapsed",
    PrizeState.VOID: "void: the ticket was given back",
    PrizeState.UNECONOMIC: "left on chain: the share is worth less than taking it costs",
}

DEPENDENCIES = {
    "lightning": "the Lightning node",
    "chain": "the Bitcoin node",
    "oracle": "the oracle",
    "keymeld": "the keymeld gateway",
    "operator": "the operator:",
    "coordinator": "the coordinator",
}

PARTIES = {
    Party.PLAYER: "players",
    Party.ORACLE: "the oracle",
    Party.KEYMELD: "the keymeld gateway",
    Party.LIGHTNING: "the Lightning node",
    Party.CHAIN: "the chain",
    Party.OPERATOR: "the operator",
    Party.COORDINATOR: "the coordinator",
}

_ROLES = {
    "funding": "Funding of the contract",
    "outcome": "Outcome",
    "expiry": "Expiry",
    "split": "Split into prizes",
    "close": "Close: every winner is paid",
    "reclaim": "Reclaim: no prize is to be paid",
}

_SWEEPS = {
    "close": "Output of a paid prize, with the winner's key",
    "sellback": "Output of a paid prize, with the payout preimage",
    "reclaim": "Unclaimed output reclaimed",
}


def role(name: str) -> str:
    """A transaction's role in words."""
    kind, _, rest = name.partition(":")
    how, _, entry_id = rest.partition(":")
    if kind == "sweep" and how in _SWEEPS:
        return f"{_SWEEPS[how]} ({middle(entry_id)})"
    if kind == "bump":
        return f"Pays the fee of: {role(rest)}"
    return _ROLES.get(name, name)


def role_rank(name: str) -> int:
    """Place of a role in the life of a contract: orders transactions of one block."""
    order = tuple(_ROLES)
    return order.index(name) if name in order else len(order)


def spending(name: str, known: Mapping[str, str]) -> str:
    """A role in words; a spend by others names the output it takes, by what is known of its transaction."""
    if not name.startswith("spends "):
        return role(name)
    txid, _, vout = name.removeprefix("spends ").partition(":")
    return f"Spends output {vout} of: {known.get(txid, middle(txid))}"


def counted(number: int, thing: str) -> str:
    """A number with its noun."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def sats(amount: int) -> str:
    """An amount with thousands separators and unit, never broken over lines."""
    return f"{amount:,}\N{NO-BREAK SPACE}sat"


def middle(text: str) -> str:
    """An identifier shortened in its middle: the start of a time-ordered id says little, its end tells it apart."""
    return text if len(text) <= 20 else f"{text[:10]}…{text[-8:]}"
