"""What a player holds to be paid without the coordinator, and the transactions that it leads to."""

from coordinator_core.claim_kit.kit import ClaimKit
from coordinator_core.claim_kit.plan import ClaimDestination, ClaimPlan, ClaimStep, NoPrize, Step, plan_claim

__all__ = ["ClaimDestination", "ClaimKit", "ClaimPlan", "ClaimStep", "NoPrize", "Step", "plan_claim"]
