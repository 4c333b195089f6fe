"""The first tables"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import server.db

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "grant",
        sa.Column("org_id", server.db.Id, nullable=False),
        sa.Column("person_id", server.db.Id, nullable=False),
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("since", server.db.Instant(), nullable=False),
        sa.Column("until", server.db.Instant(), nullable=True),
        sa.PrimaryKeyConstraint("org_id", "person_id", "scope", "since"),
    )
    op.create_index("ix_grant_scope", "grant", ["org_id", "scope"], unique=False)

    op.create_table(
        "organisation",
        sa.Column("id", server.db.Id, nullable=False),
        sa.Column("slug", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("time_zone", sa.String(), nullable=False),
        sa.Column("week_start", sa.Integer(), nullable=False),
        sa.Column("locale", sa.String(), nullable=False),
        sa.Column("created_at", server.db.Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("slug"),
    )
    op.create_table(
        "rep_day",
        sa.Column("org_id", server.db.Id, nullable=False),
        sa.Column("day", sa.String(), nullable=False),
        sa.Column("rep_id", server.db.Id, nullable=False),
        sa.Column("visits", sa.Integer(), nullable=False),
        sa.Column("valid_visits", sa.Integer(), nullable=False),
        sa.Column("valid_s", sa.BigInteger(), nullable=False),
        sa.Column("review", sa.Integer(), nullable=False),
        sa.Column("in_person", sa.Integer(), nullable=False),
        sa.Column("no_position", sa.Integer(), nullable=False),
        sa.Column("first_check_in", server.db.Instant(), nullable=True),
        sa.Column("last_check_out", server.db.Instant(), nullable=True),
        sa.Column("open_visit", server.db.Json, nullable=True),
        sa.Column("position", server.db.Json, nullable=True),
        sa.Column("line", server.db.Json, nullable=False),
        sa.PrimaryKeyConstraint("org_id", "day", "rep_id"),
    )
    op.create_index("ix_rep_day_rep", "rep_day", ["org_id", "rep_id", "day"], unique=False)

    op.create_table(
        "fact_day",
        sa.Column("org_id", server.db.Id, nullable=False),
        sa.Column("person_id", server.db.Id, nullable=False),
        sa.Column("day", sa.String(), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("valid_visits", sa.Integer(), nullable=False),
        sa.Column("valid_s", sa.BigInteger(), nullable=False),
        sa.Column("on_the_spot", sa.Integer(), nullable=False),
        sa.Column("planned", sa.Integer(), nullable=False),
        sa.Column("plans_ahead", sa.Integer(), nullable=False),
        sa.Column("kept", sa.Integer(), nullable=False),
        sa.Column("follow_ups_done", sa.Integer(), nullable=False),
        sa.Column("opportunities_done", sa.Integer(), nullable=False),
        sa.Column("due", sa.Integer(), nullable=False),
        sa.Column("due_open", sa.Integer(), nullable=False),
        sa.Column("on_time", sa.Integer(), nullable=False),
        sa.Column("answered", sa.Integer(), nullable=False),
        sa.Column("response_us", sa.BigInteger(), nullable=False),
        sa.Column("new_customers", sa.Integer(), nullable=False),
        sa.Column("customers", server.db.Json, nullable=False),
        sa.PrimaryKeyConstraint("org_id", "person_id", "day"),
    )
    op.create_index("ix_fact_day", "fact_day", ["org_id", "day", "person_id", "plans_ahead"], unique=False)

    op.create_table(
        "fact_month",
        sa.Column("org_id", server.db.Id, nullable=False),
        sa.Column("month", sa.String(), nullable=False),
        sa.Column("person_id", server.db.Id, nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("valid_visits", sa.Integer(), nullable=False),
        sa.Column("valid_s", sa.BigInteger(), nullable=False),
        sa.Column("on_the_spot", sa.Integer(), nullable=False),
        sa.Column("planned", sa.Integer(), nullable=False),
        sa.Column("plans_ahead", sa.Integer(), nullable=False),
        sa.Column("kept", sa.Integer(), nullable=False),
        sa.Column("follow_ups_done", sa.Integer(), nullable=False),
        sa.Column("opportunities_done", sa.Integer(), nullable=False),
        sa.Column("due", sa.Integer(), nullable=False),
        sa.Column("due_open", sa.Integer(), nullable=False),
        sa.Column("on_time", sa.Integer(), nullable=False),
        sa.Column("answered", sa.Integer(), nullable=False),
        sa.Column("response_us", sa.BigInteger(), nullable=False),
        sa.Column("new_customers", sa.Integer(), nullable=False),
        sa.Column("customers_visited", sa.Integer(), nullable=False),
        sa.Column("own_customers", sa.Integer(), nullable=False),
        sa.Column("own_visited", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("org_id", "month", "person_id"),
    )

    op.create_table(
        "owned",
        sa.Column("org_id", server.db.Id, nullable=False),
        sa.Column("customer_id", server.db.Id, nullable=False),
        sa.Column("since", sa.String(), nullable=False),
        sa.Column("person_id", server.db.Id, nullable=False),
        sa.Column("until", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("org_id", "customer_id", "since"),
    )
    op.create_index("ix_owned_person", "owned", ["org_id", "person_id", "until"], unique=False)

    op.create_table(
        "sign_in_attempt",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("at", server.db.Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_sign_in_attempt", "sign_in_attempt", ["subject", "at"], unique=False)

    op.create_table(
        "batch",
        sa.Column("org_id", server.db.Id, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("client_id", server.db.Id, nullable=False),
        sa.Column("root", server.db.Id, nullable=False),
        sa.Column("person_id", server.db.Id, nullable=True),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("team_id", server.db.Id, nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("received_at", server.db.Instant(), nullable=False),
        sa.Column("sent", server.db.Json, nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id"],
            ["organisation.id"],
        ),
        sa.PrimaryKeyConstraint("org_id", "version"),
    )
    op.create_table(
        "client",
        sa.Column("org_id", server.db.Id, nullable=False),
        sa.Column("id", server.db.Id, nullable=False),
        sa.Column("person_id", server.db.Id, nullable=True),
        sa.Column("root", server.db.Id, nullable=False),
        sa.Column("superseded", sa.Boolean(), nullable=False),
        sa.Column("last_seq", sa.BigInteger(), nullable=False),
        sa.Column("contact_at", server.db.Instant(), nullable=True),
        sa.Column("unsent", sa.Integer(), nullable=False),
        sa.Column("oldest_unsent", server.db.Instant(), nullable=True),
        sa.Column("app", sa.String(), nullable=True),
        sa.Column("persisted", sa.Boolean(), nullable=True),
        sa.Column("push", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(
            ["org_id"],
            ["organisation.id"],
        ),
        sa.PrimaryKeyConstraint("org_id", "id"),
    )
    op.create_index("ix_client_person", "client", ["org_id", "person_id"], unique=False)

    op.create_table(
        "conflict",
        sa.Column("org_id", server.db.Id, nullable=False),
        sa.Column("id", server.db.Id, nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("entity", server.db.Id, nullable=False),
        sa.Column("field", sa.String(), nullable=False),
        sa.Column("kept", server.db.Json, nullable=True),
        sa.Column("lost", server.db.Json, nullable=True),
        sa.Column("kept_by", sa.String(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("author_id", server.db.Id, nullable=True),
        sa.Column("at", server.db.Instant(), nullable=False),
        sa.Column("kept_author_id", server.db.Id, nullable=True),
        sa.Column("kept_at", server.db.Instant(), nullable=True),
        sa.Column("lost_author_id", server.db.Id, nullable=True),
        sa.Column("lost_at", server.db.Instant(), nullable=True),
        sa.Column("became", server.db.Json, nullable=True),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("verdict", sa.String(), nullable=True),
        sa.Column("decided_by", server.db.Id, nullable=True),
        sa.Column("decided_at", server.db.Instant(), nullable=True),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("archived", sa.Boolean(), nullable=False),
        sa.Column("extra", server.db.Json, nullable=False),
        sa.Column("stamps", server.db.Json, nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id"],
            ["organisation.id"],
        ),
        sa.PrimaryKeyConstraint("org_id", "id"),
    )
    op.create_table(
        "head",
        sa.Column("org_id", server.db.Id, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("entries", sa.BigInteger(), nullable=False),
        sa.Column("chain", sa.String(), nullable=False),
        sa.Column("floor", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id"],
            ["organisation.id"],
        ),
        sa.PrimaryKeyConstraint("org_id"),
    )
    op.create_table(
        "journal",
        sa.Column("org_id", server.db.Id, nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("client_id", server.db.Id, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("mutation_id", server.db.Id, nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("entity", server.db.Id, nullable=False),
        sa.Column("verb", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("code", sa.String(), nullable=True),
        sa.Column("as_of", sa.BigInteger(), nullable=False),
        sa.Column("detail", server.db.Json, nullable=True),
        sa.Column("conflicts", server.db.Json, nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=True),
        sa.Column("salt", sa.LargeBinary(), nullable=True),
        sa.Column("seal", sa.String(), nullable=False),
        sa.Column("chain", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id"],
            ["organisation.id"],
        ),
        sa.PrimaryKeyConstraint("org_id", "n"),
    )
    op.create_index("ix_journal_entity", "journal", ["org_id", "entity", "n"], unique=False)
    op.create_index("ix_journal_mutation", "journal", ["org_id", "mutation_id"], unique=False)
    op.create_index("ux_journal_client_seq", "journal", ["org_id", "client_id", "seq"], unique=True)

    op.create_table(
        "outcome",
        sa.Column("org_id", server.db.Id, nullable=False),
        sa.Column("id", server.db.Id, nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("name_zh", sa.String(), nullable=True),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("archived", sa.Boolean(), nullable=False),
        sa.Column("extra", server.db.Json, nullable=False),
        sa.Column("stamps", server.db.Json, nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id"],
            ["organisation.id"],
        ),
        sa.PrimaryKeyConstraint("org_id", "id"),
        sa.UniqueConstraint("org_id", "code"),
    )
    op.create_table(
        "parked",
        sa.Column("org_id", server.db.Id, nullable=False),
        sa.Column("id", server.db.Id, nullable=False),
        sa.Column("author_id", server.db.Id, nullable=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("entity", server.db.Id, nullable=False),
        sa.Column("verb", sa.String(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("field", sa.String(), nullable=True),
        sa.Column("behind", server.db.Id, nullable=True),
        sa.Column("raw", sa.Text(), nullable=False),
        sa.Column("received_at", server.db.Instant(), nullable=False),
        sa.Column("entry", sa.BigInteger(), nullable=False),
        sa.Column("batch", sa.BigInteger(), nullable=False),
        sa.Column("suggestion", server.db.Id, nullable=True),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("verdict", sa.String(), nullable=True),
        sa.Column("decided_by", server.db.Id, nullable=True),
        sa.Column("decided_at", server.db.Instant(), nullable=True),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("archived", sa.Boolean(), nullable=False),
        sa.Column("extra", server.db.Json, nullable=False),
        sa.Column("stamps", server.db.Json, nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id"],
            ["organisation.id"],
        ),
        sa.PrimaryKeyConstraint("org_id", "id"),
    )
    op.create_index("ix_parked_author", "parked", ["org_id", "author_id", "status"], unique=False)
    op.create_index("ix_parked_behind", "parked", ["org_id", "behind"], unique=False)

    op.create_table(
        "amendment",
        sa.Column("org_id", server.db.Id, nullable=False),
        sa.Column("id", server.db.Id, nullable=False),
        sa.Column("visit_id", server.db.Id, nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("changes", server.db.Json, nullable=False),
        sa.Column("before", server.db.Json, nullable=True),
        sa.Column("author_id", server.db.Id, nullable=True),
        sa.Column("at", server.db.Instant(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("verdict", sa.String(), nullable=True),
        sa.Column("decided_by", server.db.Id, nullable=True),
        sa.Column("decided_at", server.db.Instant(), nullable=True),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("archived", sa.Boolean(), nullable=False),
        sa.Column("extra", server.db.Json, nullable=False),
        sa.Column("stamps", server.db.Json, nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id"],
            ["organisation.id"],
        ),
        sa.PrimaryKeyConstraint("org_id", "id"),
    )
    op.create_index("ix_amendment_visit", "amendment", ["org_id", "visit_id"], unique=False)

    op.create_table(
        "decision",
        sa.Column("org_id", server.db.Id, nullable=False),
        sa.Column("id", server.db.Id, nullable=False),
        sa.Column("on_kind", sa.String(), nullable=False),
        sa.Column("on_id", server.db.Id, nullable=False),
        sa.Column("verdict", sa.String(), nullable=False),
        sa.Column("word", sa.String(), nullable=True),
        sa.Column("author_id", server.db.Id, nullable=True),
        sa.Column("at", server.db.Instant(), nullable=False),
        sa.Column("stands", sa.Boolean(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("archived", sa.Boolean(), nullable=False),
        sa.Column("extra", server.db.Json, nullable=False),
        sa.Column("stamps", server.db.Json, nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id"],
            ["organisation.id"],
        ),
        sa.PrimaryKeyConstraint("org_id", "id"),
    )
    op.create_index("ix_decision_on", "decision", ["org_id", "on_id"], unique=False)

    op.create_table(
        "suggestion",
        sa.Column("org_id", server.db.Id, nullable=False),
        sa.Column("id", server.db.Id, nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("entity", server.db.Id, nullable=False),
        sa.Column("verb", sa.String(), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("ops", server.db.Json, nullable=False),
        sa.Column("customer_id", server.db.Id, nullable=False),
        sa.Column("parked", server.db.Id, nullable=True),
        sa.Column("into", server.db.Id, nullable=True),
        sa.Column("author_id", server.db.Id, nullable=True),
        sa.Column("at", server.db.Instant(), nullable=False),
        sa.Column("changed", server.db.Json, nullable=True),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("verdict", sa.String(), nullable=True),
        sa.Column("decided_by", server.db.Id, nullable=True),
        sa.Column("decided_at", server.db.Instant(), nullable=True),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("archived", sa.Boolean(), nullable=False),
        sa.Column("extra", server.db.Json, nullable=False),
        sa.Column("stamps", server.db.Json, nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id"],
            ["organisation.id"],
        ),
        sa.PrimaryKeyConstraint("org_id", "id"),
    )
    op.create_index("ix_suggestion_customer", "suggestion", ["org_id", "customer_id", "status"], unique=False)
    op.create_index("ix_suggestion_into", "suggestion", ["org_id", "into"], unique=False)

    op.create_table(
        "position",
        sa.Column("org_id", server.db.Id, nullable=False),
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("id", server.db.Id, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("removed_at", server.db.Instant(), nullable=True),
        sa.Column("day", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(
            ["org_id"],
            ["organisation.id"],
        ),
        sa.PrimaryKeyConstraint("org_id", "scope", "kind", "id"),
    )
    op.create_index("ix_position_entity", "position", ["org_id", "kind", "id"], unique=False)
    op.create_index("ix_position_scope", "position", ["org_id", "scope", "version"], unique=False)

    op.create_table(
        "setting",
        sa.Column("org_id", server.db.Id, nullable=False),
        sa.Column("id", server.db.Id, nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("value", server.db.Json, nullable=True),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("archived", sa.Boolean(), nullable=False),
        sa.Column("extra", server.db.Json, nullable=False),
        sa.Column("stamps", server.db.Json, nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id"],
            ["organisation.id"],
        ),
        sa.PrimaryKeyConstraint("org_id", "id"),
        sa.UniqueConstraint("org_id", "key"),
    )
    op.create_table(
        "team",
        sa.Column("org_id", server.db.Id, nullable=False),
        sa.Column("id", server.db.Id, nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("parent_id", server.db.Id, nullable=True),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("archived", sa.Boolean(), nullable=False),
        sa.Column("extra", server.db.Json, nullable=False),
        sa.Column("stamps", server.db.Json, nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id", "parent_id"],
            ["team.org_id", "team.id"],
        ),
        sa.ForeignKeyConstraint(
            ["org_id"],
            ["organisation.id"],
        ),
        sa.PrimaryKeyConstraint("org_id", "id"),
    )
    op.create_table(
        "visit_kind",
        sa.Column("org_id", server.db.Id, nullable=False),
        sa.Column("id", server.db.Id, nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("name_zh", sa.String(), nullable=True),
        sa.Column("min_minutes", server.db.Json, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("archived", sa.Boolean(), nullable=False),
        sa.Column("extra", server.db.Json, nullable=False),
        sa.Column("stamps", server.db.Json, nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id"],
            ["organisation.id"],
        ),
        sa.PrimaryKeyConstraint("org_id", "id"),
        sa.UniqueConstraint("org_id", "code"),
    )
    op.create_table(
        "person",
        sa.Column("org_id", server.db.Id, nullable=False),
        sa.Column("id", server.db.Id, nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("team_id", server.db.Id, nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("locale", sa.String(), nullable=False),
        sa.Column("time_zone", sa.String(), nullable=False),
        sa.Column("joined_on", sa.String(), nullable=True),
        sa.Column("left_on", sa.String(), nullable=True),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("archived", sa.Boolean(), nullable=False),
        sa.Column("extra", server.db.Json, nullable=False),
        sa.Column("stamps", server.db.Json, nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id", "team_id"],
            ["team.org_id", "team.id"],
        ),
        sa.ForeignKeyConstraint(
            ["org_id"],
            ["organisation.id"],
        ),
        sa.PrimaryKeyConstraint("org_id", "id"),
    )
    op.create_index("ix_person_team", "person", ["org_id", "team_id"], unique=False)

    op.create_table(
        "api_token",
        sa.Column("org_id", server.db.Id, nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("id", server.db.Id, nullable=False),
        sa.Column("person_id", server.db.Id, nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("created_at", server.db.Instant(), nullable=False),
        sa.Column("revoked_at", server.db.Instant(), nullable=True),
        sa.ForeignKeyConstraint(
            ["org_id", "person_id"],
            ["person.org_id", "person.id"],
        ),
        sa.PrimaryKeyConstraint("org_id", "digest"),
    )
    op.create_table(
        "customer",
        sa.Column("org_id", server.db.Id, nullable=False),
        sa.Column("id", server.db.Id, nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=True),
        sa.Column("lat", sa.Double(), nullable=True),
        sa.Column("lon", sa.Double(), nullable=True),
        sa.Column("radius_m", sa.Double(), nullable=True),
        sa.Column("owner_id", server.db.Id, nullable=True),
        sa.Column("team_id", server.db.Id, nullable=True),
        sa.Column("grade", sa.String(), nullable=True),
        sa.Column("phone", sa.String(), nullable=True),
        sa.Column("contact", sa.String(), nullable=True),
        sa.Column("lifecycle", sa.String(), nullable=True),
        sa.Column("code", sa.String(), nullable=True),
        sa.Column("note", sa.String(), nullable=True),
        sa.Column("tags", server.db.Json, nullable=False),
        sa.Column("merged_into", server.db.Id, nullable=True),
        sa.Column("alike", sa.String(), nullable=True),
        sa.Column("cell", sa.String(), nullable=True),
        sa.Column("customer_since", sa.String(), nullable=True),
        sa.Column("won_by", server.db.Id, nullable=True),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("archived", sa.Boolean(), nullable=False),
        sa.Column("extra", server.db.Json, nullable=False),
        sa.Column("stamps", server.db.Json, nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id", "owner_id"],
            ["person.org_id", "person.id"],
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "team_id"],
            ["team.org_id", "team.id"],
        ),
        sa.ForeignKeyConstraint(
            ["org_id"],
            ["organisation.id"],
        ),
        sa.PrimaryKeyConstraint("org_id", "id"),
    )
    op.create_index("ix_customer_alike", "customer", ["org_id", "alike"], unique=False)
    op.create_index("ix_customer_cell", "customer", ["org_id", "cell"], unique=False)
    op.create_index(
        "ix_customer_merged",
        "customer",
        ["org_id", "merged_into"],
        unique=False,
        sqlite_where=sa.text("merged_into IS NOT NULL"),
        postgresql_where=sa.text("merged_into IS NOT NULL"),
    )
    op.create_index("ix_customer_name", "customer", ["org_id", "name", "id"], unique=False)
    op.create_index("ix_customer_owner", "customer", ["org_id", "owner_id"], unique=False)
    op.create_index("ix_customer_team", "customer", ["org_id", "team_id"], unique=False)
    op.create_index(
        "ix_customer_won",
        "customer",
        ["org_id", "won_by", "customer_since"],
        unique=False,
        sqlite_where=sa.text("won_by IS NOT NULL"),
        postgresql_where=sa.text("won_by IS NOT NULL"),
    )
    op.create_index(
        "ux_customer_code",
        "customer",
        ["org_id", "code"],
        unique=True,
        sqlite_where=sa.text("code IS NOT NULL AND merged_into IS NULL"),
        postgresql_where=sa.text("code IS NOT NULL AND merged_into IS NULL"),
    )

    op.create_table(
        "device",
        sa.Column("org_id", server.db.Id, nullable=False),
        sa.Column("id", server.db.Id, nullable=False),
        sa.Column("person_id", server.db.Id, nullable=False),
        sa.Column("client_id", server.db.Id, nullable=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("created_at", server.db.Instant(), nullable=False),
        sa.Column("revoked_at", server.db.Instant(), nullable=True),
        sa.ForeignKeyConstraint(
            ["org_id", "person_id"],
            ["person.org_id", "person.id"],
        ),
        sa.PrimaryKeyConstraint("org_id", "id"),
    )
    op.create_table(
        "invite",
        sa.Column("org_id", server.db.Id, nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("person_id", server.db.Id, nullable=False),
        sa.Column("expires_at", server.db.Instant(), nullable=False),
        sa.Column("used_at", server.db.Instant(), nullable=True),
        sa.Column("uploads", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id", "person_id"],
            ["person.org_id", "person.id"],
        ),
        sa.PrimaryKeyConstraint("org_id", "digest"),
    )
    op.create_table(
        "login",
        sa.Column("org_id", server.db.Id, nullable=False),
        sa.Column("person_id", server.db.Id, nullable=False),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("password_hash", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(
            ["org_id", "person_id"],
            ["person.org_id", "person.id"],
        ),
        sa.PrimaryKeyConstraint("org_id", "person_id"),
        sa.UniqueConstraint("org_id", "email"),
    )
    op.create_index("ix_login_email", "login", ["email"], unique=False)

    op.create_table(
        "session",
        sa.Column("org_id", server.db.Id, nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("person_id", server.db.Id, nullable=False),
        sa.Column("device_id", server.db.Id, nullable=False),
        sa.Column("created_at", server.db.Instant(), nullable=False),
        sa.Column("expires_at", server.db.Instant(), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id", "device_id"],
            ["device.org_id", "device.id"],
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "person_id"],
            ["person.org_id", "person.id"],
        ),
        sa.PrimaryKeyConstraint("org_id", "digest"),
    )
    op.create_table(
        "visit",
        sa.Column("org_id", server.db.Id, nullable=False),
        sa.Column("id", server.db.Id, nullable=False),
        sa.Column("customer_id", server.db.Id, nullable=False),
        sa.Column("rep_id", server.db.Id, nullable=False),
        sa.Column("mode", sa.String(), nullable=True),
        sa.Column("kind", sa.String(), nullable=True),
        sa.Column("planned_date", sa.String(), nullable=True),
        sa.Column("planned_time", sa.String(), nullable=True),
        sa.Column("repeat", sa.String(), nullable=True),
        sa.Column("series", server.db.Json, nullable=True),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.Column("late_reason", sa.String(), nullable=True),
        sa.Column("minutes", sa.String(), nullable=True),
        sa.Column("next_step", sa.String(), nullable=True),
        sa.Column("tags", server.db.Json, nullable=False),
        sa.Column("photos", server.db.Json, nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("check_in", server.db.Json, nullable=True),
        sa.Column("check_out", server.db.Json, nullable=True),
        sa.Column("check_in_fix", server.db.Json, nullable=True),
        sa.Column("check_in_best_fix", server.db.Json, nullable=True),
        sa.Column("check_out_fix", server.db.Json, nullable=True),
        sa.Column("clock", server.db.Json, nullable=False),
        sa.Column("server", server.db.Json, nullable=False),
        sa.Column("day", sa.String(), nullable=True),
        sa.Column("at", server.db.Instant(), nullable=False),
        sa.Column("valid", sa.Boolean(), nullable=False),
        sa.Column("trust", sa.String(), nullable=True),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("archived", sa.Boolean(), nullable=False),
        sa.Column("extra", server.db.Json, nullable=False),
        sa.Column("stamps", server.db.Json, nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id", "customer_id"],
            ["customer.org_id", "customer.id"],
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "rep_id"],
            ["person.org_id", "person.id"],
        ),
        sa.ForeignKeyConstraint(
            ["org_id"],
            ["organisation.id"],
        ),
        sa.PrimaryKeyConstraint("org_id", "id"),
    )
    op.create_index("ix_visit_rep_at", "visit", ["org_id", "rep_id", "at", "id"], unique=False)
    op.create_index("ix_visit_at", "visit", ["org_id", "at", "id"], unique=False)
    op.create_index("ix_visit_customer", "visit", ["org_id", "customer_id", "at"], unique=False)
    op.create_index("ix_visit_rep_day", "visit", ["org_id", "rep_id", "day"], unique=False)
    op.create_index(
        "ix_visit_planned",
        "visit",
        ["org_id", "rep_id", "planned_date"],
        unique=False,
        sqlite_where=sa.text("planned_date IS NOT NULL"),
        postgresql_where=sa.text("planned_date IS NOT NULL"),
    )

    op.create_table(
        "visit_photo",
        sa.Column("org_id", server.db.Id, nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("visit_id", server.db.Id, nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id", "visit_id"],
            ["visit.org_id", "visit.id"],
        ),
        sa.PrimaryKeyConstraint("org_id", "sha256", "visit_id"),
    )

    op.create_table(
        "blob",
        sa.Column("org_id", server.db.Id, nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("bytes", sa.Integer(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("stored_at", server.db.Instant(), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id"],
            ["organisation.id"],
        ),
        sa.PrimaryKeyConstraint("org_id", "sha256"),
    )

    op.create_table(
        "blob_holder",
        sa.Column("org_id", server.db.Id, nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("person_id", server.db.Id, nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id", "sha256"],
            ["blob.org_id", "blob.sha256"],
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "person_id"],
            ["person.org_id", "person.id"],
        ),
        sa.PrimaryKeyConstraint("org_id", "sha256", "person_id"),
    )

    op.create_table(
        "late",
        sa.Column("org_id", server.db.Id, nullable=False),
        sa.Column("closing_id", server.db.Id, nullable=False),
        sa.PrimaryKeyConstraint("org_id", "closing_id"),
    )

    op.create_table(
        "closing",
        sa.Column("org_id", server.db.Id, nullable=False),
        sa.Column("id", server.db.Id, nullable=False),
        sa.Column("person_id", server.db.Id, nullable=False),
        sa.Column("period", sa.String(), nullable=False),
        sa.Column("starts_on", sa.String(), nullable=False),
        sa.Column("ends_on", sa.String(), nullable=False),
        sa.Column("scheme", server.db.Json, nullable=False),
        sa.Column("readings", server.db.Json, nullable=False),
        sa.Column("reasons", server.db.Json, nullable=False),
        sa.Column("total", sa.String(), nullable=True),
        sa.Column("grade", sa.String(), nullable=True),
        sa.Column("closed_at", sa.String(), nullable=False),
        sa.Column("adjustments", server.db.Json, nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("reopened_at", server.db.Instant(), nullable=True),
        sa.Column("reads_from", sa.String(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("archived", sa.Boolean(), nullable=False),
        sa.Column("extra", server.db.Json, nullable=False),
        sa.Column("stamps", server.db.Json, nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id", "person_id"],
            ["person.org_id", "person.id"],
        ),
        sa.ForeignKeyConstraint(
            ["org_id"],
            ["organisation.id"],
        ),
        sa.PrimaryKeyConstraint("org_id", "id"),
    )
    op.create_index("ix_closing_period", "closing", ["org_id", "period", "starts_on"], unique=False)
    op.create_index(
        "ux_closing_period", "closing", ["org_id", "person_id", "period", "starts_on"], unique=True
    )

    op.create_table(
        "follow_up",
        sa.Column("org_id", server.db.Id, nullable=False),
        sa.Column("id", server.db.Id, nullable=False),
        sa.Column("customer_id", server.db.Id, nullable=False),
        sa.Column("visit_id", server.db.Id, nullable=True),
        sa.Column("owner_id", server.db.Id, nullable=False),
        sa.Column("kind", sa.String(), nullable=True),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("due_date", sa.String(), nullable=True),
        sa.Column("due_time", sa.String(), nullable=True),
        sa.Column("due_zone", sa.String(), nullable=True),
        sa.Column("remind_before_min", sa.Integer(), nullable=True),
        sa.Column("repeat", sa.String(), nullable=True),
        sa.Column("series", server.db.Json, nullable=True),
        sa.Column("requested_at", sa.String(), nullable=True),
        sa.Column("note", sa.String(), nullable=True),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("done", server.db.Json, nullable=True),
        sa.Column("due_at", server.db.Instant(), nullable=True),
        sa.Column("done_at", server.db.Instant(), nullable=True),
        sa.Column("done_day", sa.String(), nullable=True),
        sa.Column("request_day", sa.String(), nullable=True),
        sa.Column("answered_at", server.db.Instant(), nullable=True),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("archived", sa.Boolean(), nullable=False),
        sa.Column("extra", server.db.Json, nullable=False),
        sa.Column("stamps", server.db.Json, nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id", "customer_id"],
            ["customer.org_id", "customer.id"],
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "owner_id"],
            ["person.org_id", "person.id"],
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "visit_id"],
            ["visit.org_id", "visit.id"],
        ),
        sa.ForeignKeyConstraint(
            ["org_id"],
            ["organisation.id"],
        ),
        sa.PrimaryKeyConstraint("org_id", "id"),
    )
    op.create_index("ix_follow_up_customer", "follow_up", ["org_id", "customer_id"], unique=False)
    op.create_index(
        "ix_follow_up_due",
        "follow_up",
        ["org_id", "due_date", "id", "owner_id", "status", "archived", "due_at"],
        unique=False,
    )
    op.create_index("ix_follow_up_owner_due", "follow_up", ["org_id", "owner_id", "due_date"], unique=False)
    op.create_index(
        "ix_follow_up_done",
        "follow_up",
        ["org_id", "owner_id", "done_day"],
        unique=False,
        sqlite_where=sa.text("done_day IS NOT NULL"),
        postgresql_where=sa.text("done_day IS NOT NULL"),
    )
    op.create_index(
        "ix_follow_up_request",
        "follow_up",
        ["org_id", "owner_id", "request_day"],
        unique=False,
        sqlite_where=sa.text("request_day IS NOT NULL"),
        postgresql_where=sa.text("request_day IS NOT NULL"),
    )
    op.create_index(
        "ix_follow_up_waiting",
        "follow_up",
        ["org_id", "request_day"],
        unique=False,
        sqlite_where=sa.text("request_day IS NOT NULL AND answered_at IS NULL"),
        postgresql_where=sa.text("request_day IS NOT NULL AND answered_at IS NULL"),
    )
    op.create_index(
        "ix_follow_up_owner", "follow_up", ["org_id", "owner_id", "status", "due_date"], unique=False
    )

    op.create_table(
        "comment",
        sa.Column("org_id", server.db.Id, nullable=False),
        sa.Column("id", server.db.Id, nullable=False),
        sa.Column("on_kind", sa.String(), nullable=False),
        sa.Column("on_id", server.db.Id, nullable=False),
        sa.Column("body", sa.String(), nullable=False),
        sa.Column("author_id", server.db.Id, nullable=True),
        sa.Column("at", server.db.Instant(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("archived", sa.Boolean(), nullable=False),
        sa.Column("extra", server.db.Json, nullable=False),
        sa.Column("stamps", server.db.Json, nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id"],
            ["organisation.id"],
        ),
        sa.PrimaryKeyConstraint("org_id", "id"),
    )
    op.create_index("ix_comment_on", "comment", ["org_id", "on_id"], unique=False)

    op.create_table(
        "revision",
        sa.Column("org_id", server.db.Id, nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("entity", server.db.Id, nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.Column("changes", server.db.Json, nullable=False),
        sa.Column("cause", server.db.Json, nullable=True),
        sa.ForeignKeyConstraint(
            ["org_id"],
            ["organisation.id"],
        ),
        sa.PrimaryKeyConstraint("org_id", "kind", "entity", "n"),
    )

    op.create_table(
        "attempt",
        sa.Column("org_id", server.db.Id, nullable=False),
        sa.Column("notice_id", server.db.Id, nullable=False),
        sa.Column("subscription_id", server.db.Id, nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("begun_at", server.db.Instant(), nullable=False),
        sa.Column("ended_at", server.db.Instant(), nullable=True),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("org_id", "notice_id", "subscription_id", "n"),
    )
    op.create_table(
        "delivery",
        sa.Column("org_id", server.db.Id, nullable=False),
        sa.Column("notice_id", server.db.Id, nullable=False),
        sa.Column("subscription_id", server.db.Id, nullable=False),
        sa.Column("payload", server.db.Json, nullable=False),
        sa.Column("urgency", sa.String(), nullable=False),
        sa.Column("due_at", server.db.Instant(), nullable=False),
        sa.Column("ends_at", server.db.Instant(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("leased_until", server.db.Instant(), nullable=True),
        sa.Column("shown_at", server.db.Instant(), nullable=True),
        sa.Column("opened_at", server.db.Instant(), nullable=True),
        sa.PrimaryKeyConstraint("org_id", "notice_id", "subscription_id"),
    )
    op.create_index(
        "ix_delivery_due",
        "delivery",
        ["org_id", "due_at"],
        unique=False,
        sqlite_where=sa.text("state = 'waiting'"),
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_table(
        "reminder",
        sa.Column("org_id", server.db.Id, nullable=False),
        sa.Column("id", server.db.Id, nullable=False),
        sa.Column("person_id", server.db.Id, nullable=False),
        sa.Column("rule", sa.String(), nullable=False),
        sa.Column("about_kind", sa.String(), nullable=False),
        sa.Column("about_id", server.db.Id, nullable=False),
        sa.Column("owed_at", server.db.Instant(), nullable=False),
        sa.Column("due_at", server.db.Instant(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("notice_id", server.db.Id, nullable=True),
        sa.PrimaryKeyConstraint("org_id", "id"),
    )
    op.create_index("ix_reminder_about", "reminder", ["org_id", "about_id"], unique=False)
    op.create_index(
        "ix_reminder_due",
        "reminder",
        ["org_id", "due_at"],
        unique=False,
        sqlite_where=sa.text("state = 'waiting'"),
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_table(
        "outreach",
        sa.Column("org_id", server.db.Id, nullable=False),
        sa.Column("notice_id", server.db.Id, nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("person_id", server.db.Id, nullable=False),
        sa.Column("due_at", server.db.Instant(), nullable=False),
        sa.Column("ends_at", server.db.Instant(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("leased_until", server.db.Instant(), nullable=True),
        sa.Column("sent_at", server.db.Instant(), nullable=True),
        sa.PrimaryKeyConstraint("org_id", "notice_id", "channel"),
    )
    op.create_index(
        "ix_outreach_due",
        "outreach",
        ["org_id", "due_at"],
        unique=False,
        sqlite_where=sa.text("state = 'waiting'"),
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_index("ix_outreach_person", "outreach", ["org_id", "person_id", "channel"], unique=False)
    op.create_table(
        "outreach_attempt",
        sa.Column("org_id", server.db.Id, nullable=False),
        sa.Column("notice_id", server.db.Id, nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("begun_at", server.db.Instant(), nullable=False),
        sa.Column("ended_at", server.db.Instant(), nullable=True),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("org_id", "notice_id", "channel", "n"),
    )
    op.create_table(
        "calendar_feed",
        sa.Column("org_id", server.db.Id, nullable=False),
        sa.Column("person_id", server.db.Id, nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("created_at", server.db.Instant(), nullable=False),
        sa.Column("read_at", server.db.Instant(), nullable=True),
        sa.ForeignKeyConstraint(
            ["org_id", "person_id"],
            ["person.org_id", "person.id"],
        ),
        sa.PrimaryKeyConstraint("org_id", "person_id"),
    )
    op.create_index("ix_calendar_feed_digest", "calendar_feed", ["org_id", "digest"], unique=True)
    op.create_table(
        "reminder_wish",
        sa.Column("org_id", server.db.Id, nullable=False),
        sa.Column("person_id", server.db.Id, nullable=False),
        sa.Column("document", server.db.Json, nullable=False),
        sa.PrimaryKeyConstraint("org_id", "person_id"),
    )
    op.create_table(
        "subscription",
        sa.Column("org_id", server.db.Id, nullable=False),
        sa.Column("id", server.db.Id, nullable=False),
        sa.Column("person_id", server.db.Id, nullable=False),
        sa.Column("device_id", server.db.Id, nullable=True),
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("endpoint_digest", sa.String(), nullable=False),
        sa.Column("p256dh", sa.String(), nullable=False),
        sa.Column("auth", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("created_at", server.db.Instant(), nullable=False),
        sa.Column("renewed_at", server.db.Instant(), nullable=False),
        sa.Column("sent_at", server.db.Instant(), nullable=True),
        sa.Column("shown_at", server.db.Instant(), nullable=True),
        sa.Column("opened_at", server.db.Instant(), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("rest_until", server.db.Instant(), nullable=True),
        sa.Column("ended_at", server.db.Instant(), nullable=True),
        sa.Column("ended_why", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("org_id", "id"),
        sa.UniqueConstraint("org_id", "endpoint_digest"),
    )
    op.create_index("ix_subscription_person", "subscription", ["org_id", "person_id"], unique=False)
    op.create_table(
        "notice",
        sa.Column("org_id", server.db.Id, nullable=False),
        sa.Column("id", server.db.Id, nullable=False),
        sa.Column("person_id", server.db.Id, nullable=False),
        sa.Column("rule", sa.String(), nullable=False),
        sa.Column("about", server.db.Json, nullable=False),
        sa.Column("words", server.db.Json, nullable=False),
        sa.Column("at", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("snoozed_until", sa.String(), nullable=True),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("archived", sa.Boolean(), nullable=False),
        sa.Column("extra", server.db.Json, nullable=False),
        sa.Column("stamps", server.db.Json, nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id"],
            ["organisation.id"],
        ),
        sa.PrimaryKeyConstraint("org_id", "id"),
    )
    op.create_index("ix_notice_person", "notice", ["org_id", "person_id", "at"], unique=False)
    op.create_table(
        "scheme",
        sa.Column("org_id", server.db.Id, nullable=False),
        sa.Column("id", server.db.Id, nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("name_zh", sa.String(), nullable=True),
        sa.Column("template", sa.String(), nullable=True),
        sa.Column("role", sa.String(), nullable=True),
        sa.Column("team_id", server.db.Id, nullable=True),
        sa.Column("valid_from", sa.String(), nullable=False),
        sa.Column("cap", sa.String(), nullable=True),
        sa.Column("indicators", server.db.Json, nullable=False),
        sa.Column("note", sa.String(), nullable=True),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("archived", sa.Boolean(), nullable=False),
        sa.Column("extra", server.db.Json, nullable=False),
        sa.Column("stamps", server.db.Json, nullable=False),
        sa.ForeignKeyConstraint(["org_id", "team_id"], ["team.org_id", "team.id"]),
        sa.ForeignKeyConstraint(["org_id"], ["organisation.id"]),
        sa.PrimaryKeyConstraint("org_id", "id"),
    )
    op.create_index("ix_scheme_valid", "scheme", ["org_id", "status", "valid_from"], unique=False)
    op.create_table(
        "day_off",
        sa.Column("org_id", server.db.Id, nullable=False),
        sa.Column("id", server.db.Id, nullable=False),
        sa.Column("on", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("name_zh", sa.String(), nullable=True),
        sa.Column("region", sa.String(), nullable=True),
        sa.Column("person_id", server.db.Id, nullable=True),
        sa.Column("worked", sa.Boolean(), nullable=True),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("archived", sa.Boolean(), nullable=False),
        sa.Column("extra", server.db.Json, nullable=False),
        sa.Column("stamps", server.db.Json, nullable=False),
        sa.ForeignKeyConstraint(["org_id", "person_id"], ["person.org_id", "person.id"]),
        sa.ForeignKeyConstraint(["org_id"], ["organisation.id"]),
        sa.PrimaryKeyConstraint("org_id", "id"),
    )
    op.create_index("ix_day_off_on", "day_off", ["org_id", "on"], unique=False)
    op.create_index("ix_day_off_person", "day_off", ["org_id", "person_id"], unique=False)
    op.create_table(
        "target",
        sa.Column("org_id", server.db.Id, nullable=False),
        sa.Column("id", server.db.Id, nullable=False),
        sa.Column("indicator", sa.String(), nullable=False),
        sa.Column("person_id", server.db.Id, nullable=True),
        sa.Column("team_id", server.db.Id, nullable=True),
        sa.Column("period", sa.String(), nullable=False),
        sa.Column("starts_on", sa.String(), nullable=False),
        sa.Column("amount", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=True),
        sa.Column("note", sa.String(), nullable=True),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("archived", sa.Boolean(), nullable=False),
        sa.Column("extra", server.db.Json, nullable=False),
        sa.Column("stamps", server.db.Json, nullable=False),
        sa.ForeignKeyConstraint(["org_id", "person_id"], ["person.org_id", "person.id"]),
        sa.ForeignKeyConstraint(["org_id", "team_id"], ["team.org_id", "team.id"]),
        sa.ForeignKeyConstraint(["org_id"], ["organisation.id"]),
        sa.PrimaryKeyConstraint("org_id", "id"),
    )
    op.create_index(
        "ix_target_person", "target", ["org_id", "person_id", "status", "starts_on"], unique=False
    )
    op.create_index("ix_target_team", "target", ["org_id", "team_id", "status", "starts_on"], unique=False)
    op.create_table(
        "value",
        sa.Column("org_id", server.db.Id, nullable=False),
        sa.Column("id", server.db.Id, nullable=False),
        sa.Column("indicator", sa.String(), nullable=False),
        sa.Column("person_id", server.db.Id, nullable=False),
        sa.Column("on", sa.String(), nullable=False),
        sa.Column("amount", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("note", sa.String(), nullable=True),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("confirmed_by", server.db.Id, nullable=True),
        sa.Column("confirmed_at", server.db.Instant(), nullable=True),
        sa.Column("reviewed_by", server.db.Id, nullable=True),
        sa.Column("reviewed_at", server.db.Instant(), nullable=True),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("archived", sa.Boolean(), nullable=False),
        sa.Column("extra", server.db.Json, nullable=False),
        sa.Column("stamps", server.db.Json, nullable=False),
        sa.ForeignKeyConstraint(["org_id", "person_id"], ["person.org_id", "person.id"]),
        sa.ForeignKeyConstraint(["org_id"], ["organisation.id"]),
        sa.PrimaryKeyConstraint("org_id", "id"),
    )
    op.create_index("ix_value_on", "value", ["org_id", "on", "id"], unique=False)
    op.create_index("ix_value_person", "value", ["org_id", "person_id", "on"], unique=False)
    op.create_table(
        "appeal",
        sa.Column("org_id", server.db.Id, nullable=False),
        sa.Column("id", server.db.Id, nullable=False),
        sa.Column("closing_id", server.db.Id, nullable=False),
        sa.Column("person_id", server.db.Id, nullable=False),
        sa.Column("indicator", sa.String(), nullable=True),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("answer", sa.String(), nullable=True),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("at", server.db.Instant(), nullable=False),
        sa.Column("answered_by", server.db.Id, nullable=True),
        sa.Column("answered_at", server.db.Instant(), nullable=True),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("archived", sa.Boolean(), nullable=False),
        sa.Column("extra", server.db.Json, nullable=False),
        sa.Column("stamps", server.db.Json, nullable=False),
        sa.ForeignKeyConstraint(["org_id", "person_id"], ["person.org_id", "person.id"]),
        sa.ForeignKeyConstraint(["org_id"], ["organisation.id"]),
        sa.PrimaryKeyConstraint("org_id", "id"),
    )
    op.create_index("ix_appeal_closing", "appeal", ["org_id", "closing_id"], unique=False)
    op.create_index("ix_appeal_person", "appeal", ["org_id", "person_id", "status"], unique=False)


def downgrade() -> None:
    for table in (
        "appeal",
        "scheme",
        "target",
        "value",
        "day_off",
        "attempt",
        "delivery",
        "subscription",
        "notice",
        "reminder_wish",
        "calendar_feed",
        "outreach_attempt",
        "outreach",
        "reminder",
        "visit_photo",
        "blob_holder",
        "blob",
        "revision",
        "comment",
        "closing",
        "follow_up",
        "visit",
        "session",
        "login",
        "invite",
        "device",
        "customer",
        "api_token",
        "person",
        "visit_kind",
        "team",
        "setting",
        "suggestion",
        "position",
        "parked",
        "outcome",
        "journal",
        "head",
        "decision",
        "conflict",
        "client",
        "batch",
        "amendment",
        "sign_in_attempt",
        "late",
        "owned",
        "fact_month",
        "fact_day",
        "rep_day",
        "organisation",
        "grant",
    ):
        op.drop_table(table)
