"""Timers by median time past, and how long each competition may stay in its state.

Timers are kept; a version that does not know the new name never asks for it.
"""

import sqlalchemy as sa
from alembic import op
from alembic.util import CommandError

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    # SQLite cannot change a CHECK: the rows wait in a copy while the table is made anew.
    op.execute("CREATE TABLE timer_copy AS SELECT lane, name, due FROM timer")
    op.drop_table("timer")
    op.create_table(
        "timer",
        sa.Column("lane", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("due", sa.Integer(), nullable=False),
        sa.CheckConstraint("name IN ('wall', 'domain', 'median', 'height')", name="timer_name"),
        sa.ForeignKeyConstraint(["lane"], ["lane.id"]),
        sa.PrimaryKeyConstraint("lane", "name"),
    )
    op.create_index("timer_due", "timer", ["name", "due"])
    op.execute("INSERT INTO timer (lane, name, due) SELECT lane, name, due FROM timer_copy")
    op.execute("DROP TABLE timer_copy")
    op.create_table(
        "budget",
        sa.Column("lane", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("due", sa.Integer(), nullable=False),
        sa.CheckConstraint("name IN ('wall', 'domain', 'median', 'height')", name="budget_name"),
        sa.ForeignKeyConstraint(["lane"], ["lane.id"]),
        sa.PrimaryKeyConstraint("lane", "name"),
    )
    op.create_index("budget_due", "budget", ["name", "due"])
    op.create_index(
        "lane_open",
        "lane",
        ["id"],
        sqlite_where=sa.text("terminal_at IS NULL"),
        postgresql_where=sa.text("terminal_at IS NULL"),
    )


def downgrade() -> None:
    raise CommandError("timers by median time past would be lost: restore a copy of the database instead")
