"""Moves the small world: every method is one thing that can happen, or nothing when it cannot happen now."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from coordinator.domain import facts as f
from coordinator.domain.competitions import states as s
from coordinator.domain.competitions.settling import lightning_window
from coordinator.domain.facts import HoldState, Outage
from coordinator_core.units import UnixTime
from tests.support import lanes as b
from tests.support.small_world import people
from tests.support.small_world.lightning import Sent
from tests.support.small_world.lightning_effects import SETTLED
from tests.support.small_world.outside import Keymeld, Service, World
from tests.support.small_world.played import OUTAGES, Played, Row

SEATS = 4
BLOCK = 600
ROUNDS = 40
LONG_WAIT = 36 * BLOCK
TERMS = {n: b.terms_with({**(b.MAINNET if n == 3 else {}), "entries.maximum": SEATS}) for n in (1, 3)}
EVERYBODY = frozenset(b.PLAYERS)


class Reached(Exception):
    """The competition is in the state that was waited for."""


@dataclass
class Driver:
    """One competition and its world."""

    world: World
    played: Played
    stop_at: str | None = None

    @classmethod
    def drafted(cls, required: int, outcome: int | None) -> Driver:
        """A competition whose operator asked for it just now."""
        world = World(required=required, outcome=outcome)
        played = Played(TERMS[required], world)
        played.put(f.Drafted(draft="{}", event_ids=(), closes_at=UnixTime(b.CLOSE)))
        played.apply()
        return cls(world, played)

    def until(self, tag: str) -> None:
        """Undisturbed to the first moment in a state, or to the end if it is not on the way."""
        self.stop_at = tag
        try:
            while not self.played.ended:
                self.progress()
        except Reached:
            pass
        self.stop_at = None

    def apply(self) -> None:
        self.played.apply()
        if self.played.state.__struct_config__.tag == self.stop_at:
            raise Reached

    # Duties

    def _rows(self, *, claimed: bool = False, pending: bool = False) -> list[Row]:
        rows = self.played.rows.values()
        return [row for row in rows if (row.claimed is not None) is claimed and (row.pending is not None) is pending]

    def claim(self, which: int) -> None:
        rows = self.played.open_rows()
        if rows:
            self.played.claim(rows[which % len(rows)])

    def act(self, which: int) -> None:
        rows = self._rows(claimed=True)
        if rows:
            self.played.act(rows[which % len(rows)])

    def commit(self, which: int) -> None:
        rows = self._rows(pending=True)
        if rows:
            self.played.commit(rows[which % len(rows)])
            self.apply()

    def crash(self) -> None:
        self.played.crash()
        self.apply()

    def work(self, rounds: int = ROUNDS) -> None:
        """Every duty that can be done is done, and what follows from it, until nothing is new."""
        for _ in range(rounds):
            new = False
            for row in self.played.open_rows():
                if row.open and row.claimed is None:
                    self.played.claim(row)
                    self.played.act(row)
                    if self.played.commit(row):
                        new = True
                        self.apply()
            if not new:
                return

    # People

    def player(self, who: str, what: str) -> None:
        acts = {
            "reserve": people.reserve,
            "pay": people.pay_ticket,
            "seal": people.seal,
            "approve": people.approve,
            "key": people.give_key,
        }
        if (what == "pay" or not self.played.stopped) and acts[what](self.played, who):
            self.apply()

    def ask(self, who: str, *, atomic: bool, patient: bool) -> None:
        if not self.played.stopped and people.ask_to_be_paid(self.played, who, atomic=atomic, patient=patient):
            self.apply()

    def everybody_insists(self, *, atomic: bool) -> None:
        """Who has a prize asks for it, and asks again while the payment is on its way."""
        for _ in range(2):
            for entry_id in b.PLAYERS:
                self.ask(entry_id, atomic=atomic, patient=True)
            self.work()
            atomic = False

    def cancel(self, who: str) -> None:
        if people.cancel(self.played, who, is_owner=who != "operator"):
            self.apply()

    def payment_ends(self, which: int, how: Sent) -> None:
        flying = self.world.lightning.in_flight()
        if flying:
            self.world.lightning.resolve(flying[which % len(flying)], how)

    def hold_lost(self, which: int) -> None:
        held = [h for h, hold in self.world.lightning.holds.items() if hold.state is HoldState.ACCEPTED]
        if held:
            self.world.lightning.cancel(held[which % len(held)])

    def service(self, which: Service, *, away: bool) -> None:
        if away:
            self.world.away.add(which)
        else:
            self.world.away.discard(which)
            self.apply()

    def stopped(self, stopped: bool) -> None:
        """A contradiction stops it, an operator lets it go on."""
        self.played.stopped = stopped
        self.apply()

    # Chain and time

    def claim_on_chain(self, who: str) -> None:
        tx = people.claim(self.played, who)
        if tx is not None and self.world.chain.announce(tx) and who in dict(self.world.lightning.paid):
            self.world.greedy.add(who)

    def somebody_sends(self, which: int) -> None:
        found = people.public_transactions(self.played)
        if found:
            self.world.chain.announce(found[which % len(found)])

    def forgotten(self, which: int) -> None:
        names = list(self.world.chain.mempool)
        if names:
            self.world.chain.forget(names[which % len(names)])

    def blocks(self, count: int, *, empty: bool = False) -> None:
        """Ten minutes each. Nobody leaves a transaction out for as long as a delta."""
        for number in range(count):
            self._pass(BLOCK)
            self.world.mine(tuple(self.world.chain.mempool) if empty and number < 3 else ())
        self.apply()

    def reorg(self, depth: int, rivals: Collection[int], *, lost: bool, late: int = 0) -> None:
        known = [*self.world.known_transactions(), *people.public_transactions(self.played)]
        chosen = [known[n % len(known)] for n in sorted(rivals)] if known else []
        gone = [tx.txid for _, txs in self.world.chain.blocks[-depth:] for tx in txs] if lost else []
        self.world.deep |= depth >= self.world.required
        self.played.blocks_left(self.world.chain.tip - depth)
        self.world.chain.reorg(depth, chosen, gone, late)
        self.world.lightning.look(self.world.wall, self.world.chain.tip)
        self.apply()

    def time(self, seconds: int) -> None:
        """Blocks come meanwhile, every ten minutes; a service that is away stays away."""
        for _ in range(seconds // BLOCK):
            self._pass(BLOCK)
            self.world.mine()
        self._pass(seconds % BLOCK)
        self.apply()

    def _pass(self, seconds: int) -> None:
        before = self.world.wall
        self.world.pass_time(seconds)
        kinds = {row.duty.channel for row in self.played.rows.values() if row.open} & OUTAGES
        away = {service.value for service in self.world.away}
        for channel in sorted(kinds):
            if channel.value in away:
                outage = Outage(service=channel.value, since=UnixTime(before), until=UnixTime(self.world.wall))
                self.played.put(outage)

    # Stories

    def progress(self, who: Collection[str] = EVERYBODY) -> None:
        """Players do what is asked of them, services what is wanted, and time goes to the next thing that happens."""
        self.work()
        for entry_id in sorted(who):
            for what in ("reserve", "seal", "approve", "key"):
                self.player(entry_id, what)
        self.work()
        for entry_id in sorted(who):
            self.player(entry_id, "pay")
        self.work()
        for payment_hash in self.world.lightning.in_flight():
            self.world.lightning.resolve(payment_hash, Sent.SUCCEEDED)
        self.work()
        self._wait()

    def _wait(self) -> None:
        if self.played.ended:
            return
        again = self.played.again_at()
        waits = [again.domain - self.world.now] if again.domain is not None else []
        waits += [again.wall - self.world.wall] if again.wall is not None else []
        most = LONG_WAIT if self._idle() or again.height is None else BLOCK
        self.time(min([*(seconds for seconds in waits if seconds > 0), most]))

    def _idle(self) -> bool:
        """Only the chain's time can bring something: the result, or a timelock."""
        return isinstance(self.played.state, s.AwaitingAttestation | SETTLED)

    def let_it_end(self) -> None:
        """Services are back, an operator lets it go on, nobody else acts: deadlines alone bring it to its end."""
        self.world.away.clear()
        self.world.keymeld, self.world.plans = Keymeld.GOOD, True
        self.played.stopped = False
        self.crash()
        for _ in range(600):
            self.work()
            for payment_hash in self.world.lightning.in_flight():
                self.world.lightning.resolve(payment_hash, Sent.FAILED)
            if self.played.ended and not self._unfinished():
                return
            self._wait() if not self.played.ended else self.time(BLOCK)
        raise AssertionError(f"no end: {type(self.played.state).__name__}, {self._unfinished()}")

    def _unfinished(self) -> list[str]:
        return [row.duty.kind() for row in self.played.rows.values() if row.open]

    def window(self) -> int:
        """Blocks that are left for a payout over Lightning."""
        state = self.played.state
        return lightning_window(self.played.lane, state) if isinstance(state, SETTLED) else 0
