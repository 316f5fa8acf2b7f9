#!/usr/bin/env python3
# SPDX-License-Identifier: MPL-2.0
"""A small AWS for tests: KMS, STS, the SSO portal and its OIDC service, container and instance metadata, S3's PutObject.

Every signed request is verified (signature version 4, from AWS's documentation; keys-aws.md 8.1), so a client with a wrong secret, a
header that it did not sign or a wrong clock is refused as AWS refuses it. aws_server_check.py shows that botocore and SOPS 3.13.3 pass here
and fail with a wrong secret.

    with AwsServer() as aws:
        key = aws.add_key("111111111111", "eu-west-1")
        user = aws.add_user("111111111111")
        aws.fault("throttled", operation="Decrypt", times=2)
        … AWS_ENDPOINT_URL=aws.url …
        aws.requests   # what was asked, without secrets

    aws_server.py [--tls FOLDER]   # prints one line of JSON with its addresses; POST /_control {"call": "add_key", "arguments": {…}}

One server is all accounts, all regions and all services: which one is meant stands in the signature's scope. Standard library only.
"""

import argparse
import base64
import dataclasses
import datetime
import email.utils
import fnmatch
import hashlib
import hmac
import http.server
import json
import os
import pathlib
import re
import secrets
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
import urllib.parse
import uuid
from xml.sax.saxutils import escape

CLOCK_TOLERANCE_SECONDS = 300
ROLE_SECONDS = 3600
HUGE_BYTES = 64 << 20


# --- signatures ----------------------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Authorization:
    """The parts of an Authorization header of signature version 4."""

    access_key: str
    date: str
    region: str
    service: str
    signed: list
    signature: str

    @classmethod
    def parse(cls, text):
        """None if it is not one."""
        match = re.fullmatch(r"AWS4-HMAC-SHA256 +Credential=([^/ ,]+)/(\d{8})/([^/ ,]+)/([^/ ,]+)/aws4_request, *"
                             r"SignedHeaders=([^ ,]+), *Signature=([0-9a-f]{64})", text or "")
        return match and cls(*match.group(1, 2, 3, 4), match[5].split(";"), match[6])


def uri_encode(text, keep="-._~"):
    return urllib.parse.quote(text, safe=keep)


def canonical_request(method, target, headers, signed, payload_hash, service):
    """`target` is path and query as they travelled, `headers` a list of names and values in the order in which they came."""
    path, _, query = target.partition("?")
    canonical_path = path if service == "s3" else uri_encode(path, "/-._~")  # once more than it travelled; not so for S3
    pairs = []
    for part in filter(None, query.split("&")):
        name, _, value = part.partition("=")
        pairs.append((uri_encode(urllib.parse.unquote(name)), uri_encode(urllib.parse.unquote(value))))
    lines = []
    for name in signed:
        values = [re.sub(r"\s+", " ", value.strip()) for key, value in headers if key.lower() == name]
        lines.append(f"{name}:{','.join(values)}\n")
    return "\n".join([method, canonical_path or "/", "&".join(f"{name}={value}" for name, value in sorted(pairs)), "".join(lines),
                      ";".join(signed), payload_hash])


def string_to_sign(canonical, when, date, region, service):
    return "\n".join(["AWS4-HMAC-SHA256", when, f"{date}/{region}/{service}/aws4_request", hashlib.sha256(canonical.encode()).hexdigest()])


def signature_of(secret, text, date, region, service):
    key = ("AWS4" + secret).encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, text.encode(), "sha256").hex()


# --- what there is in this world -------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Credentials:
    """What a client signs with. `expires` is seconds since the epoch, 0 for never."""

    access_key: str
    secret: str
    token: str
    arn: str
    expires: float = 0

    @property
    def account(self):
        return self.arn.split(":")[4]

    def environment(self):
        variables = {"AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret}
        return variables | ({"AWS_SESSION_TOKEN": self.token} if self.token else {})

    def profile(self):
        """The lines of a profile in ~/.aws/credentials."""
        return "".join(f"{name.lower()} = {value}\n" for name, value in self.environment().items())


@dataclasses.dataclass
class Key:
    """A KMS key. `allowed` has patterns of principals for an operation, or for "*"; without one everybody of its account may."""

    arn: str
    material: bytes
    state: str = "Enabled"  # Disabled, PendingDeletion
    usage: str = "ENCRYPT_DECRYPT"
    allowed: dict = dataclasses.field(default_factory=dict)
    context: dict = dataclasses.field(default_factory=dict)  # without these pairs permission is denied

    @property
    def account(self):
        return self.arn.split(":")[4]

    def allows(self, operation, principal, context):
        patterns = self.allowed.get(operation, self.allowed.get("*", [f"arn:*::{self.account}:*"]))
        return any(fnmatch.fnmatchcase(principal, pattern) for pattern in patterns) and self.context.items() <= context.items()


@dataclasses.dataclass
class Role:
    """A role. `trusted` has patterns of principals; `mfa` a serial number and the codes that are good for one time each."""

    arn: str
    trusted: list
    external_id: str = ""
    mfa_serial: str = ""
    mfa_codes: list = dataclasses.field(default_factory=list)
    session_pattern: str = "*"
    web_tokens: list = dataclasses.field(default_factory=list)
    max_seconds: int = ROLE_SECONDS


@dataclasses.dataclass
class Fault:
    """What happens instead of (or before) a right answer, `times` times; None is for ever. Empty conditions hold for everything."""

    kind: str
    service: str = ""
    operation: str = ""
    key: str = ""  # of the KMS request
    times: int = None
    seconds: float = 0  # slow
    code: str = ""      # error
    message: str = ""
    status: int = 400
    location: str = ""  # redirect
    skipped: int = 0    # so many requests pass first


@dataclasses.dataclass
class Request:
    """One request as it was recorded: nothing secret in it."""

    number: int
    connection: int
    at: float
    method: str
    host: str
    path: str
    service: str
    operation: str
    region: str
    access_key: str
    headers: dict
    parameters: dict
    tls: bool
    status: int = 0
    code: str = ""


class Refusal(Exception):
    """An error answer of a service."""

    def __init__(self, status, code, message, **more):
        super().__init__(code)
        self.status, self.code, self.message, self.more = status, code, message, more


SECRET_HEADERS = {"authorization", "x-amz-security-token", "x-amz-sso_bearer_token", "x-aws-ec2-metadata-token"}
SECRET_PARAMETERS = {"Plaintext", "TokenCode", "WebIdentityToken", "clientSecret", "refreshToken", "clientId"}


def seal(key, nonce, context, data):
    """Stream cipher and tag of HMAC-SHA-256: a cipher of this server's own, nothing else reads it."""
    stream = b"".join(hmac.digest(key, b"stream" + nonce + struct.pack(">I", block), "sha256") for block in range(len(data) // 32 + 1))
    text = bytes(left ^ right for left, right in zip(data, stream))
    return text, tag_of(key, nonce, context, text)


def tag_of(key, nonce, context, text):
    exact = json.dumps(sorted(context.items())).encode()
    return hmac.digest(key, b"tag" + nonce + struct.pack(">I", len(exact)) + exact + text, "sha256")


class AwsServer:
    """The world and its address. Methods may be called while it serves. `tls` is a folder for certificates: https as well then."""

    def __init__(self, tls=None, port=0):
        self.lock = threading.RLock()
        self.principals, self.keys, self.aliases, self.roles = {}, {}, {}, {}
        self.sso_tokens, self.refresh_tokens, self.containers, self.objects = {}, {}, {}, {}
        self.imds = None
        self.faults, self.requests, self.secrets = [], [], []
        self.clock_offset = 0  # seconds by which this server's clock is ahead
        self.connections = self.open_connections = self.most_open_connections = 0
        self.stopping = threading.Event()
        self.listeners = [Listener(self, port, None)]
        self.url = f"http://127.0.0.1:{self.listeners[0].port}"
        self.tls_url = self.ca = ""
        if tls:
            self.ca, certificate, key = make_certificates(tls)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, key)
            self.listeners.append(Listener(self, 0, context))
            self.tls_port = self.listeners[1].port
            self.tls_url = f"https://127.0.0.1:{self.tls_port}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.stopping.set()
        for listener in self.listeners:
            listener.close()

    # --- filling the world

    def secret(self, text):
        """Notes a text that no program may ever show."""
        with self.lock:
            self.secrets.append(text)
        return text

    def add_user(self, account, name="dev", partition="aws"):
        return self._principal("AKIA", f"arn:{partition}:iam::{account}:user/{name}")

    def add_session(self, arn, seconds=ROLE_SECONDS):
        """Temporary credentials of anybody; negative seconds make expired ones."""
        return self._principal("ASIA", arn, seconds)

    def _principal(self, prefix, arn, seconds=0):
        alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
        access_key = prefix + "".join(secrets.choice(alphabet) for _ in range(16))
        secret = self.secret(base64.b64encode(secrets.token_bytes(30)).decode())
        token = self.secret(base64.b64encode(secrets.token_bytes(180)).decode()) if prefix == "ASIA" else ""
        credentials = Credentials(access_key, secret, token, arn, self.now() + seconds if seconds else 0)
        with self.lock:
            self.principals[access_key] = credentials
        return credentials

    def add_key(self, account, region="us-east-1", partition="aws", key_id=None, allowed=None, **more):
        """Returns the key. Keys with the id mrk-… of one account have the same material in every region."""
        key_id = key_id or str(uuid.uuid4())
        arn = f"arn:{partition}:kms:{region}:{account}:key/{key_id}"
        with self.lock:
            twins = [key.material for key in self.keys.values() if key.arn.endswith(f":{account}:key/{key_id}") and key_id.startswith("mrk-")]
            self.keys[arn] = Key(arn, twins[0] if twins else secrets.token_bytes(32), allowed=allowed or {}, **more)
            return self.keys[arn]

    def add_alias(self, name, key):
        """Returns the alias's ARN; `key` is an ARN or a Key."""
        arn = getattr(key, "arn", key)
        alias = f"{arn.rsplit(':', 1)[0]}:alias/{name}"
        with self.lock:
            self.aliases[alias] = arn
        return alias

    def add_role(self, account, name, trusted, partition="aws", **more):
        role = Role(f"arn:{partition}:iam::{account}:role/{name}", [trusted] if isinstance(trusted, str) else trusted, **more)
        for text in role.mfa_codes + role.web_tokens:
            self.secret(text)
        with self.lock:
            self.roles[role.arn] = role
        return role

    def add_sso(self, account, role, seconds=3600, refresh=False):
        """An access token for one role of an account, and what goes into the cache file beside it."""
        arn = f"arn:aws:sts::{account}:assumed-role/AWSReservedSSO_{role}_0123456789abcdef/someone"
        return self._sso_token({(account, role): arn}, seconds, ("client-" + secrets.token_hex(8), self.secret(secrets.token_urlsafe(40))) if refresh else None)

    def _sso_token(self, grants, seconds, client):
        token = {"accessToken": self.secret("aoa" + secrets.token_urlsafe(60)), "expiresAt": stamp(self.now() + seconds)}
        with self.lock:
            self.sso_tokens[token["accessToken"]] = (grants, self.now() + seconds)
            if client:
                token |= {"refreshToken": self.secret("aor" + secrets.token_urlsafe(60)), "clientId": client[0], "clientSecret": client[1],
                          "registrationExpiresAt": stamp(self.now() + 86400)}
                self.refresh_tokens[token["refreshToken"]] = (client, grants)
        return token

    def add_container(self, path, arn, authorization="", seconds=ROLE_SECONDS):
        """Credentials at that path, for those who show `authorization`."""
        if authorization:
            self.secret(authorization)
        with self.lock:
            self.containers[path] = (arn, authorization, seconds)

    def set_imds(self, arn, role="instance-role", v1=True, v2=True, seconds=ROLE_SECONDS, code="Success"):
        """Instance metadata; without v2 the token request is answered 404, without v1 a request without a token 401."""
        with self.lock:
            self.imds = {"arn": arn, "role": role, "v1": v1, "v2": v2, "seconds": seconds, "code": code, "tokens": {}}

    def fault(self, kind, **more):
        """Kinds: throttled, error, garbage, html, xml, empty, cut, reset, slow, silent, huge, redirect, chunked, deep. See Fault."""
        if kind not in FAULTS:
            raise ValueError(kind)
        with self.lock:
            self.faults.append(Fault(kind, **more))

    def set_key_state(self, arn, state):
        with self.lock:
            self.keys[arn].state = state

    def forget(self):
        """Empties the record and the faults."""
        with self.lock:
            self.faults.clear()
            self.requests.clear()
            self.connections = 0
            self.most_open_connections = self.open_connections

    def now(self):
        return time.time() + self.clock_offset

    def of(self, **conditions):
        """The recorded requests that have these attributes."""
        with self.lock:
            return [request for request in self.requests if all(getattr(request, name) == value for name, value in conditions.items())]

    # --- who is it

    def authenticate(self, request, headers, target, body):
        """The principal of a signed request, or a Refusal as the service would give it."""
        lower = [(name.lower(), value) for name, value in headers]
        fields = dict(lower)
        is_sts = request.service == "sts"
        authorization = Authorization.parse(fields.get("authorization"))
        if not authorization:
            if "authorization" in fields:
                raise Refusal(400, "IncompleteSignature" if is_sts else "IncompleteSignatureException", "the Authorization header is not complete")
            raise Refusal(403 if is_sts else 400, "MissingAuthenticationToken" if is_sts else "MissingAuthenticationTokenException",
                          "the request has no authentication token")
        request.access_key, request.region = authorization.access_key, authorization.region
        if authorization.service != request.service:
            raise self.bad_signature(request, f"Credential should be scoped to correct service: '{request.service}'")
        host = re.fullmatch(r"(?:kms|sts)(?:-fips)?\.([a-z0-9-]+)\.(?:amazonaws\.com|api\.aws)(?:\.cn)?(?::\d+)?", request.host)
        if host and host[1] != authorization.region:
            raise self.bad_signature(request, "Credential should be scoped to a valid region.")
        principal = self.principals.get(authorization.access_key)
        token = fields.get("x-amz-security-token", "")
        if not principal or not hmac.compare_digest(principal.token.encode(), token.encode()):
            if request.service == "s3":
                raise Refusal(403, "InvalidAccessKeyId", "the access key id does not exist in our records")
            raise Refusal(403 if is_sts else 400, "InvalidClientTokenId" if is_sts else "UnrecognizedClientException",
                          "The security token included in the request is invalid.")
        names = {name for name, _ in lower}
        must = {"host"} | {name for name in names if name.startswith("x-amz-")} | ({"content-type"} & names if request.service != "s3" else set())
        if not must <= set(authorization.signed) or authorization.signed != sorted(authorization.signed) or not set(authorization.signed) <= names:
            raise self.bad_signature(request, f"these headers must be signed: {sorted(must)}; signed are {authorization.signed}")
        payload = hashlib.sha256(body).hexdigest()
        if request.service == "s3":
            declared = fields.get("x-amz-content-sha256", "")
            if re.fullmatch("[0-9a-f]{64}", declared) and declared != payload:
                raise Refusal(400, "XAmzContentSHA256Mismatch", "the body has another hash")
            payload = declared
        when = fields.get("x-amz-date", "")
        canonical = canonical_request(request.method, target, lower, authorization.signed, payload, request.service)
        text = string_to_sign(canonical, when, authorization.date, authorization.region, authorization.service)
        expected = signature_of(principal.secret, text, authorization.date, authorization.region, authorization.service)
        if not hmac.compare_digest(expected, authorization.signature):
            raise self.bad_signature(request, "The request signature we calculated does not match the signature you provided. Check your AWS "
                                     "Secret Access Key and signing method.")
        try:
            moment = datetime.datetime.strptime(when, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc).timestamp()
        except ValueError:
            raise Refusal(400, "IncompleteSignatureException", "there is no valid date") from None
        if not when.startswith(authorization.date):
            raise self.bad_signature(request, "the date in the scope is not the date of the request")
        if abs(moment - self.now()) > CLOCK_TOLERANCE_SECONDS:
            word = "expired" if moment < self.now() else "not yet current"
            raise self.bad_signature(request, f"Signature {word}: {when} is not within 5 minutes of {compact_stamp(self.now())}", skewed=True)
        if principal.expires and principal.expires <= self.now():
            raise Refusal(403 if is_sts else 400, "ExpiredToken" if is_sts else "ExpiredTokenException",
                          "The security token included in the request is expired")
        return principal

    def bad_signature(self, request, message, skewed=False):
        code = {"sts": "SignatureDoesNotMatch", "s3": "RequestTimeTooSkewed" if skewed else "SignatureDoesNotMatch"}
        return Refusal(400 if request.service == "kms" else 403, code.get(request.service, "InvalidSignatureException"), message)

    # --- KMS

    def kms(self, request, principal, operation, members):
        """The answer of Encrypt or Decrypt, as an object for JSON."""
        context = members.get("EncryptionContext")
        if operation not in ("Encrypt", "Decrypt"):
            raise Refusal(400, "UnknownOperationException", "")
        if not isinstance(context, dict) and context is not None or not isinstance(members.get("KeyId"), str):
            raise Refusal(400, "SerializationException", "")
        context = context or {}
        key = self.find_key(request, members["KeyId"])
        if not key.allows(operation, principal.arn, context):
            raise Refusal(400, "AccessDeniedException", None, Message=f"User: {principal.arn} is not authorized to perform: kms:{operation} on "
                          f"resource: {key.arn} because no identity-based policy allows the kms:{operation} action")
        if key.state == "Disabled":
            raise Refusal(400, "DisabledException", f"{key.arn} is disabled.")
        if key.state != "Enabled":
            raise Refusal(400, "KMSInvalidStateException", f"{key.arn} is pending deletion.")
        if key.usage != "ENCRYPT_DECRYPT":
            raise Refusal(400, "InvalidKeyUsageException", f"{key.arn} key usage is {key.usage} which is not valid for {operation}.")
        name = key.arn.rsplit("/", 1)[1].encode()
        if operation == "Encrypt":
            data = base64.b64decode(members.get("Plaintext", ""), validate=True)
            if not 1 <= len(data) <= 4096:
                raise Refusal(400, "ValidationException", "Value at 'plaintext' failed to satisfy constraint: length 1 to 4096")
            nonce = secrets.token_bytes(12)
            text, tag = seal(key.material, nonce, context, data)
            blob = b"\x01\x02\x02" + bytes([len(name)]) + name + nonce + tag + text
            return {"CiphertextBlob": base64.b64encode(blob).decode(), "EncryptionAlgorithm": "SYMMETRIC_DEFAULT", "KeyId": key.arn}
        try:
            blob = base64.b64decode(members.get("CiphertextBlob", ""), validate=True)
        except ValueError:
            raise Refusal(400, "SerializationException", "") from None
        length = blob[3] if len(blob) > 4 else 0
        maker, rest = blob[4:4 + length], blob[4 + length:]
        if blob[:3] != b"\x01\x02\x02" or len(rest) < 44:
            raise Refusal(400, "InvalidCiphertextException", None)
        if maker != name:
            raise Refusal(400, "IncorrectKeyException", "The key ID in the request does not identify a CMK that can perform this operation.")
        nonce, tag, text = rest[:12], rest[12:44], rest[44:]
        if not hmac.compare_digest(tag, tag_of(key.material, nonce, context, text)):
            raise Refusal(400, "InvalidCiphertextException", None)
        data, _ = seal(key.material, nonce, context, text)
        return {"EncryptionAlgorithm": "SYMMETRIC_DEFAULT", "KeyId": key.arn, "KeyMaterialId": "0" * 64,
                "Plaintext": base64.b64encode(data).decode()}

    def find_key(self, request, arn):
        key_arn = self.aliases.get(arn, arn)
        if key_arn not in self.keys or key_arn.split(":")[3] != request.region:
            what = "Alias" if ":alias/" in arn else "Key"
            raise Refusal(400, "NotFoundException", f"{what} '{arn}' does not exist")
        return self.keys[key_arn]

    # --- STS

    def sts(self, principal, operation, form):
        """The name of the answer's element and what is in it."""
        if operation == "GetCallerIdentity":
            return f"<UserId>AIDA</UserId><Account>{principal.account}</Account><Arn>{escape(principal.arn)}</Arn>"
        name, seconds = form.get("RoleSessionName", ""), int(form.get("DurationSeconds", ROLE_SECONDS))
        role = self.roles.get(form.get("RoleArn", ""))
        if not re.fullmatch(r"[\w+=,.@-]{2,64}", name, re.ASCII):
            raise Refusal(400, "ValidationError", f"Value '{name}' at 'roleSessionName' failed to satisfy constraint: [\\w+=,.@-]*")
        if seconds < 900:
            raise Refusal(400, "ValidationError", f"Value '{seconds}' at 'durationSeconds' failed to satisfy constraint: at least 900")
        if operation == "AssumeRoleWithWebIdentity":
            token = form.get("WebIdentityToken", "")
            if not any(token in known.web_tokens for known in self.roles.values()):
                raise Refusal(400, "InvalidIdentityToken", "the token could not be verified")
            if not role or token not in role.web_tokens:
                raise Refusal(403, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity")
        elif operation == "AssumeRole":
            denied = Refusal(403, "AccessDenied", f"User: {principal.arn} is not authorized to perform: sts:AssumeRole on resource: "
                             f"{form.get('RoleArn', '')}")
            if not role or not any(fnmatch.fnmatchcase(principal.arn, pattern) for pattern in role.trusted):
                raise denied
            if role.external_id != form.get("ExternalId", "") or not fnmatch.fnmatchcase(name, role.session_pattern):
                raise denied
            if ":assumed-role/" in principal.arn and seconds > ROLE_SECONDS:
                raise Refusal(400, "ValidationError", "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining")
            if role.mfa_serial and "TokenCode" not in form:
                raise denied
            if "TokenCode" in form:
                if form.get("SerialNumber") != role.mfa_serial or form["TokenCode"] not in role.mfa_codes:
                    raise Refusal(403, "AccessDenied", "MultiFactorAuthentication failed with invalid MFA one time pass code. ")
                role.mfa_codes.remove(form["TokenCode"])
        else:
            raise Refusal(400, "InvalidAction", f"Could not find operation {operation}")
        if seconds > role.max_seconds:
            raise Refusal(400, "ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
        partition, account, path = role.arn.split(":")[1], role.arn.split(":")[4], role.arn.split("/")[-1]
        session = self.add_session(f"arn:{partition}:sts::{account}:assumed-role/{path}/{name}", seconds)
        return (f"<Credentials><AccessKeyId>{session.access_key}</AccessKeyId><SecretAccessKey>{session.secret}</SecretAccessKey>"
                f"<SessionToken>{session.token}</SessionToken><Expiration>{stamp(session.expires)}</Expiration></Credentials>"
                f"<AssumedRoleUser><AssumedRoleId>AROA:{name}</AssumedRoleId><Arn>{session.arn}</Arn></AssumedRoleUser>")

    # --- SSO

    def sso_credentials(self, token, query):
        grants, expires = self.sso_tokens.get(token, ({}, 0))
        if expires <= self.now():
            raise Refusal(401, "UnauthorizedException", "Session token not found or invalid")
        arn = grants.get((query.get("account_id"), query.get("role_name")))
        if not arn:
            raise Refusal(403, "ForbiddenException", "No access")
        session = self.add_session(arn)
        return {"roleCredentials": {"accessKeyId": session.access_key, "secretAccessKey": session.secret, "sessionToken": session.token,
                                    "expiration": int(session.expires * 1000)}}

    def oidc_token(self, members):
        if members.get("grantType") != "refresh_token":
            raise Refusal(400, "UnsupportedGrantTypeException", None, error="unsupported_grant_type", error_description="")
        with self.lock:
            client, grants = self.refresh_tokens.get(members.get("refreshToken"), (None, None))
            if client and client != (members.get("clientId"), members.get("clientSecret")):
                raise Refusal(401, "InvalidClientException", None, error="invalid_client", error_description="Invalid client provided")
            if not client:  # unknown, or used already: good for one time
                raise Refusal(400, "InvalidGrantException", None, error="invalid_grant", error_description="Invalid refresh token provided")
            del self.refresh_tokens[members["refreshToken"]]
            token = self._sso_token(grants, 3600, client)
        return {"accessToken": token["accessToken"], "expiresIn": 3600, "refreshToken": token["refreshToken"], "tokenType": "Bearer"}

    # --- metadata

    def instance_metadata(self, request, fields, path):
        """Status, text and extra headers."""
        imds = self.imds
        if not imds:
            return 404, "", {}
        if path == "/latest/api/token":
            life = fields.get("x-aws-ec2-metadata-token-ttl-seconds", "")
            if not imds["v2"]:
                return 404, "", {}
            if request.method != "PUT" or not life.isdigit():
                return 400, "", {}
            token = self.secret(base64.b64encode(secrets.token_bytes(40)).decode())
            imds["tokens"][token] = self.now() + int(life)
            return 200, token, {"X-Aws-Ec2-Metadata-Token-Ttl-Seconds": life}
        token = fields.get("x-aws-ec2-metadata-token")
        if token is None and not imds["v1"] or token is not None and imds["tokens"].get(token, 0) <= self.now():
            return 401, "", {}
        folder = "/latest/meta-data/iam/security-credentials/"
        if path == folder:
            return 200, imds["role"], {}
        if not imds["role"] or path != folder + imds["role"]:
            return 404, "", {}
        if imds["code"] != "Success":
            return 200, json.dumps({"Code": imds["code"], "Message": "the role has no trust for this instance"}), {}
        session = self.add_session(imds["arn"], imds["seconds"])
        return 200, json.dumps({"Code": "Success", "LastUpdated": stamp(self.now()), "Type": "AWS-HMAC", "AccessKeyId": session.access_key,
                                "SecretAccessKey": session.secret, "Token": session.token, "Expiration": stamp(session.expires)}), {}

    def container(self, path, authorization):
        arn, wanted, seconds = self.containers.get(path, ("", "", 0))
        if not arn:
            raise Refusal(404, "NotFound", "there are no such credentials")
        if authorization != wanted:
            raise Refusal(401, "Unauthorized", "another authorization token is needed")
        session = self.add_session(arn, seconds)
        return {"AccessKeyId": session.access_key, "SecretAccessKey": session.secret, "Token": session.token,
                "Expiration": stamp(session.expires), "RoleArn": arn}


def stamp(seconds):
    return datetime.datetime.fromtimestamp(int(seconds), datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def compact_stamp(seconds):
    return stamp(seconds).replace("-", "").replace(":", "")


# --- HTTP ------------------------------------------------------------------------------------------------------------------------


class Listener(http.server.ThreadingHTTPServer):
    """One port."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, world, port, context):
        super().__init__(("127.0.0.1", port), Handler)
        self.world, self.context, self.port = world, context, self.server_address[1]
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.thread.start()

    def handle_error(self, request, client_address):
        """A client that goes away is nothing to speak of."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)

    def close(self):
        self.shutdown()
        self.server_close()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def setup(self):
        if self.server.context:
            self.request.settimeout(10)
            self.request = self.server.context.wrap_socket(self.request, server_side=True)
            self.request.settimeout(None)
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        world = self.server.world
        with world.lock:
            world.connections += 1
            world.open_connections += 1
            world.most_open_connections = max(world.most_open_connections, world.open_connections)
            self.connection_number = world.connections
        self.counted = True
        super().setup()

    def finish(self):
        if getattr(self, "counted", False):
            with self.server.world.lock:
                self.server.world.open_connections -= 1
        super().finish()

    def log_message(self, format, *args):  # noqa: A002 (the name of the base class)
        pass

    def do_GET(self):
        self.serve()

    do_POST = do_PUT = do_HEAD = do_DELETE = do_GET

    def serve(self):
        world, body = self.server.world, self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path, _, query = self.path.partition("?")
        if path == "/_control":
            self.control(body)
            return
        fields = {name.lower(): value for name, value in self.headers.items()}
        service, operation, parameters = which(self.command, path, query, fields, body)
        request = Request(0, self.connection_number, time.monotonic(), self.command, fields.get("host", ""), path, service, operation, "", "",
                          {name: value for name, value in fields.items() if name not in SECRET_HEADERS},
                          {name: value for name, value in parameters.items() if name not in SECRET_PARAMETERS}, bool(self.server.context))
        authorization = Authorization.parse(fields.get("authorization"))
        if authorization:
            request.access_key, request.region = authorization.access_key, authorization.region
        with world.lock:
            request.number = len(world.requests)
            world.requests.append(request)
            fault = next((fault for fault in world.faults if applies(fault, request)), None)
            if fault and fault.skipped:
                fault.skipped -= 1
                fault = None
            elif fault and fault.times is not None:
                fault.times -= 1
        if fault:
            request.code = fault.kind
            if FAULTS[fault.kind](self, fault, request):
                return
        try:
            with world.lock:
                self.answer_rightly(world, request, fields, body, parameters, query)
        except Refusal as refusal:
            self.refuse(request, refusal)

    def answer_rightly(self, world, request, fields, body, parameters, query):
        service, operation = request.service, request.operation
        if service == "imds":
            status, text, headers = world.instance_metadata(request, fields, request.path)
            self.answer(request, status, text.encode(), "text/plain", headers)
        elif service == "container":
            self.answer_json(request, world.container(request.path, fields.get("authorization", "")), "application/json")
        elif service == "sso":
            token = fields.get("x-amz-sso_bearer_token", "")
            self.answer_json(request, world.sso_credentials(token, dict(urllib.parse.parse_qsl(query))), "application/json")
        elif service == "oidc":
            self.answer_json(request, world.oidc_token(parameters), "application/json")
        elif service == "sts" and operation == "AssumeRoleWithWebIdentity":
            self.answer_sts(request, world.sts(None, operation, parameters))
        else:
            principal = world.authenticate(request, list(self.headers.items()), self.path, body)
            if service == "kms":
                self.answer_json(request, world.kms(request, principal, operation, parameters), "application/x-amz-json-1.1")
            elif service == "sts":
                self.answer_sts(request, world.sts(principal, operation, parameters))
            else:
                world.objects[request.path] = body
                self.answer(request, 200, b"", "application/xml", {"ETag": f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'})

    # --- answers

    def answer(self, request, status, body, kind, headers=None, length=None):
        """One write, so that no delayed acknowledgement slows the test down."""
        request.status = status
        lines = [f"HTTP/1.1 {status} {http.HTTPStatus(status).phrase}", f"Date: {email.utils.formatdate(self.server.world.now(), usegmt=True)}",
                 f"Content-Type: {kind}", f"Content-Length: {len(body) if length is None else length}",
                 f"x-amzn-RequestId: {uuid.UUID(int=request.number)}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        self.wfile.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    def answer_json(self, request, members, kind, status=200):
        self.answer(request, status, json.dumps(members).encode(), kind)

    def answer_sts(self, request, result):
        name = request.operation
        self.answer(request, 200, (f'<{name}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/">\n  <{name}Result>{result}</{name}Result>\n'
                                   f"  <ResponseMetadata><RequestId>{uuid.UUID(int=request.number)}</RequestId></ResponseMetadata>\n"
                                   f"</{name}Response>").encode(), "text/xml")

    def refuse(self, request, refusal):
        request.code = refusal.code
        if request.service in ("sts", "s3"):
            self.refuse_as_xml(request, refusal)
            return
        members = {"message": refusal.message} if refusal.message is not None else {}
        if request.service == "container":
            members["code"] = refusal.code
        elif request.service in ("sso", "oidc"):
            members["__type"] = refusal.code
        else:
            members["__type"] = f"com.amazonaws.kms#{refusal.code}" if request.number % 2 else refusal.code  # both forms are in use
        self.answer_json(request, members | refusal.more, "application/x-amz-json-1.1" if request.service == "kms" else "application/json", refusal.status)

    def refuse_as_xml(self, request, refusal):
        error = f"<Code>{refusal.code}</Code><Message>{escape(refusal.message or '')}</Message>"
        number = f"<RequestId>{uuid.UUID(int=request.number)}</RequestId>"
        text = f"<Error>{error}{number}</Error>" if request.service == "s3" else (
            f'<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>{error}</Error>{number}</ErrorResponse>')
        self.answer(request, refusal.status, text.encode(), "text/xml")

    def control(self, body):
        """{"call": METHOD, "arguments": {…}} from this machine's own tests. Without a body: the record."""
        world = self.server.world
        if body:
            order = json.loads(body)
            if order["call"] not in ("add_key", "add_user", "add_session", "add_alias", "add_role", "add_sso", "add_container", "set_imds", "fault", "forget",
                                     "set_key_state"):
                raise ValueError(order["call"])
            result = getattr(world, order["call"])(**order.get("arguments", {}))
        else:
            with world.lock:
                result = [dataclasses.asdict(request) for request in world.requests]
        text = json.dumps(result, default=lambda thing: {name: value for name, value in vars(thing).items() if not isinstance(value, bytes)}).encode()
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(text) + text)


def which(method, path, query, fields, body):
    """Service, operation and parameters of a request."""
    if path.startswith("/latest/"):
        return "imds", "token" if path == "/latest/api/token" else "credentials", {}
    if path == "/federation/credentials":
        return "sso", "GetRoleCredentials", dict(urllib.parse.parse_qsl(query))
    if path == "/token" and method == "POST":
        return "oidc", "CreateToken", json.loads(body)
    target = re.fullmatch(r"TrentService\.(\w+)", fields.get("x-amz-target", ""))
    if target:
        try:
            members = json.loads(body)
        except ValueError:
            members = None
        return "kms", target[1], members if isinstance(members, dict) else {}
    if fields.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        form = dict(urllib.parse.parse_qsl(body.decode(), keep_blank_values=True))
        return "sts", form.get("Action", ""), form
    if method == "PUT":
        return "s3", "PutObject", {}
    return "container", "credentials", {}


# --- what goes wrong ---------------------------------------------------------------------------------------------------------------


def applies(fault, request):
    return (fault.times is None or fault.times > 0) and fault.service in ("", request.service) and fault.operation in ("", request.operation) \
        and fault.key in ("", request.parameters.get("KeyId"))


def throttled(handler, _, request):
    handler.refuse(request, Refusal(400, "Throttling" if request.service == "sts" else "ThrottlingException", "Rate exceeded"))
    return True


def error(handler, fault, request):
    handler.refuse(request, Refusal(fault.status, fault.code, fault.message))
    return True


def garbage(handler, _, request):
    handler.answer(request, 200, b"\x00\xff\xfe{\"Plaintext\": \"" + bytes(range(256)), "application/x-amz-json-1.1")
    return True


def html(handler, fault, request):
    handler.answer(request, fault.status, b"<!DOCTYPE html><html><body><h1>Sign in to the network</h1><br></body></html>", "text/html")
    return True


def xml(handler, fault, request):
    handler.refuse_as_xml(request, Refusal(fault.status, fault.code or "AccessDenied", fault.message or "said in XML"))
    return True


def empty(handler, fault, request):
    handler.answer(request, fault.status, b"", "application/x-amz-json-1.1")
    return True


def cut(handler, _, request):
    handler.answer(request, 200, b'{"Plaintext": "AAAA', "application/x-amz-json-1.1", length=500)
    handler.close_connection = True
    return True


def reset(handler, _, request):
    request.status = -1
    handler.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    os.close(handler.request.detach())  # at once, and without a polite end
    handler.close_connection = True
    return True


def slow(handler, fault, _):
    handler.server.world.stopping.wait(fault.seconds)
    return False


def silent(handler, _, request):
    """Until the client gives up."""
    request.status = -1
    handler.request.settimeout(0.2)
    while not handler.server.world.stopping.is_set():
        try:
            if not handler.request.recv(1):
                break
        except (TimeoutError, ssl.SSLWantReadError):
            continue
        except OSError:
            break
    handler.close_connection = True
    return True


def huge(handler, _, request):
    handler.answer(request, 200, b'{"Plaintext": "', "application/x-amz-json-1.1", length=HUGE_BYTES)
    handler.close_connection = True
    try:
        for _ in range(HUGE_BYTES >> 16):
            handler.wfile.write(b"A" * 65536)
    except OSError:
        pass
    return True


def redirect(handler, fault, request):
    handler.answer(request, fault.status, b"", "text/plain", {"Location": fault.location})
    return True


def deep(handler, _, request):
    handler.answer(request, 200, b'{"a":' * 100000 + b"1" + b"}" * 100000 if request.service != "sts" else b"<a>" * 100000 + b"</a>" * 100000,
                   "text/xml" if request.service == "sts" else "application/x-amz-json-1.1")
    return True


FAULTS = {function.__name__: function for function in
          (throttled, error, garbage, html, xml, empty, cut, reset, slow, silent, huge, redirect, deep)}


# --- certificates and a proxy ------------------------------------------------------------------------------------------------------


def make_certificates(folder):
    """A CA of its own and a certificate for this machine and AWS's hosts, with the openssl program. Returns the paths of CA, certificate, key."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    regions = ["us-east-1", "eu-west-1", "eu-central-1", "us-west-2", "us-gov-west-1"]
    names = ["IP:127.0.0.1", "DNS:localhost", "DNS:*.cn-north-1.amazonaws.com.cn", "DNS:portal.sso.eu-west-1.amazonaws.com"]
    names += [f"DNS:*.{region}.{suffix}" for region in regions for suffix in ("amazonaws.com", "api.aws")]
    fresh = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    for words in (["-x509", *fresh, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=sops test CA"],
                  ["-x509", "-CA", "ca.pem", "-CAkey", "ca.key", *fresh, "-keyout", "server.key", "-out", "server.pem", "-subj", "/CN=sops test server",
                   "-addext", "subjectAltName=" + ",".join(names), "-addext", "basicConstraints=critical,CA:FALSE"]):
        done = subprocess.run(["openssl", "req", *words], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False)
        if done.returncode:
            raise OSError(f"openssl req: {done.stderr.decode()}")
    return str(folder / "ca.pem"), str(folder / "server.pem"), str(folder / "server.key")


class Proxy:
    """An HTTP proxy that writes down where its clients want to go. Each gets 502, or is led to `target` (host, port) if there is one."""

    def __init__(self, target=None):
        self.asked, self.target = [], target
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def environment(self):
        """Every way in which a program could be told, none left out."""
        names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
        return {name: self.url for name in [*names, *map(str.lower, names)]}

    def _accept(self):
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        with client:
            head = b""
            while b"\r\n\r\n" not in head and len(head) < 65536:
                try:
                    piece = client.recv(4096)
                except OSError:
                    return
                if not piece:
                    break
                head += piece
            words = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
            place = words[1] if len(words) > 1 else ""
            # CONNECT host:port, or METHOD http://host:port/path
            self.asked.append(place if words[0] == "CONNECT" else urllib.parse.urlsplit(place).netloc or place)
            if words[0] != "CONNECT" or not self.target:
                client.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                return
            with socket.create_connection(self.target) as server:
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                back = threading.Thread(target=pump, args=(server, client), daemon=True)
                back.start()
                pump(client, server)
                back.join(timeout=30)


def pump(source, sink):
    try:
        while piece := source.recv(65536):
            sink.sendall(piece)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tls", help="folder for certificates; https as well then")
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    server = AwsServer(options.tls, options.port)
    print(json.dumps({"url": server.url, "tls_url": server.tls_url, "ca": server.ca, "pid": os.getpid()}), flush=True)
    try:
        while not sys.stdin.closed and sys.stdin.read(4096):  # ends with whoever started it
            pass
    except KeyboardInterrupt:
        pass
    server.close()


if __name__ == "__main__":
    main()
