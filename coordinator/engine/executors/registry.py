"""Every kind of duty and what executes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from coordinator.domain import duties as d
from coordinator.engine.duty import Executor
from coordinator.engine.executors import (
    bumps,
    chain,
    contracts,
    keymeld_session,
    keymeld_signing,
    lightning,
    notify,
    oracle,
    prizes,
    records,
)
from coordinator.engine.executors.services import Services
from coordinator.engine.new_money import NewMoney
from coordinator.engine.turns import Turns


def executors(
    services: Services, new_money: Callable[[], NewMoney], turns: Turns | None = None
) -> Mapping[str, Executor]:
    """One executor for each duty of the catalogue. `new_money` says whether any may come in now, `turns` who may begin
    its closing (None: everyone).
    """
    table: Mapping[type[d.Duty], Executor] = {
        d.PublishTerms: oracle.PublishTermsExecutor(services),
        d.CheckPlanning: oracle.CheckPlanningExecutor(services),
        d.CreateEvent: oracle.CreateEventExecutor(services),
        d.SubmitEntries: oracle.SubmitEntriesExecutor(services),
        d.PollAttestation: oracle.PollAttestationExecutor(services),
        d.CreateInvoice: lightning.CreateInvoiceExecutor(services, new_money),
        d.WatchInvoice: lightning.WatchInvoiceExecutor(services),
        d.ReadHolds: lightning.ReadHoldsExecutor(services),
        d.DecideHolds: lightning.DecideHoldsExecutor(services),
        d.SettleInvoice: lightning.SettleInvoiceExecutor(services),
        d.CancelInvoice: lightning.CancelInvoiceExecutor(services),
        d.PayPrize: prizes.PayPrizeExecutor(services),
        d.OpenSession: keymeld_session.OpenSessionExecutor(services, turns),
        d.RegisterPlayer: keymeld_session.RegisterPlayerExecutor(services),
        d.AwaitRoster: keymeld_session.AwaitRosterExecutor(services),
        d.PinContract: contracts.PinContractExecutor(services),
        d.AssembleContract: contracts.AssembleContractExecutor(services),
        d.ReleaseCoins: contracts.ReleaseCoinsExecutor(services),
        d.OpenBatches: keymeld_signing.OpenBatchesExecutor(services),
        d.OpenSpare: keymeld_signing.OpenSpareExecutor(services),
        d.ForwardApproval: keymeld_signing.ForwardApprovalExecutor(services),
        d.CollectSignatures: keymeld_signing.CollectSignaturesExecutor(services),
        d.Broadcast: chain.BroadcastExecutor(services),
        d.Bump: bumps.BumpExecutor(services),
        d.ReleaseFeeCoins: bumps.ReleaseFeeCoinsExecutor(services),
        d.RecordDebt: records.RecordDebtExecutor(services),
        d.RecordAbsence: records.RecordAbsenceExecutor(),
        d.NotifyPlayer: notify.NotifyPlayerExecutor(services),
    }
    return {kind.kind(): executor for kind, executor in table.items()}
