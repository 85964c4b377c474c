"""A macaroon goes to the pinned certificate, or not beyond this machine."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from coordinator.adapters.lightning import LndNode
from coordinator.ports.faults import Unreachable, Unsuitable
from coordinator_core.secret import Secret

BODY = b'{"version": "0.21.1-beta", "chains": [{"network": "regtest"}], "block_height": 7}'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(BODY) + BODY


def certificate(directory: Path, name: str) -> Path:
    """A self-signed certificate as LND writes it; its key beside it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    usage = x509.KeyUsage(
        digital_signature=True,
        key_encipherment=True,
        key_cert_sign=True,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = directory / f"{name}.cert"
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    pem = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    path.with_suffix(".key").write_bytes(key.private_bytes(*pem))
    return path


@asynccontextmanager
async def serving(path: Path) -> AsyncIterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path, path.with_suffix(".key"))

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(ANSWER)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    async with server:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_only_the_pinned_certificate_is_trusted(tmp_path: Path) -> None:
    own, other = certificate(tmp_path, "own"), certificate(tmp_path, "other")
    async with serving(own) as url:
        node = LndNode(url, Secret(b"m"), certificate=own)
        assert (await node.info()).block_height == 7
        await node.close()
        stranger = LndNode(url, Secret(b"m"), certificate=other)
        with pytest.raises(Unreachable):
            await stranger.info()
        await stranger.close()


@pytest.mark.parametrize(
    "url", ["http://10.0.0.1:8080", "http://lnd:8080", "https://127.0.0.1:8080", "http://localhost.evil.example"]
)
def test_without_a_certificate_only_loopback_http(url: str) -> None:
    with pytest.raises(Unsuitable, match="loopback"):
        LndNode(url, Secret(b"m"))


def test_a_certificate_needs_https_and_must_be_one(tmp_path: Path) -> None:
    with pytest.raises(Unsuitable, match="https"):
        LndNode("http://127.0.0.1:1", Secret(b"m"), certificate=certificate(tmp_path, "a"))
    with pytest.raises(Unsuitable, match="cannot be read"):
        LndNode("https://127.0.0.1:1", Secret(b"m"), certificate=tmp_path / "missing")
    (tmp_path / "junk").write_text("junk")
    with pytest.raises(Unsuitable, match="cannot be read"):
        LndNode("https://127.0.0.1:1", Secret(b"m"), certificate=tmp_path / "junk")
