"""Duties on chain: the contract pinned and put together, its transactions sent and bumped."""

from __future__ import annotations

from coordinator.domain import duties as d
from coordinator.domain import facts as f
from coordinator.domain.competitions import bumping, closing, settling
from coordinator_core.units import Sats
from tests.support import lanes as b
from tests.support.small_world.chain import Tx
from tests.support.small_world.outside import Service, World
from tests.support.small_world.tasks import AGAIN, DONE, Result, Task, told


def funding_key(attempt: int) -> str:
    return f"funding/{attempt}"


def pin_contract(world: World, task: Task) -> Result:
    world.need(Service.CHAIN, Service.LIGHTNING)
    attempt = task.duty.attempt
    if attempt in world.released:
        return AGAIN
    if not world.plans:
        return Result(False, [f.KickOffHeld(attempt=attempt, reason="no")])
    earlier = [pin.inputs for pin in task.lane.facts.all(f.Pinned) if funding_key(pin.attempt) in world.raw]
    inputs = (*(coins[0] for coins in earlier), f"coin-{attempt}:0")
    world.reserved.add(attempt)
    pin = f.Pinned(
        attempt=attempt,
        at_height=task.lane.world.tip,
        parameters="p",
        plan="q",
        funding_txid=f"funding-{attempt}",
        funding_vout=0,
        funding_value=Sats(50_000 * len(task.duty.roster)),
        fee_rate=500,
        inputs=inputs,
    )
    return told(pin)


def assemble(world: World, task: Task) -> Result:
    attempt = task.duty.attempt
    return told(f.ContractSigned(attempt=attempt, blob=b.CONTRACT, expiry_txid=f"expiry-{attempt}"))


def release_coins(world: World, task: Task) -> Result:
    lane, attempt = task.lane, task.duty.attempt
    signed = world.raw.get(funding_key(attempt))
    if signed is not None and closing.spent_deep(lane, attempt) is None:
        return told(b.built("funding", signed.txid, attempt, spends=signed.spends[0], at=lane.world.now))
    world.reserved.discard(attempt)
    world.released.add(attempt)
    return told(f.CoinsReleased(attempt=attempt))


def transaction(task: Task, duty: d.Broadcast) -> Tx:
    """What the role's transaction is when it is signed first."""
    lane, role, attempt, delta = task.lane, duty.role, duty.attempt, task.lane.terms.contract.delta
    pin = lane.facts.get(f.Pinned, attempt)
    assert pin is not None
    if role == "funding":
        return Tx(pin.funding_txid, pin.inputs)
    if role.startswith("take-back/"):
        return Tx(f"take-back-{attempt}", pin.inputs[:1])
    if role == "outcome":
        return outcome_tx(attempt, duty.outcome or 0)
    if role == "expiry":
        return expiry_tx(attempt, lane.terms.contract.expiry)
    assert duty.parent is not None or role == "split"
    if role == "split":
        parent = duty.parent or settling.outcome_txid(lane, task.state)
        assert parent is not None
        return split_tx(parent, delta)
    waits = 2 * delta if "reclaim" in role else 0
    vout = 0
    if role.startswith("sweep:"):
        listed = settling.shares(lane, task.state.roster, duty.outcome)
        vout = next(share.vout for share in listed if share.entry_id == duty.entry_id)
    return Tx(f"{role}@{duty.parent}", (f"{duty.parent}:{vout}",), after=waits)


def outcome_tx(attempt: int, outcome: int) -> Tx:
    return Tx(f"outcome-{attempt}-{outcome}", (f"funding-{attempt}:0",))


def expiry_tx(attempt: int, expiry: int) -> Tx:
    return Tx(f"expiry-{attempt}", (f"funding-{attempt}:0",), past=expiry)


def split_tx(parent: str, delta: int) -> Tx:
    return Tx(f"split@{parent}", (f"{parent}:0",), after=delta)


def broadcast(world: World, task: Task) -> Result:
    duty: d.Broadcast = task.duty
    world.need(Service.CHAIN)
    raw = world.raw.setdefault(duty.key, transaction(task, duty))
    built = b.built(duty.role, raw.txid, duty.attempt, spends=raw.spends[0], at=task.lane.world.now)
    if task.lane.facts.get(f.Built, built.key) is None:
        return Result(False, [built])
    newest = bumping.newest(task.lane, duty.role, duty.attempt)
    if newest is not None and newest.bump is f.BumpKind.REPLACEMENT:
        raw = next(tx for tx in world.replaced[duty.key] if tx.txid == newest.txid)
    if world.chain.announce(raw):
        return Result(False, [f.Sent(role=duty.role, txid=raw.txid)])
    return AGAIN


def bump(world: World, task: Task) -> Result:
    world.need(Service.CHAIN)
    duty: d.Broadcast = task.duty.broadcast
    raw = world.raw.get(duty.key)
    if raw is None or bumping.urgency(task.state, task.lane, duty) is None:
        return DONE
    if duty.role in ("funding", "outcome", "expiry", "split"):
        return AGAIN
    made = world.replaced.setdefault(duty.key, [])
    newest = bumping.newest(task.lane, duty.role, duty.attempt)
    if made and newest is not None:
        # Written down: it may leave. One is enough for what is shown here.
        world.chain.announce(made[-1], replaces=True)
        return AGAIN
    if not made:
        made.append(Tx(f"{raw.txid}+", raw.spends, raw.after))
    bumped = f.Bumped(
        attempt=duty.attempt,
        role=duty.role,
        number=1,
        bump=f.BumpKind.REPLACEMENT,
        txid=made[-1].txid,
        fee=Sats(100),
        spends=raw.spends[0],
        coins=("fee-coin:0",),
    )
    return Result(False, [bumped])


def release_fee_coins(world: World, task: Task) -> Result:
    return told(f.FeeCoinsReleased(attempt=task.duty.attempt, role=task.duty.role))
