#!/usr/bin/env python3
"""Huawei Cloud KMS v1.0: encrypt-data and decrypt-data, with the signature of each request (SDK-HMAC-SHA256) checked."""

import base64
import hashlib
import hmac
import os
import re
import urllib.parse

import serving
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

ACCESS, SECRET, PROJECT = "access-key", "secret-key", "0123456789abcdef0123456789abcdef"
KEY = "tr-west-1:11111111-2222-3333-4444-555555555555"
ALGORITHM = "SDK-HMAC-SHA256"


def key_of(key_id):
    return AESGCM(hashlib.sha256(b"a key of the tests: " + key_id.encode()).digest())


class Handler(serving.Handler):
    def do_any(self):
        path = urllib.parse.urlsplit(self.path).path
        body = self.json()
        if not self.signed(path):
            return self.refuse(401, "APIGW.0301", "Incorrect IAM authentication information: verify aksk signature fail")
        if path == f"/v1.0/{PROJECT}/kms/encrypt-data":
            iv = os.urandom(12)
            sealed = base64.b64encode(iv + key_of(body["key_id"]).encrypt(iv, body["plain_text"].encode(), None))
            return self.answer(200, {"key_id": body["key_id"], "cipher_text": sealed.decode()})
        if path != f"/v1.0/{PROJECT}/kms/decrypt-data":
            return self.refuse(404, "APIGW.0101", "The API does not exist or has not been published in the environment.")
        return self.decrypt(body)

    def decrypt(self, body):
        sealed = base64.b64decode(body["cipher_text"])
        try:
            plain = key_of(body.get("key_id", "")).decrypt(sealed[:12], sealed[12:], None)
        except (InvalidTag, ValueError):
            return self.refuse(400, "KMS.0202", "The request parameter is invalid: cipher_text.")
        return self.answer(200, {"key_id": body["key_id"], "plain_text": plain.decode()})

    def refuse(self, status, code, message):
        self.answer(status, {"error": {"error_code": code, "error_msg": message}})

    def signed(self, path):
        """Whether the request carries the signature that it should, over the headers that it names."""
        parts = re.fullmatch(ALGORITHM + r" Access=(.+?), ?SignedHeaders=(.+?), ?Signature=([0-9a-f]{64})", self.headers.get("Authorization", ""))
        if not parts or parts[1] != ACCESS:
            return False
        names = parts[2].split(";")
        headers = "".join(f"{name}:{self.headers.get(name, '').strip()}\n" for name in names)
        query = "&".join(sorted(urllib.parse.urlsplit(self.path).query.split("&")))
        canonical = "\n".join([self.command, path.rstrip("/") + "/", query, headers, parts[2], hashlib.sha256(self.body).hexdigest()])
        text = "\n".join([ALGORITHM, self.headers.get("X-Sdk-Date", ""), hashlib.sha256(canonical.encode()).hexdigest()])
        return hmac.compare_digest(hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).hexdigest(), parts[3])


def about(url):
    return {
        "calls": {"wrap": "/encrypt-data", "unwrap": "/decrypt-data"},
        "recipients": {"key": KEY},
        "always": {"HUAWEICLOUD_SDK_REGION_KMS_TR_WEST_1": url},
        "ways": {"environment": {"HUAWEICLOUD_SDK_AK": ACCESS, "HUAWEICLOUD_SDK_SK": SECRET, "HUAWEICLOUD_SDK_PROJECT_ID": PROJECT}},
    }


if __name__ == "__main__":
    serving.serve(Handler, about)
