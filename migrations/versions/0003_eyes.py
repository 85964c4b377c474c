"""What operators see by: which request something is done for, what they were told of, states counted from an index.

Only columns and tables are added, so a version that does not know them can still read what it knew.
"""

import sqlalchemy as sa
from alembic import op
from alembic.util import CommandError

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("inbox", _request())
    op.add_column("duty", _request())
    op.create_index("state_row_state", "state_row", ["state", "entered_at"])
    op.create_table(
        "alert",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("summary", sa.String(), nullable=False),
        sa.Column("first", sa.Integer(), nullable=False),
        sa.Column("last", sa.Integer(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("told", sa.Integer(), nullable=False),
        sa.Column("cleared", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("key"),
    )


def downgrade() -> None:
    raise CommandError("what operators were told would be forgotten: restore a copy of the database instead")


def _request() -> sa.Column[str]:
    return sa.Column("request_id", sa.String(), server_default=sa.text("''"), nullable=False)
