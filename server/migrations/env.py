"""Alembic's environment: the URL comes from `server.db.migrate`, the target is every table of every room."""

from __future__ import annotations

from alembic import context
from sqlalchemy import create_engine, pool

import server.blobs.model
import server.calendar.model
import server.customers.model
import server.exchange.model
import server.followups.model
import server.indicators.closing_model
import server.indicators.facts_model
import server.indicators.model
import server.people.model
import server.push.model
import server.reminders.model
import server.visits.model  # noqa: F401
from server.db import Model

engine = create_engine(context.config.attributes["url"], poolclass=pool.NullPool)
with engine.connect() as connection:
    context.configure(
        connection=connection,
        target_metadata=Model.metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()
engine.dispose()
