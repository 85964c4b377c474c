"""How a transaction gets into the mempool: Core's checks in Core's order, with Core's words for each refusal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from coordinator.embedded.node.codec import OutPoint, Transaction, display_hex
from coordinator.embedded.node.consensus import ChainView, check_shape, fee_of, is_final, relative_locks_met
from coordinator.embedded.node.ephemeral import check_dust_has_no_fee, check_parents_dust_is_spent
from coordinator.embedded.node.errors import RejectionKind, TransactionRejected
from coordinator.embedded.node.fees import CLUSTER_COUNT_LIMIT, CLUSTER_SIZE_LIMIT_VB, FeeSettings, fee_at
from coordinator.embedded.node.index import Coin
from coordinator.embedded.node.kernel import failing_input
from coordinator.embedded.node.mempool import Entry, Mempool
from coordinator.embedded.node.replacement import check_replacement
from coordinator.embedded.node.standardness import check_standard, check_standard_inputs
from coordinator.embedded.node.truc import check_truc
from coordinator.embedded.node.witness_policy import check_witnesses

SCRIPT_FAILED = "mempool-script-verify-flag-failed"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A transaction that passed the checks of its own, and what they found out. Fees in satoshi."""

    transaction: Transaction
    coins: tuple[Coin, ...]
    fee: int
    modified_fee: int
    parents: tuple[Transaction, ...]
    """Unconfirmed transactions it spends from, in the mempool or earlier in its package."""
    conflicts: frozenset[bytes]
    """Mempool entries that spend the same outputs."""

    @property
    def parent_ids(self) -> frozenset[bytes]:
        """Txids of `parents`."""
        return frozenset(p.txid for p in self.parents)


class Acceptance:
    """Decides over transactions against one mempool and one chain.

    `explain` is asked why the scripts of the last of some transactions fail; it answers with the engine's text.
    """

    def __init__(
        self,
        mempool: Mempool,
        chain: ChainView,
        settings: FeeSettings,
        explain: Callable[[list[Transaction]], str | None],
    ) -> None:
        self.mempool = mempool
        self.chain = chain
        self.settings = settings
        self._explain = explain

    def accept(self, transaction: Transaction, *, check_fee: bool = True) -> Candidate:
        """All checks of a transaction on its own. Raises TransactionRejected; changes nothing."""
        candidate = self.examine(transaction)
        if check_fee:
            self.check_fee(candidate.modified_fee, transaction.vsize)
        evicted = self.evicted_by(candidate)
        check_truc(transaction, candidate.parents, self.mempool, evicted)
        self.check_cluster([candidate], evicted)
        if evicted:
            check_replacement(
                [(transaction, candidate.modified_fee, candidate.parent_ids)],
                set(candidate.conflicts),
                evicted,
                self.mempool,
            )
        check_parents_dust_is_spent(transaction, candidate.parents)
        self.check_scripts(candidate)
        return candidate

    def examine(self, transaction: Transaction, package: Mapping[bytes, Transaction] | None = None) -> Candidate:
        """The checks that do not weigh fees or run scripts. `package` holds transactions that come before, by txid."""
        self._check_form(transaction)
        self._check_unknown(transaction)
        earlier = package or {}
        coins = self._coins(transaction, earlier)
        if not relative_locks_met(transaction, coins, self.chain):
            raise TransactionRejected("non-BIP68-final")
        fee = fee_of(transaction, coins, self.chain)
        spent = [c.output for c in coins]
        check_standard_inputs(transaction, spent)
        check_witnesses(transaction, spent)
        modified = fee + self.mempool.fee_deltas.get(transaction.txid, 0)
        check_dust_has_no_fee(transaction, fee, modified)
        parents, conflicts = self._relations(transaction, earlier)
        return Candidate(transaction, tuple(coins), fee, modified, parents, conflicts)

    def _check_form(self, transaction: Transaction) -> None:
        check_shape(transaction)
        if transaction.is_coinbase:
            raise TransactionRejected("coinbase")
        check_standard(transaction)
        if not is_final(transaction, self.chain):
            raise TransactionRejected("non-final")

    def _check_unknown(self, transaction: Transaction) -> None:
        entry = self.mempool.get(transaction.txid)
        if entry is None:
            return
        same = entry.transaction.wtxid == transaction.wtxid
        reason = "txn-already-in-mempool" if same else "txn-same-nonwitness-data-in-mempool"
        raise TransactionRejected(reason, kind=RejectionKind.KNOWN)

    def _coins(self, transaction: Transaction, earlier: Mapping[bytes, Transaction]) -> list[Coin]:
        coins = [self._coin(i.previous, earlier) for i in transaction.inputs]
        found = [c for c in coins if c is not None]
        if len(found) == len(coins):
            return found
        outputs = range(len(transaction.outputs))
        if any(self.chain.coin(OutPoint(transaction.txid, vout)) for vout in outputs):
            raise TransactionRejected("txn-already-known", kind=RejectionKind.KNOWN)
        raise TransactionRejected("bad-txns-inputs-missingorspent", kind=RejectionKind.MISSING_INPUTS)

    def _coin(self, outpoint: OutPoint, earlier: Mapping[bytes, Transaction]) -> Coin | None:
        confirmed = self.chain.coin(outpoint)
        if confirmed is not None:
            return confirmed
        output = self.mempool.output(outpoint)
        parent = earlier.get(outpoint.txid)
        if output is None and parent is not None and outpoint.vout < len(parent.outputs):
            output = parent.outputs[outpoint.vout]
        return None if output is None else Coin(output, self.chain.height + 1, coinbase=False)

    def _relations(
        self, transaction: Transaction, earlier: Mapping[bytes, Transaction]
    ) -> tuple[tuple[Transaction, ...], frozenset[bytes]]:
        ids = dict.fromkeys(i.previous.txid for i in transaction.inputs)
        entries = ((txid, self.mempool.get(txid)) for txid in ids)
        found = [entry.transaction if entry else earlier.get(txid) for txid, entry in entries]
        parents = tuple(p for p in found if p is not None)
        spenders = self.mempool.spenders
        conflicts = frozenset(spenders[i.previous] for i in transaction.inputs if i.previous in spenders)
        if conflicts & self.mempool.ancestors(p.txid for p in parents):
            raise TransactionRejected(
                "bad-txns-spends-conflicting-tx", f"{transaction.id} spends conflicting transaction"
            )
        return parents, conflicts

    def check_fee(self, fee: int, vsize: int) -> None:
        """Raises TransactionRejected for a fee (satoshi) below what the mempool or relay asks."""
        for name, rate in (
            ("mempool min fee", self.settings.mempool_minimum),
            ("min relay fee", self.settings.min_relay),
        ):
            needed = fee_at(rate, vsize)
            if fee < needed:
                raise TransactionRejected(f"{name} not met", f"{fee} < {needed}", RejectionKind.RECONSIDERABLE)

    def evicted_by(self, *candidates: Candidate) -> set[bytes]:
        """Mempool entries that would leave: those in conflict and all that depends on them."""
        return self.mempool.descendants({c for candidate in candidates for c in candidate.conflicts})

    def check_cluster(self, candidates: Sequence[Candidate], evicted: set[bytes]) -> None:
        """Raises TransactionRejected when the newcomers would be connected with too much."""
        joined = self.mempool.cluster({p for c in candidates for p in c.parent_ids}) - evicted
        _, vsize = self.mempool.total(joined)
        vsize += sum(c.transaction.vsize for c in candidates)
        if len(joined) + len(candidates) > CLUSTER_COUNT_LIMIT or vsize > CLUSTER_SIZE_LIMIT_VB:
            raise TransactionRejected("too-large-cluster")

    def check_scripts(self, candidate: Candidate, package: Sequence[Transaction] = ()) -> None:
        """Run all scripts on the validation engine. Raises TransactionRejected with the engine's text."""
        transaction = candidate.transaction
        index = failing_input(transaction, [c.output for c in candidate.coins])
        if index is None:
            return
        wanted = self.mempool.ancestors(candidate.parent_ids)
        unconfirmed = [e.transaction for e in self.mempool if e.txid in wanted]
        text = self._explain([*unconfirmed, *package, transaction])
        named = f"{transaction.id} (wtxid {display_hex(transaction.wtxid)})"
        details = f"input {index} of {named}, spending {transaction.inputs[index].previous}"
        raise TransactionRejected(f"{SCRIPT_FAILED} ({text})" if text else SCRIPT_FAILED, details)

    def add(self, candidate: Candidate, now: int, *, unbroadcast: bool = False) -> set[bytes]:
        """Let an accepted candidate in; returns the txids that left for it."""
        evicted = self.evicted_by(candidate)
        self.mempool.remove(evicted)
        self.mempool.add(
            Entry(
                candidate.transaction,
                candidate.fee,
                now,
                self.chain.height,
                tuple(c.output for c in candidate.coins),
                candidate.parent_ids,
                unbroadcast=unbroadcast,
            )
        )
        return evicted
