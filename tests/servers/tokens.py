"""Tokens: issued ones, and JSON Web Tokens (RFC 7515, RS256 and PS256) checked against a known key."""

import base64
import hashlib
import json
import secrets

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

ISSUED = set()


def issue():
    token = "issued-" + secrets.token_urlsafe(24)
    ISSUED.add(token)
    return token


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def signed_claims(token, public_key):
    """The claims of a token that this key signed, or nothing."""
    try:
        header, claims, signature = token.split(".")
        algorithm = json.loads(decode(header)).get("alg")
        pss = padding.PSS(padding.MGF1(hashes.SHA256()), hashlib.sha256().digest_size)
        scheme = {"RS256": padding.PKCS1v15(), "PS256": pss}[algorithm]
        public_key.verify(decode(signature), f"{header}.{claims}".encode(), scheme, hashes.SHA256())
        return json.loads(decode(claims))
    except (ValueError, KeyError, InvalidSignature):
        return None
