"""What a player holds to be paid without the coordinator, and the transactions that it leads to."""

from coordinator_core.claim_kit.bump import child_of, win_with_coin
from coordinator_core.claim_kit.fee_coin import FeeCoin
from coordinator_core.claim_kit.kit import ClaimKit
from coordinator_core.claim_kit.plan import ClaimDestination, ClaimPlan, ClaimStep, NoPrize, Step, plan_claim

__all__ = [
    "ClaimDestination",
    "ClaimKit",
    "ClaimPlan",
    "ClaimStep",
    "FeeCoin",
    "NoPrize",
    "Step",
    "child_of",
    "plan_claim",
    "win_with_coin",
]
