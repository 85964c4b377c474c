"""Statements that run with every transition and every duty. They are made once: to make one, and to see that it was
seen before, costs more than to run it.
"""

from __future__ import annotations

from sqlalchemy import Table, bindparam, delete, func, select, text, update
from sqlalchemy.dialects.sqlite import insert

from coordinator.adapters.store import tables as t
from coordinator.adapters.store.prepared import Prepared

NEW, DONE = 0, 1
IS_NEW, IS_OPEN, IS_DEAD = text("status = 0"), text("status = 'open'"), text("status = 'dead'")
"""Written out, so that the partial indexes serve them."""

_LANE = bindparam("of")

LOAD_STATE = Prepared(
    select(
        t.state_row.c.state,
        t.state_row.c.v,
        t.state_row.c.data,
        t.state_row.c.entered_at,
        t.lane.c.rev,
        t.lane.c.quarantined_reason,
    )
    .join(t.lane, t.lane.c.id == t.state_row.c.lane)
    .where(t.lane.c.id == _LANE)
)
LOAD_FACTS = Prepared(select(t.fact.c.kind, t.fact.c.key, t.fact.c.v, t.fact.c.body).where(t.fact.c.lane == _LANE))
LOAD_HITS = Prepared(
    select(t.chain_hit.c.keytype, t.chain_hit.c.key, t.chain_hit.c.txid, t.chain_block.c.height)
    .join(t.chain_block, t.chain_block.c.hash == t.chain_hit.c.block_hash)
    .where(t.chain_hit.c.lane == _LANE)
)

MOVE_LANE = Prepared(
    update(t.lane)
    .where(t.lane.c.id == _LANE, t.lane.c.rev == bindparam("known"))
    .values(rev=bindparam("next"), terminal_at=bindparam("ended"))
)
MOVE_STATE = Prepared(
    update(t.state_row)
    .where(t.state_row.c.lane == _LANE)
    .values({name: bindparam(f"new_{name}") for name in ("state", "v", "rev", "data", "entered_at")})
)
LOG_STEP = Prepared(insert(t.transition), ("lane", "from_state", "to_state", "rev", "reason", "at"))

_FACT = insert(t.fact)
FACT = Prepared(
    select(t.fact.c.v, t.fact.c.body).where(
        t.fact.c.lane == _LANE, t.fact.c.kind == bindparam("of_kind"), t.fact.c.key == bindparam("of_key")
    )
)
PUT_ONCE = Prepared(_FACT.on_conflict_do_nothing())
PUT_AGAIN = Prepared(
    _FACT.on_conflict_do_update(
        index_elements=["lane", "kind", "key"],
        set_={name: _FACT.excluded[name] for name in ("body", "v", "source", "observed_at")},
        where=t.fact.c.body != _FACT.excluded.body,
    )
)

NOTIFY = Prepared(
    insert(t.inbox).on_conflict_do_nothing().returning(t.inbox.c.seq),
    ("lane", "prio", "source", "dkey", "kind", "received_at", "status", "request_id"),
)
CAUSE = Prepared(
    select(t.inbox.c.request_id).where(t.inbox.c.lane == _LANE, IS_NEW).order_by(t.inbox.c.seq.desc()).limit(1)
)
FINISH = Prepared(update(t.inbox).where(t.inbox.c.lane == _LANE, IS_NEW).values(status=DONE, done_at=bindparam("at")))

_DUTY = select(t.duty.c.id, t.duty.c.status, t.duty.c.protective).where(t.duty.c.lane == _LANE)
LIVE_DUTIES = Prepared(_DUTY.where(IS_OPEN).union_all(_DUTY.where(IS_DEAD)))
NAMED_DUTY = Prepared(_DUTY.where(t.duty.c.id == bindparam("name")))
OPEN_DUTY = Prepared(
    insert(t.duty),
    (
        *("id", "lane", "channel", "kind", "args", "v", "urgency", "protective", "request_id", "created_at"),
        *("status", "attempts", "failures", "due_at", "fence"),
    ),
)
DROP_DUTY = Prepared(
    update(t.duty)
    .where(t.duty.c.id == bindparam("name"))
    .values(status=bindparam("ended"), done_at=bindparam("at"), owner=None)
)
LEASE = (
    update(t.duty)
    .where(t.duty.c.id.in_(bindparam("names", expanding=True)), IS_OPEN)
    .values(owner=bindparam("by"), fence=t.duty.c.fence + 1, attempts=t.duty.c.attempts + 1, due_at=bindparam("until"))
    .returning(
        *(t.duty.c[name] for name in ("id", "lane", "channel", "kind", "args", "attempts", "failures", "fence", "v")),
        *(t.duty.c.protective == 1, t.duty.c.request_id, t.duty.c.defect, t.duty.c.defects, t.duty.c.last_error),
    )
)
OUTCOME = ("status", "due_at", "last_error", "failures", "defect", "defects", "done_at")
COMPLETE = Prepared(
    update(t.duty)
    .where(t.duty.c.id == bindparam("of"), t.duty.c.fence == bindparam("known"), IS_OPEN)
    .values(owner=None, **{name: bindparam(f"new_{name}") for name in OUTCOME})
)
LOG_ATTEMPT = Prepared(insert(t.duty_attempt))

REOPEN_DUTY = Prepared(
    update(t.duty)
    .where(t.duty.c.id == bindparam("name"))
    .values(
        {name: bindparam(f"new_{name}") for name in ("protective", "args", "v", "due_at", "request_id")}
        | {"status": "open", "failures": 0, "defects": 0, "done_at": None}
    )
)
PROTECT_DUTY = Prepared(
    update(t.duty).where(t.duty.c.id == bindparam("name")).values(protective=bindparam("new_protective"))
)

KNOWN_WATCH = Prepared(
    select(t.watch.c.since_height).where(
        t.watch.c.keytype == bindparam("type"), t.watch.c.key == bindparam("name"), t.watch.c.lane == _LANE
    )
)
_WATCH = insert(t.watch)
PUT_WATCH = Prepared(
    _WATCH.on_conflict_do_update(
        index_elements=["keytype", "key", "lane"],
        set_={name: _WATCH.excluded[name] for name in ("since_height", "next_height", "backfilled")},
    )
)
HIGHEST = Prepared(select(func.max(t.chain_block.c.height)))


class Moments:
    """The statements of one table of moments: those known for a lane, and what changes them."""

    def __init__(self, table: Table) -> None:
        c, written = table.c, insert(table)
        self.known = Prepared(select(c.name, c.due).where(c.lane == _LANE))
        self.drop = Prepared(delete(table).where(c.lane == _LANE, c.name == bindparam("gone")))
        self.put = Prepared(
            written.on_conflict_do_update(index_elements=["lane", "name"], set_={"due": written.excluded.due})
        )


TIMERS, BUDGETS = Moments(t.timer), Moments(t.budget)
