"""The scenarios: how the story goes on after the tickets are sold."""

from __future__ import annotations

from coordinator.cli.demo.onchain import claim_without_coordinator
from coordinator.cli.demo.story import Story

GOOD_ENDS = frozenset({"PAID", "CLAIMED", "lost", "returned"})


async def play(story: Story) -> bool:
    """Play the plan's scenario; True when everyone who is owed something has it."""
    await story.sell_tickets()
    await story.close_entries()
    if story.plan.scenario == "underfilled":
        await _underfilled(story)
    else:
        await story.closing()
        await story.confirm_funding()
        await _settle(story)
    return all(row["result"] in GOOD_ENDS for row in story.results)


async def _settle(story: Story) -> None:
    match story.plan.scenario:
        case "expiry":
            await story.expire()
            await story.pay_winners()
        case "onchain":
            await claim_without_coordinator(story)
        case "refund":
            await story.script_nobody_right()
            await story.attest()
            await story.pay_winners()
        case _:
            await story.attest()
            await story.pay_winners()


async def _underfilled(story: Story) -> None:
    await story.until("cancelled")
    for number, player in enumerate(story.players, start=1):
        ticket = await player.api.get_json(player.own, signed=True)
        result = "returned" if ticket["ticket_state"] == "CANCELED" else str(ticket["ticket_state"])
        row = {"player": f"player {number}", "place": None, "result": result, "paid": 0, "how": "hold canceled"}
        story.results.append(row)
