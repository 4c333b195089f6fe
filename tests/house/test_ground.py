"""What the other tests stand on: each database is migrated, empty and its test's own; the app starts on it."""

from sqlalchemy import create_engine, inspect, text

from server.db import Model


def test_a_migrated_database_has_every_table_and_no_row(database_url):
    engine = create_engine(database_url)
    with engine.connect() as connection:
        assert set(Model.metadata.tables) <= set(inspect(connection).get_table_names())
        assert connection.execute(text("select count(*) from organisation")).scalar() == 0
        connection.execute(text("delete from alembic_version"))
        connection.commit()
    engine.dispose()


def test_what_one_test_did_to_its_database_no_other_sees(database_url):
    engine = create_engine(database_url)
    with engine.connect() as connection:
        assert connection.execute(text("select count(*) from alembic_version")).scalar() == 1
    engine.dispose()


def test_the_app_is_ready_on_either_database(client):
    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").status_code == 200


def test_what_the_migrations_make_is_what_the_tables_say(database_url):
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    engine = create_engine(database_url)
    with engine.connect() as connection:
        assert (
            compare_metadata(
                MigrationContext.configure(connection, opts={"compare_type": True}), Model.metadata
            )
            == []
        )
    engine.dispose()
