#!/usr/bin/env python3
# SPDX-License-Identifier: MPL-2.0
"""AWS KMS keys against moto and MiniStack, real processes that others wrote; each is weak where the other is strong. Files go both ways
between our program and SOPS 3.13.3 on the same server.

    aws_peers.py --sops PROGRAM [--only WORD]

scripts/install-peers installs them; what is not there is listed, and the status is then 77. Standard library only.
"""

import argparse
import base64
import contextlib
import datetime
import hashlib
import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

import aws_server
import aws_world
from aws_world import PLAIN, Place, endpoints

REGION, SECOND_REGION = "us-east-1", "eu-west-1"
OTHER = "222222222222"
TRUST = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]}

failures, skipped = [], []


def check(holds, text):
    if not holds:
        frame = sys._getframe(1)
        failures.append(f"{frame.f_code.co_name}:{frame.f_lineno}: {text}")
        print("FAILED", failures[-1], flush=True)


def said(done, *patterns):
    for pattern in patterns:
        if not re.search(pattern, re.sub(r"[\s|]+", " ", done.text), re.IGNORECASE):
            frame = sys._getframe(1)
            failures.append(f"{frame.f_code.co_name}:{frame.f_lineno}: nothing like {pattern!r} in:\n{done.text}")
            print("FAILED", failures[-1], flush=True)


class Peer:
    """A running server, and what a person with rights does there."""

    def __init__(self, name, url, account):
        self.name, self.url, self.account = name, url, account

    def call(self, service, operation, arguments, region=REGION, who=("test", "test", "")):
        """Any call of an API, signed. JSON for KMS, else the members of the answer's XML as text. Raises urllib.error.HTTPError."""
        access_key, secret, token = who
        headers = {"host": urllib.parse.urlsplit(self.url).netloc, "x-amz-date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")}
        if token:
            headers["x-amz-security-token"] = token
        if service == "kms":
            body = json.dumps(arguments).encode()
            headers |= {"content-type": "application/x-amz-json-1.1", "x-amz-target": f"TrentService.{operation}"}
        else:
            version = {"iam": "2010-05-08", "sts": "2011-06-15"}[service]
            body = urllib.parse.urlencode({"Action": operation, "Version": version, **arguments}).encode()
            headers["content-type"] = "application/x-www-form-urlencoded; charset=utf-8"
        day, signed = headers["x-amz-date"][:8], sorted(headers)
        canonical = aws_server.canonical_request("POST", "/", list(headers.items()), signed, hashlib.sha256(body).hexdigest(), service)
        text = aws_server.string_to_sign(canonical, headers["x-amz-date"], day, region, service)
        headers["Authorization"] = (f"AWS4-HMAC-SHA256 Credential={access_key}/{day}/{region}/{service}/aws4_request, SignedHeaders={';'.join(signed)}, "
                                    f"Signature={aws_server.signature_of(secret, text, day, region, service)}")
        with urllib.request.urlopen(urllib.request.Request(self.url + "/", body, headers), timeout=300) as answer:
            text = answer.read().decode()
        return (json.loads(text) if text else {}) if service == "kms" else text

    def new_key(self, region=REGION, **more):
        arguments = {name: value for name, value in more.items() if name != "who"}
        return self.call("kms", "CreateKey", arguments, region, **{name: more[name] for name in more if name == "who"})["KeyMetadata"]["Arn"]

    def alias(self, name, arn, region=REGION):
        self.call("kms", "CreateAlias", {"AliasName": f"alias/{name}", "TargetKeyId": arn}, region)
        return f"{arn.rsplit(':', 1)[0]}:alias/{name}"

    def role(self, name, trust=None, policy=None):
        self.call("iam", "CreateRole", {"RoleName": name, "AssumeRolePolicyDocument": json.dumps(trust or TRUST)})
        if policy:
            self.call("iam", "PutRolePolicy", {"RoleName": name, "PolicyName": "p", "PolicyDocument": json.dumps(policy)})
        return f"arn:aws:iam::{self.account}:role/{name}"

    def user(self, name, *actions):
        """A user with these permissions; access key and secret."""
        self.call("iam", "CreateUser", {"UserName": name})
        if actions:
            self.call("iam", "PutUserPolicy", {"UserName": name, "PolicyName": "p", "PolicyDocument": json.dumps(allow(*actions))})
        text = self.call("iam", "CreateAccessKey", {"UserName": name})
        return re.search("<AccessKeyId>(.*?)</", text)[1], re.search("<SecretAccessKey>(.*?)</", text)[1], ""


def allow(*actions):
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": "*"}]}


def variables(access_key, secret, token=""):
    return {"AWS_ACCESS_KEY_ID": access_key, "AWS_SECRET_ACCESS_KEY": secret} | ({"AWS_SESSION_TOKEN": token} if token else {})


@contextlib.contextmanager
def running(name, program, probe, account, arguments=(), **environment):
    """A server on a free port, until the end of the block."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    words = [word.format(port=port) for word in arguments]
    log = open(f"/tmp/sops-{name}-{os.getpid()}.log", "wb")  # noqa: SIM115 (for the process's life)
    process = subprocess.Popen([program, *words], env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", **{key: value.format(port=port) for key, value in
                                                                                                          environment.items()}},
                               stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/tmp")
    try:
        for _ in range(600):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(url + probe, timeout=5).close()
                break
            time.sleep(0.1)
        else:
            raise OSError(f"{name} does not start: {open(log.name).read()}")
        yield Peer(name, url, account)
    finally:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        log.close()
        os.unlink(log.name)


def moto(**environment):
    return running("moto", aws_world.peer("moto", "bin", "moto_server"), "/moto-api/", "123456789012", ("-H", "127.0.0.1", "-p", "{port}"), **environment)


def ministack(**environment):
    return running("ministack", aws_world.peer("ministack", "bin", "ministack"), "/_localstack/health", "000000000000", BIND_HOST="127.0.0.1", GATEWAY_PORT="{port}",
                   IOT_MTLS_ENABLED="false", **environment)


# --- both peers --------------------------------------------------------------------------------------------------------------------


def both_ways(peer, programs, place):
    """Every pair of programs: aliases, two regions, a context; the same file again after rotate and updatekeys by the other."""
    keys = [peer.new_key(), peer.new_key(SECOND_REGION)]
    third, alias = peer.new_key(), peer.alias("both", peer.new_key())
    for writer in programs:
        for reader in programs:
            text = f"{peer.name}: {writer} to {reader}"
            place.sops = programs[writer]
            done = place.encrypt("--kms", ",".join([*keys, alias]), "--encryption-context", "App:web,Stage:a b")
            check(done.returncode == 0, f"{text}: {done.text}")
            place.sops = programs[reader]
            check(place.opens(done.file), f"{text}: {place.shown[-2000:].decode()}")
            changed = place.run("rotate", "-i", "--add-kms", third, "--rm-kms", keys[0], "--encryption-context", "App:web,Stage:a b", done.file)
            check(changed.returncode == 0, f"{text}: rotate: {changed.text}")
            check(re.findall(r"arn: (\S+)", (place.work / done.file).read_text()) == [keys[1], alias, third], f"{text}: rotate")
            place.sops = programs[writer]
            check(place.opens(done.file), f"{text}: after rotate: {place.shown[-2000:].decode()}")
            place.write(".sops.yaml", f"creation_rules:\n  - kms: {keys[0]}\n")
            changed = place.run("updatekeys", "-y", done.file)
            (place.work / ".sops.yaml").unlink()
            check(changed.returncode == 0, f"{text}: updatekeys: {changed.text}")
            place.sops = programs[reader]
            check(place.opens(done.file), f"{text}: after updatekeys: {place.shown[-2000:].decode()}")


def refused(peer, programs, place):
    """Another context, an unknown key, another region, a damaged blob."""
    key = peer.new_key()
    for name, program in programs.items():
        place.sops = program
        done = place.encrypt("--kms", key, "--encryption-context", "App:web")
        check(done.returncode == 0, f"{name}: {done.text}")
        place.write("changed.yaml", done.stdout.decode().replace("App: web", "App: other"))
        failed = place.run("decrypt", "changed.yaml")
        check(failed.returncode == 128, f"{peer.name}, {name}: another context: {failed.returncode}")
        said(failed, "InvalidCiphertextException", re.escape(key))
        for wrong in (re.sub(".{12}$", "0" * 12, key), key.replace(REGION, SECOND_REGION)):
            failed = place.encrypt("--kms", wrong)
            check(failed.returncode != 0, f"{peer.name}, {name}: an unknown key")
            said(failed, "NotFoundException", re.escape(wrong))
        blob = re.search(r"enc: (?!ENC)(\S+)", done.stdout.decode())[1]
        raw = bytearray(base64.b64decode(blob))
        raw[-1] ^= 1
        place.write("changed.yaml", done.stdout.decode().replace(blob, base64.b64encode(raw).decode()))
        failed = place.run("decrypt", "changed.yaml")
        check(failed.returncode != 0 and PLAIN.encode() not in failed.stdout, f"{peer.name}, {name}: a damaged blob: {failed.returncode}")


def two_accounts(peer, programs, place):
    """A key of another account is found with a role there and not without; a file with keys of both opens with either."""
    near = peer.new_key()
    role = f"arn:aws:iam::{OTHER}:role/r"
    if peer.name == "moto":
        text = peer.call("sts", "AssumeRole", {"RoleArn": role, "RoleSessionName": "make"})
        who = tuple(re.search(f"<{name}>(.*?)</", text)[1] for name in ("AccessKeyId", "SecretAccessKey", "SessionToken"))
        far = peer.new_key(who=who)
    else:
        far = peer.new_key(who=(OTHER, "x", ""))
    check(f":{OTHER}:" in far, far)
    for name, program in programs.items():
        place.sops = program
        check(place.encrypt("--kms", far).returncode != 0, f"{peer.name}, {name}: without the role")
        for kms in (f"{far}+{role}", f"{near},{far}+{role}"):
            done = place.encrypt("--kms", kms)
            check(done.returncode == 0 and place.opens(done.file), f"{peer.name}, {name}: {kms}: {done.text}")
        for reader in programs.values():
            place.sops = reader
            check(place.opens(done.file), f"{peer.name}, {name}: both ways")


# --- moto's strengths ----------------------------------------------------------------------------------------------------------------


def moto_refusals(programs):
    """Signatures and policies; errors come as XML even for KMS, with status 403."""
    with moto(INITIAL_NO_AUTH_ACTION_COUNT="4") as peer, Place("/bin/false", **endpoints(peer.url)) as place:
        key = peer.new_key()
        peer.call("iam", "CreateUser", {"UserName": "u"})
        peer.call("iam", "PutUserPolicy", {"UserName": "u", "PolicyName": "p", "PolicyDocument": json.dumps(allow("kms:Encrypt"))})
        text = peer.call("iam", "CreateAccessKey", {"UserName": "u"})
        access_key, secret = re.search("<AccessKeyId>(.*?)</", text)[1], re.search("<SecretAccessKey>(.*?)</", text)[1]
        for name, program in programs.items():
            place.sops = program
            done = place.encrypt("--kms", key, **variables(access_key, secret))
            check(done.returncode == 0, f"{name}: the signature is accepted: {done.text}")
            for case, who, code in (("secret", (access_key, "wrong"), "SignatureDoesNotMatch"), ("id", ("AKIA" + "A" * 16, secret), "InvalidClientTokenId")):
                failed = place.encrypt("--kms", key, **variables(*who))
                check(failed.returncode != 0, f"{name}: {case}")
                if name == "ours":  # SOPS can only say that it is no JSON
                    said(failed, code, re.escape(key))
            failed = place.run("decrypt", done.file, **variables(access_key, secret))
            check(failed.returncode == 128, f"{name}: no permission")
            if name == "ours":
                said(failed, "AccessDenied|not authorized", re.escape(key))


# --- MiniStack's strengths -----------------------------------------------------------------------------------------------------------


def key_states(peer, programs, place):
    key, asymmetric = peer.new_key(), peer.new_key(KeySpec="RSA_2048")
    for name, program in programs.items():
        place.sops = program
        done = place.encrypt("--kms", key)
        check(done.returncode == 0, f"{name}: {done.text}")
        failed = place.encrypt("--kms", asymmetric)
        check(failed.returncode != 0, f"{name}: an RSA key")
        said(failed, "InvalidKeyUsageException")
        peer.call("kms", "DisableKey", {"KeyId": key})
        for failed in (place.run("decrypt", done.file), place.run("rotate", "-i", done.file)):
            check(failed.returncode == 128, f"{name}: disabled: {failed.returncode}")
            said(failed, "DisabledException", re.escape(key))
        peer.call("kms", "EnableKey", {"KeyId": key})
        check(place.opens(done.file), f"{name}: enabled again")
        peer.call("kms", "ScheduleKeyDeletion", {"KeyId": key, "PendingWindowInDays": 7})
        failed = place.run("decrypt", done.file)
        check(failed.returncode == 128, f"{name}: to be deleted: {failed.returncode}")
        said(failed, "KMSInvalidStateException", re.escape(key))
        key = peer.new_key()


def sources(peer, programs, place):
    """Instance metadata, container credentials, web identity, profiles."""
    key = peer.new_key()
    (place.home / "token").write_text("header.payload.signature")
    place.config(f"[profile here]\nendpoint_url = {peer.url}\naws_access_key_id = test\naws_secret_access_key = test\n[profile role]\nrole_arn = arn:aws:iam::{peer.account}:role/x\n"
                 "source_profile = here\nexternal_id = e\n")
    environments = {
        "instance": {"AWS_EC2_METADATA_DISABLED": "false", "AWS_EC2_METADATA_SERVICE_ENDPOINT": peer.url},
        "container": {"AWS_CONTAINER_CREDENTIALS_FULL_URI": peer.url + "/v2/credentials/abc"},
        "web identity": {"AWS_WEB_IDENTITY_TOKEN_FILE": str(place.home / "token"), "AWS_ROLE_ARN": f"arn:aws:iam::{peer.account}:role/x"},
        "profile": {"AWS_PROFILE": "here", "AWS_ENDPOINT_URL": ""},
        "profile with role": {"AWS_PROFILE": "role"},
    }
    without = {name: value for name, value in place.environment.items() if name not in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    before, place.environment = place.environment, without
    for name, program in programs.items():
        place.sops = program
        for source, environment in environments.items():
            done = place.encrypt("--kms", key, **environment)
            check(done.returncode == 0 and place.opens(done.file, **environment), f"{name}: {source}: {done.text}")
    place.environment = before


def permissions(programs):
    """Signatures, policies, roles with an external id, as AWS decides and says it."""
    with ministack(AUTH="true") as peer, Place("/bin/false", **endpoints(peer.url)) as place:
        key = peer.new_key()
        writer, both = peer.user("writer", "kms:Encrypt"), peer.user("both", "kms:Encrypt", "kms:Decrypt", "sts:AssumeRole")
        plain_role = peer.role("deploy", policy=allow("kms:Encrypt", "kms:Decrypt"))
        careful = json.loads(json.dumps(TRUST))
        careful["Statement"][0]["Condition"] = {"StringEquals": {"sts:ExternalId": "xid"}}
        external = peer.role("external", careful, allow("kms:Encrypt", "kms:Decrypt"))
        poor = peer.role("poor", policy=allow("kms:Encrypt"))
        for name, program in programs.items():
            place.sops = program
            rights, only_write = variables(*both), variables(*writer)
            done = place.encrypt("--kms", key, **rights)
            check(done.returncode == 0 and place.opens(done.file, **rights), f"{name}: {done.text}")
            failed = place.run("decrypt", done.file, **only_write)
            check(failed.returncode == 128, f"{name}: no permission: {failed.returncode}")
            said(failed, "AccessDeniedException", "kms:Decrypt", "writer")
            check(place.encrypt("--kms", key, **only_write).returncode == 0, f"{name}: permission to encrypt")
            for who, code in (((both[0], "wrong"), "InvalidSignatureException"), (("AKIA" + "A" * 16, "x"), "UnrecognizedClientException")):
                failed = place.run("decrypt", done.file, **variables(*who))
                check(failed.returncode == 128, f"{name}: {code}: {failed.returncode}")
                said(failed, code)
            done = place.encrypt("--kms", f"{key}+{plain_role}", **rights)
            check(done.returncode == 0 and place.opens(done.file, **rights), f"{name}: role: {done.text}")
            for role in (external, f"arn:aws:iam::{peer.account}:role/nobody"):
                failed = place.encrypt("--kms", f"{key}+{role}", **rights)
                check(failed.returncode != 0, f"{name}: {role}")
                said(failed, "AccessDenied", re.escape(role))
            place.config(f"[profile base]\naws_access_key_id = {both[0]}\naws_secret_access_key = {both[1]}\n[profile ext]\nrole_arn = {external}\nsource_profile = base\n"
                         "external_id = xid\n[profile wrong]\nrole_arn = " + external + "\nsource_profile = base\nexternal_id = other\n")
            done = place.encrypt("--kms", key, "--aws-profile", "ext")
            check(done.returncode == 0 and place.opens(done.file), f"{name}: external id: {done.text}")
            failed = place.encrypt("--kms", key, "--aws-profile", "wrong")
            check(failed.returncode != 0, f"{name}: a wrong external id")
            said(failed, "AccessDenied")
            done = place.encrypt("--kms", f"{key}+{poor}", **rights)
            failed = place.run("decrypt", done.file, **rights)
            check(failed.returncode == 128, f"{name}: a role that may only encrypt: {failed.returncode}")
            said(failed, "AccessDeniedException", "assumed-role/poor/sops@")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sops", help="left out: SOPS alone, to judge the test")
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    programs = {"ours": os.path.abspath(options.sops)} if options.sops else {}
    if aws_world.reference():
        programs["SOPS"] = aws_world.reference()
    else:
        skipped.append("SOPS 3.13.3")
    admin = variables("test", "test")
    for name, start, tests in (("moto", moto, [both_ways, refused, two_accounts]), ("ministack", ministack, [both_ways, refused, two_accounts, key_states, sources])):
        if not aws_world.peer(name, "bin", {"moto": "moto_server"}.get(name, name)):
            skipped.append(name)
            continue
        chosen = [test for test in tests if options.only in f"{name} {test.__name__}"]
        if chosen:
            with start() as peer, Place("/bin/false", **endpoints(peer.url), **admin) as place:
                for test in chosen:
                    test(peer, programs, place)
                    print(f"{name}: {test.__name__}", flush=True)
        for test in {"moto": [moto_refusals], "ministack": [permissions]}[name]:
            if options.only in f"{name} {test.__name__}":
                test(programs)
                print(f"{name}: {test.__name__}", flush=True)
    for name in skipped:
        print(f"SKIPPED: not here (scripts/install-peers): {name}")
    print(f"{len(failures)} failures")
    return 1 if failures else 77 if skipped else 0


if __name__ == "__main__":
    sys.exit(main())
