"""Run by alembic: applies revisions on the connection, and in the transaction, that `migrate` opened."""

from alembic import context

from demand_assets.store.comments import describe
from demand_assets.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
)
context.run_migrations()
describe(context.get_bind())
