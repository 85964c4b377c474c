"""The scenarios: how the story goes on after the tickets are sold."""

from __future__ import annotations

from coordinator.cli.demo.story import Story


async def play(story: Story) -> bool:
    """Play the plan's scenario; True when everyone who is owed something has it."""
    await story.sell_tickets()
    await story.close_entries()
    if story.plan.scenario == "underfilled":
        await story.until("cancelled")
        return True
    await story.closing()
    await story.confirm_funding()
    if story.plan.scenario == "expiry":
        await story.expire()
    else:
        await story.attest()
    await story.pay_winners()
    return all(row["result"] in ("PAID", "CLAIMED", "lost") for row in story.results)
