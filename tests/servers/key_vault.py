#!/usr/bin/env python3
"""Azure Key Vault (keys: get, encrypt, decrypt with RSA-OAEP-256) and what gives tokens for it: Entra ID, a managed identity,
the command `az`. Clients reach it under its real names: it is their HTTPS proxy, and its authority is made on the fly."""

import json
import re
import threading
import urllib.parse
import uuid

import certificates
import serving
import tokens
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

TENANT, CLIENT, SECRET = "00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000002", "the-client-secret"
LOGIN, VAULT = "login.microsoftonline.com", "tests.vault.azure.net"
AUTHORITY = f"https://{LOGIN}/{TENANT}"
FEDERATED, MACHINE = "a.federated.token", "the-machine"
CA, CERTIFICATE = certificates.write_server(serving.FOLDER, ["*.vault.azure.net", LOGIN])
PRINCIPAL = certificates.write_client(serving.FOLDER / "client.pem")
PATH = re.compile(r"/keys/([^/]+)(?:/([0-9a-f]*))?(?:/(encrypt|decrypt))?/?")
OAEP = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
KEYS, MAKING = {}, threading.Lock()


def key_of(name):
    """The version and the private key of a key, which is made when it is first named."""
    with MAKING:
        if name not in KEYS:
            KEYS[name] = (uuid.uuid4().hex, certificates.new_key())
        return KEYS[name]


class Handler(serving.Handler):
    def do_any(self):
        url = urllib.parse.urlsplit(self.path)
        host = (self.headers.get("Host") or "").split(":")[0]
        if url.path.startswith("/msi/token"):
            return self.managed_identity(urllib.parse.parse_qs(url.query))
        return self.login(url.path) if host == LOGIN else self.vault(host, url.path)

    def managed_identity(self, query):
        if self.headers.get("X-IDENTITY-HEADER") != MACHINE or query.get("resource") != ["https://vault.azure.net"]:
            return self.answer(400, {"error": {"code": "invalid_request", "message": "no such identity"}})
        return self.answer(200, {"access_token": tokens.issue(), "expires_on": "4102444800", "resource": "https://vault.azure.net", "token_type": "Bearer"})

    def login(self, path):
        if path.endswith("/token"):
            return self.token({name: values[0] for name, values in urllib.parse.parse_qs(self.body.decode()).items()})
        if "discovery" in path:
            aliases = {"preferred_network": LOGIN, "preferred_cache": "login.windows.net", "aliases": [LOGIN]}
            endpoint = AUTHORITY + "/v2.0/.well-known/openid-configuration"
            return self.answer(200, {"tenant_discovery_endpoint": endpoint, "api-version": "1.1", "metadata": [aliases]})
        endpoints = {"token_endpoint": "/oauth2/v2.0/token", "authorization_endpoint": "/oauth2/v2.0/authorize", "issuer": "/v2.0"}
        return self.answer(200, {name: AUTHORITY + end for name, end in endpoints.items()})

    def token(self, form):
        assertion = form.get("client_assertion", "")
        claims = tokens.signed_claims(assertion, PRINCIPAL.public_key()) or {}
        known = SECRET == form.get("client_secret") or assertion == FEDERATED or claims.get("iss") == CLIENT
        if not (known and form.get("client_id") == CLIENT and "https://vault.azure.net/.default" in form.get("scope", "").split()):
            text = "AADSTS7000215: Invalid client secret provided."
            return self.answer(401, {"error": "invalid_client", "error_description": text, "error_codes": [7000215]})
        return self.answer(200, {"access_token": tokens.issue(), "expires_in": 3599, "ext_expires_in": 3599, "token_type": "Bearer"})

    def vault(self, host, path):
        if self.bearer() not in tokens.ISSUED:
            challenge = f'Bearer authorization="{AUTHORITY}", resource="https://vault.azure.net"'
            message = "AKV10000: Request is missing a Bearer or PoP token."
            return self.refuse(401, "Unauthorized", message, [("WWW-Authenticate", challenge)])
        asked = PATH.fullmatch(path)
        if not asked or not self.tunnel:
            return self.refuse(404, "NotFound", path)
        name, version, verb = asked.groups()
        if name.startswith("denied"):
            message = f"The user, group or application does not have keys {verb or 'get'} permission on key vault."
            return self.refuse(403, "Forbidden", message)
        current, key = key_of((host, name))
        if version and version != current:
            return self.refuse(404, "KeyNotFound", f"A key with (name/id) {name}/{version} was not found in this key vault.")
        return self.use(f"https://{host}/keys/{name}/{current}", key, verb)

    def use(self, kid, key, verb):
        if not verb:
            modulus = key.public_key().public_numbers().n.to_bytes(256, "big")
            public = {"kid": kid, "kty": "RSA", "key_ops": ["encrypt", "decrypt"], "n": tokens.encode(modulus), "e": "AQAB"}
            return self.answer(200, {"key": public, "attributes": {"enabled": True}})
        body = self.json()
        if body.get("alg") != "RSA-OAEP-256":
            return self.refuse(400, "BadParameter", "Property  has invalid value")
        value = tokens.decode(body["value"])
        try:
            done = key.public_key().encrypt(value, OAEP) if verb == "encrypt" else key.decrypt(value, OAEP)
        except ValueError:
            return self.refuse(400, "BadParameter", "The parameter is incorrect.")
        return self.answer(200, {"kid": kid, "value": tokens.encode(done)})

    def refuse(self, status, code, message, headers=()):
        self.answer(status, {"error": {"code": code, "message": message}}, headers)


def cli():
    """A folder with a command `az` that has a token."""
    token = {"accessToken": tokens.issue(), "expiresOn": "2099-01-01 00:00:00.000000", "expires_on": 4070908800}
    folder = serving.FOLDER / "bin"
    folder.mkdir()
    (folder / "az").write_text(f"#!/bin/sh\ncat <<'END'\n{json.dumps(token | {'tenant': TENANT, 'tokenType': 'Bearer'})}\nEND\n")
    (folder / "az").chmod(0o755)
    return str(folder)



def about(url):
    principal = {"AZURE_TENANT_ID": TENANT, "AZURE_CLIENT_ID": CLIENT}
    return {
        "calls": {"wrap": "/encrypt", "unwrap": "/decrypt"},
        "recipients": {"key": f"https://{VAULT}/keys/sops", "versioned": f"https://{VAULT}/keys/sops/{key_of((VAULT, 'sops'))[0]}"}
        | {"other": f"https://{VAULT}/keys/other", "denied": f"https://{VAULT}/keys/denied"},
        "always": {"HTTPS_PROXY": url, "SSL_CERT_FILE": CA},
        "ways": {
            "secret": principal | {"AZURE_CLIENT_SECRET": SECRET},
            "certificate": principal | {"AZURE_CLIENT_CERTIFICATE_PATH": str(serving.FOLDER / "client.pem")},
            "workload identity": principal | {"AZURE_FEDERATED_TOKEN_FILE": serving.write("federated", FEDERATED)},
            "managed identity": {"IDENTITY_ENDPOINT": url + "/msi/token", "IDENTITY_HEADER": MACHINE},
            # `PATH+`: a folder that goes before those of PATH.
            "command line": {"AZURE_TOKEN_CREDENTIALS": "AzureCLICredential", "PATH+": cli()},
        },
        "denied": {"wrong secret": principal | {"AZURE_CLIENT_SECRET": "wrong"}},
        "certificate": CERTIFICATE,
    }


if __name__ == "__main__":
    serving.serve(Handler, about, CERTIFICATE)
