#!/usr/bin/env python3
"""The real Vault (built from `vault/`), with what the tests need in it. usage: vault.py PROGRAM"""

import json
import subprocess
import sys
import urllib.error
import urllib.request

import serving

PROGRAM = sys.argv[1]
ROOT = "root"
POLICY = """
path "transit/encrypt/sops" { capabilities = ["update"] }
path "transit/decrypt/sops" { capabilities = ["update"] }
path "team/secrets/engine/encrypt/sops" { capabilities = ["update"] }
path "team/secrets/engine/decrypt/sops" { capabilities = ["update"] }
"""


def ask(url, path, content):
    """What Vault answers the root token."""
    headers = {"X-Vault-Token": ROOT, "Content-Type": "application/json"}
    request = urllib.request.Request(f"{url}/v1/{path}", json.dumps(content).encode(), headers, method="PUT")
    try:
        with urllib.request.urlopen(request, timeout=10) as reply:
            return json.loads(reply.read() or b"{}")
    except urllib.error.HTTPError as error:
        return json.loads(error.read() or b"{}")


def token(url, policies, **more):
    return ask(url, "auth/token/create", {"policies": policies, "no_default_policy": True, **more})["auth"]["client_token"]


def obey(url):
    """A command `{"policy": TEXT}` gives a token that may do just what the policy says."""

    def answer(command):
        refused = ask(url, "sys/policies/acl/asked", {"policy": command["policy"]}).get("errors")
        return {"errors": refused} if refused else {"token": token(url, ["asked"])}

    return answer


def about(url):
    for engine in ["transit", "team/secrets/engine"]:
        ask(url, f"sys/mounts/{engine}", {"type": "transit"})
        for key in ["sops", "other"]:
            ask(url, f"{engine}/keys/{key}", {})
    ask(url, "sys/policies/acl/sops", {"policy": POLICY})
    allowed = token(url, ["sops"])
    home = serving.FOLDER / "home"
    home.mkdir()
    (home / ".vault-token").write_text(allowed + "\n")
    return {
        "calls": {"wrap": "/encrypt/", "unwrap": "/decrypt/"},
        "recipients": {
            "key": f"{url}/v1/transit/keys/sops",
            "other": f"{url}/v1/transit/keys/other",
            "nested": f"{url}/v1/team/secrets/engine/keys/sops",
        },
        "always": {"VAULT_ADDR": url},
        "ways": {"token": {"VAULT_TOKEN": allowed}, "root token": {"VAULT_TOKEN": ROOT}, "token file": {"HOME": str(home)}},
        "denied": {"no permission": {"VAULT_TOKEN": token(url, ["default"])}, "unknown token": {"VAULT_TOKEN": "hvs.unknown"}},
    }


def serve():
    vault = subprocess.Popen([PROGRAM, "-until-stdin-ends", "-root-token", ROOT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    # The pipe to Vault closes with this process, however it ends.
    url = "http://" + vault.stdout.readline().split()[1]
    serving.ready(url, about(url), obey(url))


if __name__ == "__main__":
    serve()
