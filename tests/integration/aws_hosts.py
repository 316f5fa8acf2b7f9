#!/usr/bin/env python3
# SPDX-License-Identifier: MPL-2.0
"""What a stranger's file can make sops connect to: hosts of AWS's table for the key's region, nothing else (keys.md 2.1, 2.2).

Files with hostile ARNs, roles, profiles, regions and unknown fields in their metadata are decrypted behind a proxy that writes down every
host and answers 502. Where strace is, every connection and every name lookup past the proxy is seen, too.

    aws_hosts.py --sops PROGRAM [--only WORD] [--like-reference]

With --like-reference, PROGRAM is SOPS, and hosts that it is led to are listed and fail nothing. Standard library only.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys

from aws_server import AwsServer, Proxy
from aws_world import ACCOUNT, TIMEOUT_SECONDS, Place, endpoints, script

KEY_ID = "key/11111111-2222-3333-4444-555555555555"
ROLE = "arn:aws:iam::222222222222:role/r"
SUFFIXES = {"aws": "amazonaws.com", "aws-cn": "amazonaws.com.cn", "aws-us-gov": "amazonaws.com", "aws-iso": "c2s.ic.gov", "aws-iso-b": "sc2s.sgov.gov",
            "aws-iso-e": "cloud.adc-e.uk", "aws-iso-f": "csp.hci.ic.gov", "aws-eusc": "amazonaws.eu"}
PARTITIONS = {"cn-north-1": "aws-cn", "us-gov-west-1": "aws-us-gov", "us-iso-east-1": "aws-iso", "us-isob-east-1": "aws-iso-b", "eu-isoe-west-1": "aws-iso-e",
              "us-isof-south-1": "aws-iso-f", "eusc-de-east-1": "aws-eusc"}

failures = []


def arn(region="us-east-1", partition="aws", account=ACCOUNT, resource=KEY_ID):
    return f"arn:{partition}:kms:{region}:{account}:{resource}"


def host(service, region):
    return f"{service}.{region}.{SUFFIXES[PARTITIONS.get(region, 'aws')]}:443"


def cases():
    """Name, fields of the key's metadata entry, and the hosts that may be asked. All of them must be asked where it is one."""
    # What is right: shows that the proxy sees what it should.
    yield "fine", {"arn": arn()}, [host("kms", "us-east-1")]
    for region, partition in PARTITIONS.items():
        yield f"fine in {partition}", {"arn": arn(region, partition)}, [host("kms", region)]
    yield "fine role", {"arn": arn("eu-west-1"), "role": ROLE}, [host("sts", "eu-west-1")]
    yield "fine alias", {"arn": arn(resource="alias/x/../../y")}, [host("kms", "us-east-1")]
    yield "fine profile", {"arn": arn(), "aws_profile": "work"}, [host("kms", "us-east-1")]
    yield "fine role of another partition's name", {"arn": arn(), "role": "arn:aws-evil:iam::222222222222:role/r"}, [host("sts", "us-east-1")]

    for region in ("s3", "s3-website-us-east-1.amazonaws.com", "x.evil.com#", "us-east-1.evil.com/", "us-east-1.evil.com", "us-east-1@evil", "us-east-1:443@evil.com",
                   "evil.com", "evil.com/?", "evil.com\\", "us-east-1\n.evil.com", "us-east-1\r\nHost: evil.com", "us-east-1\t", " us-east-1", "üs-east-1", "us-east-1。evil。com",
                   "us-east-1%2eevil.com", "US-EAST-1", "us-east-1.", ".us-east-1", "us--east-1", "us-east-", "aws-global", "127.0.0.1", "[::1]",
                   "169.254.169.254", "169.254.169.254/latest/meta-data?", "localhost", "us-east-1\x00.evil.com", "../us-east-1", "us_east_1", "us-east-1;evil", "*", "%",
                   "us-east-１", "us-" + "a" * 64 + "-1", "us-east-1:kms:us-east-1", "evil:80/:kms:us-east-1"):
        yield f"region {region!r}", {"arn": arn(region)}, []
        yield f"region {region!r} with a role", {"arn": arn(region), "role": ROLE}, []
    yield "FIPS region", {"arn": arn("fips-us-east-1")}, ["kms-fips.us-east-1.amazonaws.com:443", "kms.fips-us-east-1.amazonaws.com:443"]
    yield "FIPS region, the other way", {"arn": arn("us-east-1-fips")}, ["kms-fips.us-east-1.amazonaws.com:443"]
    for region, partition in (("us-east-1", "aws-cn"), ("cn-north-1", "aws"), ("us-east-1", "aws-evil"), ("us-east-1", "awsx"), ("us-gov-west-1", "aws"),
                              ("us-east-1", "aws-us-gov"), ("eusc-de-east-1", "aws"), ("us-iso-east-1", "aws-iso-b")):
        yield f"partition {partition} with {region}", {"arn": arn(region, partition)}, []
    for text in ("http://evil.com/", "https://kms.evil.com/arn:aws:kms:us-east-1:111111111111:key/x", "arn:aws:s3:us-east-1:111111111111:key/x", "", "arn:aws:kms:us-east-1",
                 "arn:aws:kms::111111111111:key/x", "arn:aws:kms:us-east-1:evil.com:key/x", "ARN:aws:kms:us-east-1:111111111111:key/x", "file:///etc/passwd"):
        yield f"arn {text!r}", {"arn": text}, []
    for text in ("http://evil.com/", "evil.com", "arn:aws:iam::222222222222:user/r", "arn:aws:iam::2:role/r", "arn:aws:iam::222222222222:role/", "arn:aws:iam:evil.com:222222222222:role/r",
                 "arn:aws:sts::222222222222:assumed-role/r/s", "arn:aws:iam::222222222222@evil.com:role/r", "arn:evil:iam::222222222222:role/r",
                 " arn:aws:iam::222222222222:role/r", "x\narn:aws:iam::222222222222:role/r"):
        yield f"role {text!r}", {"arn": arn(), "role": text}, []
    for text in ("../../../etc/passwd", "/etc/passwd", "work]\n[profile x", "work\x00", "${HOME}", "`touch ran`", "$(touch ran)", "profile work", "sso-session corp", "services all",
                 "WORK", "wörk", " work", "work ", "work\nendpoint_url = http://evil.com", "danger ", "Danger", "profile danger", "a" * 10000, "*", "default\x00"):
        yield f"profile {text[:40]!r}", {"arn": arn(), "aws_profile": text}, []
    for field, value in (("endpoint", "http://evil.com"), ("endpoint_url", "http://evil.com"), ("region", "evil.com"), ("sso_start_url", "http://evil.com"),
                         ("credential_process", "touch ran"), ("proxy", "http://evil.com"), ("source_profile", "danger"), ("web_identity_token_file", "/etc/passwd")):
        yield f"field {field}", {"arn": arn(), field: value}, [host("kms", "us-east-1")]
    yield "region in a context", {"arn": arn(), "context": {"region": "evil.com", "Host": "evil.com", "\r\nHost": "evil.com"}}, [host("kms", "us-east-1")]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sops", required=True)
    parser.add_argument("--only", default="")
    parser.add_argument("--like-reference", action="store_true")
    options = parser.parse_args()
    traced = shutil.which("strace")
    led = count = 0
    with Place(options.sops) as place, AwsServer() as aws, Proxy() as proxy:
        user = aws.add_user(ACCOUNT)
        place.write("plain.json", '{"a": "b"}')
        made = place.run("encrypt", "--kms", aws.add_key(ACCOUNT).arn, "plain.json", **endpoints(aws.url), **user.environment())
        if made.returncode:
            print(f"FAILED: {made.text}\n1 failures")
            return 1
        place.credentials(work=user)
        place.config(f"[profile danger]\ncredential_process = {script(place, 'danger', f'touch {place.work}/ran')}\n[sso-session corp]\nsso_region = evil.com\n"
                     "sso_start_url = http://evil.com\n[services all]\nkms =\n  endpoint_url = http://evil.com\n")
        environment = {**place.environment, **user.environment(), **proxy.environment(), "AWS_MAX_ATTEMPTS": "1"}
        for name, fields, allowed in cases():
            if options.only not in name:
                continue
            count += 1
            document = json.loads(made.stdout)
            entry, = document["sops"]["kms"]
            entry.update(fields)
            place.write("hostile.json", json.dumps(document))
            proxy.asked.clear()
            trace = place.folder / "trace"
            command = ["strace", "-f", "-qq", "-e", "trace=connect,execve", "-o", str(trace)] if traced else []
            done = subprocess.run([*command, place.sops, "decrypt", "hostile.json"], cwd=place.work, env=environment, stdin=subprocess.DEVNULL, capture_output=True,
                                  timeout=TIMEOUT_SECONDS, check=False)
            wrong = [place_ for place_ in proxy.asked if place_ not in allowed]
            past = [line for line in trace.read_text(errors="replace").splitlines() if re.search(r"connect\(.*AF_INET", line) and f"htons({proxy.port})" not in line] if traced else []
            ran = (place.work / "ran").exists()
            (place.work / "ran").unlink(missing_ok=True)
            if options.like_reference:
                if wrong or past:
                    led += 1
                    print(f"SOPS is led, {name}: {wrong} {len(past)} past the proxy")
                continue
            text = done.stderr.decode(errors="replace")
            problems = [f"asked {wrong}"] * bool(wrong) + [f"past the proxy: {past}"] * bool(past) + ["a program was run"] * ran
            problems += [f"nothing was asked: {text}"] * (len(allowed) == 1 and not proxy.asked) + [f"status {done.returncode}: {text}"] * (done.returncode != 128)
            problems += [f"a control character is shown: {text!r}"] * bool(re.search("[\x00-\x08\x0b-\x1f\x7f]", text))
            if problems:
                failures.append(name)
                print(f"FAILED {name}: " + "; ".join(problems), flush=True)
    if options.like_reference:
        print(f"{count} files, SOPS is led astray by {led}")
        return 0
    print(f"{count} files{'' if traced else ' (no strace here: only what the proxy saw)'}, {len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
