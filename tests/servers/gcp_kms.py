#!/usr/bin/env python3
"""Cloud KMS v1 over REST (encrypt and decrypt, checksums verified and returned), with the token sources beside it: OAuth,
workload identity federation, impersonation, the metadata server."""

import base64
import hashlib
import json
import os
import re
import urllib.parse

import certificates
import serving
import tokens
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY = "projects/p/locations/global/keyRings/r/cryptoKeys/"
METHOD = re.compile(r"/v1/(projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/:?]+)(?:/cryptoKeyVersions/\d+)?:(encrypt|decrypt)")
STATIC_TOKEN, SUBJECT, REFRESH = "static-token", "the-subject-token", "the-refresh-token"
ACCOUNT = certificates.new_key()
EMAIL = "sops@p.iam.gserviceaccount.com"
# What a ciphertext begins with here.
MARK = b"\x0a$\0"


def crc32c(data):
    """Castagnoli's CRC (RFC 3720), bit by bit: the data are short."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


class Refusal(Exception):
    def __init__(self, code, status, message):
        super().__init__(message)
        self.content = {"error": {"code": code, "message": message, "status": status}}
        self.code = code


def field(body, name):
    """A field of bytes, and whether its checksum was there; a wrong one is refused in the service's words."""
    data = base64.b64decode(body.get(name, ""))
    sent = body.get(name + "Crc32c")
    if sent is not None and int(sent) != crc32c(data):
        snake = re.sub("([A-Z])", lambda found: "_" + found[1].lower(), name)
        message = f"The checksum in field {snake}_crc32c did not match the data in field {snake}."
        raise Refusal(400, "INVALID_ARGUMENT", message)
    return data, sent is not None


def key_of(name):
    return AESGCM(hashlib.sha256(b"a key of the tests: " + name.encode()).digest())


def encrypt(name, body):
    (plaintext, checked), (additional, _) = field(body, "plaintext"), field(body, "additionalAuthenticatedData")
    iv = os.urandom(12)
    ciphertext = MARK + iv + key_of(name).encrypt(iv, plaintext, additional)
    return {
        "name": name + "/cryptoKeyVersions/1",
        "ciphertext": base64.b64encode(ciphertext).decode(),
        "ciphertextCrc32c": str(crc32c(ciphertext)),
        "verifiedPlaintextCrc32c": checked,
        "protectionLevel": "SOFTWARE",
    }


def decrypt(name, body):
    (ciphertext, _), (additional, _) = field(body, "ciphertext"), field(body, "additionalAuthenticatedData")
    try:
        plaintext = key_of(name).decrypt(ciphertext[3:15], ciphertext[15:], additional)
    except (InvalidTag, ValueError):
        raise Refusal(400, "INVALID_ARGUMENT", "Decryption failed: verify that 'name' refers to the correct CryptoKey.") from None
    return {
        "plaintext": base64.b64encode(plaintext).decode(),
        "plaintextCrc32c": str(crc32c(plaintext)),
        "usedPrimary": True,
        "protectionLevel": "SOFTWARE",
    }


def granted(token):
    """Whether a token opens the KMS: an issued one, or one that the service account signed itself."""
    return token in tokens.ISSUED | {STATIC_TOKEN} or (tokens.signed_claims(token, ACCOUNT.public_key()) or {}).get("iss") == EMAIL


class Handler(serving.Handler):
    def do_any(self):
        path = urllib.parse.urlsplit(self.path).path
        try:
            status, content, headers = self.metadata(path) or self.token(path) or self.kms(path)
        except Refusal as refusal:
            status, content, headers = refusal.code, refusal.content, ()
        self.answer(status, content, headers)

    def metadata(self, path):
        flavor = [("Metadata-Flavor", "Google")]
        if path == "/":
            return 200, {}, flavor
        if not path.startswith("/computeMetadata/v1/"):
            return None
        if self.headers.get("Metadata-Flavor") != "Google":
            raise Refusal(403, "PERMISSION_DENIED", "Missing Metadata-Flavor:Google header.")
        if path.endswith("/service-accounts/default/token"):
            return 200, {"access_token": tokens.issue(), "expires_in": 3599, "token_type": "Bearer"}, flavor
        raise Refusal(404, "NOT_FOUND", path)

    def token(self, path):
        if path == "/subject-token":
            if self.bearer() != "runner":
                raise Refusal(401, "UNAUTHENTICATED", "not the runner's token")
            return 200, {"count": 1, "value": SUBJECT}, ()
        if path.endswith(":generateAccessToken"):
            if self.bearer() not in tokens.ISSUED:
                raise Refusal(401, "UNAUTHENTICATED", "no token to impersonate with")
            return 200, {"accessToken": tokens.issue(), "expireTime": "2099-01-01T00:00:00Z"}, ()
        if path != "/token":
            return None
        form = {name: values[0] for name, values in urllib.parse.parse_qs(self.body.decode()).items()} | self.json()
        if not self.known(form):
            return 400, {"error": "invalid_grant", "error_description": "Bad Request"}, ()
        kind = "urn:ietf:params:oauth:token-type:access_token"
        return 200, {"access_token": tokens.issue(), "expires_in": 3599, "token_type": "Bearer", "issued_token_type": kind}, ()

    @staticmethod
    def known(form):
        claims = tokens.signed_claims(form.get("assertion", ""), ACCOUNT.public_key()) or {}
        return claims.get("iss") == EMAIL or form.get("subject_token") == SUBJECT or form.get("refresh_token") == REFRESH

    def kms(self, path):
        method = METHOD.fullmatch(path)
        if self.command != "POST" or not method:
            raise Refusal(404, "NOT_FOUND", f"no such method: {path}")
        if not granted(self.bearer()):
            raise Refusal(401, "UNAUTHENTICATED", "Request had invalid authentication credentials. Expected OAuth 2 access token.")
        name, verb = method.groups()
        if name.endswith("/denied"):
            permission = f"cloudkms.cryptoKeyVersions.useTo{verb.title()}"
            raise Refusal(403, "PERMISSION_DENIED", f"Permission '{permission}' denied on resource '{name}' (or it may not exist).")
        return 200, (encrypt if verb == "encrypt" else decrypt)(name, self.json()), ()



def federated(url, source, impersonating=False):
    audience = "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/github"
    content = {
        "type": "external_account",
        "audience": audience,
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": url + "/token",
        "credential_source": source,
    }
    if impersonating:
        content["service_account_impersonation_url"] = f"{url}/v1/projects/-/serviceAccounts/{EMAIL}:generateAccessToken"
    return content


def about(url):
    account = {
        "type": "service_account",
        "project_id": "p",
        "private_key_id": "k1",
        "private_key": certificates.private_pem(ACCOUNT).decode(),
        "client_email": EMAIL,
        "client_id": "1",
        "token_uri": url + "/token",
        "universe_domain": "googleapis.com",
    }
    user = {"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": REFRESH, "token_uri": url + "/token"}
    subject = {"file": serving.write("subject", SUBJECT)}
    runner = {"url": url + "/subject-token", "headers": {"Authorization": "Bearer runner"}}
    runner["format"] = {"type": "json", "subject_token_field_name": "value"}
    account_file, default = serving.write("account.json", account), "GOOGLE_APPLICATION_CREDENTIALS"
    return {
        "calls": {"wrap": ":encrypt", "unwrap": ":decrypt"},
        "recipients": {"key": KEY + "key", "other": KEY + "other", "denied": KEY + "denied"},
        "always": {"SOPS_GCP_KMS_CLIENT_TYPE": "rest", "SOPS_GCP_KMS_ENDPOINT": url},
        "ways": {
            "token": {"GOOGLE_OAUTH_ACCESS_TOKEN": STATIC_TOKEN},
            "credentials file": {"GOOGLE_CREDENTIALS": account_file},
            "credentials text": {"GOOGLE_CREDENTIALS": json.dumps(account)},
            "service account": {default: account_file},
            "federation by file": {default: serving.write("federated.json", federated(url, subject))},
            "federation by url": {default: serving.write("runner.json", federated(url, runner))},
            "impersonation": {default: serving.write("impersonating.json", federated(url, subject, impersonating=True))},
            "metadata server": {"GCE_METADATA_HOST": url.removeprefix("http://")},
        },
        # Genuine sops asks Google itself for such a token, whatever the file says.
        "own ways": {"authorized user": {default: serving.write("user.json", user)}},
    }


if __name__ == "__main__":
    serving.serve(Handler, about)
