"""Certificates made on the fly: an authority, a server's certificate signed by it, a client's own."""

import datetime
import ipaddress
import pathlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

PEM = serialization.Encoding.PEM


def new_key():
    return rsa.generate_private_key(65537, 2048)


def private_pem(key):
    return key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def builder(subject, issuer, public_key):
    now, days = datetime.datetime.now(datetime.timezone.utc), datetime.timedelta(days=2)
    name = lambda text: x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
    made = x509.CertificateBuilder().subject_name(name(subject)).issuer_name(name(issuer)).public_key(public_key)
    return made.serial_number(x509.random_serial_number()).not_valid_before(now - days).not_valid_after(now + days)


def write_server(folder, names):
    """`ca.pem` for clients and `server.pem` for the server, which stands for 127.0.0.1 and these names."""
    folder = pathlib.Path(folder)
    authority, key = new_key(), new_key()
    root = builder("authority of the tests", "authority of the tests", authority.public_key())
    root = root.add_extension(x509.BasicConstraints(True, None), True).sign(authority, hashes.SHA256())
    known = [x509.DNSName(name) for name in names] + [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    leaf = builder("server of the tests", "authority of the tests", key.public_key())
    leaf = leaf.add_extension(x509.BasicConstraints(False, None), True).add_extension(x509.SubjectAlternativeName(known), False)
    leaf = leaf.sign(authority, hashes.SHA256())
    (folder / "ca.pem").write_bytes(root.public_bytes(PEM))
    (folder / "server.pem").write_bytes(leaf.public_bytes(PEM) + private_pem(key))
    return str(folder / "ca.pem"), str(folder / "server.pem")


def write_client(file):
    """A key with a certificate of its own, as a service principal has it; gives the certificate."""
    key = new_key()
    own = builder("client of the tests", "client of the tests", key.public_key()).sign(key, hashes.SHA256())
    pathlib.Path(file).write_bytes(private_pem(key) + own.public_bytes(PEM))
    return own
