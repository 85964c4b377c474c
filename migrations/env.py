"""Alembic environment: one connection handed in by the store, which migrates whenever it is opened."""

from alembic import context

from coordinator.adapters.store.tables import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
