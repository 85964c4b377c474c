"""A winner asks for its prize fifty times at once, and Lightning's answers get lost: is it paid once? (G15)"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import Final, cast

from coordinator.embedded.lightning.model import Mode, Payment, PaymentStatus
from coordinator.embedded.lightning.network import COORDINATOR, ROUTER
from coordinator.player.http import ServerRefused
from coordinator.player.play import Player
from coordinator.player.wallet import LightningWallet
from coordinator.player.wire.payouts import PayoutAsked, PayoutStatus
from coordinator_core.competition.player_keys import payout_preimage
from coordinator_core.units import Sats, Seconds
from tests.e2e.application import entry_uuid
from tests.harness.sim.course import Course, Phase
from tests.harness.sim.world import SimApp, now

REQUESTS: Final = 50
SEND: Final = "/v2/router/send"
TRACK: Final = "/v2/router/track"
INVOICE_SECONDS: Final = Seconds(7 * 86_400)
TAKEN: Final = 200
CONFLICT: Final = 409
BUSY: Final = 429


@dataclass(slots=True)
class Losses:
    """What happens to the coordinator's payment calls: the first attempt finds no way, and of both kinds of calls the
    first two answers get lost.
    """

    app: SimApp
    calls: Counter[str] = field(default_factory=Counter[str])
    lost: Counter[str] = field(default_factory=Counter[str])

    def begin(self) -> None:
        """From now on."""
        self._router(Mode.FAIL)
        self.app.dependency("lightning").link.loses = self._loses

    def _loses(self, method: str, path: str) -> bool:
        kind = next((one for one in (SEND, TRACK) if path.startswith(one)), None)
        if kind is None:
            return False
        self.calls[kind] += 1
        if kind == SEND and self.calls[SEND] == 2:
            self._router(Mode.OK)
        lost = self.calls[kind] <= 2
        self.lost[kind] += lost
        return lost

    def _router(self, mode: Mode) -> None:
        network = self.app.sim.lightning.lightning
        assert network is not None
        network.set_mode(ROUTER, mode)


@dataclass(frozen=True, slots=True)
class Payouts:
    """What came of it."""

    answers: Counter[int]
    """HTTP statuses of the requests."""
    sends: int
    """Payments that Lightning was told to make."""
    lost: Counter[str]
    """Answers that got lost, by the path of the call."""
    payments: Counter[str]
    """Lightning's payments on any of the invoices, by status."""
    received: Sats
    """By the winner."""
    net: Sats
    """The prize."""
    state: str
    books: int
    """Sum of all changes in the books, in millisatoshi."""
    seconds: float
    """From the requests to the paid prize."""

    @property
    def violations(self) -> tuple[str, ...]:
        """Rules that were broken."""
        taken, answered = self.answers[TAKEN], sum(self.answers.values())
        rules = {
            f"{answered} of {REQUESTS} requests were answered": answered != REQUESTS,
            f"{taken} requests were taken": taken != 1,
            f"others were answered {dict(self.answers)}": taken + self.answers[CONFLICT] != answered,
            f"{self.sends} times sent": self.sends < 2,
            f"only {self.lost[SEND]} acknowledgements got lost": self.lost[SEND] != 2,
            f"Lightning made {dict(self.payments)}": self.payments != Counter({PaymentStatus.SUCCEEDED: 1}),
            f"the winner got {self.received} of {self.net} sat": self.received != self.net,
            f"the prize is {self.state}": self.state != "PAID",
            f"the books differ by {self.books} msat": self.books != 0,
        }
        return tuple(text for text, broken in rules.items() if broken)


async def play(app: SimApp, requests: int = REQUESTS) -> Payouts:
    """A competition whose winner is impatient. Half of the requests name one invoice, each other one its own."""
    course = Course(app)
    await course.create()
    await course.pass_all(*(phase for phase in Phase if phase is not Phase.PAYING))
    winner, status = await _winner(course)
    assert status.net is not None
    preimage = payout_preimage(winner.keys.secret, entry_uuid(winner))
    one = await winner.wallet.make_invoice(status.net, INVOICE_SECONDS, preimage)
    own = [await winner.wallet.make_invoice(status.net, INVOICE_SECONDS) for _ in range(requests // 2)]
    bodies = [{"payment_request": invoice, "payout_preimage": preimage.reveal().hex()} for invoice in own]
    bodies += [{"payment_request": one, "payout_preimage": None}] * (requests - len(own))
    wallet = cast("LightningWallet", winner.wallet)
    before, losses, began = await wallet.balance(), Losses(app), now()
    losses.begin()
    answers = Counter(await asyncio.gather(*(_ask(winner, body) for body in bodies)))
    state = await winner.take_prize(keep_key=True)
    seconds = now() - began
    received = Sats(await wallet.balance() - before)
    course.prizes = await app.take_prizes(course.played)
    payments = _payments(app, {one, *own})
    return Payouts(
        answers=answers,
        sends=losses.calls[SEND],
        lost=losses.lost,
        payments=Counter(str(payment.status) for payment in payments),
        received=received,
        net=status.net,
        state=state,
        books=sum((await course.finish()).values()),
        seconds=seconds,
    )


async def _winner(course: Course) -> tuple[Player, PayoutStatus]:
    for player in course.played.players:
        status = await player.result()
        if status.state == "CLAIMABLE":
            return player, status
    raise AssertionError("nobody won")


async def _ask(winner: Player, body: object) -> int:
    """Until it is judged: whoever asks for too much is only told to come again."""
    while True:
        try:
            await winner.api.send(f"{winner.own}/payout", body, PayoutAsked, signed=True)
        except ServerRefused as error:
            if error.status != BUSY:
                return error.status
            await asyncio.sleep(error.retry_after or 1.0)
        else:
            return TAKEN


def _payments(app: SimApp, requests: set[str]) -> list[Payment]:
    network = app.sim.lightning.lightning
    assert network is not None
    made = network.state.payments.values()
    return [one for one in made if one.payer == COORDINATOR and one.payment_request in requests]
