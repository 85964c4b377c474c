"""Settings that are read, overridden, and refused with the name of the setting and what to do."""

from collections.abc import Callable
from pathlib import Path

import pytest

from coordinator.config.settings import Settings, load_settings, owner_keys, passphrase, rpc_password
from coordinator_core.errors import InvalidInput
from coordinator_core.nostr.nip19 import npub
from coordinator_core.secp256k1 import SecretKey

HEAD = 'network = "{network}"\ndata_dir = "data"\n'
CHAIN = '[bitcoin]\nrpc_url = "http://127.0.0.1:1"\n'
REST = """
[lightning]
url = "http://127.0.0.1:2"
macaroon_file = "m"
[keymeld]
url = "http://127.0.0.1:3"
[oracle]
url = "http://127.0.0.1:4"
"""
Load = Callable[..., Settings]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Settings from parts of a file and variables."""

    def read(chain: str = CHAIN, network: str = "signet", head: str = "", **environment: str) -> Settings:
        path = tmp_path / "coordinator.toml"
        path.write_text(HEAD.format(network=network) + head + chain + REST)
        return load_settings(path, {f"COORDINATOR_{name}": value for name, value in environment.items()})

    return read


def test_core_is_the_default_source(load: Load) -> None:
    assert load().bitcoin.source == "core"


def test_variables_override_the_file_and_make_sections(load: Load) -> None:
    settings = load(BITCOIN_POLL_SECONDS="1.5", WEB_PORT="81", DATA_DIR="elsewhere", RELAYS='["wss://a", "wss://b"]')
    assert (settings.bitcoin.poll_seconds, settings.web.port, settings.data_dir) == (1.5, 81, "elsewhere")
    assert settings.relays == ("wss://a", "wss://b")


def esplora(url: str) -> str:
    return f'[bitcoin]\nsource = "esplora"\nesplora_url = "{url}"\n'


@pytest.mark.parametrize("url", ["https://esplora.example/api", "http://127.0.0.1:3002", "http://[::1]:3002"])
def test_esplora_needs_no_rpc(load: Load, url: str) -> None:
    settings = load(esplora(url))
    assert (settings.bitcoin.rpc_url, settings.bitcoin.esplora_url) == (None, url)


def test_esplora_on_mainnet_is_our_own(load: Load) -> None:
    assert load(esplora("http://localhost:3002"), "mainnet").bitcoin.source == "esplora"


REFUSED = {
    "esplora in the clear": (esplora("http://esplora.example"), "signet", "", {}, "bitcoin.esplora_url"),
    "esplora of others": (esplora("https://esplora.example"), "mainnet", "", {}, "bitcoin.esplora_url"),
    "esplora that looks local": (esplora("http://127.0.0.1.example"), "mainnet", "", {}, "bitcoin.esplora_url"),
    "esplora that is no address": (esplora("http://[::1"), "mainnet", "", {}, "bitcoin.esplora_url"),
    "esplora without address": ('[bitcoin]\nsource = "esplora"\n', "signet", "", {}, "bitcoin.esplora_url"),
    "core without address": ("[bitcoin]\n", "signet", "", {}, "bitcoin.rpc_url"),
    "another source": ('[bitcoin]\nsource = "electrum"\n', "signet", "", {}, "source"),
    "a pause of nothing": (CHAIN + "poll_seconds = 0\n", "signet", "", {}, "poll_seconds"),
    "the chain's time on mainnet": (CHAIN, "mainnet", 'domain_clock = "chain"\n', {}, "domain_clock"),
    "an unknown name": (CHAIN, "signet", "colour = 1\n", {}, "colour"),
    "an unknown variable": (CHAIN, "signet", "", {"BITCOIN_COLOUR": "1"}, "colour"),
    "half a list": (CHAIN, "signet", "", {"RELAYS": '["wss://a"'}, "COORDINATOR_RELAYS"),
    "another network": (CHAIN, "testnet3", "", {}, "network"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_go_together_is_refused_by_name(load: Load, name: str) -> None:
    chain, network, head, environment, named = REFUSED[name]
    with pytest.raises(InvalidInput, match=named.replace(".", r"\.")):
        load(chain, network, head, **environment)


def test_a_file_that_is_no_settings(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="settings file"):
        load_settings(tmp_path / "none.toml", {})
    (tmp_path / "bad.toml").write_text("network =")
    with pytest.raises(InvalidInput, match="not TOML"):
        load_settings(tmp_path / "bad.toml", {})
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidInput, match="not TOML"):
        load_settings(tmp_path / "bytes.toml", {})


def test_the_passphrase_comes_from_its_file_first(tmp_path: Path) -> None:
    file = tmp_path / "passphrase"
    file.write_text("from the file\n")
    found = passphrase({"COORDINATOR_PASSPHRASE_FILE": str(file), "COORDINATOR_PASSPHRASE": "x"})
    assert found.reveal() == b"from the file"
    assert passphrase({"COORDINATOR_PASSPHRASE": "direct"}).reveal() == b"direct"


def test_the_password_of_the_node_is_like_it_but_may_lack(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("from the file\n")
    found = rpc_password({"COORDINATOR_BITCOIN_RPC_PASSWORD_FILE": str(file), "COORDINATOR_BITCOIN_RPC_PASSWORD": "x"})
    assert found is not None
    assert found.reveal() == b"from the file"
    assert rpc_password({}) is None
    with pytest.raises(InvalidInput, match="BITCOIN_RPC_PASSWORD_FILE"):
        rpc_password({"COORDINATOR_BITCOIN_RPC_PASSWORD_FILE": str(tmp_path)})


def test_secrets_are_no_settings(load: Load) -> None:
    names = ("PASSPHRASE", "PASSPHRASE_FILE", "BITCOIN_RPC_PASSWORD", "BITCOIN_RPC_PASSWORD_FILE")
    assert load(**dict.fromkeys(names, "secret")) == load()


def test_a_coordinator_of_the_regtest_suite_starts(load: Load) -> None:
    assert load(REGTEST="1") == load()


@pytest.mark.parametrize("text", [None, "", " \n"])
def test_a_passphrase_that_is_not_there(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "passphrase").write_text(text)
    with pytest.raises(InvalidInput, match="PASSPHRASE_FILE"):
        passphrase({"COORDINATOR_PASSPHRASE_FILE": str(tmp_path / "passphrase")})
    with pytest.raises(InvalidInput, match="PASSPHRASE_FILE"):
        passphrase({})


def test_owners_are_nostr_keys_in_either_form(load: Load) -> None:
    key = SecretKey.from_bytes(b"\x07" * 32).x_only
    settings = load(head=f'owners = ["{npub(key)}", "{key.hex()}"]\n')
    assert owner_keys(settings) == {key}
    assert owner_keys(load()) == frozenset()


@pytest.mark.parametrize("owner", ["", "npub1qqqq", "00" * 32, "xyz", "07" * 31])
def test_an_owner_that_is_no_key_is_refused_by_its_number(load: Load, owner: str) -> None:
    with pytest.raises(InvalidInput, match=r"settings\.owners\[0\]: is no Nostr key"):
        load(head=f'owners = ["{owner}"]\n')
