"""A small certificate authority for the local network, so that a phone there can try Rounds over TLS.

Browsers let a page work offline and locate itself only over TLS. The authority is made once and lives in the state
directory; it may vouch for private addresses alone, so trusting it on a phone endangers nothing else.
"""

from __future__ import annotations

import html
import ipaddress
import os
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_DAYS = 3650
CERTIFICATE_DAYS = 397
"""Longer ones are refused by Safari."""

RENEW_DAYS = 30
PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10", "127.0.0.0/8")

Address = ipaddress.IPv4Address


@dataclass(frozen=True, slots=True)
class Papers:
    """PEM files: the authority's certificate, and the server's with its key."""

    authority: Path
    certificate: Path
    key: Path


def addresses() -> list[Address]:
    """This machine's IPv4 addresses in its networks, the one that leads outside first; empty without a network."""
    found: list[Address] = []
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends nothing: it only asks which address would be used
        found.append(Address(probe.getsockname()[0]))
    with suppress(OSError):
        for *_, address in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET):
            found.append(Address(address[0]))
    return [each for each in dict.fromkeys(found) if not each.is_loopback and not each.is_unspecified]


def papers(folder: Path, of: list[Address], now: datetime) -> Papers:
    """The authority and a certificate for these addresses, localhost and this machine's name; made where missing.

    The certificate is made anew when an address is not in it or it ends within 30 days, the authority only when it may
    not vouch for an address or ends. Raises OSError where the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made = Papers(folder / "authority.pem", folder / "server.pem", folder / "server-key.pem")
    authority_key = folder / "authority-key.pem"
    addresses_ = [*of, Address("127.0.0.1")]
    names = _names()
    if not _authority_holds(made.authority, authority_key, addresses_, now):
        _make_authority(made.authority, authority_key, of, now)
        made.certificate.unlink(missing_ok=True)
    if not _certificate_holds(made, addresses_, names, now):
        _make_certificate(made, authority_key, addresses_, names, now)
    return made


def _names() -> list[str]:
    host = socket.gethostname().split(".")[0].lower()
    known = host if host and all(sign.isascii() and (sign.isalnum() or sign == "-") for sign in host) else ""
    return ["localhost", *([f"{known}.local"] if known else [])]


def _authority_holds(path: Path, key: Path, of: list[Address], now: datetime) -> bool:
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
        serialization.load_pem_private_key(key.read_bytes(), None)
        allowed = (
            certificate.extensions.get_extension_for_class(x509.NameConstraints).value.permitted_subtrees
            or []
        )
    except (OSError, ValueError, x509.ExtensionNotFound):
        return False
    networks = [each.value for each in allowed if isinstance(each.value, ipaddress.IPv4Network)]
    return certificate.not_valid_after_utc > now + timedelta(days=CERTIFICATE_DAYS) and all(
        any(address in network for network in networks) for address in of
    )


def _certificate_holds(made: Papers, of: list[Address], names: list[str], now: datetime) -> bool:
    try:
        certificate = x509.load_pem_x509_certificate(made.certificate.read_bytes())
        serialization.load_pem_private_key(made.key.read_bytes(), None)
        told = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, x509.ExtensionNotFound):
        return False
    return (
        certificate.not_valid_after_utc > now + timedelta(days=RENEW_DAYS)
        and set(of) <= set(told.get_values_for_type(x509.IPAddress))
        and set(names) <= set(told.get_values_for_type(x509.DNSName))
    )


def _make_authority(path: Path, key_path: Path, of: list[Address], now: datetime) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Rounds on {socket.gethostname()}"[:64])])
    allowed = [ipaddress.ip_network(network) for network in PRIVATE]
    allowed += [
        ipaddress.ip_network(address) for address in of if not any(address in each for each in allowed)
    ]
    certificate = (
        _begun(name, name, key.public_key(), now, AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.NameConstraints(
                [*map(x509.IPAddress, allowed), x509.DNSName("localhost"), x509.DNSName("local")], None
            ),
            critical=True,
        )
        .sign(key, hashes.SHA256())
    )
    _write_key(key_path, key)
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def _make_certificate(
    made: Papers, authority_key: Path, of: list[Address], names: list[str], now: datetime
) -> None:
    authority = x509.load_pem_x509_certificate(made.authority.read_bytes())
    signing = serialization.load_pem_private_key(authority_key.read_bytes(), None)
    if not isinstance(signing, ec.EllipticCurvePrivateKey):
        raise ValueError(f"{authority_key.name} is not ours")
    key = ec.generate_private_key(ec.SECP256R1())
    told = [*map(x509.IPAddress, of), *map(x509.DNSName, names)]
    certificate = (
        _begun(
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, str(of[0]))]),
            authority.subject,
            key.public_key(),
            now,
            CERTIFICATE_DAYS,
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(told), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key()), critical=False
        )
        .sign(signing, hashes.SHA256())
    )
    _write_key(made.key, key)
    made.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def _begun(
    subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey, now: datetime, days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))  # a phone's clock may be behind
        .not_valid_after(now + timedelta(days=days))
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    """Write a key that only its owner may read, whole or not at all."""
    part = path.with_suffix(".part")
    part.unlink(missing_ok=True)
    with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
    part.replace(path)


# -- a page from which a phone takes the authority -----------------------------------------------------------------------

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1"><title>Rounds</title>
<style>body{{font:16px/1.5 system-ui,sans-serif;margin:24px auto;max-width:36rem;padding:0 16px;color:#0f1a16}}
a.b{{display:block;background:#0a5a47;color:#fff;padding:20px;border-radius:12px;text-align:center;margin:16px 0;
text-decoration:none;font-weight:700}}h2{{margin-top:32px}}</style>
<h1>Rounds</h1>
<p>A page may work offline only over TLS, so this phone has to trust the authority that this Rounds made for itself, once.
It vouches for addresses of private networks alone. Take it away again when you are done.</p>
<a class="b" href="/rounds.crt">1. Get the certificate &middot; 下载证书</a>
<p><b>Android</b>: Settings, search "CA certificate", install the file.<br>
<b>iPhone</b>: Settings, Profile downloaded, Install; then General, About, Certificate Trust Settings, switch it on.</p>
<p><b>安卓</b>：设置中搜索“CA 证书”，安装下载的文件。<br>
<b>iPhone</b>：设置，已下载描述文件，安装；再到 通用，关于本机，证书信任设置，将其打开。</p>
<a class="b" href="{address}">2. Open Rounds &middot; 打开 Rounds</a></html>
"""


class _Page(BaseHTTPRequestHandler):
    def __init__(self, authority: bytes, address: str, *arguments: object) -> None:
        self.authority, self.address = authority, address
        super().__init__(*arguments)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        """The page, or the certificate."""
        if self.path == "/rounds.crt":
            self._answer(self.authority, "application/x-x509-ca-cert")
        elif self.path == "/":
            self._answer(_PAGE.format(address=html.escape(self.address)).encode(), "text/html; charset=utf-8")
        else:
            self.send_error(404)

    def _answer(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing: the log of the server is JSON, and this is no part of it."""


def offer(made: Papers, host: str, port: int, address: str) -> ThreadingHTTPServer:
    """Serve, in a thread, a page over plain HTTP with the authority's certificate and the way on to `address`."""
    server = ThreadingHTTPServer((host, port), partial(_Page, made.authority.read_bytes(), address))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="authority", daemon=True).start()
    return server
