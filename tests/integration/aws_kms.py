#!/usr/bin/env python3
# SPDX-License-Identifier: MPL-2.0
"""AWS KMS keys end to end, against aws_server.py: every source of credentials, roles, contexts, what goes wrong and what is said then.

    aws_kms.py --sops PROGRAM [--only WORD] [--like-reference]

With --like-reference PROGRAM is SOPS itself: what ours does otherwise on purpose is then not expected, each with its row of
docs/compatibility.md. Needs gpg for the story of the announcement; without it, or without pseudo terminals, the test says what it did not
try and the status is 77. Standard library only.
"""

import argparse
import collections
import concurrent.futures
import contextlib
import fnmatch
import inspect
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import time
import traceback

from aws_server import AwsServer, Proxy
from aws_world import ACCOUNT, KEYS, OTHER, PLAIN, ROOT, SOURCES, SSO_REGION, Place, endpoints, script, sso_session_config

RECIPIENT = (KEYS / "age.pub").read_text().strip()
REGION = "eu-west-1"
SESSION_NAME = "sops@" + re.sub(r"[^A-Za-z0-9=,.@_]", "", socket.gethostname())

failures, skipped, differences = [], [], collections.Counter()
options = None


def check(holds, text, row=None):
    """Notes a failure, with the place that called. `row` is the row of docs/compatibility.md by which SOPS may do otherwise."""
    if holds:
        return
    frame = sys._getframe(1)
    if row and options.like_reference:
        differs(row)
        return
    failures.append(f"{frame.f_code.co_name}:{frame.f_lineno}: {text}")
    print("FAILED", failures[-1], flush=True)


def differs(row):
    """SOPS does otherwise, and the first cell of that row of docs/compatibility.md says where."""
    differences[row] += 1
    if f"\n| {row} |" not in (ROOT / "docs" / "compatibility.md").read_text():
        failures.append(f"no row in docs/compatibility.md: {row}")


@contextlib.contextmanager
def world(tls=False, **environment):
    """A server, a place that is directed to it, and in the end: no secret in anything that was printed."""
    with Place(options.sops) as place, AwsServer(tls=place.folder / "tls" if tls else None) as aws:
        place.environment |= endpoints(aws.url) | environment
        yield aws, place
        shown = place.shown.decode(errors="replace")
        for secret in [*aws.secrets, "swordfish-of-plaintext"]:
            check(secret not in shown, f"{inspect.stack()[2].function}: a secret is shown: {secret}\n{shown}")


def said(done, *patterns, row=None):
    """Each pattern is somewhere in what a run wrote to standard error."""
    text = done.text if hasattr(done, "text") else done
    flat = re.sub(r"[\s|]+", " ", text)  # SOPS breaks lines
    caller = sys._getframe(1)
    for pattern in patterns:
        if not re.search(pattern, flat, re.IGNORECASE):
            if row and options.like_reference:
                differs(row)
                continue
            failures.append(f"{caller.f_code.co_name}:{caller.f_lineno}: nothing like {pattern!r} in:\n{text}")
            print("FAILED", failures[-1], flush=True)


def principals(aws, service="kms"):
    return [aws.principals[request.access_key].arn for request in aws.of(service=service) if request.access_key in aws.principals]


# --- credentials -------------------------------------------------------------------------------------------------------------------


def every_source():
    """Encrypts and decrypts with each; asked by the right principal; credentials fetched once for a run; refused with a wrong secret."""
    for source in SOURCES:
        name = source.__name__
        with world() as (aws, place):
            key = aws.add_key(ACCOUNT, REGION, allowed={"*": ["*"]})
            environment, flags, pattern = source(aws, place)
            done = place.encrypt("--kms", key.arn, *flags, **environment)
            check(done.returncode == 0, f"{name}: encrypt: {done.text}")
            if done.returncode:
                continue
            counts = collections.Counter((request.service, request.operation) for request in aws.requests)
            roles = {"role_chain": 3}.get(name, 1)
            check(counts["sts", "AssumeRole"] <= roles and max(counts.values()) <= max(roles, 2), f"{name}: more requests than needed: {counts}")
            check(place.opens(done.file, **environment), f"{name}: decrypt: {place.shown.decode()}")
            wanted = pattern if pattern.startswith("arn:") else "*:" + pattern
            check(all(fnmatch.fnmatchcase(arn, wanted) for arn in principals(aws)), f"{name}: asked by {set(principals(aws))}")
            check({request.region for request in aws.of(service="kms")} == {REGION}, f"{name}: the region is the key's")
            check(all(request.access_key == "" for request in aws.of(operation="AssumeRoleWithWebIdentity")), f"{name}: web identity is not signed")
            for principal in aws.principals.values():
                principal.secret = principal.secret[::-1]
            if flags or name in ("env_keys", "env_session", "default_profile", "named_profile", "role_profile"):
                done = place.run("decrypt", done.file, **environment)
                check(done.returncode == 128, f"{name}: wrong secret: status {done.returncode}: {done.text}")
                said(done, "InvalidSignatureException|SignatureDoesNotMatch")


def named_in_errors():
    """A profile that is missing: its name, and where it comes from (keys-aws.md 9)."""
    with world() as (aws, place):
        key, user = aws.add_key(ACCOUNT, REGION), aws.add_user(ACCOUNT)
        place.credentials(work=user, other=user)
        done = place.encrypt("--kms", key.arn, "--aws-profile", "work")
        check(done.returncode == 0, done.text)
        check("aws_profile: work" in done.stdout.decode(), "the profile stands in the file")
        place.credentials(other=user)
        missing = place.run("decrypt", done.file, **user.environment())
        check(missing.returncode == 128, f"status {missing.returncode}")
        said(missing, "work")
        said(missing, r"\.aws/config", "file", row="messages about credentials")
        missing = place.run("decrypt", done.file, AWS_PROFILE="elsewhere")
        done = place.encrypt("--kms", key.arn, AWS_PROFILE="elsewhere")
        check(done.returncode == 1 or options.like_reference and done.returncode, f"status {done.returncode}")
        said(done, "elsewhere")
        said(done, "AWS_PROFILE", row="messages about credentials")


def no_credentials():
    """None anywhere: every place that was looked at, and how to get some."""
    with world() as (aws, place):
        key = aws.add_key(ACCOUNT, REGION)
        done = place.encrypt("--kms", key.arn)
        check(done.returncode != 0 and not aws.of(service="kms"), done.text)
        said(done, "credentials")
        said(done, "AWS_ACCESS_KEY_ID", "profile|\\.aws", "AWS_EC2_METADATA_DISABLED", row="messages about credentials")


CONFIGURATION_ERRORS = {
    "partial": ("[profile work]\naws_access_key_id = AKIAXXXXXXXXXXXXXXXX\n", ["work", "partial|aws_secret_access_key"]),
    "two sources": ("[profile work]\nrole_arn = arn:aws:iam::111111111111:role/r\nsource_profile = a\ncredential_source = Environment\n[profile a]\n"
                    "aws_access_key_id = A\naws_secret_access_key = B\n", ["source.profile|credential.source"]),
    "no role": ("[profile work]\nsource_profile = a\n[profile a]\naws_access_key_id = A\naws_secret_access_key = B\n", ["role_arn|role ARN"]),
    "no session": ("[profile work]\nsso_session = corp\nsso_account_id = 111111111111\nsso_role_name = x\n", ["corp"]),
    "no source": ("[profile work]\nrole_arn = arn:aws:iam::111111111111:role/r\nsource_profile = gone\n", ["gone"]),
    "bad source": ("[profile work]\nrole_arn = arn:aws:iam::111111111111:role/r\ncredential_source = Nowhere\n", ["Nowhere|credential_source"]),
    "empty environment": ("[profile work]\nrole_arn = arn:aws:iam::111111111111:role/r\ncredential_source = Environment\n", ["AWS_ACCESS_KEY_ID|empty"]),
    "no container": ("[profile work]\nrole_arn = arn:aws:iam::111111111111:role/r\ncredential_source = EcsContainer\n", ["AWS_CONTAINER_CREDENTIALS"]),
    "process fails": ("[profile work]\ncredential_process = sh -c 'echo process-%s-secret | sed s/%s/output/; exit 7'\n", ["7", "process"]),
    "process garbage": ("[profile work]\ncredential_process = echo process-%s-secret | sed s/%s/output/\n", ["process"]),
    "process of another version": ("[profile work]\ncredential_process = echo '{\"Version\": 2}'\n", ["version"]),
    "no web token": ("[profile work]\nrole_arn = arn:aws:iam::111111111111:role/r\nweb_identity_token_file = /nonexistent/token\n", ["/nonexistent/token"]),
    "no sso token": (f"[profile work]\nsso_session = corp\nsso_account_id = 111111111111\nsso_role_name = x\n[sso-session corp]\nsso_region = {SSO_REGION}\n"
                     "sso_start_url = https://corp.awsapps.com/start\n", ["sso"]),
}


def configuration_errors():
    """Named by profile and setting; nothing is sent; no output of a credential process is shown."""
    for name, (config, patterns) in CONFIGURATION_ERRORS.items():
        with world() as (aws, place):
            place.config(config)
            done = place.encrypt("--kms", aws.add_key(ACCOUNT, REGION).arn, AWS_PROFILE="work")
            check(done.returncode != 0 and not aws.of(service="kms"), f"{name}: {done.text}")
            check("process-output-secret" not in done.text, f"{name}: {done.text}", "output of a `credential_process` that is no answer")
            said(done, *patterns)
            if name != "no session":
                said(done, "work", row="messages about credentials")
            if name == "no sso token":
                said(done, "aws sso login", row="messages about credentials")


# --- SSO ---------------------------------------------------------------------------------------------------------------------------


def refresh_at_once():
    """Two processes with one expired SSO token whose refresh token is good for one time: one asks, the other reads again (keys.md 3.5)."""
    with world() as (aws, place):
        key = aws.add_key(ACCOUNT, REGION)
        sso_session_config(place)
        cache = place.sso_cache("corp", aws.add_sso(ACCOUNT, "Admin", refresh=True))
        place.write("plain.yaml", PLAIN)
        done = place.encrypt("--kms", key.arn, AWS_PROFILE="work")
        check(done.returncode == 0, done.text)
        token = aws.add_sso(ACCOUNT, "Admin", seconds=-60, refresh=True) | {"startUrl": "https://corp.awsapps.com/start", "region": SSO_REGION}
        place.sso_cache("corp", token)
        aws.fault("slow", operation="CreateToken", seconds=0.7)
        runs = [place.start("decrypt", done.file, AWS_PROFILE="work") for _ in range(2)]
        outputs = [run.communicate(timeout=60) for run in runs]
        row = "renewing a token of `sso_session`"
        for run, (out, err) in zip(runs, outputs):
            place.shown += err
            check(run.returncode == 0 and out.decode() == PLAIN, f"status {run.returncode}: {err.decode()}", row)
        check(len(aws.of(operation="CreateToken")) == 1, f"{len(aws.of(operation='CreateToken'))} refreshes", row)
        now = json.loads(cache.read_text())
        check(cache.stat().st_mode & 0o777 == 0o600, f"mode {cache.stat().st_mode:o}")
        check(now["accessToken"] != token["accessToken"] and now["refreshToken"] != token["refreshToken"], "new tokens are in the cache")
        check(all(now.get(name) == token[name] for name in ("clientId", "clientSecret", "registrationExpiresAt", "startUrl", "region")), f"kept: {sorted(now)}")
        check([path.name for path in cache.parent.iterdir() if path.suffix == ".json"] == [cache.name], f"left: {list(cache.parent.iterdir())}")
        check(place.opens(done.file, AWS_PROFILE="work"), "afterwards")


def sso_errors():
    with world() as (aws, place):
        key = aws.add_key(ACCOUNT, REGION)
        sso_session_config(place)

        def refused(token, *patterns):
            place.sso_cache("corp", token)
            done = place.encrypt("--kms", key.arn, AWS_PROFILE="work")
            check(done.returncode != 0, "encrypted")
            said(done, *patterns)
            said(done, "aws sso login", "corp|work", row="messages about credentials")

        refused(aws.add_sso(ACCOUNT, "Admin", seconds=-60), "expired|SSO")
        used = aws.add_sso(ACCOUNT, "Admin", seconds=-60, refresh=True)
        del aws.refresh_tokens[used["refreshToken"]]
        refused(used, "InvalidGrant|refresh")
        unknown = aws.add_sso(ACCOUNT, "Admin", refresh=True)
        del aws.sso_tokens[unknown["accessToken"]]
        refused(unknown, "Unauthorized")
        place.sso_cache("corp", aws.add_sso(ACCOUNT, "Reader", refresh=True))
        done = place.encrypt("--kms", key.arn, AWS_PROFILE="work")
        said(done, "Forbidden")
        said(done, "Admin", ACCOUNT, row="messages about credentials")
        place.sso_cache("corp", {"accessToken": "x"})
        done = place.encrypt("--kms", key.arn, AWS_PROFILE="work")
        check(done.returncode != 0, "a cache without expiresAt")


# --- MFA ---------------------------------------------------------------------------------------------------------------------------


def mfa_world(aws, place):
    """Two keys in two regions, reached by a role that asks for MFA. Returns the role."""
    role = aws.add_role(ACCOUNT, "careful", "*user/base", mfa_serial=f"arn:aws:iam::{OTHER}:mfa/base", mfa_codes=["424242", "535353"])
    place.credentials(base=aws.add_user(OTHER, "base"))
    place.config(f"[profile work]\nrole_arn = {role.arn}\nsource_profile = base\nmfa_serial = {role.mfa_serial}\n")
    return role


def mfa():
    """One prompt for a role and run, shared by regions and files; a code is sent once; without a terminal a way out (keys.md 3.4)."""
    if options.like_reference:
        differs("a role with `mfa_serial`")
        return
    with world() as (aws, place):
        role = mfa_world(aws, place)
        keys = [aws.add_key(ACCOUNT, region) for region in ("eu-west-1", "us-west-2")]
        place.write("plain.yaml", PLAIN)
        place.write(".sops.yaml", "creation_rules:\n  - key_groups:\n      - kms:\n" + "".join(
            f"          - arn: {key.arn}\n            aws_profile: work\n" for key in keys))
        typed = [("(?i)(mfa|code)[^\n]*: *$", "424242\n")]
        status, text, left = place.on_terminal("encrypt", "-i", "plain.yaml", answers=typed)
        check(status == 0 and not left, f"encrypt: status {status}: {text}")
        check(role.mfa_serial in text, f"the prompt names the device: {text}")
        check("424242" not in text, "the code is not echoed")
        asked = [request for request in aws.of(operation="AssumeRole") if "SerialNumber" in request.parameters]
        check(len(asked) == 1, f"{len(asked)} requests with a code")
        shutil.copy(place.work / "plain.yaml", place.work / "second.yaml")
        aws.forget()
        status, text, left = place.on_terminal("decrypt", "-i", "plain.yaml", "second.yaml", answers=[(typed[0][0], "535353\n")])
        check(status == 0 and not left and len(aws.of(operation="AssumeRole")) == 1, f"two files: status {status}: {text}")
        check((place.work / "second.yaml").read_text() == PLAIN, "second file")

        # A wrong code: refused, said so, not sent again.
        status, text, left = place.on_terminal("encrypt", "-i", "plain.yaml", answers=[(typed[0][0], "111111\n")])
        check(status != 0 and (place.work / "plain.yaml").read_text() == PLAIN, f"a wrong code: {text}")
        said(text, "MultiFactorAuthentication")

        # Nobody to ask.
        aws.forget()
        for words in (["encrypt", "plain.yaml"], ["--json", "encrypt", "plain.yaml"]):
            done = place.run(*words)
            check(done.returncode != 0 and not aws.of(service="kms"), f"{words}: {done.text}")
            said(done.stdout.decode() + done.text, "MFA", "aws sts get-session-token")
        status, text, left = place.on_terminal("--json", "encrypt", "-i", "plain.yaml", answers=typed)
        check(status != 0 and left and not aws.of(service="sts"), f"--json asks: {text}")
        said(text, "get-session-token")

        # In pass 2 only: an age key that is here opens the file without a question.
        role.mfa_codes[:] = ["646464"]
        place.write(".sops.yaml", f"creation_rules:\n  - key_groups:\n      - kms:\n          - arn: {keys[0].arn}\n            aws_profile: work\n"
                                  f"        age: ['{RECIPIENT}']\n")
        status, text, left = place.on_terminal("encrypt", "-i", "plain.yaml", answers=[(typed[0][0], "646464\n")])
        check(status == 0, text)
        aws.forget()
        status, text, left = place.on_terminal("decrypt", "plain.yaml", answers=typed, SOPS_AGE_KEY_FILE=str(KEYS / "age.txt"))
        check(status == 0 and left and not aws.requests, f"asked although the age key is here: {text}")
        # Another key that needs no person comes first, too.
        easy = aws.add_user(OTHER, "easy")
        plain_key = aws.add_key(OTHER, REGION)
        place.credentials(base=aws.principals[easy.access_key])
        place.write("other.yaml", PLAIN)
        role.trusted, role.mfa_codes[:] = ["*user/easy"], ["757575"]
        place.write(".sops.yaml", f"creation_rules:\n  - key_groups:\n      - kms:\n          - arn: {keys[0].arn}\n            aws_profile: work\n"
                                  f"          - arn: {plain_key.arn}\n            aws_profile: base\n")
        status, text, left = place.on_terminal("encrypt", "-i", "other.yaml", answers=[(typed[0][0], "757575\n")])
        check(status == 0, text)
        aws.forget()
        status, text, left = place.on_terminal("decrypt", "other.yaml", answers=typed)
        check(status == 0 and left and len(aws.requests) == 1, f"asked although another key opens it: {text}")


def mfa_in_reference():
    """SOPS fails, as does ours without a terminal."""
    with world() as (aws, place):
        mfa_world(aws, place)
        done = place.encrypt("--kms", aws.add_key(ACCOUNT, REGION).arn, AWS_PROFILE="work")
        check(done.returncode != 0 and not aws.of(service="kms"), done.text)
        said(done, "MFA")


# --- keys --------------------------------------------------------------------------------------------------------------------------


def many_files():
    """1,000 files with one key: credentials once, at most 8 connections (keys.md 3.3)."""
    if options.like_reference:
        differs("several files with `encrypt`, `decrypt`, `rotate`")
        return
    count = 1000
    with world() as (aws, place):
        key = aws.add_key(ACCOUNT, REGION)
        role = aws.add_role(ACCOUNT, "deploy", "*user/base")
        place.credentials(base=aws.add_user(OTHER, "base"))
        place.config(f"[profile work]\nrole_arn = {role.arn}\nsource_profile = base\n")
        done = place.encrypt("--kms", key.arn, AWS_PROFILE="work")
        check(done.returncode == 0, done.text)
        folder = place.work / "many"
        folder.mkdir()
        for number in range(count):
            (folder / f"{number}.yaml").write_bytes(done.stdout)
        aws.forget()
        started = time.monotonic()
        done = place.run("decrypt", "-r", "-i", "many", timeout=900, AWS_PROFILE="work")  # on an idle machine some seconds
        seconds = time.monotonic() - started
        check(done.returncode == 0, done.text[-2000:])
        check(all((folder / f"{number}.yaml").read_text() == PLAIN for number in range(count)), "all files")
        counts = collections.Counter(request.operation for request in aws.requests)
        check(counts == {"AssumeRole": 1, "Decrypt": count}, f"{counts}")
        check(aws.connections <= 8, f"{aws.connections} connections, {aws.most_open_connections} at once")
        print(f"many_files: {count} files in {seconds:.1f} s, {aws.connections} connections", flush=True)


def context():
    """Sent, stored, used on decryption; exact."""
    with world() as (aws, place):
        key = aws.add_key(ACCOUNT, REGION, context={"App": "web"})
        place.environment |= aws.add_user(ACCOUNT).environment()
        done = place.encrypt("--kms", key.arn, "--encryption-context", "App:web,Stage:prod,Empty:")
        check(done.returncode == 0, done.text)
        pairs = {"App": "web", "Stage": "prod", "Empty": ""}
        check(aws.requests[-1].parameters["EncryptionContext"] == pairs, f"{aws.requests[-1].parameters}")
        check(place.opens(done.file), "opens")
        check(aws.requests[-1].parameters["EncryptionContext"] == pairs, f"{aws.requests[-1].parameters}")
        text = done.stdout.decode()
        place.write("changed.yaml", text.replace("Stage: prod", "Stage: test"))
        changed = place.run("decrypt", "changed.yaml")
        check(changed.returncode == 128, f"status {changed.returncode}")
        said(changed, "InvalidCiphertextException", re.escape(key.arn))
        said(changed, "context", "Stage", row="messages about KMS")
        place.write("removed.yaml", text.replace("App: web", "App2: web"))
        changed = place.run("decrypt", "removed.yaml")
        check(changed.returncode == 128, f"status {changed.returncode}")
        said(changed, "AccessDeniedException", "not authorized")

        # Without a context the member is there all the same (keys-aws.md 1.3).
        free = aws.add_key(ACCOUNT, REGION)
        done = place.encrypt("--kms", free.arn)
        check(aws.requests[-1].parameters["EncryptionContext"] == {}, f"{aws.requests[-1].parameters}")
        check(place.encrypt("--kms", free.arn, "--encryption-context", "nonsense").returncode == 6, "a context that is none: exit 6")
        # Groups of a rule have contexts of their own.
        place.write(".sops.yaml", f"creation_rules:\n  - key_groups:\n      - kms:\n          - arn: {key.arn}\n            context: {{App: web, N: 0x10}}\n")
        done = place.encrypt()
        check(done.returncode == 0 and aws.requests[-1].parameters["EncryptionContext"] == {"App": "web", "N": "0x10"}, f"{done.text}")
        check(place.opens(done.file), "key group")


def forms_of_keys():
    """Several keys, aliases, multi-region replicas, SOPS_KMS_ARN, rules as text and list; the region is the key's."""
    with world() as (aws, place):
        place.environment |= aws.add_user(ACCOUNT).environment()
        one, two = aws.add_key(ACCOUNT, "eu-west-1"), aws.add_key(ACCOUNT, "us-west-2")
        alias = aws.add_alias("app/prod", aws.add_key(ACCOUNT, "ap-southeast-2"))
        replicas = [aws.add_key(ACCOUNT, region, key_id="mrk-0123456789abcdef0123456789abcdef") for region in ("eu-west-1", "us-east-1")]
        lists = f"{one.arn} , {two.arn},{alias},{replicas[0].arn}"
        for name, words, environment, rule in (
                ("flag", ["--kms", lists], {}, None), ("variable", [], {"SOPS_KMS_ARN": lists}, None), ("rule", [], {}, f"kms: '{lists}'"),
                ("list", [], {}, "kms:\n" + "".join(f"      - {arn.strip()}\n" for arn in lists.split(",")))):
            aws.forget()
            if rule:
                place.write(".sops.yaml", "creation_rules:\n  - " + rule.replace("\n", "\n", 1) + "\n")
            done = place.encrypt(*words, **environment)
            check(done.returncode == 0, f"{name}: {done.text}")
            asked = sorted((request.parameters["KeyId"], request.region) for request in aws.of(operation="Encrypt"))
            wanted = sorted([(one.arn, "eu-west-1"), (two.arn, "us-west-2"), (alias, "ap-southeast-2"), (replicas[0].arn, "eu-west-1")])
            check(asked == wanted, f"{name}: {asked}")
            check(done.stdout.decode().count("arn: ") == 4 and f"arn: {alias}\n" in done.stdout.decode(), f"{name}: the alias stays an alias")
            check(place.opens(done.file), f"{name}: opens")
        # Every key alone opens it; a replica in another region as well.
        for key in (one, two, aws.keys[aws.aliases[alias]], replicas[0]):
            for other in list(aws.keys.values()):
                other.state = "Enabled" if other is key else "Disabled"
            check(place.opens(done.file), f"{key.arn} alone")
        for other in list(aws.keys.values()):
            other.state = "Enabled" if other is replicas[1] else "Disabled"
        place.write("replica.yaml", (place.work / done.file).read_text().replace(replicas[0].arn, replicas[1].arn))
        check(place.opens("replica.yaml"), "the replica")


def roles_in_two_accounts():
    """`ARN+role` in two accounts, from a user who may use neither key; sessions are named as SOPS names them (keys-aws.md 3)."""
    with world() as (aws, place):
        user = aws.add_user("333333333333", "me")
        place.environment |= user.environment()
        keys = {account: aws.add_key(account, region) for account, region in ((ACCOUNT, "eu-west-1"), (OTHER, "us-west-2"))}
        roles = {account: aws.add_role(account, "team/sops-dev", user.arn) for account in keys}
        done = place.encrypt("--kms", ",".join(f"{keys[account].arn}+{roles[account].arn}" for account in keys))
        check(done.returncode == 0, done.text)
        check(sorted(principals(aws)) == [f"arn:aws:sts::{account}:assumed-role/sops-dev/{SESSION_NAME}" for account in (ACCOUNT, OTHER)], f"{principals(aws)}")
        for request in aws.of(operation="AssumeRole"):
            check(request.parameters["RoleSessionName"] == SESSION_NAME and not {"DurationSeconds", "ExternalId"} & request.parameters.keys(),
                  f"{request.parameters}")
        check({request.region for request in aws.of(service="sts")} == {"eu-west-1", "us-west-2"}, "STS is asked in the key's region")
        check(place.opens(done.file), "opens")
        for account, other in ((ACCOUNT, OTHER), (OTHER, ACCOUNT)):
            roles[account].trusted, roles[other].trusted = [], [user.arn]
            aws.forget()
            check(place.opens(done.file), f"without the role in {account}")
        roles[ACCOUNT].trusted = roles[OTHER].trusted = []
        failed = place.run("decrypt", done.file)
        check(failed.returncode == 128, f"status {failed.returncode}")
        said(failed, *(re.escape(f"{keys[account].arn}+{roles[account].arn}") for account in keys), "AccessDenied", "sts:AssumeRole")
        # An external id cannot be given with +role, but in a profile.
        roles[ACCOUNT].trusted, roles[ACCOUNT].external_id = [user.arn], "xid/1"
        place.credentials(base=user)
        place.config(f"[profile ext]\nrole_arn = {roles[ACCOUNT].arn}\nsource_profile = base\nexternal_id = xid/1\n")
        done = place.encrypt("--kms", keys[ACCOUNT].arn, "--aws-profile", "ext")
        check(done.returncode == 0 and place.opens(done.file), f"external id: {done.text}")
        check(aws.of(operation="AssumeRole")[-1].parameters.get("DurationSeconds") == "900", f"{aws.of(operation='AssumeRole')[-1].parameters}")


def changing_keys():
    """rotate --add-kms, --rm-kms, --aws-profile; updatekeys; edit -s; groups."""
    with world() as (aws, place):
        place.environment |= aws.add_user(ACCOUNT).environment()
        one, two, three = (aws.add_key(ACCOUNT, region) for region in ("eu-west-1", "us-west-2", "eu-north-1"))
        done = place.encrypt("--kms", one.arn)
        check(done.returncode == 0, done.text)

        def arns():
            return re.findall(r"arn: (\S+)", (place.work / done.file).read_text())

        changed = place.run("rotate", "-i", "--add-kms", two.arn, "--encryption-context", "a:b", done.file)
        check(changed.returncode == 0 and arns() == [one.arn, two.arn], f"{changed.text}{arns()}")
        check(place.run("rotate", "-i", "--rm-kms", two.arn, done.file).returncode == 0 and len(arns()) == 2, "another context is another key")
        check(place.run("rotate", "-i", "--rm-kms", two.arn, "--encryption-context", "a:b", done.file).returncode == 0 and arns() == [one.arn], f"{arns()}")
        check(place.opens(done.file), "opens")
        place.write(".sops.yaml", f"creation_rules:\n  - kms: {three.arn},{two.arn}\n")
        changed = place.run("updatekeys", "-y", done.file)
        check(changed.returncode == 0 and arns() == [three.arn, two.arn], f"{changed.text}{arns()}")
        said(changed.text + changed.stdout.decode(), re.escape(one.arn), re.escape(three.arn))
        one.state = "Disabled"
        check(place.opens(done.file), "opens with the new keys alone")

        # edit -s: a key is put in the place of another.
        editor = script(place, "editor", f"sed -i 's|{two.arn}|{one.arn}|' \"$1\"\n")
        one.state = "Enabled"
        edited = place.run("edit", "-s", done.file, EDITOR=str(editor), SOPS_EDITOR=str(editor))
        check(edited.returncode == 0 and place.opens(done.file), f"edit -s: {edited.text}")
        # Failing to encrypt to a key leaves the file alone.
        before = (place.work / done.file).read_bytes()
        two.state = "Disabled"
        failed = place.run("rotate", "-i", "--add-kms", two.arn, done.file)
        check(failed.returncode != 0 and (place.work / done.file).read_bytes() == before, f"status {failed.returncode}")
        said(failed, re.escape(two.arn), "Disabled")


def story():
    """Two KMS keys in two accounts, one through a role, and a PGP key: each alone opens; -s shows them; a removed one is replaced."""
    if not shutil.which("gpg"):
        skipped.append("gpg: the story of the announcement")
        return
    with world() as (aws, place):
        gnupg = pathlib.Path("/tmp") / f"sops-g{os.getpid()}"  # a short path: it holds a socket
        gnupg.mkdir(mode=0o700)
        empty = pathlib.Path("/tmp") / f"sops-e{os.getpid()}"
        empty.mkdir(mode=0o700)
        try:
            gpg = ["gpg", "--homedir", str(gnupg), "--batch", "--quiet"]
            subprocess.run([*gpg, "--import", str(KEYS / "pgp.asc")], capture_output=True, check=False, timeout=60)
            listing = subprocess.run([*gpg, "--list-secret-keys", "--with-colons"], capture_output=True, text=True, check=False, timeout=60).stdout
            fingerprint = re.search(r"^fpr:+([0-9A-F]+):", listing, re.MULTILINE)[1]
            place.environment["GNUPGHOME"] = str(gnupg)
            me = aws.add_user(ACCOUNT, "me")
            role = aws.add_role(OTHER, "sops", me.arn)
            near, far = aws.add_key(ACCOUNT, "us-east-1"), aws.add_key(OTHER, "us-west-2")
            place.write(".sops.yaml", f"creation_rules:\n  - kms: {near.arn},{far.arn}+{role.arn}\n    pgp: {fingerprint}\n")
            keys = me.environment()
            nobody = {"GNUPGHOME": str(empty)}
            done = place.encrypt(**keys)
            check(done.returncode == 0, done.text)
            check(place.opens(done.file), "PGP alone (no AWS credentials)")
            far.state = "Disabled"
            check(place.opens(done.file, **keys, **nobody), "the first KMS key alone")
            near.state, far.state = "Disabled", "Enabled"
            aws.forget()
            check(place.opens(done.file, **keys, **nobody), "the second KMS key alone, through its role")
            check(principals(aws)[-1] == f"arn:aws:sts::{OTHER}:assumed-role/sops/{SESSION_NAME}", f"{principals(aws)}")
            far.state = "Disabled"
            failed = place.run("decrypt", done.file, **keys, **nobody)
            check(failed.returncode == 128, f"status {failed.returncode}")
            said(failed, re.escape(near.arn), re.escape(far.arn), re.escape(role.arn), fingerprint, "disabled")
            near.state = far.state = "Enabled"

            seen = place.folder / "seen"
            editor = script(place, "editor", f"cp \"$1\" {seen}\n")
            place.run("edit", "-s", done.file, EDITOR=str(editor), SOPS_EDITOR=str(editor), **keys)
            text = seen.read_text() if seen.exists() else ""
            check(all(part in text for part in (near.arn, far.arn, role.arn, fingerprint)), f"-s shows all three: {text}")

            replacement = aws.add_key(ACCOUNT, "eu-west-1")
            rotated = place.run("rotate", "-i", "--rm-kms", near.arn, "--add-kms", replacement.arn, done.file, **keys)
            check(rotated.returncode == 0, rotated.text)
            arns = re.findall(r"- arn: (\S+)", (place.work / done.file).read_text())
            check(sorted(arns) == sorted([far.arn, replacement.arn]), f"{arns}")
            near.state = far.state = "Disabled"
            check(place.opens(done.file, **keys, **nobody), "the new key alone")
            replacement.state = "Disabled"
            check(place.opens(done.file), "PGP still")
        finally:
            for folder in (gnupg, empty):
                subprocess.run(["gpgconf", "--homedir", str(folder), "--kill", "all"], capture_output=True, check=False, timeout=60)
                shutil.rmtree(folder, ignore_errors=True)


# --- what goes wrong -----------------------------------------------------------------------------------------------------------------


def kms_errors():
    """Every refusal of KMS on decryption: the code, the key, what to do (keys-aws.md 9)."""
    with world() as (aws, place):
        user = aws.add_user(ACCOUNT, "me")
        place.environment |= user.environment()
        key, twin = aws.add_key(ACCOUNT, REGION), aws.add_key(ACCOUNT, REGION)
        alias = aws.add_alias("app", key)
        done = place.encrypt("--kms", alias)
        check(done.returncode == 0, done.text)
        row = "messages about KMS"

        def fails(name, *patterns, hints=(), requests=1, **environment):
            aws.requests.clear()
            failed = place.run("decrypt", done.file, **environment)
            check(failed.returncode == 128, f"{name}: status {failed.returncode}: {failed.text}")
            check(len(aws.requests) == requests, f"{name}: {len(aws.requests)} requests")
            said(failed, re.escape(alias), *patterns)
            said(failed, *hints, row=row)

        key.allowed = {"Decrypt": []}
        fails("denied", "AccessDeniedException", re.escape(user.arn), "kms:Decrypt", re.escape(key.arn), hints=["polic"])
        key.allowed = {}
        key.state = "Disabled"
        fails("disabled", "DisabledException", hints=["enable"])
        key.state = "PendingDeletion"
        fails("pending deletion", "KMSInvalidStateException|pending deletion", hints=["delet"])
        key.state = "Enabled"
        aws.aliases[alias] = twin.arn
        fails("re-pointed alias", "IncorrectKeyException", hints=["alias|another key|other key"])
        aws.aliases.pop(alias)
        fails("not found", "NotFoundException", hints=[REGION, ACCOUNT])
        aws.aliases[alias] = key.arn
        fails("wrong secret", "InvalidSignatureException", hints=["secret", "clock|time"], AWS_SECRET_ACCESS_KEY="x" * 40)
        fails("unknown access key", "UnrecognizedClientException", hints=["AWS_ACCESS_KEY_ID|environment"], AWS_ACCESS_KEY_ID="AKIA" + "A" * 16)
        expired = aws.add_session(f"arn:aws:sts::{ACCOUNT}:assumed-role/x/y", seconds=-60)
        fails("expired", "ExpiredTokenException", hints=["expired", "AWS_SESSION_TOKEN|AWS_ACCESS_KEY_ID|environment"], **expired.environment())


def again():
    """Throttled and broken answers are tried again, three times in all; other refusals are not (keys-aws.md 5.1)."""
    with world() as (aws, place):
        place.environment |= aws.add_user(ACCOUNT, "me").environment()
        key = aws.add_key(ACCOUNT, REGION)
        done = place.encrypt("--kms", key.arn)
        check(done.returncode == 0, done.text)
        for kind, more in (("throttled", {}), ("error", {"code": "KMSInternalException", "status": 500}), ("error", {"code": "RequestTimeout", "status": 400}),
                           ("empty", {"status": 503}), ("html", {"status": 502}), ("reset", {})):
            aws.forget()
            aws.fault(kind, times=2, **more)
            failed = place.run("decrypt", done.file)
            check(failed.returncode == 0 and len(aws.requests) == 3, f"{kind} {more}: {len(aws.requests)} requests: {failed.text}")
            aws.forget()
            aws.fault(kind, **more)
            failed = place.run("decrypt", done.file)
            check(failed.returncode == 128 and len(aws.requests) == 3, f"{kind} {more}, for ever: {len(aws.requests)} requests: {failed.text}")
            said(failed, re.escape(key.arn), more.get("code", "ThrottlingException|50[0-9]|connection|reset|EOF"))
            said(failed, "3 (attempts|times|tries)|three times|attempts", row="messages about KMS")


def bad_answers():
    """Garbage, HTML, XML, nothing, cut off, enormous, deep: an error that names the key, soon, and no crash."""
    with world() as (aws, place):
        place.environment |= aws.add_user(ACCOUNT, "me").environment()
        key = aws.add_key(ACCOUNT, REGION)
        done = place.encrypt("--kms", key.arn)
        kinds = [("garbage", {}), ("html", {"status": 200}), ("html", {"status": 403}), ("xml", {"status": 403}), ("empty", {"status": 200}), ("empty", {"status": 400}),
                 ("cut", {}), ("deep", {}), ("huge", {})]
        for kind, more in kinds:
            if options.like_reference and kind == "huge":
                differs("an answer above 1 MiB")
                continue
            aws.forget()
            aws.fault(kind, **more)
            started = time.monotonic()
            failed = place.run("decrypt", done.file)
            check(failed.returncode == 128 and time.monotonic() - started < 30, f"{kind} {more}: status {failed.returncode}: {failed.text[:3000]}")
            said(failed, re.escape(key.arn))
            check(len(failed.text) < 20000, f"{kind}: a message of {len(failed.text)} bytes")
            if kind == "xml":
                said(failed, "AccessDenied", row="messages about KMS")
        for kind, more in kinds[:-1]:
            aws.forget()
            aws.fault(kind, operation="AssumeRole", **more)
            role = aws.add_role(ACCOUNT, "r", "*")
            failed = place.encrypt("--kms", f"{key.arn}+{role.arn}")
            check(failed.returncode != 0 and failed.returncode > 0 and not aws.of(service="kms"), f"STS, {kind} {more}: status {failed.returncode}")
            said(failed, re.escape(role.arn), row="an answer of STS without credentials")  # a crash


def redirects():
    """None is followed, so that no credential goes to an address that the user did not name (keys.md 2.1)."""
    with world() as (aws, place), AwsServer() as elsewhere:
        place.environment |= aws.add_session(f"arn:aws:sts::{ACCOUNT}:assumed-role/x/y").environment()
        key = aws.add_key(ACCOUNT, REGION)
        done = place.encrypt("--kms", key.arn)
        for status in (301, 302, 303, 307, 308):
            aws.forget()
            aws.fault("redirect", status=status, location=elsewhere.url + "/")
            failed = place.run("decrypt", done.file)
            check(failed.returncode == 128, f"{status}: status {failed.returncode}")
            check(not elsewhere.requests, f"{status} was followed")
            elsewhere.forget()
            said(failed, f"{status}|redirect")


def clock():
    """A wrong clock is corrected by the server's Date, with one more request (keys-aws.md 5.3)."""
    for offset in (3600, -3600):
        with world() as (aws, place):
            place.environment |= aws.add_user(ACCOUNT, "me").environment()
            key = aws.add_key(ACCOUNT, REGION)
            aws.clock_offset = offset
            done = place.encrypt("--kms", key.arn)
            row = "a clock that is wrong"
            check(done.returncode == 0, f"{offset}: {done.text}", row)
            if done.returncode:
                said(done, "InvalidSignatureException")
                continue
            check(len(aws.requests) == 2, f"{offset}: {len(aws.requests)} requests")
            check(place.opens(done.file), f"{offset}: decrypt: {place.shown.decode()}")


def network():
    """Refused, silent, no such host, wrong certificate: host and reason, soon."""
    with world(tls=True) as (aws, place):
        place.environment |= aws.add_user(ACCOUNT, "me").environment()
        key = aws.add_key(ACCOUNT, REGION)
        done = place.encrypt("--kms", key.arn)
        check(done.returncode == 0, done.text)
        with socket.create_server(("127.0.0.1", 0)) as probe:
            closed = probe.getsockname()[1]
        failed = place.run("decrypt", done.file, AWS_ENDPOINT_URL=f"http://127.0.0.1:{closed}", AWS_MAX_ATTEMPTS="1")
        check(failed.returncode == 128, f"status {failed.returncode}")
        said(failed, f"127.0.0.1:{closed}", "refused")
        failed = place.run("decrypt", done.file, AWS_ENDPOINT_URL="http://no-such-host.invalid", AWS_MAX_ATTEMPTS="1")
        check(failed.returncode == 128, f"status {failed.returncode}")
        said(failed, "no-such-host.invalid")
        check(place.opens(done.file, AWS_ENDPOINT_URL=aws.tls_url, AWS_CA_BUNDLE=aws.ca), "AWS_CA_BUNDLE")
        check(place.opens(done.file, AWS_ENDPOINT_URL=aws.tls_url, SSL_CERT_FILE=aws.ca), "SSL_CERT_FILE")
        failed = place.run("decrypt", done.file, AWS_ENDPOINT_URL=aws.tls_url, AWS_MAX_ATTEMPTS="1")
        check(failed.returncode == 128, f"status {failed.returncode}")
        said(failed, f"127.0.0.1:{aws.tls_port}", "certificate")
        failed = place.run("decrypt", done.file, AWS_ENDPOINT_URL=aws.tls_url, AWS_CA_BUNDLE="/nonexistent/ca.pem", AWS_MAX_ATTEMPTS="1")
        check(failed.returncode == 128, f"status {failed.returncode}")
        said(failed, "/nonexistent/ca.pem")
        if not options.like_reference:  # which waits for ever
            aws.fault("silent")
            started = time.monotonic()
            failed = place.run("decrypt", done.file, SOPS_KEY_TIMEOUT="1s")
            check(failed.returncode == 128 and time.monotonic() - started < 10, f"silent: {time.monotonic() - started:.1f} s")
            said(failed, re.escape(key.arn), r"127\.0\.0\.1:\d+ did not answer within|no answer within 1 s")
        failed = place.run("decrypt", done.file, AWS_ENDPOINT_URL=aws.tls_url, AWS_USE_FIPS_ENDPOINT="true")
        check(failed.returncode == 128, f"status {failed.returncode}")
        said(failed, "FIPS", "endpoint")
        failed = place.run("decrypt", done.file, AWS_ENDPOINT_URL="127.0.0.1:1")
        check(failed.returncode == 128, f"status {failed.returncode}")
        said(failed, "AWS_ENDPOINT_URL", row="`AWS_ENDPOINT_URL` without a scheme")


def real_hosts():
    """Host names of AWS through a proxy, with TLS: regions, partitions, FIPS, dual stack, NO_PROXY (keys-aws.md 2)."""
    with world(tls=True) as (aws, place), Proxy(("127.0.0.1", aws.tls_port)) as proxy:
        for name in endpoints(""):
            del place.environment[name]
        place.environment |= {"HTTPS_PROXY": proxy.url, "SSL_CERT_FILE": aws.ca}
        for partition, region, variables, hosts in (
                ("aws", "eu-west-1", {}, ["kms.eu-west-1.amazonaws.com", "sts.eu-west-1.amazonaws.com"]),
                ("aws", "us-east-1", {"AWS_USE_FIPS_ENDPOINT": "true"}, ["kms-fips.us-east-1.amazonaws.com", "sts-fips.us-east-1.amazonaws.com"]),
                ("aws", "us-west-2", {"AWS_USE_DUALSTACK_ENDPOINT": "true"}, ["kms.us-west-2.api.aws", "sts.us-west-2.api.aws"]),
                ("aws-cn", "cn-north-1", {}, ["kms.cn-north-1.amazonaws.com.cn", "sts.cn-north-1.amazonaws.com.cn"]),
                ("aws-us-gov", "us-gov-west-1", {"AWS_USE_FIPS_ENDPOINT": "true"}, ["kms-fips.us-gov-west-1.amazonaws.com", "sts.us-gov-west-1.amazonaws.com"])):
            user = aws.add_user(OTHER, "me", partition)
            key, role = aws.add_key(ACCOUNT, region, partition), aws.add_role(ACCOUNT, "r", user.arn, partition)
            proxy.asked.clear()
            environment = user.environment() | variables
            done = place.encrypt("--kms", f"{key.arn}+{role.arn}", **environment)
            check(done.returncode == 0 and place.opens(done.file, **environment), f"{region}: {done.text}")
            check(sorted(set(proxy.asked)) == [host + ":443" for host in hosts], f"{region}: {proxy.asked}")
        # The proxy is passed by for what NO_PROXY names, subdomains included; there is no network behind it here.
        proxy.asked.clear()
        user, key = aws.add_user(ACCOUNT, "me"), aws.add_key(ACCOUNT, "eu-west-1")
        done = place.encrypt("--kms", key.arn, NO_PROXY="amazonaws.com", AWS_MAX_ATTEMPTS="1", **user.environment())
        check(done.returncode != 0 and not proxy.asked, f"NO_PROXY: {proxy.asked}: {done.text}")
        # SSO's hosts are the ones of its own region.
        sso_session_config(place)
        place.sso_cache("corp", aws.add_sso(ACCOUNT, "Admin", seconds=-5, refresh=True))
        proxy.asked.clear()
        place.encrypt("--kms", key.arn, AWS_PROFILE="work")
        check([host for host in proxy.asked if "oidc" in host][:1] == [f"oidc.{SSO_REGION}.amazonaws.com:443"], f"{proxy.asked}")


def bearer_tokens():
    """Web identity and SSO send no token over plain http to another machine (keys.md 2.4)."""
    if options.like_reference:
        differs("`AWS_ENDPOINT_URL`, `endpoint_url`")
        return
    with world() as (aws, place):
        aws.secret("header.web-identity-token-that-stays-here.signature")
        (place.home / "token").write_text("header.web-identity-token-that-stays-here.signature")
        for name in endpoints(""):
            del place.environment[name]
        key = aws.add_key(ACCOUNT, REGION)
        # 192.0.2.1 is nobody's (RFC 5737); the proxy would see the request.
        with Proxy() as proxy:
            done = place.encrypt("--kms", key.arn, AWS_ENDPOINT_URL="http://192.0.2.1:8080", AWS_WEB_IDENTITY_TOKEN_FILE=str(place.home / "token"),
                                 AWS_ROLE_ARN="arn:aws:iam::111111111111:role/r", HTTP_PROXY=proxy.url, HTTPS_PROXY=proxy.url)
            check(done.returncode != 0 and not any("192.0.2.1" in host for host in proxy.asked), f"{proxy.asked}: {done.text}")


def credential_errors():
    """Container and instance metadata, web identity, AssumeRole: which source, what it answered."""
    with world() as (aws, place):
        key = aws.add_key(ACCOUNT, REGION)

        def fails(name, *patterns, hints=(), row="messages about credentials", **environment):
            aws.requests.clear()
            done = place.encrypt("--kms", key.arn, **environment)
            check(done.returncode != 0 and not aws.of(service="kms"), f"{name}: {done.text}")
            said(done, *patterns)
            said(done, *hints, row=row)

        aws.add_container("/c", f"arn:aws:sts::{ACCOUNT}:assumed-role/task/1", authorization="container-token-number-one")
        fails("container token", "401|Unauthorized|authorization token", hints=["container"], AWS_CONTAINER_CREDENTIALS_FULL_URI=aws.url + "/c",
              AWS_CONTAINER_AUTHORIZATION_TOKEN="another")
        fails("container path", "404|NotFound", AWS_CONTAINER_CREDENTIALS_FULL_URI=aws.url + "/d")
        fails("container host", "example.com|host", hints=["AWS_CONTAINER_CREDENTIALS_FULL_URI"], AWS_CONTAINER_CREDENTIALS_FULL_URI="http://192.0.2.7/d")
        aws.set_imds(f"arn:aws:sts::{ACCOUNT}:assumed-role/i/1", role="")
        imds = {"AWS_EC2_METADATA_DISABLED": "false", "AWS_EC2_METADATA_SERVICE_ENDPOINT": aws.url}
        fails("no instance role", "role", **imds)
        aws.set_imds(f"arn:aws:sts::{ACCOUNT}:assumed-role/i/1", code="AssumeRoleUnauthorizedAccess")
        fails("instance role without trust", "AssumeRoleUnauthorizedAccess", **imds)
        aws.set_imds(f"arn:aws:sts::{ACCOUNT}:assumed-role/i/1", v2=False)
        fails("only version 1, which is disabled", "metadata|IMDS", AWS_EC2_METADATA_V1_DISABLED="true", **imds)
        (place.home / "token").write_text("never.issued.token-of-nobody")
        aws.secret("never.issued.token-of-nobody")
        web = {"AWS_WEB_IDENTITY_TOKEN_FILE": str(place.home / "token")}
        fails("web identity", "InvalidIdentityToken", hints=["arn:aws:iam::111111111111:role/r"], AWS_ROLE_ARN="arn:aws:iam::111111111111:role/r", **web)
        fails("no role", "AWS_ROLE_ARN|role ARN", **web)
        user = aws.add_user(OTHER)
        place.credentials(base=user)
        place.config("[profile work]\nrole_arn = arn:aws:iam::111111111111:role/nobody\nsource_profile = base\n")
        fails("role of a profile", "AccessDenied", "arn:aws:iam::111111111111:role/nobody", hints=["work"], AWS_PROFILE="work")


def asked_in_order():
    """An age key that is here: nobody is asked. Keys that fail at once: the next one at once (keys.md 1.2)."""
    with world() as (aws, place):
        place.environment |= aws.add_user(ACCOUNT, "me").environment()
        keys = [aws.add_key(ACCOUNT, REGION) for _ in range(4)]
        done = place.encrypt("--kms", ",".join(key.arn for key in keys), "--age", RECIPIENT)
        check(done.returncode == 0, done.text)
        aws.forget()
        check(place.opens(done.file, SOPS_AGE_KEY_FILE=str(KEYS / "age.txt")) and not aws.requests, "nobody is asked")
        for key in keys[:3]:
            key.state = "Disabled"
        check(place.opens(done.file), "the fourth")
        check([request.parameters["KeyId"] for request in aws.of(operation="Decrypt")] == [key.arn for key in keys], "one after the other, in the file's order")
        failed = place.run("decrypt", "--decryption-order", "kms", done.file, SOPS_AGE_KEY_FILE=str(KEYS / "age.txt"))
        check(failed.returncode == 0 and len(aws.of(operation="Decrypt")) == 8, "an order given is followed")


def hostile_blobs():
    """A damaged or strange `enc`: said so; KMS is not asked with what is no base64."""
    with world() as (aws, place):
        place.environment |= aws.add_user(ACCOUNT, "me").environment()
        key = aws.add_key(ACCOUNT, REGION)
        done = place.encrypt("--kms", key.arn)
        text = done.stdout.decode()
        for name, enc, patterns, requests in (("no base64", "in*valid", ["base64"], 0), ("short", "aW52YWxpZA==", ["InvalidCiphertextException"], 1)):
            aws.forget()
            place.write("bad.yaml", re.sub(r"enc: (?!ENC)\S+", "enc: " + enc, text))
            failed = place.run("decrypt", "bad.yaml")
            check(failed.returncode == 128 and len(aws.requests) == requests, f"{name}: {len(aws.requests)} requests: {failed.text}")
            said(failed, *patterns, re.escape(key.arn))
        place.write("bad.yaml", text.replace(key.arn, "arn:aws:kms:eu-west-1:me:key/x"))
        aws.forget()
        failed = place.run("decrypt", "bad.yaml")
        check(failed.returncode == 128 and not aws.requests, failed.text)
        said(failed, "arn:aws:kms:eu-west-1:me:key/x", "arn")
        # Two entries whose places were changed give the data key of another file: that attempt counts as failed (keys.md 1.4).
        other = place.encrypt("--kms", key.arn, name="other.yaml")
        stranger = re.search(r"enc: (?!ENC)(\S+)", other.stdout.decode())[1]
        place.write("mixed.yaml", re.sub(r"enc: (?!ENC)\S+", "enc: " + stranger, text))
        failed = place.run("decrypt", "mixed.yaml")
        check(failed.returncode != 0 and PLAIN.encode() not in failed.stdout, f"status {failed.returncode}")
        said(failed, "another data key|data key", row="a key that gives another data key than that of the file")


TESTS = [every_source, named_in_errors, no_credentials, configuration_errors, refresh_at_once, sso_errors, mfa, mfa_in_reference, many_files, context, forms_of_keys,
         roles_in_two_accounts, changing_keys, story, kms_errors, again, bad_answers, redirects, clock, network, real_hosts, bearer_tokens, credential_errors,
         asked_in_order, hostile_blobs]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sops", required=True)
    parser.add_argument("--only", default="")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--like-reference", action="store_true")
    global options
    options = parser.parse_args()

    def run(test):
        started = time.monotonic()
        try:
            test()
        except Exception:  # noqa: BLE001 (the others go on)
            failures.append(f"{test.__name__}: {traceback.format_exc()}")
            print("FAILED", failures[-1], flush=True)
        print(f"{test.__name__}: {time.monotonic() - started:.1f} s", flush=True)

    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        list(pool.map(run, [test for test in TESTS if options.only in test.__name__]))
    for name, count in differences.items():
        print(f"differs ({count}): {name}")
    for name in skipped:
        print(f"SKIPPED: not here: {name}")
    print(f"{len(failures)} failures")
    return 1 if failures else 77 if skipped else 0


if __name__ == "__main__":
    sys.exit(main())
