"""A wallet with a password, for a node that was started without `--noseedbackup`."""

from __future__ import annotations

import base64

import httpx

from tools.regtest import Lnd

PASSWORD = base64.b64encode(b"correct horse").decode()


def make_wallet(node: Lnd) -> None:
    """What `lncli create` does."""
    with _nobody(node) as client:
        seed = client.get("/v1/genseed").raise_for_status().json()["cipher_seed_mnemonic"]
        body = {"wallet_password": PASSWORD, "cipher_seed_mnemonic": seed}
        client.post("/v1/initwallet", json=body).raise_for_status()


def unlock(node: Lnd) -> None:
    """What `lncli unlock` does."""
    with _nobody(node) as client:
        client.post("/v1/unlockwallet", json={"wallet_password": PASSWORD}).raise_for_status()


def _nobody(node: Lnd) -> httpx.Client:
    """Before there is a wallet there is no macaroon."""
    return httpx.Client(base_url=node.url, verify=node.tls(), timeout=60, trust_env=False)
