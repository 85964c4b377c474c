"""Watches know from which height they have to be looked for, and how far that was done; found by lane and unfilled.

Only columns and indexes are added, with values for the rows that are there: a version that does not know them searches
the past as it did before.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    zero = sa.text("0")
    op.add_column("watch", sa.Column("since_height", sa.Integer(), server_default=zero, nullable=False))
    op.add_column("watch", sa.Column("next_height", sa.Integer(), server_default=zero, nullable=False))
    # The database was made at its lowest block: nothing of its competitions is older.
    op.execute("UPDATE watch SET since_height = (SELECT coalesce(min(height), 0) FROM chain_block)")
    op.execute("UPDATE watch SET next_height = since_height")
    op.create_index("watch_lane", "watch", ["lane"])
    unfilled = sa.text("backfilled = 0")
    op.create_index("watch_unfilled", "watch", ["next_height"], sqlite_where=unfilled, postgresql_where=unfilled)


def downgrade() -> None:
    op.drop_index("watch_unfilled", "watch")
    op.drop_index("watch_lane", "watch")
    op.drop_column("watch", "next_height")
    op.drop_column("watch", "since_height")
