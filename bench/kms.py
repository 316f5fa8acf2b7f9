#!/usr/bin/env python3
# SPDX-License-Identifier: MPL-2.0
"""What a KMS key costs: `sops decrypt` with a key of a local server, beside one with an age key, over http and over TLS.

    bench/kms.py --sops PROGRAM [--reference PROGRAM] [--runs N]

The server is a few lines that answer at once and check nothing; its own time is that of a bare socket with the same request. The cost is the
time of the process less that of an age key less the server's: 15 ms are promised, 20 ms over TLS (a handshake is not the server's own time).
All are minima, the programs in turn. Standard library, and openssl for the certificate.
"""

import argparse
import base64
import json
import os
import pathlib
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time

KEYS = pathlib.Path(__file__).resolve().parent.parent / "tests" / "golden" / "keys"
ARN = "arn:aws:kms:us-east-1:123456789012:key/920aff2e-c5f1-4040-943a-047fa387b27e"
PROMISED_MS = {"http": 15, "https": 20}


class Kms:
    """Answers Encrypt and Decrypt with the last plaintext that it was given."""

    def __init__(self, context=None):
        self.context = context
        self.plaintext = ""
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            connection, _ = self.listener.accept()
            threading.Thread(target=self.talk, args=(connection,), daemon=True).start()

    def talk(self, connection):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            if self.context:
                connection = self.context.wrap_socket(connection, server_side=True)
            buffer = b""
            while piece := connection.recv(65536):
                buffer += piece
                head, end, body = buffer.partition(b"\r\n\r\n")
                if not end:
                    continue
                size = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
                if len(body) < size:
                    continue
                request = json.loads(body[:size])
                buffer = body[size:]
                if "Plaintext" in request:
                    self.plaintext = request["Plaintext"]
                    answer = {"CiphertextBlob": base64.b64encode(b"x" * 184).decode(), "KeyId": ARN}
                else:
                    answer = {"Plaintext": self.plaintext, "KeyId": ARN}
                text = json.dumps(answer).encode()
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.1\r\nContent-Length: %d\r\n\r\n" % len(text) + text)
        except OSError:
            pass

    def own_time(self):
        """Connecting, asking and being answered, without TLS."""
        body = json.dumps({"CiphertextBlob": base64.b64encode(b"x" * 184).decode(), "EncryptionContext": {}, "KeyId": ARN}).encode()
        request = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        before = time.perf_counter()
        with socket.create_connection(("127.0.0.1", self.port)) as connection:
            connection.sendall(request)
            connection.recv(65536)
        return time.perf_counter() - before


def certificate(folder):
    """Makes a certificate for 127.0.0.1 that signs itself."""
    path = folder / "server.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=127.0.0.1",
                    "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2", "-keyout", path, "-out", folder / "server.crt"], check=True, capture_output=True)
    with open(path, "a", encoding="utf-8") as file:
        file.write((folder / "server.crt").read_text())
    return path


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sops", required=True)
    parser.add_argument("--reference")
    parser.add_argument("--runs", type=int, default=40)
    options = parser.parse_args()
    programs = [("ours", os.path.abspath(options.sops))]
    if options.reference:
        programs.append(("SOPS", os.path.abspath(options.reference)))
    missed = []
    with tempfile.TemporaryDirectory(prefix="sops-bench-") as name:
        folder = pathlib.Path(name)
        pem = certificate(folder)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        plain_server = Kms()
        servers = {"http": plain_server, "https": Kms(context)}
        environment = {"PATH": os.environ["PATH"], "HOME": name, "SOPS_AGE_KEY_FILE": str(KEYS / "age.txt"), "SOPS_DISABLE_VERSION_CHECK": "1",
                       "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "x" * 40, "AWS_EC2_METADATA_DISABLED": "true", "SSL_CERT_FILE": str(folder / "server.crt")}
        (folder / "x.yaml").write_text("password: hunter2\n")
        for scheme in ("age", *servers):
            own = environment if scheme == "age" else {**environment, "AWS_ENDPOINT_URL_KMS": f"{scheme}://127.0.0.1:{servers[scheme].port}"}
            key = ["--age", (KEYS / "age.pub").read_text().strip()] if scheme == "age" else ["--kms", ARN]
            done = subprocess.run([programs[0][1], "encrypt", *key, "x.yaml"], cwd=folder, env=own, capture_output=True, check=False)
            if done.returncode:
                sys.exit(done.stderr.decode())
            (folder / f"{scheme}.yaml").write_bytes(done.stdout)
        times = {}
        server_time = min(plain_server.own_time() for _ in range(200))
        for _ in range(options.runs):
            for program, path in programs:
                for scheme in ("age", *servers):
                    own = environment if scheme == "age" else {**environment, "AWS_ENDPOINT_URL_KMS": f"{scheme}://127.0.0.1:{servers[scheme].port}"}
                    before = time.perf_counter()
                    done = subprocess.run([path, "decrypt", f"{scheme}.yaml"], cwd=folder, env=own, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                          stderr=subprocess.PIPE, check=False)
                    took = time.perf_counter() - before
                    if done.stdout != b"password: hunter2\n":
                        sys.exit(f"{program}, {scheme}: {done.stderr.decode()}")
                    times.setdefault((program, scheme), []).append(took)
        print(f"load {os.getloadavg()[0]:.1f}; the server's own time: {server_time * 1e3:.2f} ms\n")
        print("| program | age key | KMS, http | cost | KMS, TLS | cost |\n|---|---|---|---|---|---|")
        for program, _ in programs:
            row = [program, f"{min(times[program, 'age']) * 1e3:.1f} ms"]
            for scheme in servers:
                cost = (min(times[program, scheme]) - min(times[program, "age"]) - server_time) * 1e3
                is_missed = program == "ours" and cost > PROMISED_MS[scheme]
                missed += [scheme] if is_missed else []
                row += [f"{min(times[program, scheme]) * 1e3:.1f} ms", f"{cost:.1f} ms" + (" **missed**" if is_missed else "")]
            print("| " + " | ".join(row) + " |")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
