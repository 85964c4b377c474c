"""What operators need: since when a competition is stopped, which duties go on then, and what they did about it.

Only columns and tables are added, so a version that does not know them can still read what it knew.
"""

import sqlalchemy as sa
from alembic import op
from alembic.util import CommandError

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("lane", sa.Column("quarantined_at", sa.Integer(), nullable=True))
    _partial("lane_stopped", "lane", "id", "quarantined_reason IS NOT NULL")
    op.add_column("fact", _number("v", "1"))
    op.add_column("duty", _number("protective", "0"))
    _partial("duty_dead", "duty", "lane", "status = 'dead'")
    _audit()


def downgrade() -> None:
    raise CommandError("what operators did would be forgotten: restore a copy of the database instead")


def _number(name: str, default: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), server_default=sa.text(default), nullable=False)


def _partial(name: str, table: str, column: str, condition: str) -> None:
    op.create_index(name, table, [column], sqlite_where=sa.text(condition), postgresql_where=sa.text(condition))


def _audit() -> None:
    op.create_table(
        "audit",
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("dkey", sa.String(), nullable=False),
        sa.Column("at", sa.Integer(), nullable=False),
        sa.Column("who", sa.String(), nullable=False),
        sa.Column("act", sa.String(), nullable=False),
        sa.Column("lane", sa.String(), nullable=True),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("answer", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["lane"], ["lane.id"]),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("dkey"),
        sqlite_autoincrement=True,
    )
    op.create_index("audit_act", "audit", ["act", "seq"])
