"""A certificate authority of the test's own, and a certificate of it for one name."""

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NAME = "site.example"
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Certificates:
    """What a server at `name` shows, and what a client trusts."""

    name: str
    server: ssl.SSLContext
    client: ssl.SSLContext


def make_certificates(folder: Path) -> Certificates:
    now = datetime.now(UTC)
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)]) for text in ("tests", NAME)]
    pems = []
    for index, (key, name) in enumerate(zip(keys, names, strict=True)):
        builder = x509.CertificateBuilder().issuer_name(names[0]).subject_name(name).public_key(key.public_key())
        builder = builder.serial_number(index + 1).not_valid_before(now - DAY).not_valid_after(now + DAY)
        authority = keys[0].public_key()
        builder = (
            builder.add_extension(x509.BasicConstraints(ca=index == 0, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority), critical=False)
        )
        if index:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        pems.append(builder.sign(keys[0], hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    chain = folder / "chain.pem"
    chain.write_bytes(
        pems[1]
        + keys[1].private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(chain)
    return Certificates(NAME, server, ssl.create_default_context(cadata=pems[0].decode()))


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))
