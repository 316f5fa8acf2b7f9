#!/usr/bin/env python3
# SPDX-License-Identifier: MPL-2.0
"""The network module against servers that behave in every way there is, driven by build/release/http_send. Standard library
and openssl only. What the machine does not allow is listed at the end, and makes the test skipped.

    http_module.py --http-send PROGRAM --sops PROGRAM [--only PART]
"""

import argparse
import os
import re
import select
import shutil
import socket
import socketserver
import ssl
import stat
import subprocess
import sys
import tempfile
import threading
import time
import warnings


class Server:
    """A server in threads; handle(connection, server) is called for each connection. Counts them."""

    def __init__(self, handle, context=None):
        self.connections = 0
        self.open_now = 0
        self.most_open = 0
        self.log = []
        self.lock = threading.Lock()
        outer = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                with outer.lock:
                    outer.connections += 1
                    outer.open_now += 1
                    outer.most_open = max(outer.most_open, outer.open_now)
                try:
                    connection = context.wrap_socket(self.request, server_side=True) if context else self.request
                    handle(connection, outer)
                    connection.close()
                except OSError:
                    pass
                finally:
                    with outer.lock:
                        outer.open_now -= 1

        class Threads(socketserver.ThreadingMixIn, socketserver.TCPServer):
            daemon_threads = True
            request_queue_size = 128
            allow_reuse_address = True

        self.server = Threads(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def read_request(connection):
    """The head (with its empty line) and the body of one request; (b"", b"") at the end of the connection."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        if not byte:
            return b"", b""
        head += byte
    size = int((re.search(rb"(?i)\r\ncontent-length: *(\d+)", head) or [0, 0])[1])
    body = b""
    while len(body) < size:
        body += connection.recv(size - len(body))
    return head, body


def respond(connection, body, status="200 OK", headers=""):
    connection.sendall(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body)


def web(connection, server):
    """Behaves as the path says."""
    while True:
        head, body = read_request(connection)
        if not head:
            return
        path = head.split(b" ")[1].decode()
        path = "/" + path.split("/", 3)[3] if path.startswith("http://") else path
        server.log.append(head.decode())
        if path == "/ok":
            respond(connection, b"hello")
        elif path == "/work":
            time.sleep(0.02)
            respond(connection, b"hello")
        elif path == "/echo":
            respond(connection, (head + body).replace(b"\r\n", b"~"))
        elif path.startswith("/redirect"):
            respond(connection, b"moved", f"{path[-3:]} Moved", "Location: /ok\r\n")
        elif path == "/status":
            respond(connection, b"no", "400 Bad")
        elif path == "/continue":
            connection.sendall(b"HTTP/1.1 103 Early\r\nLocation: /early\r\n\r\n")
            respond(connection, b"hello")
        elif path == "/until-end":
            connection.sendall(b"HTTP/1.0 200 OK\r\n\r\nhello")
            return
        elif path == "/chunked":
            connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n")
        elif path == "/empty":
            respond(connection, b"", "204 No Content")
        elif path == "/last":  # what a server does whose patience with an idle connection ends
            respond(connection, b"hello")
            return
        elif path == "/cut":
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello")
            return
        elif path == "/cut-chunk":
            connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n30\r\nhello")
            return
        elif path == "/cut-head":
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Le")
            return
        elif path == "/nothing":
            return
        elif path == "/reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            return
        elif path == "/garbage":
            connection.sendall(b"\0\xff\x1b[31mgarbage\r\n\r\n")
            return
        elif path == "/bad-status":
            connection.sendall(b"HTTP/1.1 2x0 OK\r\nContent-Length: 0\r\n\r\n")
            return
        elif path == "/huge":
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            while True:
                connection.sendall(b"x" * 65536)
        elif path == "/huge-length":
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999\r\n\r\n")
            while True:
                connection.sendall(b"x" * 65536)
        elif path == "/huge-head":
            connection.sendall(b"HTTP/1.1 200 OK\r\n")
            while True:
                connection.sendall(b"X: " + b"x" * 1000 + b"\r\n")
        elif path == "/slow":
            time.sleep(20)
        elif path == "/drip":
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
            for _ in range(100):
                connection.sendall(b"x")
                time.sleep(0.1)
        else:
            respond(connection, b"?", "404 Not Found")


def relay(connection, other):
    """Carries bytes both ways until one side ends."""
    while True:
        ready, _, _ = select.select([connection, other], [], [])
        for source in ready:
            data = source.recv(65536)
            if not data:
                other.close()
                return
            (other if source is connection else connection).sendall(data)


def proxy(connection, server):
    """An HTTP proxy that connects to 127.0.0.1 whatever the name is; with the name 'refused' it says no."""
    head, body = read_request(connection)
    if not head:
        return
    server.log.append(head.decode())
    method, url = head.decode().split(" ")[:2]
    if "refused" in url:
        respond(connection, b"no", "403 Forbidden")
        return
    if method == "CONNECT":
        other = socket.create_connection(("127.0.0.1", int(url.rsplit(":", 1)[1])))
        connection.sendall(b"HTTP/1.1 200 Connected\r\nX-Proxy: here\r\n\r\n")
    else:
        other = socket.create_connection(("127.0.0.1", int(re.match(r"http://[^/:]+:(\d+)", url)[1])))
        other.sendall(head + body)
    relay(connection, other)


def socks(connection, server):
    """SOCKS 5 (RFC 1928), without authentication."""
    count = connection.recv(2)[1]
    connection.recv(count)
    connection.sendall(b"\5\0")
    _, _, _, kind = connection.recv(4)
    name = connection.recv(connection.recv(1)[0]) if kind == 3 else connection.recv(4 if kind == 1 else 16)
    port = int.from_bytes(connection.recv(2), "big")
    server.log.append(f"{kind} {name.decode(errors='replace')} {port}")
    connection.sendall(b"\5\0\0\1\0\0\0\0\0\0")
    relay(connection, socket.create_connection(("127.0.0.1", port)))


class Certificates:
    """A CA and certificates of it, made with openssl."""

    def __init__(self, folder):
        self.folder = folder
        self.ca = self.make("ca", "/CN=Test CA", None, "basicConstraints=critical,CA:TRUE")
        self.good = self.make("good", "/CN=good", self.ca, "subjectAltName=DNS:localhost,DNS:kms.test,IP:127.0.0.1")
        self.other_name = self.make("other", "/CN=localhost", self.ca, "subjectAltName=DNS:elsewhere.test")
        self.expired = self.make("expired", "/CN=expired", self.ca, "subjectAltName=IP:127.0.0.1", days="-1")
        self.hashed = os.path.join(folder, "hashed")
        os.mkdir(self.hashed)
        name = self.openssl("x509", "-hash", "-noout", "-in", self.ca).strip()
        shutil.copy(self.ca, os.path.join(self.hashed, name + ".0"))
        self.plain = os.path.join(folder, "plain")
        os.mkdir(self.plain)
        shutil.copy(self.ca, self.plain)

    def openssl(self, *words):
        done = subprocess.run(["openssl", *words], capture_output=True, text=True, cwd=self.folder, check=False)
        if done.returncode:
            sys.exit(f"openssl {' '.join(words)}: {done.stderr}")
        return done.stdout

    def make(self, name, subject, issuer, extension, days="2"):
        """Key and certificate in one file."""
        path = os.path.join(self.folder, name + ".pem")
        self.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", subject,
                     "-keyout", name + ".key", "-out", name + ".csr")
        with open(os.path.join(self.folder, name + ".ext"), "w", encoding="utf-8") as file:
            file.write(extension + "\n")
        signer = ["-CA", issuer, "-CAkey", issuer, "-CAcreateserial"] if issuer else ["-signkey", name + ".key"]
        self.openssl("x509", "-req", "-in", name + ".csr", "-extfile", name + ".ext", "-days", days, "-out", name + ".crt", *signer)
        with open(path, "w", encoding="utf-8") as file:
            for part in (".crt", ".key"):
                with open(os.path.join(self.folder, name + part), encoding="utf-8") as piece:
                    file.write(piece.read())
        return path

    def context(self, path):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context


class Suite:
    def __init__(self, http_send, sops, folder):
        self.http_send = http_send
        self.sops = sops
        self.folder = folder
        self.failures = []
        self.missing = []
        self.web = Server(web)

    def check(self, name, holds, detail=""):
        if not holds:
            self.failures.append(f"{name}: {detail}")

    def send(self, *words, env=None, program=None, prefix=()):
        """The lines that http_send prints."""
        environment = {"PATH": os.environ["PATH"], **(env or {})}
        done = subprocess.run([*prefix, program or self.http_send, *words], env=environment, capture_output=True, timeout=60, check=False)
        if done.returncode:
            return [f"ended with {done.returncode}: {done.stderr.decode()}"]
        return done.stdout.decode(errors="replace").rstrip("\n").split("\n")

    def expect(self, name, pattern, *words, at_most=None, **options):
        """One request, whose line `CODE TIME REST` without the time must match; `at_most` is in seconds, and the best of three tries."""
        for _ in range(1 if at_most is None else 3):
            line = self.send(*words, **options)[0]
            match = re.fullmatch(r"(\S+) (\d+)ms (.*)", line)
            if at_most is None or (match and int(match[2]) <= at_most * 1000):
                break
        text = f"{match[1]} {match[3]}" if match else line
        self.check(name, re.fullmatch(pattern, text), f"{text!r} is not {pattern!r}")
        if at_most is not None and match:
            self.check(f"{name}: time", int(match[2]) <= at_most * 1000, line)

    def url(self, path, server=None, scheme="http", host="127.0.0.1"):
        return f"{scheme}://{host}:{(server or self.web).port}{path}"

    # ---- the parts

    def part_answers(self):
        place = f"127.0.0.1:{self.web.port}"
        self.expect("an answer", "200 hello", self.url("/ok"))
        self.expect("a refusal is an answer", "400 no", self.url("/status"))
        self.expect("no body", "204 ", self.url("/empty"))
        self.expect("interim answers do not count", "200 hello", self.url("/continue"))
        self.check("their headers do not either", self.send(self.url("/continue"))[1:] == [])
        self.expect("until the end of the connection", "200 hello", self.url("/until-end"))
        self.expect("in pieces", "200 hello", self.url("/chunked"))
        for status in (301, 302, 303, 307, 308):
            lines = self.send(self.url(f"/redirect{status}"))
            self.check(f"{status} is not followed", lines[0].startswith(f"{status} ") and lines[1:] == ["location /ok"], lines)
        self.expect("cut", f"unavailable {place} ended the connection too early: .*", self.url("/cut"))
        self.expect("cut chunk", f"unavailable {place} ended the connection too early: .*", self.url("/cut-chunk"))
        self.expect("cut head", f"unavailable {place} ended the connection too early: .*", self.url("/cut-head"))
        self.expect("nothing", f"unavailable {place} ended the connection too early: .*", self.url("/nothing"))
        self.expect("reset", f"unavailable {place} ended the connection too early: .*", self.url("/reset"))
        self.expect("garbage", f"malformed {place} does not answer in HTTP: .*", self.url("/garbage"))
        self.expect("bad status", f"(malformed|unavailable) {place} .*", self.url("/bad-status"))
        self.expect("huge", f"unsupported {place} sends a longer answer .*", self.url("/huge"), at_most=5)
        self.expect("huge and announced", f"unsupported {place} sends a longer answer .*", self.url("/huge-length"), at_most=5)
        self.expect("huge head", f"unsupported {place} sends too long a head.*", self.url("/huge-head"), at_most=5)
        self.expect("limit", f"unsupported {place} sends a longer answer .*", "--limit", "4", self.url("/ok"))
        self.expect("within the limit", "200 hello", "--limit", "5", self.url("/ok"))

    def part_requests(self):
        host = f"127.0.0.1:{self.web.port}"
        self.expect("GET", f"200 GET /echo HTTP/1.1~Host: {host}~~", self.url("/echo"))
        self.expect("PUT without a body", f"200 PUT /echo HTTP/1.1~Host: {host}~Content-Length: 0~~", "--method", "PUT", self.url("/echo"))
        self.expect("POST", f"200 POST /echo HTTP/1.1~Host: {host}~X-Amz-Target: T.D~X-Empty:~Content-Type: a/b~Content-Length: 2~~{{}}",
                    "--method", "POST", "--header", "X-Amz-Target: T.D", "--header", "X-Empty: ", "--header", "Content-Type: a/b", "--body", "{}", self.url("/echo"))
        self.expect("no Expect, however long", ".*Content-Length: 100000~~x+", "--method", "POST", "--body", "x" * 100000, self.url("/echo"))
        self.check("no Expect", not any("xpect" in head for head in self.web.log))
        for word in ("X: a\r\nY: b", "X: a\nY: b", "X Y: a", ": a", "X: \x01"):
            self.expect(f"header {word!r}", "malformed the header '.*' is none.*", "--header", word, self.url("/ok"))
        for url in ("ftp://127.0.0.1/", "file:///etc/passwd", "127.0.0.1", "http://a b/", "http://u:p@127.0.0.1/", "http://127.0.0.1:0/", "http://x/\r\ny"):
            self.expect(f"url {url!r}", "malformed '.*' is no URL.*", url)
        self.expect("method", "malformed 'get' is no method.*", "--method", "get", self.url("/ok"))
        self.expect("path as it stands", "404 .*", self.url("/a/../ok"))

    def part_connections(self):
        before = self.web.connections
        self.check("keep-alive", [line[:4] for line in self.send("--times", "20", self.url("/ok"))] == ["200 "] * 20)
        self.check("keep-alive: one connection", self.web.connections - before == 1, self.web.connections - before)
        lines = self.send("--times", "5", self.url("/last"))
        self.check("a connection that was closed meanwhile", all(line.startswith("200 ") for line in lines), lines)
        crowd = Server(web)
        lines = self.send("--times", "400", "--threads", "32", self.url("/work", crowd))
        self.check("a crowd", len(lines) == 400 and all(line.startswith("200 ") for line in lines), lines[:3])
        self.check("a crowd: at most 8 connections", crowd.connections <= 8 and crowd.most_open == 8, crowd.connections)
        # A server slower than the connect deadline times the length of the queue: waiting for one's turn is no connecting.
        lines = self.send("--times", "32", "--threads", "32", "--connect", "100", "--answer", "2000", self.url("/work", crowd))
        self.check("waiting for a turn", all(line.startswith("200 ") for line in lines), lines)

    def part_deadlines(self):
        place = f"127.0.0.1:{self.web.port}"
        closed = socket.socket()
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        closed.close()
        self.expect("refused", f"unavailable cannot connect to 127.0.0.1:{port}: [Cc]onnection refused .*", f"http://127.0.0.1:{port}/", at_most=2)
        self.expect("slow", f"unavailable {place} did not answer within 300 ms.*", "--answer", "300", self.url("/slow"), at_most=2)
        self.expect("dripping", f"unavailable {place} did not answer within 300 ms.*", "--answer", "300", self.url("/drip"), at_most=2)
        self.expect("given up", f"unavailable the request to {place} was given up.*", "--cancel", "100", self.url("/slow"), at_most=2)
        self.expect("given up while dripping", f"unavailable the request to {place} was given up.*", "--cancel", "200", self.url("/drip"), at_most=2)
        lines = self.send("--times", "30", "--threads", "30", "--cancel", "200", self.url("/slow"))
        self.check("all given up, those in the queue too", len(lines) == 30 and all(" was given up" in line for line in lines), lines)
        hole = black_hole()
        if hole is None:
            self.missing.append("no port swallows connections here")
        else:
            url = f"http://127.0.0.1:{hole[0].getsockname()[1]}/"
            self.expect("black hole", "unavailable cannot connect to .*", "--connect", "300", url, at_most=2)
            self.expect("black hole, given up", "unavailable the request to .* was given up.*", "--cancel", "100", url, at_most=2)
            self.expect("black hole, through a proxy", "unavailable cannot connect to example.org through the proxy .*", "--connect", "300",
                        "http://example.org/", env={"HTTP_PROXY": url}, at_most=2)
        silent = Server(lambda connection, server: time.sleep(20))
        self.expect("no TLS in time", "unavailable cannot connect to .*SSL.*", "--connect", "300", self.url("/", silent, "https"), at_most=2)

    def part_names(self):
        self.expect("unknown name", "unavailable the name server does not know nowhere.invalid, or cannot tell.*", "http://nowhere.invalid/", at_most=5)
        name_server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        resolv = os.path.join(self.folder, "resolv.conf")
        with open(resolv, "w", encoding="utf-8") as file:
            file.write("nameserver 127.9.9.9\n")
        prefix = ["unshare", "--mount", "sh", "-c", f'mount --bind {resolv} /etc/resolv.conf && exec "$@"', "sh"]
        try:
            name_server.bind(("127.9.9.9", 53))
            subprocess.run([*prefix, "true"], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            self.missing.append(f"no silent name server: {error}")
            return
        # The time of the whole process counts: a thread that still waits for the name server must not hold it.
        for name, pattern, words in [("deadline", "unavailable no name server told within 300 ms where silent.test is.*", ["--connect", "300"]),
                                     ("given up", "unavailable the request to silent.test was given up.*", ["--cancel", "100"])]:
            best = 60
            for _ in range(3):
                before = time.monotonic()
                self.expect(f"silent name server, {name}", pattern, *words, "http://silent.test/", prefix=prefix)
                best = min(best, time.monotonic() - before)
                if best < 3:
                    break
            self.check(f"silent name server, {name}: time", best < 3, best)
        self.check("the name server was asked", select.select([name_server], [], [], 0)[0])

    def part_tls(self):
        certificates = Certificates(self.folder)
        good = Server(web, certificates.context(certificates.good))
        url = self.url("/ok", good, "https")
        untrusted = f"denied 127.0.0.1:{good.port} is not trusted: .*"
        self.expect("unknown CA", untrusted + "SSL_CERT_FILE.*", url)
        self.expect("SSL_CERT_FILE", "200 hello", url, env={"SSL_CERT_FILE": certificates.ca})
        self.expect("SSL_CERT_DIR", "200 hello", url, env={"SSL_CERT_DIR": certificates.hashed})
        self.expect("SSL_CERT_DIR, several", "200 hello", url, env={"SSL_CERT_DIR": f"/nowhere:{certificates.hashed}"})
        self.expect("SSL_CERT_DIR without hashes", untrusted + "openssl rehash.*", url, env={"SSL_CERT_DIR": certificates.plain})
        self.expect("SSL_CERT_FILE that is not there", untrusted + "SSL_CERT_FILE names /nowhere, which is no file", url, env={"SSL_CERT_FILE": "/nowhere"})
        self.expect("variables of libcurl and git do not count", untrusted, url, env={"CURL_CA_BUNDLE": certificates.ca, "GIT_SSL_CAINFO": certificates.ca})
        self.expect("own bundle", "200 hello", "--ca", certificates.ca, url)
        self.expect("own bundle takes the place of all", untrusted, "--ca", certificates.other_name, url, env={"SSL_CERT_FILE": certificates.ca})
        self.expect("own bundle that is not there", untrusted, "--ca", "/nowhere", url)
        own = {"SSL_CERT_FILE": certificates.ca}
        self.expect("by name", "200 hello", self.url("/ok", good, "https", "localhost"), env=own)
        self.expect("another name", "denied .* is not trusted: .*", self.url("/ok", Server(web, certificates.context(certificates.other_name)), "https", "localhost"), env=own)
        self.expect("expired", "denied .* is not trusted: .*expired.*", self.url("/ok", Server(web, certificates.context(certificates.expired)), "https"), env=own)
        self.expect("no TLS at all", "unavailable .* does not agree on TLS: .*", self.url("/ok", Server(lambda connection, _: connection.sendall(b"HTTP/1.1 400 Bad\r\n\r\n")), "https"))
        warnings.simplefilter("ignore")
        old = certificates.context(certificates.good)
        old.set_ciphers("ALL:@SECLEVEL=0")
        old.minimum_version = ssl.TLSVersion.TLSv1
        old.maximum_version = ssl.TLSVersion.TLSv1_1
        self.expect("TLS 1.1", "unavailable .* does not agree on TLS: .*", self.url("/ok", Server(web, old), "https"), env=own)
        before = good.connections
        lines = self.send("--times", "20", url, env=own)
        self.check("keep-alive over TLS", good.connections - before == 1 and all(line.startswith("200 ") for line in lines), lines)

        through = Server(proxy)
        self.expect("CONNECT", "200 hello", f"https://kms.test:{good.port}/ok", env={**own, "HTTPS_PROXY": f"127.0.0.1:{through.port}"})
        self.check("CONNECT names the host", through.log and through.log[-1].startswith(f"CONNECT kms.test:{good.port} "), through.log)
        self.check("CONNECT carries no header of the request", "Authorization" not in "".join(through.log))
        secret = ["--header", "Authorization: secret-token"]
        self.expect("CONNECT with headers", "200 .*Authorization: secret-token.*", *secret, f"https://kms.test:{good.port}/echo", env={**own, "HTTPS_PROXY": f"127.0.0.1:{through.port}"})
        self.check("they are not the proxy's", "secret-token" not in "".join(through.log))
        self.expect("a proxy that refuses", f"unavailable cannot reach refused.test through the proxy 127.0.0.1:{through.port} of https_proxy: .*403.*",
                    "https://refused.test/", env={"https_proxy": f"http://127.0.0.1:{through.port}"})
        self.expect("a certificate for another name behind a proxy", "denied .*", f"https://elsewhere.test:{good.port}/ok", env={**own, "HTTPS_PROXY": f"127.0.0.1:{through.port}"})
        over_tls = Server(proxy, certificates.context(certificates.good))
        self.expect("a proxy over TLS", "200 hello", f"https://kms.test:{good.port}/ok", env={**own, "HTTPS_PROXY": f"https://localhost:{over_tls.port}"})
        self.expect("a proxy over TLS that is not trusted", "denied .*through the proxy.* is not trusted.*", f"https://kms.test:{good.port}/ok", env={"HTTPS_PROXY": f"https://localhost:{over_tls.port}"})

    def part_proxies(self):
        through = Server(proxy)
        address = f"127.0.0.1:{through.port}"
        own = f"http://example.test:{self.web.port}/ok"
        self.expect("HTTP_PROXY", "200 hello", own, env={"HTTP_PROXY": address})
        self.check("whole URL", through.log and through.log[-1].startswith(f"GET {own} "), through.log)
        self.expect("with a password", "200 hello", own, env={"http_proxy": f"http://user:p%40ss@{address}"})
        self.check("password", "Proxy-Authorization: Basic dXNlcjpwQHNz" in through.log[-1], through.log[-1])
        count = len(through.log)
        self.expect("loopback is direct", "200 hello", self.url("/ok"), env={"HTTP_PROXY": address, "HTTPS_PROXY": address})
        self.expect("ALL_PROXY does not count", "unavailable .*example.test.*", own, env={"ALL_PROXY": address, "all_proxy": address})
        self.expect("NO_PROXY", "unavailable .*example.test.*", own, env={"HTTP_PROXY": address, "NO_PROXY": "test"})
        self.expect("bypassed", "unavailable .*example.test.*", "--no-proxy", own, env={"HTTP_PROXY": address})
        self.check("none of them asked the proxy", len(through.log) == count, through.log[count:])
        self.expect("no proxy", "malformed HTTP_PROXY is no proxy .*", own, env={"HTTP_PROXY": "ftp://x"})
        self.expect("CGI", "malformed HTTP_PROXY is set in a CGI program.*", own, env={"HTTP_PROXY": address, "REQUEST_METHOD": "GET"})
        self.expect("a proxy nobody knows", "unavailable cannot reach .* through the proxy proxy.invalid:80 of HTTP_PROXY: .*", own, env={"HTTP_PROXY": "proxy.invalid"})
        server = Server(socks)
        for scheme in ("socks5", "socks5h"):
            self.expect(scheme, "200 hello", own, env={"HTTP_PROXY": f"{scheme}://127.0.0.1:{server.port}"})
            self.check(f"{scheme}: the proxy gets the name", server.log[-1:] == [f"3 example.test {self.web.port}"], server.log)

    def part_loading(self):
        """Where the module is looked for, and that nobody loads it who does not need it."""
        folder = os.path.join(self.folder, "tree")
        os.makedirs(os.path.join(folder, "bin"))
        program = shutil.copy(self.http_send, os.path.join(folder, "bin"))
        module = os.path.join(os.path.dirname(self.http_send), "sops_http.so")
        ok = self.url("/ok")
        # A stranger's module where it must not be looked for.
        trap = os.path.join(self.folder, "trap")
        os.mkdir(trap)
        shutil.copy(module, trap)
        def from_trap(**options):
            return self.send(ok, program=program, env={"LD_LIBRARY_PATH": trap, "SOPS_HTTP_MODULE": trap, "PATH": trap + ":" + os.environ["PATH"]}, prefix=["env", "-C", trap], **options)[0]
        line = from_trap()
        self.check("missing", re.fullmatch(r"unsupported \d+ms the network module sops_http.so is missing: .* \| .*libcurl4.*", line), line)
        beside = shutil.copy(module, os.path.join(folder, "bin"))
        self.expect("beside the program", "200 hello", ok, program=program)
        os.symlink(program, os.path.join(self.folder, "link"))
        self.expect("beside the program, through a link", "200 hello", ok, program=os.path.join(self.folder, "link"))
        os.chmod(beside, os.stat(beside).st_mode | stat.S_IWOTH)
        self.expect("that everybody may write", "unsupported the network module .* somebody else may write it.*", ok, program=program)
        os.remove(beside)
        with open(beside, "wb") as file:
            file.write(b"no module")
        self.expect("damaged", "unsupported the network module .* cannot be loaded: .*", ok, program=program)
        os.remove(beside)
        if os.geteuid() == 0:
            shutil.copy(module, beside)
            os.chown(beside, 12345, 12345)
            self.expect("of a stranger", "unsupported the network module .* somebody else may write it.*", ok, program=program)
            os.remove(beside)
        installed = self.install()
        if installed:
            self.expect("installed", "200 hello", ok, program=installed)

        for name, program in (("sops", self.sops), ("http_send", self.http_send)):
            symbols = subprocess.run(["nm", "-D", "--defined-only", program], capture_output=True, text=True, check=False)
            if symbols.returncode:
                self.missing.append(f"nm: {symbols.stderr.strip()}")
            elif name == "sops":
                exported = [line.split()[-1] for line in symbols.stdout.splitlines() if "@" not in line]
                self.check("the program exports nothing", exported == [], exported[:5])
        if os.path.exists(module):
            symbols = subprocess.run(["nm", "-D", "--defined-only", module], capture_output=True, text=True, check=False)
            if symbols.returncode == 0:
                exported = [line.split()[-1] for line in symbols.stdout.splitlines() if "@" not in line]
                self.check("the module exports one function", exported == ["sops_http_table"], exported[:5])

        # keys.md: "`sops decrypt` with an age key does not load libcurl". The same look at http_send finds it.
        loaded = self.loaded_by([self.http_send, ok])
        self.check("http_send loads libcurl", "libcurl" in loaded and "sops_http.so" not in self.loaded_by(["true"]), loaded[-300:])
        key = os.path.join(self.folder, "keys.txt")
        subprocess.run(["age-keygen", "-o", key], check=True, capture_output=True)
        with open(key, encoding="utf-8") as file:
            recipient = re.search(r"age1\w+", file.read())[0]
        plain = os.path.join(self.folder, "x.yaml")
        with open(plain, "w", encoding="utf-8") as file:
            file.write("a: secret\n")
        env = {"SOPS_AGE_KEY_FILE": key, "HTTPS_PROXY": "http://127.0.0.1:1"}
        for words in (["encrypt", "-i", "--age", recipient, plain], ["decrypt", plain], ["rotate", "-i", plain]):
            loaded = self.loaded_by([self.sops, *words], env)
            self.check(f"sops {words[0]} with an age key loads no libcurl", "libcurl" not in loaded and "sops_http" not in loaded and "libc.so" in loaded, loaded[-300:])

    def loaded_by(self, words, env=None):
        """What the dynamic loader says of the files it opens."""
        done = subprocess.run(words, env={"PATH": os.environ["PATH"], "LD_DEBUG": "files", **(env or {})}, capture_output=True, timeout=60, check=False)
        self.check(f"{words[0]} works", done.returncode == 0, done.stderr[-300:])
        return done.stderr.decode(errors="replace")

    def install(self):
        """http_send where `cmake --install` puts sops, with the module where it puts that."""
        prefix = os.path.join(self.folder, "installed")
        build = os.path.dirname(self.sops)
        done = subprocess.run(["cmake", "--install", build, "--prefix", prefix], capture_output=True, text=True, check=False)
        if done.returncode:
            self.missing.append(f"cmake --install: {done.stderr.strip()[-200:]}")
            return None
        found = [os.path.join(at, name) for at, _, names in os.walk(prefix) for name in names if name == "sops_http.so"]
        self.check("the module is installed below lib", len(found) == 1 and found[0].endswith("/sops/sops_http.so") and "/lib" in found[0], found)
        return shutil.copy(self.http_send, os.path.join(prefix, "bin"))


def black_hole():
    """A port of this machine that swallows connections: nobody accepts, and the queue is full. The sockets must be kept."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    kept = [listener]
    for _ in range(4):
        client = socket.socket()
        client.setblocking(False)
        try:
            client.connect(listener.getsockname())
        except BlockingIOError:
            pass
        kept.append(client)
    probe = socket.socket()
    probe.settimeout(0.3)
    try:
        probe.connect(listener.getsockname())
        return None
    except OSError as error:
        return kept if isinstance(error, TimeoutError) else None
    finally:
        probe.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--http-send", required=True)
    parser.add_argument("--sops", required=True)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        suite = Suite(os.path.abspath(options.http_send), os.path.abspath(options.sops), folder)
        for name in dir(suite):
            if name.startswith("part_") and options.only in name:
                getattr(suite, name)()
    for failure in suite.failures:
        print(f"FAILED: {failure}")
    for what in suite.missing:
        print(f"not tested: {what}")
    print(f"http_module: {len(suite.failures)} failures")
    return 1 if suite.failures else 77 if suite.missing else 0


if __name__ == "__main__":
    sys.exit(main())
