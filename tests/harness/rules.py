"""The rules, one function each: what was lost, done twice, or done in the wrong order, by the outside world's books."""

from __future__ import annotations

import json
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from coordinator.cli.serving import EXIT_CUT_OFF
from coordinator_core import bolt11
from coordinator_core.dlc import Contract
from coordinator_core.dlc.serialization import parameters_from_json
from coordinator_core.transaction import OutPoint, Transaction
from tests.harness.ledger import SETTLE, Ledger
from tests.harness.lives import STOP_SECONDS, Counts
from tests.harness.outside import Block, LightningBooks, Records, payment_hash, rows
from tests.harness.recording import Recording
from tests.harness.wave import Contest, Fate

EXPECTED: Final = {Fate.PAID: "completed", Fate.UNDERFILLED: "cancelled", Fate.CANCELLED: "cancelled"}
OWN_MISTAKES: Final = (
    "duty raised",
    "loop died",
    "lane quarantined",
    "outcome not committed",
    "probe raised",
    "handshake raised",
    "contradiction",
    "liveness violation",
    "what is stored differs from what follows",
    "the books do not add up",
    "books cannot be read",
    "competition cannot be read",
    "duty cannot be read",
    "request failed",
)
"""Events of the coordinator's log that no fault of a service excuses."""
SHOWN: Final = 1_500
"""Characters of what a line of the log says, and as many of its traceback."""


@dataclass(frozen=True, slots=True)
class Pinned:
    """A contract that an attempt of a competition fixed."""

    competition: str
    attempt: int
    contract: Contract

    @property
    def funding_script(self) -> bytes:
        """Where its money goes to."""
        return self.contract.funding_output.script_pubkey


def pinned_contracts(records: Records) -> list[Pinned]:
    """Every contract of every attempt, rebuilt."""
    found: list[Pinned] = []
    for lane, fact in records.facts("pinned"):
        outpoint = OutPoint(bytes.fromhex(fact["funding_txid"])[::-1], fact["funding_vout"])
        contract = Contract.build(parameters_from_json(records.blob(fact["parameters"])), outpoint)
        found.append(Pinned(lane, fact["attempt"], contract))
    return found


def ended(contests: Sequence[Contest], records: Records, blocks: Sequence[Block]) -> Iterator[str]:
    """Every competition ended as it should, and holds no coin back that could still be spent."""
    spent = {str(one.previous_output) for block in blocks for tx in block.transactions for one in tx.inputs}
    for contest in contests:
        if contest.state != EXPECTED[contest.fate]:
            duties = records.open_duties(contest.id)
            yield f"{contest.id} ({contest.fate}) is {contest.state or 'unknown'}; open: {duties}"
        for coin in set(records.coins_reserved(contest.id)) - spent:
            yield f"{contest.id} still holds back {coin}"


def tickets(contests: Sequence[Contest], lightning: LightningBooks) -> Iterator[str]:
    """Tickets of a funded contract are settled, all others given back; nothing is open or held."""
    own = lightning.own_invoices()
    for invoice in own.values():
        if invoice["state"] in ("OPEN", "ACCEPTED"):
            yield f"invoice {payment_hash(invoice)} is still {invoice['state']}"
    for contest in contests:
        wanted = "SETTLED" if contest.fate is Fate.PAID else "CANCELED"
        for player in contest.players:
            state = own[player.ticket_hash]["state"] if player.ticket_hash in own else "missing"
            if state != wanted:
                yield f"{contest.id}: ticket of {player.entry_id} is {state}, not {wanted}"


def payments(contests: Sequence[Contest], lightning: LightningBooks) -> Iterator[str]:
    """A hash is paid once; who has a prize was paid it once, and nobody else was paid."""
    prizes = _paid_prizes(contests)
    succeeded = {payment_hash(payment): len(lightning.paid_parts(payment)) for payment in lightning.made()}
    for paid, times in succeeded.items():
        if times > 1:
            yield f"{paid} was paid {times} times"
        if times and paid not in prizes:
            yield f"{paid} was paid and is no prize that its winner knows to be paid"
    for wanted, entry in prizes.items():
        if succeeded.get(wanted) != 1 or len(lightning.settled(wanted)) != 1:
            yield f"the prize of {entry} is said to be paid, Lightning says {succeeded.get(wanted)} times"


def _paid_prizes(contests: Sequence[Contest]) -> dict[str, str]:
    """Entry by payment hash, of prizes whose winners heard that they are paid."""
    return {
        _hash_of(player.payout_request): player.entry_id
        for contest in contests
        for player in contest.players
        if contest.results.get(player.entry_id) == "PAID"
    }


def _hash_of(payment_request: str) -> str:
    return bolt11.decode(payment_request).payment_hash.hex()


def prizes(contests: Sequence[Contest]) -> Iterator[str]:
    """Every player of a completed competition heard what became of its entry, and at least one was paid."""
    for contest in contests:
        if contest.fate is not Fate.PAID:
            continue
        missing = [p.entry_id for p in contest.players if p.entry_id not in contest.results]
        if missing:
            yield f"{contest.id}: {missing} never heard of their prizes"
        elif "PAID" not in contest.results.values():
            yield f"{contest.id}: nobody was paid: {sorted(contest.results.values())}"


def settle_order(
    contests: Sequence[Contest], ledger: Ledger, pinned: Sequence[Pinned], blocks: Sequence[Block]
) -> Iterator[str]:
    """No ticket preimage left before the funding of its contract was in a block."""
    confirmed = {p.competition: height for p, height, _ in _fundings(pinned, blocks)}
    owner = {player.ticket_hash: contest.id for contest in contests for player in contest.players}
    for effect in ledger.named(SETTLE):
        competition = owner.get(effect.preimage_hash)
        if competition is None:
            yield f"a preimage was released for {effect.preimage_hash}, which is no player's ticket"
        elif competition not in confirmed or confirmed[competition] > effect.height:
            yield f"{competition}: a ticket was settled at height {effect.height}, its funding is not in that chain"


def _fundings(pinned: Sequence[Pinned], blocks: Sequence[Block]) -> Iterator[tuple[Pinned, int, Transaction]]:
    scripts = {p.funding_script: p for p in pinned}
    for block in blocks:
        for transaction in block.transactions:
            for output in transaction.outputs:
                if output.script_pubkey in scripts:
                    yield scripts[output.script_pubkey], block.height, transaction


def fundings(contests: Sequence[Contest], pinned: Sequence[Pinned], blocks: Sequence[Block]) -> Iterator[str]:
    """A competition was funded once or not at all, and no ticket is in two contracts."""
    times: Counter[str] = Counter()
    used: Counter[bytes] = Counter()
    for one, _, _ in _fundings(pinned, blocks):
        times[one.competition] += 1
        used.update(player.ticket_hash for player in one.contract.parameters.players)
    for contest in contests:
        wanted = int(contest.fate is Fate.PAID)
        if times[contest.id] != wanted:
            yield f"{contest.id} was funded {times[contest.id]} times, not {wanted}"
    for ticket, number in used.items():
        if number > 1:
            yield f"ticket {ticket.hex()} is in {number} funded contracts"


def transactions(records: Records, pinned: Sequence[Pinned], blocks: Sequence[Block], faucet: bytes) -> Iterator[str]:
    """Every transaction in the chain is the faucet's or one that the coordinator had written down before."""
    built = {fact["txid"] for _, fact in records.facts("built")} | {f["txid"] for _, f in records.facts("bumped")}
    spent: dict[str, str] = {}
    for block in blocks:
        for transaction in block.transactions:
            txid = transaction.txid[::-1].hex()
            pays_wallet = any(output.script_pubkey == faucet for output in transaction.outputs)
            if txid not in built and not pays_wallet:
                yield f"{txid} at height {block.height} was never written down"
            for one in transaction.inputs:
                if (other := spent.setdefault(str(one.previous_output), txid)) != txid:
                    yield f"{one.previous_output} is spent by {other} and {txid}"


def sessions(records: Records, keymeld: Path) -> Iterator[str]:
    """keymeld has exactly the sessions that are written down, and at most one keygen for an attempt."""
    known = {fact["session_id"]: (lane, fact["attempt"]) for lane, fact in records.facts("session_open")}
    for (session,) in rows(keymeld, "SELECT id FROM keygen WHERE initialization IS NOT NULL"):
        if session not in known:
            yield f"keygen session {session} was begun and never written down"
    for attempt, number in Counter(known.values()).items():
        if number > 1:
            yield f"attempt {attempt} has {number} keygen sessions"
    named = {batch["session_id"] for _, fact in records.facts("batches_open") for batch in fact["batches"]}
    named |= {fact["batch"]["session_id"] for _, fact in records.facts("spare_open")}
    for (session,) in rows(keymeld, "SELECT id FROM signing"):
        if session not in named:
            yield f"signing session {session} was begun and never written down"


def events(contests: Sequence[Contest], records: Records, oracle: Path) -> Iterator[str]:
    """The oracle has only events of the terms, and their entries are the roster's."""
    allowed = {str(event): contest.id for contest in contests for event in contest.known_terms.oracle.event_ids}
    for (event,) in rows(oracle, "SELECT id FROM event"):
        if event not in allowed:
            yield f"event {event} is in no terms"
    rosters = {(lane, fact["attempt"]): set(fact["roster"]) for lane, fact in records.facts("session_open")}
    for lane, fact in records.facts("oracle_event"):
        listed = {row[0] for row in rows(oracle, "SELECT id FROM entry WHERE event_id = ?", fact["event_id"])}
        roster = rosters.get((lane, fact["attempt"]))
        if listed and roster is not None and listed != roster:
            yield f"event {fact['event_id']} has other entries than the session"


def database(records: Records) -> Iterator[str]:
    """The file is whole, revisions count transitions, no lane is stopped."""
    if records.integrity != "ok":
        yield f"integrity_check: {records.integrity}"
    for lane in records.wrong_revisions():
        yield f"{lane}: revision and transitions disagree"
    for lane, reason in records.quarantined():
        yield f"{lane} is quarantined: {reason}"


def lives(counts: Counts, *, faults: bool = False) -> Iterator[str]:
    """Nothing ended by itself; a SIGTERM ends with 0, soon, and leaves no lease. `faults`: services may hang, so that
    something may be cut off.
    """
    yield from counts.unexpected
    for one in counts.terminations:
        # Until a life listens to signals, the kernel ends it: it has not opened anything.
        right = one.code == 0 or (one.code == -signal.SIGTERM and not one.was_ready)
        right |= faults and one.code == EXIT_CUT_OFF
        if not right or one.seconds > STOP_SECONDS:
            yield f"SIGTERM: exit {one.code} after {one.seconds:.1f} s"
        if one.leases:
            yield f"SIGTERM: {one.leases} duties were still leased"


def duties(recording: Recording) -> Iterator[str]:
    """Where every life may finish what it began, nothing that was done is done again."""
    if not recording.done():
        yield "no life wrote down what it did"
    yield from recording.done_again()


def _with_cause(line: str) -> str:
    """A line of the log with the end of its traceback: what was raised stands there."""
    try:
        said = json.loads(line)
    except ValueError:
        return line[:SHOWN]
    raised = str(said.pop("exception", ""))
    return f"{json.dumps(said)[:SHOWN]} {raised[-SHOWN:]}".rstrip()


def log(path: Path) -> Iterator[str]:
    """No mistake of our own in the coordinator's log."""
    for line in path.read_text(errors="replace").splitlines():
        if any(f'"event": "{event}"' in line for event in OWN_MISTAKES):
            yield _with_cause(line)
        elif line.startswith("Traceback"):
            yield "a traceback outside of the log's lines"
