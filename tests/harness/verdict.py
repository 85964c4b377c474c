"""The verdict: a row for each rule, from the books of the outside world."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from embit.bip32 import HDKey

from coordinator.adapters.secrets import SealedSecrets, load_or_create_seed
from coordinator.adapters.store.sqlite import SqliteStore
from coordinator_core.secp256k1 import lift_x
from coordinator_core.transaction import pay_to_taproot, tweak_public_key
from tests.e2e.books import ContractMoney, Sheet, follow_contract, sheet
from tests.harness import rules
from tests.harness.coordinator_process import PASSPHRASE
from tests.harness.outside import LightningBooks, read_blocks
from tests.harness.recording import Recording
from tests.harness.wave import Contest, Wave
from tests.harness.world import ChaosWorld

SHOWN: Final = 5
ADDRESSES: Final = 1_000
ADDRESSES_EACH: Final = 12
"""More than the wallet hands out in a run, and for each of its competitions."""


@dataclass(frozen=True, slots=True)
class Row:
    """A rule and what broke it."""

    rule: str
    violations: tuple[str, ...]

    @property
    def line(self) -> str:
        """As the table shows it."""
        if not self.violations:
            return f"ok    {self.rule}"
        more = [f"        {text}" for text in self.violations[:SHOWN]]
        if len(self.violations) > SHOWN:
            more.append(f"        and {len(self.violations) - SHOWN} more")
        return "\n".join([f"WRONG {self.rule}", *more])


@dataclass(slots=True)
class Evidence:
    """What the verdict is made from."""

    world: ChaosWorld
    waves: list[Wave]
    faucet: bytes
    """Script that the operator's first coins were sent to."""
    coins: int
    """Satoshi of those."""
    lightning_before: dict[str, Any]
    first_height: int

    @property
    def contests(self) -> list[Contest]:
        """All competitions."""
        return [contest for wave in self.waves for contest in wave.contests if contest.id and contest.terms]


async def judge(evidence: Evidence, stuck: str) -> list[Row]:
    """End the run in peace, then hold every book against every other."""
    world, contests = evidence.world, evidence.contests
    world.progress.finishing = True
    world.end_faults()
    await world.lives.close()
    await world.chain.mine()
    directory = world.stack.directory
    records = world.records
    lightning = LightningBooks.read(directory / "lightning")
    pinned = rules.pinned_contracts(records)
    blocks = await read_blocks(world.services, evidence.first_height)
    contract_money = [await follow_contract(world.chain, p.contract, frozenset()) for p in _funded(pinned, blocks)]
    table: dict[str, Iterable[str]] = {
        "liveness: something always moved": [stuck] if stuck else [],
        "every competition ended as it should": rules.ended(contests, records, blocks),
        "tickets: settled or given back": rules.tickets(contests, lightning),
        "tickets: settled only after the funding": rules.settle_order(contests, world.ledger, pinned, blocks),
        "funding: once a competition": rules.fundings(contests, pinned, blocks),
        "chain: only what was written down": rules.transactions(records, pinned, blocks, evidence.faucet),
        "prizes: every winner paid": rules.prizes(contests),
        "payments: each hash once": rules.payments(contests, lightning),
        "keymeld: sessions written down": rules.sessions(records, directory / "keymeld" / "gateway.sqlite"),
        "oracle: events of the terms": rules.events(contests, records, directory / "oracle" / "oracle.sqlite3"),
        "books: balanced to the millisatoshi": await _books(evidence, contract_money),
        "database: whole": rules.database(records),
        "lives: ended as ordered": rules.lives(world.lives.counts, faults=world.has_faults),
        "log: no mistake of our own": rules.log(world.directory / "coordinator.log"),
    }
    if world.lives.is_recorded:
        recording = Recording.read(world.lives.recording)
        table["duties: nothing done was done again"] = rules.duties(recording)
    return [Row(rule, tuple(found)) for rule, found in table.items()]


def _funded(pinned: Sequence[rules.Pinned], blocks: Sequence[Any]) -> list[rules.Pinned]:
    confirmed = {transaction.txid for block in blocks for transaction in block.transactions}
    return [one for one in pinned if one.contract.outpoint.txid in confirmed]


async def _books(evidence: Evidence, contracts: Sequence[ContractMoney]) -> list[str]:
    world = evidence.world
    ledger = await world.services.ledger()
    before = sheet(evidence.coins, evidence.lightning_before["nodes_msat"], 0, [])
    for wave in evidence.waves:
        # What a wallet starts with is nobody's gain.
        before = before.with_change({f"Lightning, {alias}": amount for alias, amount in wave.opened.items()})
    competitions = sum(len(wave.contests) for wave in evidence.waves)
    wallet = await _wallet(world, world.stack.directory / "coordinator" / "seed", competitions)
    after: Sheet = sheet(wallet, ledger["nodes_msat"], ledger["held_msat"], contracts)
    changes = after.less(before)
    house = {name: change for name, change in changes.items() if "player" not in name}
    wrong = [] if sum(changes.values()) == 0 else [f"the sum is {sum(changes.values())} msat, players and {house}"]
    wrong += [f"{name} keep {changes[name]} msat" for name in ("held in Lightning", "contracts") if name in changes]
    return wrong


async def _wallet(world: ChaosWorld, seed_file: Path, competitions: int) -> int:
    """Satoshi that the node finds on the addresses of the coordinator's seed: no word of the coordinator's."""
    # Deriving needs no database.
    tree = SealedSecrets(cast("SqliteStore", None), load_or_create_seed(seed_file, PASSPHRASE)).wallet_seed()
    account = HDKey.from_seed(tree.reveal()).derive("m/86h/1h/0h")
    scripts = [_script(account, number).hex() for number in range(ADDRESSES + ADDRESSES_EACH * competitions)]
    found = await world.services.rpc("scantxoutset", "start", [f"raw({script})" for script in scripts])
    return sum(round(coin["amount"] * 100_000_000) for coin in found["unspents"])


def _script(account: HDKey, number: int) -> bytes:
    internal = account.derive([0, number]).get_public_key().xonly()
    return pay_to_taproot(tweak_public_key(lift_x(internal), b"")[1:])
