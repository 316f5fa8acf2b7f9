#!/usr/bin/env python3
# SPDX-License-Identifier: MPL-2.0
"""Judges aws_server.py by programs that others wrote, before ours is tried on it: a server that agrees only with us proves nothing.

Its signatures against AWS's published suite (../shared/vectors/aws-sigv4) and against values that botocore and curl made; then botocore and SOPS
3.13.3 get data keys from it with credentials of every source, and are refused with a wrong secret, a wrong clock, another context.

    aws_server_check.py [--only WORD]

What is not here is listed, and the status is then 77. scripts/install-peers installs both. Standard library only.
"""

import argparse
import base64
import fnmatch
import hashlib
import json
import pathlib
import re
import subprocess
import sys

VECTORS = pathlib.Path(__file__).resolve().parents[3] / "shared" / "vectors" / "aws-sigv4"
EXAMPLE_SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"  # of AWS's documentation, no secret

failures, skipped = [], []


def check(holds, text):
    """Notes a failure, with the place that called."""
    if not holds:
        frame = sys._getframe(1)
        failures.append(f"{frame.f_code.co_name}:{frame.f_lineno}: {text}")
        print("FAILED", failures[-1], flush=True)


def as_botocore():
    """Runs below botocore's own Python: jobs as lines of JSON from standard input, results to standard output. Each job has a session of its own."""
    import os

    import botocore.config
    import botocore.credentials
    import botocore.exceptions
    import botocore.loaders
    import botocore.session
    import botocore.tokens

    loader = botocore.loaders.create_loader()  # reads the services' models once
    for line in sys.stdin:
        job = json.loads(line)
        os.environ.clear()
        os.environ.update(job["environment"])
        for holder in (botocore.credentials.SSOProvider, botocore.tokens.SSOTokenProvider):  # which looked for the home when imported
            holder._SSO_TOKEN_CACHE_DIR = os.path.expanduser("~/.aws/sso/cache")
        try:
            session = botocore.session.Session(profile=job.get("profile"))
            session.register_component("data_loader", loader)
            client = session.create_client(job["service"], region_name=job["region"], verify=job.get("ca"), config=botocore.config.Config(
                retries={"mode": "standard", "total_max_attempts": job.get("attempts", 3)}, read_timeout=5))
            arguments = {name: base64.b64decode(value) if name in ("Plaintext", "CiphertextBlob", "Body") else value for name, value in job["arguments"].items()}
            answer = getattr(client, job["operation"])(**arguments)
            result = {name: base64.b64encode(value).decode() if isinstance(value, bytes) else str(value) for name, value in answer.items()}
        except botocore.exceptions.ClientError as error:
            result = {"code": error.response["Error"]["Code"], "message": error.response["Error"]["Message"]}
        except Exception as error:  # noqa: BLE001 (what it is goes into the report)
            result = {"code": type(error).__name__, "message": str(error)}
        print(json.dumps(result), flush=True)


# --- clients ---------------------------------------------------------------------------------------------------------------------


def kms_job(operation, key, region="eu-west-1", **arguments):
    return {"service": "kms", "operation": operation, "region": region, "arguments": {"KeyId": key, **arguments}}


class Botocore:
    """One process, for importing takes long."""

    name = "botocore"
    program = "/bin/false"

    def __init__(self, python):
        self.process = subprocess.Popen([python, __file__, "--as-botocore"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, place, environment, job):
        self.process.stdin.write(json.dumps({**job, "environment": {**place.environment, **environment}}) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def encrypt(self, place, environment, flags, key):
        result = self.ask(place, environment, kms_job("encrypt", key, Plaintext=base64.b64encode(bytes(range(32))).decode()) | profile_of(flags))
        self.blob = result.get("CiphertextBlob")
        return self.blob is not None, str(result)

    def both_ways(self, place, environment, flags, key):
        status, text = self.encrypt(place, environment, flags, key)
        if not status:
            return status, text
        result = self.ask(place, environment, kms_job("decrypt", key, CiphertextBlob=self.blob) | profile_of(flags))
        return result.get("Plaintext") == base64.b64encode(bytes(range(32))).decode(), str(result)


def profile_of(flags):
    return {"profile": flags[1]} if flags else {}


class Sops:
    name = "SOPS"

    def __init__(self, program):
        self.program = program

    def encrypt(self, place, environment, flags, key):
        done = place.encrypt("--kms", key, *flags, **environment)
        return done.returncode == 0, done.text

    def both_ways(self, place, environment, flags, key):
        done = place.encrypt("--kms", key, *flags, **environment)
        if done.returncode:
            return False, done.text
        done = place.run("decrypt", done.file, **environment)
        return done.stdout.decode() == aws_world.PLAIN, done.text


# --- signatures ----------------------------------------------------------------------------------------------------------------


def split_request(text):
    """Method, target, headers and body of a request in the suite's form."""
    head, _, body = text.partition("\n\n")
    first, *lines = head.split("\n")
    headers = []
    for line in lines:
        if line[:1] in (" ", "\t"):  # goes on
            headers[-1] = (headers[-1][0], headers[-1][1] + " " + line.strip())
        else:
            name, _, value = line.partition(":")
            headers.append((name, value))
    method, target = first[:-len(" HTTP/1.1")].split(" ", 1)
    return method, target, headers, body


def published_signatures():
    """AWS's suite: each signed request has the canonical form, the text to sign and the signature that AWS gives."""
    if not VECTORS.is_dir():
        skipped.append(f"AWS's signature suite: no {VECTORS}")
        return
    count = 0
    for folder in sorted(VECTORS.iterdir()):
        if folder.name.endswith("-normalized"):
            continue
        context = json.loads((folder / "context.json").read_text())
        method, target, headers, body = split_request((folder / "header-signed-request.txt").read_text())
        authorization = aws_server.Authorization.parse(next(value for name, value in headers if name == "Authorization"))
        when = next(value for name, value in headers if name.lower() == "x-amz-date")
        payload = hashlib.sha256(body.encode()).hexdigest()
        lower = [(name.lower(), value) for name, value in headers]
        # The suite's context names the service "service", whose path is encoded as KMS's is.
        canonical = aws_server.canonical_request(method, target, lower, authorization.signed, payload, context["service"])
        check(canonical == (folder / "header-canonical-request.txt").read_text(), f"{folder.name}: canonical request\n{canonical}")
        text = aws_server.string_to_sign(canonical, when, authorization.date, authorization.region, authorization.service)
        check(text == (folder / "header-string-to-sign.txt").read_text(), f"{folder.name}: string to sign")
        signature = aws_server.signature_of(context["credentials"]["secret_access_key"], text, authorization.date, authorization.region, authorization.service)
        check(signature == authorization.signature == (folder / "header-signature.txt").read_text().strip(), f"{folder.name}: signature")
        count += 1
    check(count >= 20, f"only {count} vectors")


KMS_BODY = ('{"EncryptionContext":{},"KeyId":"arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555",'
            '"Plaintext":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}')
STS_BODY = "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fsops-dev&RoleSessionName=sops%40host1"
JSON_TYPE, FORM_TYPE = "application/x-amz-json-1.1", "application/x-www-form-urlencoded"
# keys-aws.md 8.2: made by botocore, three of them by curl too.
REAL_REQUESTS = [
    ("kms", "POST", "/", {"host": "kms.us-east-1.amazonaws.com", "content-type": JSON_TYPE, "x-amz-target": "TrentService.Encrypt"}, KMS_BODY,
     "b1804423839585ceb9726fc115eab3ab5844dcedfaa53b561dc55eeaa76bb689"),
    ("kms", "POST", "/", {"host": "kms.us-east-1.amazonaws.com", "content-type": JSON_TYPE, "x-amz-target": "TrentService.Encrypt",
                          "x-amz-security-token": "SESSIONTOKENEXAMPLE=="}, KMS_BODY,
     "a6760936c1dfedaaddacc2eaaf31e4fca496fdd501d545df920d245d9afc73c0"),
    ("sts", "POST", "/", {"host": "sts.us-east-1.amazonaws.com", "content-type": FORM_TYPE}, STS_BODY,
     "c7c92212f001d1ba980e9c54f822a67d81d2df4d85460dffaffcf0db0569e884"),
    ("s3", "PUT", "/a%20b/c%3D1.yaml?x-id=PutObject", {"host": "bkt.s3.us-east-1.amazonaws.com", "content-type": "application/octet-stream",
                                                      "x-amz-content-sha256": hashlib.sha256(b"hello\n").hexdigest()}, "hello\n",
     "db264a9b265cec8014545466c4011397536c005ca140bee474842c8d4332c7ad"),
]


def real_signatures():
    for service, method, target, headers, body, signature in REAL_REQUESTS:
        headers = {**headers, "x-amz-date": "20150830T123600Z"}
        canonical = aws_server.canonical_request(method, target, list(headers.items()), sorted(headers), hashlib.sha256(body.encode()).hexdigest(), service)
        text = aws_server.string_to_sign(canonical, "20150830T123600Z", "20150830", "us-east-1", service)
        ours = aws_server.signature_of(EXAMPLE_SECRET, text, "20150830", "us-east-1", service)
        check(ours == signature, f"{service}, {len(headers)} headers: {ours}")


# --- what clients get ------------------------------------------------------------------------------------------------------------


def asked_by(aws, pattern):
    """True if KMS was asked, and by nobody but principals whose ARN ends like `pattern`."""
    arns = [aws.principals[request.access_key].arn for request in aws.of(service="kms")]
    return bool(arns) and all(fnmatch.fnmatchcase(arn, pattern if pattern.startswith("arn:") else "*:" + pattern) for arn in arns)


def sources(clients):
    """Every source of credentials: data keys for the right principal, none with a wrong secret."""
    for source in aws_world.SOURCES:
        for client in clients:
            with aws_server.AwsServer() as aws, aws_world.Place(client.program) as place:
                key = aws.add_key(aws_world.ACCOUNT, "eu-west-1", allowed={"*": ["*"]})
                environment, flags, pattern = source(aws, place)
                environment = aws_world.endpoints(aws.url) | environment
                status, text = client.both_ways(place, environment, flags, key.arn)
                check(status, f"{source.__name__}: {client.name}: {text}")
                check(asked_by(aws, pattern), f"{source.__name__}: {client.name}: asked by "
                      f"{ {aws.principals[request.access_key].arn for request in aws.of(service='kms') if request.access_key in aws.principals} }")
                # The server expects other secrets from now on.
                for principal in list(aws.principals.values()):
                    principal.secret = principal.secret[::-1]
                aws.add_session = broken_sessions(aws)
                status, text = client.encrypt(place, environment, flags, key.arn)
                check(not status, f"{source.__name__}: {client.name} gets a data key with a wrong secret")
                # botocore and SOPS tell a refused role from a refused source in words of their own.
                check(re.search("InvalidSignatureException|SignatureDoesNotMatch|InvalidGrant|does not match|expired|failed to refresh|Retrieving", text),
                      f"{source.__name__}: {client.name}: {text}")


def broken_sessions(aws):
    """add_session as it was, but what it hands out is not what the server then expects."""
    before = aws.add_session

    def add_session(*words, **more):
        session = before(*words, **more)
        given = type(session)(**vars(session))
        session.secret = session.secret[::-1]
        return given
    return add_session


def answers(client):
    """Codes as botocore reads them from this server's answers: the same code that AWS gives."""
    with aws_server.AwsServer() as aws, aws_world.Place("/bin/false") as place:
        user = aws.add_user(aws_world.ACCOUNT)
        key, twin = aws.add_key(aws_world.ACCOUNT, "eu-west-1"), aws.add_key(aws_world.ACCOUNT, "eu-west-1")
        foreign = aws.add_key(aws_world.OTHER, "eu-west-1")
        signing = aws.add_key(aws_world.ACCOUNT, "eu-west-1", usage="SIGN_VERIFY")
        alias = aws.add_alias("app", key)
        environment = aws_world.endpoints(aws.url) | user.environment()
        data = base64.b64encode(b"x" * 33).decode()

        def asked(*jobs, **more):
            return [client.ask(place, environment | more, job) for job in jobs]

        made, by_alias = asked(kms_job("encrypt", key.arn, Plaintext=data, EncryptionContext={"a": "b", "c": "d"}), kms_job("encrypt", alias, Plaintext=data))
        check(by_alias.get("KeyId") == key.arn, f"an alias gives the key's ARN: {by_alias}")
        blob = made["CiphertextBlob"]
        right = {"EncryptionContext": {"c": "d", "a": "b"}}
        # One bit of the blob.
        flipped = base64.b64encode(bytes(byte ^ (index == 60) for index, byte in enumerate(base64.b64decode(blob)))).decode()
        jobs = {
            "fine": kms_job("decrypt", key.arn, CiphertextBlob=blob, **right),
            "alias": kms_job("decrypt", alias, CiphertextBlob=by_alias["CiphertextBlob"]),
            "InvalidCiphertextException context": kms_job("decrypt", key.arn, CiphertextBlob=blob),
            "InvalidCiphertextException context joined": kms_job("decrypt", key.arn, CiphertextBlob=blob, EncryptionContext={"ab": "", "c": "d"}),
            "InvalidCiphertextException flipped": kms_job("decrypt", key.arn, CiphertextBlob=flipped, **right),
            "InvalidCiphertextException short": kms_job("decrypt", key.arn, CiphertextBlob="AAAA"),
            "IncorrectKeyException": kms_job("decrypt", twin.arn, CiphertextBlob=blob, **right),
            "AccessDeniedException": kms_job("encrypt", foreign.arn, Plaintext=data),
            "NotFoundException": kms_job("encrypt", key.arn[:-4] + "0000", Plaintext=data),
            "NotFoundException region": kms_job("encrypt", key.arn, region="us-east-1", Plaintext=data),
            "InvalidKeyUsageException": kms_job("encrypt", signing.arn, Plaintext=data),
            "ValidationException": kms_job("encrypt", key.arn, Plaintext=base64.b64encode(bytes(4097)).decode()),
        }
        for name, result in zip(jobs, asked(*jobs.values())):
            check((result.get("Plaintext") == data) if name in ("fine", "alias") else result.get("code") == name.split(" ")[0], f"{name}: {result}")
        for state, code in (("Disabled", "DisabledException"), ("PendingDeletion", "KMSInvalidStateException"), ("Enabled", None)):
            aws.set_key_state(key.arn, state)
            check(asked(jobs["fine"])[0].get("code") == code, f"{state}")
        check(asked(jobs["fine"], AWS_SECRET_ACCESS_KEY="wrong")[0].get("code") == "InvalidSignatureException", "a wrong secret")
        check(asked(jobs["fine"], AWS_ACCESS_KEY_ID="AKIAAAAAAAAAAAAAAAAA")[0].get("code") == "UnrecognizedClientException", "an unknown access key")
        check(asked(jobs["fine"], AWS_SESSION_TOKEN="token")[0].get("code") == "UnrecognizedClientException", "a wrong token")
        late = aws.add_session(f"arn:aws:sts::{aws_world.ACCOUNT}:assumed-role/x/y", seconds=-5)
        check(asked(jobs["fine"], **late.environment())[0].get("code") == "ExpiredTokenException", "expired credentials")
        aws.clock_offset = 3600
        check(asked(jobs["fine"] | {"attempts": 1})[0].get("code") == "InvalidSignatureException", "a clock that is an hour late")
        aws.clock_offset = 0

        sts = {"service": "sts", "region": "eu-west-1", "operation": "get_caller_identity", "arguments": {}}
        check(asked(sts)[0].get("Arn") == user.arn, "GetCallerIdentity")
        check(asked(sts, AWS_SECRET_ACCESS_KEY="wrong")[0].get("code") == "SignatureDoesNotMatch", "STS, a wrong secret")
        check(asked(sts, AWS_ACCESS_KEY_ID="AKIAAAAAAAAAAAAAAAAA")[0].get("code") == "InvalidClientTokenId", "STS, an unknown access key")
        role = aws.add_role(aws_world.OTHER, "r", user.arn, external_id="e1", mfa_serial=f"arn:aws:iam::{aws_world.ACCOUNT}:mfa/dev", mfa_codes=["123456"])

        def assume(**arguments):
            return sts | {"operation": "assume_role", "arguments": {"RoleArn": role.arn, "RoleSessionName": "me", **arguments}}

        mfa = {"ExternalId": "e1", "SerialNumber": role.mfa_serial, "TokenCode": "123456"}
        results = asked(assume(), assume(ExternalId="e2"), assume(ExternalId="e1"), assume(**mfa | {"TokenCode": "654321"}), assume(**mfa), assume(**mfa),
                        assume(RoleSessionName="a b"), assume(ExternalId="e1", DurationSeconds=7200))
        codes = [result.get("code") for result in results]
        check(codes == ["AccessDenied"] * 4 + [None, "AccessDenied", "ValidationError", "AccessDenied"], f"AssumeRole: {codes}")

        put = {"service": "s3", "region": "eu-west-1", "operation": "put_object", "arguments": {"Bucket": "bucket", "Key": "a b/c=1.yaml",
                                                                                             "Body": base64.b64encode(b"hello\n").decode()}}
        check("code" not in asked(put, AWS_REQUEST_CHECKSUM_CALCULATION="when_required")[0], "PutObject")
        check(b"hello\n" in aws.objects.values(), f"PutObject: {aws.objects}")
        check(asked(put, AWS_SECRET_ACCESS_KEY="wrong")[0].get("code") == "SignatureDoesNotMatch", "S3, a wrong secret")

        for kind, more, code in (("throttled", {}, "ThrottlingException"), ("reset", {}, "Connection"),
                                 ("silent", {}, "ReadTimeoutError"), ("garbage", {}, "Response|Unicode|JSON"), ("html", {"status": 500}, "500")):
            aws.forget()
            aws.fault(kind, **more)
            result, = asked(jobs["fine"] | {"attempts": 1})
            check(re.search(code, result.get("code", "")), f"{kind}: {result}")
        aws.forget()
        aws.fault("cut")  # which this version of botocore takes for an answer without members
        check("Plaintext" not in asked(jobs["fine"] | {"attempts": 1})[0], "cut off")
        aws.forget()
        aws.fault("throttled", times=2)
        check(asked(jobs["fine"])[0].get("Plaintext") == data and len(aws.requests) == 3, "throttled twice, then fine")
        recorded = json.dumps([vars(request) for request in aws.requests])
        check(not any(secret in recorded for secret in aws.secrets), "the record holds no secret")


def over_tls(clients):
    """https with a CA of its own; then AWS's own host names, through a proxy that leads them all here."""
    with aws_world.Place("/bin/false") as place, aws_server.AwsServer(tls=place.folder / "tls") as aws, \
            aws_server.Proxy(("127.0.0.1", aws.tls_port)) as proxy:
        key, user = aws.add_key(aws_world.ACCOUNT, "eu-west-1"), aws.add_user(aws_world.ACCOUNT)
        for client in clients:
            place.sops = client.program
            trust = {"SSL_CERT_FILE": aws.ca, "AWS_CA_BUNDLE": aws.ca} | user.environment()
            status, text = client.both_ways(place, trust | aws_world.endpoints(aws.tls_url), [], key.arn)
            check(status, f"{client.name} over TLS: {text}")
            check(all(request.tls for request in aws.requests), f"{client.name}: all over TLS")
            status, text = client.encrypt(place, user.environment() | aws_world.endpoints(aws.tls_url), [], key.arn)
            check(not status and re.search("certificate|SSL", text, re.IGNORECASE), f"{client.name} without the CA: {text}")
            for variables, host in (({}, "kms.eu-west-1.amazonaws.com"), ({"AWS_USE_FIPS_ENDPOINT": "true"}, "kms-fips.eu-west-1.amazonaws.com"),
                                    ({"AWS_USE_DUALSTACK_ENDPOINT": "true"}, "kms.eu-west-1.api.aws")):
                proxy.asked.clear()
                status, text = client.both_ways(place, trust | {"HTTPS_PROXY": proxy.url} | variables, [], key.arn)
                check(status, f"{client.name} at {host}: {text}")
                check(set(proxy.asked) == {host + ":443"}, f"{client.name}: {proxy.asked}")
                check(aws.requests[-1].host == host, f"{client.name}: {aws.requests[-1].host}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", default="")
    only = parser.parse_args().only
    python, program = aws_world.peer("moto", "bin", "python"), aws_world.reference()
    clients = []
    if python:
        clients.append(Botocore(python))
    else:
        skipped.append("botocore (scripts/install-peers)")
    if program:
        clients.append(Sops(program))
    else:
        skipped.append("SOPS 3.13.3 (scripts/install-peers)")
    for name, run in {"published": published_signatures, "real": real_signatures, "sources": lambda: sources(clients), "tls": lambda: over_tls(clients),
                      "answers": lambda: [answers(client) for client in clients if client.name == "botocore"]}.items():
        if only in name:
            run()
    for name in skipped:
        print(f"SKIPPED: not here: {name}")
    print(f"{len(failures)} failures")
    return 1 if failures else 77 if skipped else 0


if __name__ == "__main__":
    if "--as-botocore" in sys.argv:
        as_botocore()
    else:
        sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
        import aws_server
        import aws_world
        sys.exit(main())
