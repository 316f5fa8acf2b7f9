# SPDX-License-Identifier: MPL-2.0
"""What the tests with AWS share: a place with a home of its own to run sops in, and where the programs of others are. Standard library only."""

import hashlib
import json
import os
import pathlib
import pty
import re
import select
import shutil
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
KEYS = ROOT / "tests" / "golden" / "keys"
PEERS = pathlib.Path(os.environ.get("SOPS_PEERS", ROOT / "build" / "peers"))
PLAIN = "user: app\npassword: swordfish-of-plaintext\nport: 5432\n"
TIMEOUT_SECONDS = 90


def reference():
    """SOPS 3.13.3, None if it is not here."""
    path = pathlib.Path(os.environ.get("SOPS_REFERENCE", PEERS / "bin" / "sops"))
    if not path.exists():
        return None
    done = subprocess.run([path, "--version", "--disable-version-check"], capture_output=True, timeout=60, check=False)
    return str(path) if done.stdout.startswith(b"sops 3.13.3") else None


def peer(*names):
    """A program that scripts/install-peers installed, None if it is not here."""
    path = PEERS.joinpath(*names)
    return str(path) if path.exists() else None


class Place:
    """A working folder and a home, and how sops is run there: with nothing of this machine's environment or files."""

    def __init__(self, sops, **environment):
        self.sops = os.path.abspath(sops)
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="sops-aws-"))
        self.home, self.work = self.folder / "home", self.folder / "work"
        (self.home / ".aws").mkdir(parents=True)
        self.work.mkdir()
        self.environment = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": str(self.home), "TERM": "dumb", "LC_ALL": "C.UTF-8",
                            "TMPDIR": str(self.folder), "SOPS_DISABLE_VERSION_CHECK": "1", "AWS_EC2_METADATA_DISABLED": "true",
                            "AWS_REGION": "us-east-1", **environment}
        self.shown = b""  # everything that any run printed

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder, ignore_errors=True)

    def write(self, name, text):
        path = self.work / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def config(self, text):
        """~/.aws/config"""
        (self.home / ".aws" / "config").write_text(text)

    def credentials(self, **profiles):
        """~/.aws/credentials, from profile names and Credentials."""
        (self.home / ".aws" / "credentials").write_text("".join(f"[{name}]\n{who.profile()}\n" for name, who in profiles.items()))

    def sso_cache(self, name, token):
        """The cache file of an SSO session or start URL. Returns its path."""
        path = self.home / ".aws" / "sso" / "cache" / (hashlib.sha1(name.encode()).hexdigest() + ".json")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(token))
        path.chmod(0o600)
        return path

    def start(self, *words, **environment):
        return subprocess.Popen([self.sops, *words], cwd=self.work, env={**self.environment, **environment}, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def run(self, *words, stdin=b"", timeout=TIMEOUT_SECONDS, **environment):
        done = subprocess.run([self.sops, *words], cwd=self.work, env={**self.environment, **environment}, input=stdin, capture_output=True,
                              timeout=timeout, check=False)
        self.shown += done.stderr
        done.text = done.stderr.decode(errors="replace")
        return done

    def encrypt(self, *words, name="plain.yaml", **environment):
        """Encrypts PLAIN. Returns the result of the run; if it went well the file is there under the name of the result."""
        self.write(name, PLAIN)
        done = self.run("encrypt", *words, name, **environment)
        done.file = f"encrypted-{name}"
        if done.returncode == 0:
            self.write(done.file, done.stdout.decode())
        return done

    def opens(self, name, **environment):
        """True if the file decrypts to PLAIN."""
        done = self.run("decrypt", name, **environment)
        return done.returncode == 0 and done.stdout.decode() == PLAIN

    def on_terminal(self, *words, answers=(), **environment):
        """Runs on a pseudo terminal; each of `answers` (PATTERN, TEXT) is typed when its pattern was shown. Returns status and text."""
        pid, master = pty.fork()
        if pid == 0:
            os.chdir(self.work)
            os.execve(self.sops, [self.sops, *words], {**self.environment, "TERM": "xterm", **environment})
        text, waiting, seen, end = b"", list(answers), 0, time.monotonic() + TIMEOUT_SECONDS
        while time.monotonic() < end:
            if select.select([master], [], [], 0.1)[0]:
                try:
                    piece = os.read(master, 65536)
                except OSError:  # the end, on Linux
                    break
                if not piece:
                    break
                text += piece
            if waiting and re.search(waiting[0][0].encode(), text[seen:]):
                seen = len(text)
                os.write(master, waiting.pop(0)[1].encode())
        else:
            os.kill(pid, 9)
        os.close(master)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        self.shown += text.replace(PLAIN.replace("\n", "\r\n").encode(), b"")  # the result is no message
        return status, text.decode(errors="replace"), [pattern for pattern, _ in waiting]


# --- every way to credentials ----------------------------------------------------------------------------------------------------

ACCOUNT, OTHER = "111111111111", "222222222222"
SSO_REGION = "eu-central-1"


def endpoints(url):
    """The variables that lead every service to `url`: the general one, and those for the clients inside SOPS's chain (keys-aws.md 2.3)."""
    return {name: url for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL_SSO", "AWS_ENDPOINT_URL_SSO_OIDC")}


def script(place, name, text):
    path = place.home / name
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    return path


def process_output(who):
    members = {"Version": 1, "AccessKeyId": who.access_key, "SecretAccessKey": who.secret}
    return json.dumps(members | ({"SessionToken": who.token} if who.token else {}))


def env_keys(aws, place):
    return aws.add_user(ACCOUNT, "env").environment(), [], "user/env"


def env_session(aws, place):
    return aws.add_session(f"arn:aws:sts::{ACCOUNT}:assumed-role/exported/me").environment(), [], "assumed-role/exported/me"


def env_keys_before_profile(aws, place):
    place.credentials(other=aws.add_user(ACCOUNT, "file"))
    return {**aws.add_user(ACCOUNT, "env").environment(), "AWS_PROFILE": "other"}, [], "user/env"


def default_profile(aws, place):
    place.credentials(default=aws.add_user(ACCOUNT, "file"))
    return {}, [], "user/file"


def named_profile(aws, place):
    place.credentials(default=aws.add_user(OTHER, "wrong"), work=aws.add_user(ACCOUNT, "work"))
    return {"AWS_PROFILE": "work"}, [], "user/work"


def key_profile(aws, place):
    """The profile of the key wins over the environment's keys (keys-aws.md 7.1)."""
    place.credentials(work=aws.add_user(ACCOUNT, "work"))
    return aws.add_user(OTHER, "env").environment(), ["--aws-profile", "work"], "user/work"


def config_profile(aws, place):
    place.config("[profile work]\n" + aws.add_user(ACCOUNT, "work").profile() + "region = sa-east-1\n")
    return {"AWS_PROFILE": "work"}, [], "user/work"


def moved_files(aws, place):
    (place.folder / "c").write_text("[profile work]\nrole_arn = " + aws.add_role(ACCOUNT, "r", "*user/base").arn + "\nsource_profile = base\n")
    (place.folder / "s").write_text("[base]\n" + aws.add_user(OTHER, "base").profile())
    return {"AWS_PROFILE": "work", "AWS_CONFIG_FILE": str(place.folder / "c"), "AWS_SHARED_CREDENTIALS_FILE": str(place.folder / "s")}, [], "assumed-role/r/*"


def role_profile(aws, place):
    role = aws.add_role(ACCOUNT, "deploy", f"arn:aws:iam::{OTHER}:user/base", external_id="x:1/2", session_pattern="me@here")
    place.credentials(base=aws.add_user(OTHER, "base"))
    place.config(f"[profile work]\nrole_arn = {role.arn}\nsource_profile = base\nexternal_id = x:1/2\nrole_session_name = me@here\n")
    return {"AWS_PROFILE": "work"}, [], "assumed-role/deploy/me@here"


def role_chain(aws, place):
    third = aws.add_role(ACCOUNT, "third", "*assumed-role/second/*")
    second = aws.add_role(OTHER, "second", "*assumed-role/first/*")
    first = aws.add_role(OTHER, "first", "*user/base")
    place.credentials(base=aws.add_user(OTHER, "base"))
    place.config(f"[profile a]\nrole_arn = {first.arn}\nsource_profile = base\n[profile b]\nrole_arn = {second.arn}\nsource_profile = a\n"
                 f"[profile c]\nrole_arn = {third.arn}\nsource_profile = b\n")
    return {"AWS_PROFILE": "c"}, [], "assumed-role/third/*"


def own_source(aws, place):
    """A profile that is its own source: its static keys assume its role (keys-aws.md 7.5)."""
    role = aws.add_role(ACCOUNT, "self", "*user/base")
    place.config(f"[profile work]\nrole_arn = {role.arn}\nsource_profile = work\n{aws.add_user(OTHER, 'base').profile()}")
    return {"AWS_PROFILE": "work"}, [], "assumed-role/self/*"


def role_from_environment(aws, place):
    role = aws.add_role(ACCOUNT, "deploy", "*user/base")
    place.config(f"[profile work]\nrole_arn = {role.arn}\ncredential_source = Environment\n")
    return aws.add_user(OTHER, "base").environment(), ["--aws-profile", "work"], "assumed-role/deploy/*"


def role_from_container(aws, place):
    role = aws.add_role(ACCOUNT, "deploy", "*assumed-role/task/*")
    aws.add_container("/role/task", f"arn:aws:sts::{OTHER}:assumed-role/task/1")
    place.config(f"[profile work]\nrole_arn = {role.arn}\ncredential_source = EcsContainer\n")
    return {"AWS_PROFILE": "work", "AWS_CONTAINER_CREDENTIALS_FULL_URI": aws.url + "/role/task"}, [], "assumed-role/deploy/*"


def role_from_instance(aws, place):
    role = aws.add_role(ACCOUNT, "deploy", "*assumed-role/instance-role/*")
    aws.set_imds(f"arn:aws:sts::{OTHER}:assumed-role/instance-role/i-1")
    place.config(f"[profile work]\nrole_arn = {role.arn}\ncredential_source = Ec2InstanceMetadata\n")
    return {"AWS_PROFILE": "work", "AWS_EC2_METADATA_DISABLED": "false", "AWS_EC2_METADATA_SERVICE_ENDPOINT": aws.url}, [], "assumed-role/deploy/*"


def web_identity_environment(aws, place):
    role = aws.add_role(ACCOUNT, "irsa", [], web_tokens=["eyJhbGciOi.eyJzdWIiOiJ4In0.c2lnbmF0dXJl"])
    (place.home / "token").write_text(role.web_tokens[0])
    return {"AWS_WEB_IDENTITY_TOKEN_FILE": str(place.home / "token"), "AWS_ROLE_ARN": role.arn, "AWS_ROLE_SESSION_NAME": "pod"}, [], "assumed-role/irsa/pod"


def web_identity_profile(aws, place):
    role = aws.add_role(ACCOUNT, "irsa", [], web_tokens=["eyJhbGciOi.eyJzdWIiOiJ5In0.c2lnbmF0dXJl"])
    (place.home / "token").write_text(role.web_tokens[0])
    place.config(f"[profile work]\nrole_arn = {role.arn}\nweb_identity_token_file = {place.home}/token\nrole_session_name = ci\n")
    return {"AWS_PROFILE": "work"}, [], "assumed-role/irsa/ci"


def sso_session_config(place):
    place.config(f"[profile work]\nsso_session = corp\nsso_account_id = {ACCOUNT}\nsso_role_name = Admin\n\n[sso-session corp]\n"
                 f"sso_region = {SSO_REGION}\nsso_start_url = https://corp.awsapps.com/start\nsso_registration_scopes = sso:account:access\n")


def sso_session(aws, place):
    sso_session_config(place)
    place.sso_cache("corp", aws.add_sso(ACCOUNT, "Admin", refresh=True))
    return {"AWS_PROFILE": "work"}, [], "assumed-role/AWSReservedSSO_Admin_*"


def sso_refresh(aws, place):
    sso_session_config(place)
    place.sso_cache("corp", aws.add_sso(ACCOUNT, "Admin", seconds=-60, refresh=True))
    return {"AWS_PROFILE": "work"}, [], "assumed-role/AWSReservedSSO_Admin_*"


def sso_legacy(aws, place):
    start = "https://old.awsapps.com/start"
    place.config(f"[profile work]\nsso_start_url = {start}\nsso_region = {SSO_REGION}\nsso_account_id = {ACCOUNT}\nsso_role_name = Admin\n")
    place.sso_cache(start, aws.add_sso(ACCOUNT, "Admin"))
    return {"AWS_PROFILE": "work"}, [], "assumed-role/AWSReservedSSO_Admin_*"


def role_on_sso(aws, place):
    sso_session_config(place)
    role = aws.add_role(OTHER, "deploy", "*assumed-role/AWSReservedSSO_Admin_*")
    path = place.home / ".aws" / "config"
    path.write_text(path.read_text() + f"[profile deploy]\nrole_arn = {role.arn}\nsource_profile = work\n")
    place.sso_cache("corp", aws.add_sso(ACCOUNT, "Admin", refresh=True))
    return {"AWS_PROFILE": "deploy"}, [], f"arn:aws:sts::{OTHER}:assumed-role/deploy/*"


def credential_process(aws, place):
    who = aws.add_session(f"arn:aws:sts::{ACCOUNT}:assumed-role/made/by-process")
    path = script(place, "give credentials", f"test \"$1\" = 'two words' || exit 3\ncat <<'E'\n{process_output(who)}\nE\n")
    place.config(f"[profile work]\ncredential_process = \"{path}\" 'two words'\n")
    return {"AWS_PROFILE": "work"}, [], "assumed-role/made/by-process"


def container_full(aws, place):
    aws.add_container("/v2/credentials/1", f"arn:aws:sts::{ACCOUNT}:assumed-role/task/1", authorization="Basic container-token-in-variable")
    return {"AWS_CONTAINER_CREDENTIALS_FULL_URI": aws.url + "/v2/credentials/1", "AWS_CONTAINER_AUTHORIZATION_TOKEN": "Basic container-token-in-variable"}, [], \
        "assumed-role/task/1"


def pod_identity(aws, place):
    """As EKS does it: the token's file wins over the variable."""
    aws.add_container("/v1/credentials", f"arn:aws:sts::{ACCOUNT}:assumed-role/pod/1", authorization="pod-identity-token-in-file")
    (place.home / "token").write_text("pod-identity-token-in-file")
    return {"AWS_CONTAINER_CREDENTIALS_FULL_URI": aws.url + "/v1/credentials", "AWS_CONTAINER_AUTHORIZATION_TOKEN": "wrong",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(place.home / "token")}, [], "assumed-role/pod/1"


def instance_v2(aws, place):
    aws.set_imds(f"arn:aws:sts::{ACCOUNT}:assumed-role/instance-role/i-1", v1=False)
    return {"AWS_EC2_METADATA_DISABLED": "false", "AWS_EC2_METADATA_SERVICE_ENDPOINT": aws.url}, [], "assumed-role/instance-role/i-1"


def instance_v1(aws, place):
    aws.set_imds(f"arn:aws:sts::{ACCOUNT}:assumed-role/instance-role/i-1", v2=False)
    return {"AWS_EC2_METADATA_DISABLED": "false", "AWS_EC2_METADATA_SERVICE_ENDPOINT": aws.url}, [], "assumed-role/instance-role/i-1"


# Each takes (server, place), puts files where they belong and returns environment, flags of `sops encrypt`, and a pattern for the
# end of the principal's ARN who must then ask KMS.
SOURCES = [env_keys, env_session, env_keys_before_profile, default_profile, named_profile, key_profile, config_profile, moved_files, role_profile, role_chain,
           own_source, role_from_environment, role_from_container, role_from_instance, web_identity_environment, web_identity_profile, sso_session,
           sso_refresh, sso_legacy, role_on_sso, credential_process, container_full, pod_identity, instance_v2, instance_v1]
