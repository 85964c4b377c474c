"""Which duties come first, and which failures are defects of ours.

Only columns and an index are added, so a version that does not know them can still read what it knew.
"""

import sqlalchemy as sa
from alembic import op
from alembic.util import CommandError

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("duty", sa.Column("urgency", sa.Integer(), server_default=sa.text("2"), nullable=False))
    op.add_column("duty", sa.Column("defect", sa.String(), server_default=sa.text("''"), nullable=False))
    op.add_column("duty", sa.Column("defects", sa.Integer(), server_default=sa.text("0"), nullable=False))
    op.create_index(
        "duty_claim",
        "duty",
        ["channel", "urgency", "due_at", "lane", "protective"],
        sqlite_where=sa.text("status = 'open'"),
        postgresql_where=sa.text("status = 'open'"),
    )


def downgrade() -> None:
    raise CommandError("which duties come first would be forgotten: restore a copy of the database instead")
