"""PostgreSQL as RDS gives it: over TLS alone, with a certificate of an authority that only its clients know.

`python -m tests.stack.tls_postgres PORT SOCKET FOLDER` speaks TLS on a port and hands what it reads to a server that
listens on a Unix socket, as the server of the tests is built without OpenSSL. Who asks without TLS is refused in the
words that PostgreSQL has for it, as with `rds.force_ssl`. `make_certificates` writes `ca.pem` and `server.pem`.
"""

import asyncio
import ssl
import struct
import sys
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

HOST = "localhost"
# What a client sends first. Source: PostgreSQL, "Frontend/Backend Protocol", SSLRequest.
_SSL_REQUEST = struct.pack("!ii", 8, 80877103)
_REFUSED = b"SFATAL\0C28000\0Mno pg_hba.conf entry for this host, no encryption\0\0"


def make_certificates(folder: Path) -> Path:
    """A server's certificate for `HOST` and its key, in `server.pem`; returns the file of the authority."""
    keys = {name: ec.generate_private_key(ec.SECP256R1()) for name in ("authority", HOST)}
    names = {one: x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, one)]) for one in keys}
    signed_by = x509.SubjectKeyIdentifier.from_public_key(keys["authority"].public_key())
    for name, key in keys.items():
        own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        is_authority = name == "authority"
        usage = dict.fromkeys(
            ("content_commitment", "data_encipherment", "key_agreement", "encipher_only", "decipher_only"), False
        ) | {"key_encipherment": False, "digital_signature": not is_authority}
        built = (
            x509.CertificateBuilder()
            .subject_name(names[name])
            .issuer_name(names["authority"])
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(datetime.now(UTC) - timedelta(hours=1))
            .not_valid_after(datetime.now(UTC) + timedelta(days=1))
            .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
            .add_extension(x509.KeyUsage(key_cert_sign=is_authority, crl_sign=is_authority, **usage), critical=True)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(signed_by), critical=False)
            .add_extension(own, critical=False)
        )
        if not is_authority:
            built = built.add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        certificate = built.sign(keys["authority"], hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        file = folder / ("ca.pem" if is_authority else "server.pem")
        file.write_bytes(certificate if is_authority else certificate + private)
    return folder / "ca.pem"


class _Door:
    def __init__(self, socket: Path, certificate: Path) -> None:
        self.socket = socket
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(certificate)

    async def admit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client, until it or the server ends."""
        with suppress(OSError, ssl.SSLError, asyncio.IncompleteReadError):
            if await reader.readexactly(8) != _SSL_REQUEST:
                writer.write(b"E" + struct.pack("!i", len(_REFUSED) + 4) + _REFUSED)
                await writer.drain()
            else:
                writer.write(b"S")
                await writer.drain()
                await writer.start_tls(self.tls)
                server_reader, server = await asyncio.open_unix_connection(self.socket)
                await asyncio.gather(_pump(reader, server), _pump(server_reader, writer))
        writer.close()


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with suppress(OSError, ssl.SSLError):
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
    target.close()


async def _serve(port: int, socket: Path, folder: Path) -> None:
    server = await asyncio.start_server(_Door(socket, folder / "server.pem").admit, "127.0.0.1", port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])))
