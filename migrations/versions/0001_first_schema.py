"""First schema: every table as it stood at the first release. Later changes are later files; this one stays.

Nothing here imports the tables of the code, which go on changing.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from alembic.util import CommandError

revision = "0001"
down_revision = None


def upgrade() -> None:
    _lanes()
    _facts()
    _duties()
    _chain()
    _values()


def downgrade() -> None:
    raise CommandError("there is nothing before the first schema: restore a copy of the database instead")


def _text(name: str, *, null: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(), nullable=null)


def _number(name: str, *, null: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), nullable=null)


def _moment(name: str) -> sa.Column[float]:
    return sa.Column(name, sa.Float(), nullable=False)


def _bytes(name: str, *, null: bool = False) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary(), nullable=null)


def _of_lane() -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["lane"], ["lane.id"])


def _where(condition: str) -> dict[str, Any]:
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}


def _lanes() -> None:
    op.create_table(
        "lane",
        _text("id"),
        _number("created_at"),
        _number("terminal_at", null=True),
        _text("quarantined_reason", null=True),
        _number("rev"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "state_row",
        _text("lane"),
        _text("state"),
        _number("v"),
        _number("rev"),
        _bytes("data"),
        _number("entered_at"),
        _of_lane(),
        sa.PrimaryKeyConstraint("lane"),
    )
    op.create_table(
        "transition",
        _number("seq"),
        _text("lane"),
        _text("from_state"),
        _text("to_state"),
        _number("rev"),
        _number("cause_seq", null=True),
        _text("reason"),
        _number("at"),
        _of_lane(),
        sa.PrimaryKeyConstraint("seq"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_transition_lane", "transition", ["lane"])
    op.create_table(
        "timer",
        _text("lane"),
        _text("name"),
        _number("due"),
        sa.CheckConstraint("name IN ('wall', 'domain', 'height')", name="timer_name"),
        _of_lane(),
        sa.PrimaryKeyConstraint("lane", "name"),
    )
    op.create_index("timer_due", "timer", ["name", "due"])


def _facts() -> None:
    op.create_table(
        "fact",
        _text("lane"),
        _text("kind"),
        _text("key"),
        _bytes("body"),
        _text("source"),
        _number("observed_at"),
        _of_lane(),
        sa.PrimaryKeyConstraint("lane", "kind", "key"),
    )
    op.create_index("fact_kind", "fact", ["kind", "observed_at"])
    op.create_table(
        "inbox",
        _number("seq"),
        _text("lane"),
        _number("prio"),
        _text("source"),
        _text("dkey"),
        _text("kind"),
        _number("received_at"),
        _number("status"),
        _number("done_at", null=True),
        _text("error", null=True),
        _bytes("response", null=True),
        sa.CheckConstraint("status BETWEEN 0 AND 3", name="inbox_status"),
        _of_lane(),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("source", "dkey", name="inbox_dkey"),
        sqlite_autoincrement=True,
    )
    op.create_index("inbox_new", "inbox", ["prio", "seq"], **_where("status = 0"))
    op.create_index("inbox_lane", "inbox", ["lane", "seq"], **_where("status = 0"))
    op.create_table(
        "reservation",
        _text("resource"),
        _text("lane"),
        _text("purpose"),
        _bytes("value", null=True),
        sa.PrimaryKeyConstraint("resource"),
    )
    op.create_index("ix_reservation_lane", "reservation", ["lane"])


def _duties() -> None:
    op.create_table(
        "duty",
        _text("id"),
        _text("lane"),
        _text("channel"),
        _text("kind"),
        _number("v"),
        _bytes("args"),
        _text("status"),
        _number("attempts"),
        _number("failures"),
        _moment("due_at"),
        _text("owner", null=True),
        _number("fence"),
        _text("last_error", null=True),
        _number("created_at"),
        _number("done_at", null=True),
        sa.CheckConstraint("status IN ('open', 'done', 'dead', 'obsolete')", name="duty_status"),
        _of_lane(),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("duty_due", "duty", ["due_at"], **_where("status = 'open'"))
    op.create_index("duty_lane", "duty", ["lane"], **_where("status = 'open'"))
    op.create_table(
        "duty_attempt",
        _text("duty"),
        _number("fence"),
        _moment("ended_at"),
        _text("outcome"),
        _text("error", null=True),
        sa.ForeignKeyConstraint(["duty"], ["duty.id"]),
        sa.PrimaryKeyConstraint("duty", "fence"),
    )
    op.create_table(
        "pin",
        _text("duty"),
        _text("slot"),
        _bytes("value"),
        sa.PrimaryKeyConstraint("duty", "slot"),
    )


def _chain() -> None:
    op.create_table(
        "watch",
        _text("keytype"),
        _text("key"),
        _text("lane"),
        _number("backfilled"),
        sa.CheckConstraint("keytype IN ('t', 'o')", name="watch_keytype"),
        _of_lane(),
        sa.PrimaryKeyConstraint("keytype", "key", "lane"),
    )
    op.create_table(
        "chain_block",
        sa.Column("height", sa.Integer(), autoincrement=False, nullable=False),
        _text("hash"),
        _text("prev"),
        _number("time"),
        _number("median_time"),
        sa.PrimaryKeyConstraint("height"),
        sa.UniqueConstraint("hash"),
    )
    op.create_table(
        "chain_hit",
        _text("block_hash"),
        _text("lane"),
        _text("keytype"),
        _text("key"),
        _text("txid"),
        sa.ForeignKeyConstraint(["block_hash"], ["chain_block.hash"], ondelete="CASCADE"),
        _of_lane(),
        sa.PrimaryKeyConstraint("block_hash", "lane", "keytype", "key"),
    )
    op.create_index("chain_hit_lane", "chain_hit", ["lane"])


def _values() -> None:
    op.create_table("blob", _text("name"), _bytes("bytes"), sa.PrimaryKeyConstraint("name"))
    op.create_table(
        "secret",
        _text("lane"),
        _text("name"),
        _bytes("sealed"),
        sa.PrimaryKeyConstraint("lane", "name"),
    )
