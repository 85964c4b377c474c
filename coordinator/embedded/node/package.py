"""Packages: a child with its parents, judged by what they pay together (submitpackage), or one by one (a test)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from coordinator.embedded.node.acceptance import Acceptance, Candidate
from coordinator.embedded.node.codec import Transaction
from coordinator.embedded.node.ephemeral import check_parents_dust_is_spent
from coordinator.embedded.node.errors import RejectionKind, TransactionRejected
from coordinator.embedded.node.fees import rate_of
from coordinator.embedded.node.replacement import check_replacement
from coordinator.embedded.node.truc import check_truc

MAX_PACKAGE_COUNT: Final = 25
MAX_PACKAGE_WEIGHT: Final = 404_000
SUCCESS: Final = "success"
TRANSACTION_FAILED: Final = "transaction failed"
UNSPENT_DUST: Final = "unspent-dust"
NOT_VALIDATED: Final = "package-not-validated"


@dataclass(slots=True)
class Outcome:
    """What became of one transaction of a package. Fee in satoshi; rate in sat/kvB over `included` (wtxids)."""

    transaction: Transaction
    error: TransactionRejected | None = None
    other_wtxid: bytes | None = None
    fee: int | None = None
    effective_rate: int | None = None
    included: tuple[bytes, ...] = ()


@dataclass(slots=True)
class PackageResult:
    """The answer of submitpackage."""

    message: str
    outcomes: list[Outcome]
    replaced: list[bytes] = field(default_factory=list)
    """Txids that left the mempool for the package."""


def malformation(package: Sequence[Transaction]) -> str | None:
    """Why a list of transactions is no package, in Core's words; None when it is one."""
    if len(package) > MAX_PACKAGE_COUNT:
        return "package-too-many-transactions"
    if sum(t.weight for t in package) > MAX_PACKAGE_WEIGHT:
        return "package-too-large"
    ids = [t.txid for t in package]
    if len(set(ids)) != len(ids):
        return "package-contains-duplicates"
    for position, transaction in enumerate(package):
        if {i.previous.txid for i in transaction.inputs} & set(ids[position:]):
            return "package-not-sorted"
    spent = [i.previous for t in package for i in t.inputs]
    return "conflict-in-package" if len(set(spent)) != len(spent) else None


def is_child_with_parents(package: Sequence[Transaction]) -> bool:
    """True when the last transaction spends from each other one, and these do not depend on each other."""
    *parents, child = package
    ids = {p.txid for p in parents}
    if ids - {i.previous.txid for i in child.inputs}:
        return False
    return not any(i.previous.txid in ids for p in parents for i in p.inputs)


class PackageSubmission:
    """One submitpackage call. Use once."""

    def __init__(
        self, acceptance: Acceptance, package: Sequence[Transaction], now: int, max_sat_per_kvb: int = 0
    ) -> None:
        self._max_rate = max_sat_per_kvb
        self._acceptance = acceptance
        self._package = list(package)
        self._now = now
        self._replaced: list[bytes] = []
        self._outcomes = {t.txid: Outcome(t) for t in package}

    def run(self) -> PackageResult:
        """Take each transaction alone where that works, and the rest together."""
        wrong = malformation(self._package)
        if wrong is not None:
            return self._result(wrong)
        together: list[Transaction] = []
        for transaction in self._package:
            try:
                if not self._take_alone(transaction):
                    together.append(transaction)
            except TransactionRejected as refusal:
                self._outcomes[transaction.txid].error = refusal
                return self._result(TRANSACTION_FAILED)
        if not together:
            return self._result(SUCCESS)
        if len(together) == 1:
            return self._result(TRANSACTION_FAILED)
        return self._result(self._take_together(together))

    def _result(self, message: str) -> PackageResult:
        for outcome in self._outcomes.values():
            if outcome.fee is None and outcome.error is None and outcome.other_wtxid is None:
                outcome.error = TransactionRejected(NOT_VALIDATED)
        return PackageResult(message, list(self._outcomes.values()), self._replaced)

    def _take_alone(self, transaction: Transaction) -> bool:
        """True when done with; False when only the package can help. Raises TransactionRejected when nothing can."""
        outcome = self._outcomes[transaction.txid]
        entry = self._acceptance.mempool.get(transaction.txid)
        if entry is not None:
            if entry.transaction.wtxid == transaction.wtxid:
                outcome.fee = entry.fee
            else:
                outcome.other_wtxid = entry.transaction.wtxid
            return True
        try:
            candidate = self._acceptance.accept(transaction)
        except TransactionRejected as refusal:
            if refusal.kind not in (RejectionKind.RECONSIDERABLE, RejectionKind.MISSING_INPUTS):
                raise
            outcome.error = refusal
            return False
        self._check_rate(candidate)
        self._enter([candidate])
        return True

    def _check_rate(self, candidate: Candidate) -> None:
        if self._max_rate and rate_of(candidate.modified_fee, candidate.transaction.vsize) > self._max_rate:
            raise TransactionRejected("max feerate exceeded")

    def _enter(self, candidates: Sequence[Candidate]) -> None:
        fee = sum(c.modified_fee for c in candidates)
        rate = rate_of(fee, sum(c.transaction.vsize for c in candidates))
        included = tuple(c.transaction.wtxid for c in candidates)
        for candidate in candidates:
            self._replaced += self._acceptance.add(candidate, self._now)
            outcome = self._outcomes[candidate.transaction.txid]
            outcome.error, outcome.fee = None, candidate.fee
            outcome.effective_rate, outcome.included = rate, included

    def _take_together(self, together: list[Transaction]) -> str:
        """Core's package message."""
        candidates: list[Candidate] = []
        earlier: dict[bytes, Transaction] = {}
        current = together[-1]
        try:
            for current in together:
                candidate = self._acceptance.examine(current, earlier)
                check_truc(current, candidate.parents, self._acceptance.mempool, set(candidate.conflicts))
                self._check_rate(candidate)
                candidates.append(candidate)
                earlier[current.txid] = current
            vsize = sum(t.vsize for t in together)
            self._acceptance.check_fee(sum(c.modified_fee for c in candidates), vsize)
        except TransactionRejected as refusal:
            self._outcomes[current.txid].error = refusal
            return TRANSACTION_FAILED
        try:
            self._check_whole(candidates)
        except TransactionRejected as refusal:
            return str(refusal)
        return self._check_each(candidates)

    def _check_whole(self, candidates: Sequence[Candidate]) -> None:
        evicted = self._acceptance.evicted_by(*candidates)
        self._acceptance.check_cluster(candidates, evicted)
        if not evicted:
            return
        mempool = self._acceptance.mempool
        if len(candidates) != 2 or any(p in mempool for c in candidates for p in c.parent_ids):
            raise TransactionRejected("package RBF failed: package must be 1-parent-1-child")
        parent, child = candidates
        newcomers = [(c.transaction, c.modified_fee, c.parent_ids) for c in (parent, child)]
        conflicts = set(parent.conflicts | child.conflicts)
        check_replacement(newcomers, conflicts, evicted, mempool, "package RBF failed: insufficient anti-DoS fees")

    def _check_each(self, candidates: Sequence[Candidate]) -> str:
        for candidate in candidates:
            try:
                check_parents_dust_is_spent(candidate.transaction, candidate.parents)
            except TransactionRejected as refusal:
                self._outcomes[candidate.transaction.txid].error = refusal
                return UNSPENT_DUST
        for position, candidate in enumerate(candidates):
            try:
                self._acceptance.check_scripts(candidate, [c.transaction for c in candidates[:position]])
            except TransactionRejected as refusal:
                self._outcomes[candidate.transaction.txid].error = refusal
                return TRANSACTION_FAILED
        self._enter(candidates)
        return SUCCESS


def try_each(acceptance: Acceptance, package: Sequence[Transaction]) -> list[Outcome]:
    """testmempoolaccept of several: each by its own fee, the earlier ones as possible parents; changes nothing.

    Stops at the first refusal: what was not looked at to the end has neither fee nor error.
    """
    outcomes = [Outcome(t) for t in package]
    candidates: list[Candidate] = []
    earlier: dict[bytes, Transaction] = {}
    for outcome in outcomes:
        transaction = outcome.transaction
        try:
            candidate = acceptance.examine(transaction, earlier)
            if candidate.conflicts:
                raise TransactionRejected("bip125-replacement-disallowed")
            acceptance.check_fee(candidate.modified_fee, transaction.vsize)
            check_truc(transaction, candidate.parents, acceptance.mempool, set())
            check_parents_dust_is_spent(transaction, candidate.parents)
        except TransactionRejected as refusal:
            outcome.error = refusal
            return outcomes
        candidates.append(candidate)
        earlier[transaction.txid] = transaction
    for position, (outcome, candidate) in enumerate(zip(outcomes, candidates, strict=True)):
        try:
            acceptance.check_scripts(candidate, [c.transaction for c in candidates[:position]])
        except TransactionRejected as refusal:
            outcome.error = refusal
            return outcomes
        outcome.fee = candidate.fee
        outcome.effective_rate = rate_of(candidate.modified_fee, candidate.transaction.vsize)
        outcome.included = (candidate.transaction.wtxid,)
    return outcomes
