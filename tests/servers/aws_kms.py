#!/usr/bin/env python3
"""AWS KMS, STS and IAM by moto, with signatures and permissions checked, and beside them what machines in AWS have: the
credentials endpoint of a container, and the instance's metadata."""

import html
import json
import logging
import os
import re
import shlex
import threading
import uuid

import moto.kms.models
import serving
from moto import settings
from moto.core.authorization import ActionAuthenticatorMixin
from moto.iam.models import iam_backends
from moto.kms.models import kms_backends
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from moto.sts.models import sts_backends
from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

ACCOUNT, REGION, OTHER_REGION = "123456789012", "us-east-1", "eu-west-1"
IAM, STS = iam_backends[ACCOUNT]["aws"], sts_backends[ACCOUNT]["aws"]
MAY = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["kms:*", "sts:*"], "Resource": "*"}]})
TRUST = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]}
ROLE = f"arn:aws:iam::{ACCOUNT}:role/sops"
REFUSALS = {
    "AccessDenied": "AccessDeniedException",
    "SignatureDoesNotMatch": "InvalidSignatureException",
    "InvalidClientTokenId": "UnrecognizedClientException",
}
CONTAINER, METADATA = "/container-credentials", "/latest/meta-data/iam/security-credentials/"
TOKEN = "/latest/api/token"


def check_signatures():
    """From now on; only a web identity signs in without any."""
    settings.INITIAL_NO_AUTH_ACTION_COUNT = 0
    checked = ActionAuthenticatorMixin._authenticate_and_authorize_action

    def check(self, *arguments, **named):
        if self._get_action() != "AssumeRoleWithWebIdentity":
            checked(self, *arguments, **named)

    ActionAuthenticatorMixin._authenticate_and_authorize_action = check


def user(name, policy=None):
    """The id and secret of an access key of a new user."""
    IAM.create_user(REGION, name)
    if policy:
        IAM.put_user_policy(name, "policy", policy)
    key = IAM.create_access_key(name)
    return key.access_key_id, key.secret_access_key


def keys():
    # Moto's own ids of multi-region keys are longer than the service's, and than what moto itself can decrypt with.
    moto.kms.models.generate_key_id = lambda multi_region=False: f"mrk-{uuid.uuid4().hex}" if multi_region else str(uuid.uuid4())

    def new(region=REGION, multi_region=False):
        return kms_backends[ACCOUNT][region].create_key(None, "ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT", "", [], multi_region)

    home, key, spread = kms_backends[ACCOUNT][REGION], new(), new(multi_region=True)
    home.create_alias(key.id, "alias/sops")
    return {
        "key": key.arn,
        "other": new().arn,
        "far": new(OTHER_REGION).arn,
        "alias": f"arn:aws:kms:{REGION}:{ACCOUNT}:alias/sops",
        "multi-region": spread.arn,
        "replica": home.replicate_key(spread.id, OTHER_REGION).arn,
        "missing": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/00000000-0000-0000-0000-000000000000",
    }


def role_credentials():
    role = STS.assume_role(REGION, "machine", ROLE, "", 3600, "")
    return {
        "AccessKeyId": role.access_key_id,
        "SecretAccessKey": role.secret_access_key,
        "Token": role.session_token,
        "Expiration": "2099-01-01T00:00:00Z",
    }


def as_json(response):
    """Moto refuses signatures and permissions in XML, the service in JSON and by other names."""
    found = re.search(r"<Code>(.*?)</Code>\s*<Message>(.*?)</Message>", response.get_data(as_text=True), re.DOTALL)
    if found:
        response.set_data(json.dumps({"__type": REFUSALS.get(found[1], found[1]), "message": html.unescape(found[2])}))
        response.status_code, response.content_type = 400, "application/x-amz-json-1.1"


def as_xml(response):
    """Refusals of STS have no list around them."""
    text = response.get_data(as_text=True)
    if "<Errors><Error>" in text:
        response.set_data(text.replace("<Errors><Error>", "<Error>").replace("</Error></Errors>", "</Error>"))


class Machine:
    """What a machine in AWS is asked for, before moto."""

    def __init__(self, behind, credentials):
        self.behind, self.credentials = behind, credentials

    def __call__(self, environ, start):
        request = Request(environ)
        answer = self.answer(request.path)
        # A token of metadata says how long it lives, or clients don't take it.
        lives = {"X-aws-ec2-metadata-token-ttl-seconds": "21600"} if request.path == TOKEN else {}
        response = Response(answer, headers=lives) if answer is not None else Response.from_app(self.behind, environ)
        if response.status_code >= 400:
            (as_json if "X-Amz-Target" in request.headers else as_xml)(response)
        return response(environ, start)

    def answer(self, path):
        if path in (CONTAINER, METADATA + "machine"):
            return json.dumps({"Code": "Success", "Type": "AWS-HMAC"} | self.credentials)
        return {TOKEN: "metadata-token", METADATA: "machine"}.get(path)


class Quiet(MotoRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, *_):
        pass



def profiles(url, secret):
    """The files in which a user keeps profiles; each leads to the services by itself."""
    process = {"Version": 1, "AccessKeyId": secret[0], "SecretAccessKey": secret[1]}
    command = f"cat {shlex.quote(serving.write('process.json', process))}"
    config = f"""[services local]
kms =
  endpoint_url = {url}
sts =
  endpoint_url = {url}
[profile sops]
services = local
region = {REGION}
[profile chained]
services = local
region = {REGION}
role_arn = {ROLE}
source_profile = sops
[profile process]
endpoint_url = {url}
region = {REGION}
credential_process = {command}
"""
    credentials = f"[sops]\naws_access_key_id = {secret[0]}\naws_secret_access_key = {secret[1]}\n"
    return {"AWS_CONFIG_FILE": serving.write("config", config), "AWS_SHARED_CREDENTIALS_FILE": serving.write("credentials", credentials)}


def obey(command):
    """A command `{"policy": JSON}` gives the variables of a user who may do just what the policy says."""
    key = user(uuid.uuid4().hex, command["policy"])
    return {"AWS_ACCESS_KEY_ID": key[0], "AWS_SECRET_ACCESS_KEY": key[1]}


def about(url):
    secret, nobody = user("sops", MAY), user("nobody")
    IAM.create_role("sops", json.dumps(TRUST), "/", None, "", [], None)
    IAM.put_role_policy("sops", "policy", MAY)
    files = profiles(url, secret)
    token = serving.write("web-identity", "a.web.identity")
    named = lambda key: {"AWS_ACCESS_KEY_ID": key[0], "AWS_SECRET_ACCESS_KEY": key[1]}
    return {
        "calls": {"wrap": "TrentService.Encrypt", "unwrap": "TrentService.Decrypt"},
        "recipients": keys() | {"role": ROLE},
        # Go's SDK needs the second to assume the role of a profile.
        "always": {"AWS_ENDPOINT_URL": url, "AWS_ENDPOINT_URL_STS": url, "AWS_EC2_METADATA_DISABLED": "true"},
        "ways": {
            "environment": named(secret),
            "profile": files | {"AWS_PROFILE": "sops"},
            "profile with a role": files | {"AWS_PROFILE": "chained"},
            "profile with a process": files | {"AWS_PROFILE": "process"},
            "web identity": {"AWS_ROLE_ARN": ROLE, "AWS_WEB_IDENTITY_TOKEN_FILE": token, "AWS_REGION": REGION},
            "container": {"AWS_CONTAINER_CREDENTIALS_FULL_URI": url + CONTAINER},
            "instance": {"AWS_EC2_METADATA_SERVICE_ENDPOINT": url, "AWS_EC2_METADATA_DISABLED": "false"},
        },
        "denied": {
            "no permission": named(nobody),
            "wrong secret": named((secret[0], "x" * 40)),
            "unknown key": named(("AKIAXXXXXXXXXXXXXXXX", "x" * 40)),
        },
    }


def serve():
    logging.disable(logging.CRITICAL)
    os.environ.setdefault("AWS_ACCESS_KEY_ID", "unused")
    app = Machine(DomainDispatcherApplication(create_backend_app), {})
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
    server.daemon_threads = True
    url = f"http://127.0.0.1:{server.server_port}"
    described = about(url)
    app.credentials = role_credentials()
    check_signatures()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    serving.ready(url, described, obey)


if __name__ == "__main__":
    serve()
