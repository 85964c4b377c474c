"""Tables (engine section 3.2). Times are seconds since 1970; amounts satoshi; bodies canonical JSON.

The SQL stays portable: no rowid tricks, no dialect types.
"""

from __future__ import annotations

from sqlalchemy import (
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    text,
)

metadata = MetaData()


def _id(name: str) -> Column[str]:
    return Column(name, String, primary_key=True)


lane = Table(
    "lane",
    metadata,
    _id("id"),
    Column("created_at", Integer, nullable=False),
    Column("terminal_at", Integer),
    Column("quarantined_reason", String),
    Column("rev", Integer, nullable=False),
    Column("quarantined_at", Integer),
)
Index("lane_open", lane.c.id, sqlite_where=text("terminal_at IS NULL"), postgresql_where=text("terminal_at IS NULL"))
Index(
    "lane_stopped",
    lane.c.id,
    sqlite_where=text("quarantined_reason IS NOT NULL"),
    postgresql_where=text("quarantined_reason IS NOT NULL"),
)

state_row = Table(
    "state_row",
    metadata,
    Column("lane", String, ForeignKey("lane.id"), primary_key=True),
    Column("state", String, nullable=False),
    Column("v", Integer, nullable=False),
    Column("rev", Integer, nullable=False),
    Column("data", LargeBinary, nullable=False),
    Column("entered_at", Integer, nullable=False),
)
Index("state_row_state", state_row.c.state, state_row.c.entered_at)

transition = Table(
    "transition",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("lane", String, ForeignKey("lane.id"), nullable=False, index=True),
    Column("from_state", String, nullable=False),
    Column("to_state", String, nullable=False),
    Column("rev", Integer, nullable=False),
    Column("cause_seq", Integer),
    Column("reason", String, nullable=False),
    Column("at", Integer, nullable=False),
    sqlite_autoincrement=True,
)

fact = Table(
    "fact",
    metadata,
    Column("lane", String, ForeignKey("lane.id"), primary_key=True),
    Column("kind", String, primary_key=True),
    Column("key", String, primary_key=True),
    Column("body", LargeBinary, nullable=False),
    Column("source", String, nullable=False),
    Column("observed_at", Integer, nullable=False),
    Column("v", Integer, nullable=False, server_default=text("1")),
)
Index("fact_kind", fact.c.kind, fact.c.observed_at)

reservation = Table(
    "reservation",
    metadata,
    _id("resource"),
    Column("lane", String, nullable=False, index=True),
    Column("purpose", String, nullable=False),
    Column("value", LargeBinary),
)

inbox = Table(
    "inbox",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("lane", String, ForeignKey("lane.id"), nullable=False),
    Column("prio", Integer, nullable=False),
    Column("source", String, nullable=False),
    Column("dkey", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("received_at", Integer, nullable=False),
    Column("status", Integer, nullable=False),
    Column("done_at", Integer),
    Column("error", String),
    Column("response", LargeBinary),
    Column("request_id", String, nullable=False, server_default=text("''")),
    CheckConstraint("status BETWEEN 0 AND 3", name="inbox_status"),
    UniqueConstraint("source", "dkey", name="inbox_dkey"),
    sqlite_autoincrement=True,
)
Index("inbox_new", inbox.c.prio, inbox.c.seq, sqlite_where=text("status = 0"), postgresql_where=text("status = 0"))
Index("inbox_lane", inbox.c.lane, inbox.c.seq, sqlite_where=text("status = 0"), postgresql_where=text("status = 0"))

duty = Table(
    "duty",
    metadata,
    _id("id"),
    Column("lane", String, ForeignKey("lane.id"), nullable=False),
    Column("channel", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("v", Integer, nullable=False),
    Column("args", LargeBinary, nullable=False),
    Column("status", String, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("due_at", Float, nullable=False),
    Column("owner", String),
    Column("fence", Integer, nullable=False),
    Column("last_error", String),
    Column("created_at", Integer, nullable=False),
    Column("done_at", Integer),
    Column("protective", Integer, nullable=False, server_default=text("0")),
    Column("request_id", String, nullable=False, server_default=text("''")),
    Column("urgency", Integer, nullable=False, server_default=text("2")),
    Column("defect", String, nullable=False, server_default=text("''")),
    Column("defects", Integer, nullable=False, server_default=text("0")),
    CheckConstraint("status IN ('open', 'done', 'dead', 'obsolete')", name="duty_status"),
)
Index(
    "duty_claim",
    duty.c.channel,
    duty.c.urgency,
    duty.c.due_at,
    duty.c.lane,
    duty.c.protective,
    sqlite_where=text("status = 'open'"),
    postgresql_where=text("status = 'open'"),
)
Index("duty_dead", duty.c.lane, sqlite_where=text("status = 'dead'"), postgresql_where=text("status = 'dead'"))
Index("duty_due", duty.c.due_at, sqlite_where=text("status = 'open'"), postgresql_where=text("status = 'open'"))
Index("duty_lane", duty.c.lane, sqlite_where=text("status = 'open'"), postgresql_where=text("status = 'open'"))

duty_attempt = Table(
    "duty_attempt",
    metadata,
    Column("duty", String, ForeignKey("duty.id"), primary_key=True),
    Column("fence", Integer, primary_key=True),
    Column("ended_at", Float, nullable=False),
    Column("outcome", String, nullable=False),
    Column("error", String),
)

pin = Table(
    "pin",
    metadata,
    Column("duty", String, primary_key=True),
    Column("slot", String, primary_key=True),
    Column("value", LargeBinary, nullable=False),
)

watch = Table(
    "watch",
    metadata,
    Column("keytype", String, primary_key=True),
    Column("key", String, primary_key=True),
    Column("lane", String, ForeignKey("lane.id"), primary_key=True),
    Column("backfilled", Integer, nullable=False),
    Column("since_height", Integer, nullable=False, server_default=text("0")),
    Column("next_height", Integer, nullable=False, server_default=text("0")),
    CheckConstraint("keytype IN ('t', 'o')", name="watch_keytype"),
)
Index("watch_lane", watch.c.lane)
Index(
    "watch_unfilled",
    watch.c.next_height,
    sqlite_where=text("backfilled = 0"),
    postgresql_where=text("backfilled = 0"),
)

chain_block = Table(
    "chain_block",
    metadata,
    Column("height", Integer, primary_key=True, autoincrement=False),
    Column("hash", String, nullable=False, unique=True),
    Column("prev", String, nullable=False),
    Column("time", Integer, nullable=False),
    Column("median_time", Integer, nullable=False),
)

chain_hit = Table(
    "chain_hit",
    metadata,
    Column("block_hash", String, ForeignKey("chain_block.hash", ondelete="CASCADE"), primary_key=True),
    Column("lane", String, ForeignKey("lane.id"), primary_key=True),
    Column("keytype", String, primary_key=True),
    Column("key", String, primary_key=True),
    Column("txid", String, nullable=False),
)
Index("chain_hit_lane", chain_hit.c.lane)

timer = Table(
    "timer",
    metadata,
    Column("lane", String, ForeignKey("lane.id"), primary_key=True),
    Column("name", String, primary_key=True),
    Column("due", Integer, nullable=False),
    CheckConstraint("name IN ('wall', 'domain', 'median', 'height')", name="timer_name"),
)
Index("timer_due", timer.c.name, timer.c.due)

budget = Table(
    "budget",
    metadata,
    Column("lane", String, ForeignKey("lane.id"), primary_key=True),
    Column("name", String, primary_key=True),
    Column("due", Integer, nullable=False),
    CheckConstraint("name IN ('wall', 'domain', 'median', 'height')", name="budget_name"),
)
Index("budget_due", budget.c.name, budget.c.due)

blob = Table(
    "blob",
    metadata,
    _id("name"),
    Column("bytes", LargeBinary, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("dkey", String, nullable=False, unique=True),
    Column("at", Integer, nullable=False),
    Column("who", String, nullable=False),
    Column("act", String, nullable=False),
    Column("lane", String, ForeignKey("lane.id")),
    Column("subject", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("answer", LargeBinary, nullable=False),
    sqlite_autoincrement=True,
)
Index("audit_act", audit.c.act, audit.c.seq)

alert = Table(
    "alert",
    metadata,
    _id("key"),
    Column("summary", String, nullable=False),
    Column("first", Integer, nullable=False),
    Column("last", Integer, nullable=False),
    Column("count", Integer, nullable=False),
    Column("told", Integer, nullable=False),
    Column("cleared", Integer),
)

secret = Table(
    "secret",
    metadata,
    Column("lane", String, primary_key=True),
    Column("name", String, primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
)
