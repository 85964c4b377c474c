import asyncio

from coordinator.adapters.store.sqlite import SqliteStore

SETTINGS = """
network = "regtest"
data_dir = "{data}"
[bitcoin]
rpc_url = "http://127.0.0.1:1"
[lightning]
url = "http://127.0.0.1:2"
macaroon_file = "none"
[keymeld]
url = "http://127.0.0.1:3"
[oracle]
url = "http://127.0.0.1:4"
"""


def test_migrate_makes_the_schema_and_says_the_revision(command, tmp_path):
    settings = tmp_path / "coordinator.toml"
    settings.write_text(SETTINGS.format(data=tmp_path / "data"))
    first = command("migrate")
    assert first.exit_code == 0, first.stderr
    assert "is at revision 0" in first.stdout
    assert (tmp_path / "data" / "coordinator.db").exists()
    assert command("migrate", "--settings", settings).stdout == first.stdout


def test_migrate_leaves_a_database_in_use_alone(command, tmp_path):
    (tmp_path / "coordinator.toml").write_text(SETTINGS.format(data=tmp_path / "data"))
    store = asyncio.run(SqliteStore.open(tmp_path / "data" / "coordinator.db"))
    try:
        result = command("migrate")
    finally:
        asyncio.run(store.close())
    assert result.exit_code == 2
    assert "in use by another process" in result.stderr


def test_migrate_names_a_missing_settings_file(command):
    result = command("migrate", "--settings", "none.toml")
    assert result.exit_code == 2
    assert "settings file" in result.stderr
