"""Alembic environment: one connection handed in by the store, which migrates whenever it is opened."""

from alembic import context

connection = context.config.attributes["connection"]
# SQLite changes a table by copying it (batch mode); the schema and its revision change in one transaction.
context.configure(connection=connection, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
