#!/usr/bin/python3
"""The encryption of a virtual server, with OpenSSL's client against real edges: threats.md L1, L2, L5, L6, L7; R15, R17.

`plain` takes anybody's mail; `strict` is the same but for mandatory client certificates; `strong` wants 256 bits. Every one has a
listener with STARTTLS and one with implicit TLS. Two edges of one pool serve them.
"""
import base64
import datetime
import json
import os
import re
import socket
import sqlite3
import struct
import subprocess
import time
import unittest
import urllib.request

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from harness.authority import SERVER, Authority, fingerprint, key_pem, pem
from harness.client import Client, insecure_context
from harness.cluster import Cluster
from harness.processes import wait_for
from harness.recorder import Recorder

MODES = ("STARTTLS", "IMPLICIT")
VERSIONS = ("-tls1_2", "-tls1_3")


class Spoken:
    """What s_client printed of one connection."""

    def __init__(self, text):
        self.text = text
        match = re.search(r"^(New|Reused), (TLSv1\.[23]), Cipher is (\S+)$", text, re.M)
        self.kind, self.version, self.cipher = match.groups() if match else (None, None, None)
        self.served = "250 2.0.0 OK" in text

    def __repr__(self):
        return self.text


def s_client(port, *arguments, starttls=True, name="mail.example.com"):
    """NOOP and QUIT by openssl s_client."""
    argv = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-ign_eof", "-crlf"]
    if starttls:
        argv += ["-starttls", "smtp"]
    argv += ["-servername", name] if name else ["-noservername"]
    with subprocess.Popen([*argv, *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          bufsize=0) as client:
        heard = b""
        # Under implicit TLS the greeting is waited for: who speaks before it is refused. (-starttls waits by itself.)
        while not starttls and not re.search(rb"220 \S+ ESMTP|(554|421) \S+\.example", heard):
            more = client.stdout.read(65536)
            heard += more
            if not more:
                break
        try:
            rest, _ = client.communicate(b"NOOP\nQUIT\n", timeout=60)
        except BrokenPipeError:
            rest = client.stdout.read()
    return Spoken((heard + rest).decode("latin-1"))


def client_hello(server_name):
    """A ClientHello with this SNI (octets), in records of at most 16 KiB."""
    name = struct.pack(">BH", 0, len(server_name)) + server_name
    names = struct.pack(">H", len(name)) + name
    extensions = struct.pack(">HH", 0, len(names)) + names
    extensions += struct.pack(">HHHH", 10, 4, 2, 0x1d) + struct.pack(">HHHH", 13, 4, 2, 0x0403)
    body = b"\x03\x03" + os.urandom(32) + b"\0" + struct.pack(">HH", 2, 0xc02b) + b"\x01\0" + struct.pack(">H", len(extensions)) + extensions
    message = b"\x01" + struct.pack(">I", len(body))[1:] + body
    return b"".join(b"\x16\x03\x01" + struct.pack(">H", len(part)) + part
                    for part in (message[i:i + 16384] for i in range(0, len(message), 16384)))


class Encrypted(unittest.TestCase):
    """The cluster that all classes here share the make of."""

    @classmethod
    def setUpClass(cls):
        cls.upstream = Recorder()
        cls.cluster = Cluster()
        cls.addClassCleanup(cls.upstream.close)
        cls.addClassCleanup(cls.cluster.stop)
        cls.cluster.start()
        cls.authority = Authority()
        cls.certificate, cls.key = cls.authority.issue("alice", emails=["alice@in.example"])
        cls.shown = cls.files("alice", [cls.certificate], cls.key)
        for identifier, fqdn in (("plain", "mail.example.com"), ("strict", "strict.example.com"), ("strong", "strong.example.com")):
            cls.cluster.certificate(identifier, fqdn)
        cls.apply("plain")
        cls.apply("strict", clientCertificates={"mode": "MANDATORY", "caBundlePem": cls.authority.pem()})
        cls.apply("strong", minCipherBits=256)
        cls.edge = cls.cluster.edge("edge1")

    @classmethod
    def apply(cls, identifier, **tls):
        cls.cluster.apply(cls.cluster.document(identifier, cls.upstream.address, MODES, anonymous=True, local_domains=["in.example"], tls=tls,
                                               connectionLimits={"maxPerSource": 0}))

    @classmethod
    def files(cls, name, chain, key):
        """Arguments for s_client."""
        certificate, rest, private = (cls.cluster.folder / f"{name}.{kind}" for kind in ("crt", "chain", "key"))
        certificate.write_text(pem(chain[0]))
        private.write_text(key_pem(key))
        arguments = ["-cert", certificate, "-key", private]
        if chain[1:]:
            rest.write_text("".join(map(pem, chain[1:])))
            arguments += ["-cert_chain", rest]
        return arguments

    def served(self, spoken):
        self.assertTrue(spoken.served, spoken)
        return spoken

    def refused(self, spoken, reason=None):
        self.assertFalse(spoken.served, spoken)
        if reason:
            wait_for(lambda: any(reason in e.get("reason", "") for e in list(self.edge.events) if e.get("event") == "handshake_failed"),
                     10, f"a log line with: {reason}")


class Sessions(Encrypted):
    """L1: a session is one virtual server's, one name's, one policy's; any edge of the pool resumes it."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.second = cls.cluster.edge("edge2", offset=5000)

    def begin(self, mode, version):
        self.session = self.cluster.folder / "session.pem"
        self.session.unlink(missing_ok=True)
        spoken = self.served(s_client(self.edge.port("plain", mode), version, "-sess_out", self.session, starttls=mode == "STARTTLS"))
        self.assertEqual(spoken.kind, "New")
        self.assertTrue(self.session.exists(), spoken)

    def resume(self, edge, server, mode, version, *arguments, **options):
        return s_client(edge.port(server, mode), version, "-sess_in", self.session, *arguments, starttls=mode == "STARTTLS", **options)

    def test_l1_a_ticket_resumes_in_its_pool_and_nowhere_else(self):
        for mode in MODES:
            for version in VERSIONS:
                with self.subTest(mode=mode, version=version):
                    self.begin(mode, version)
                    self.assertEqual(self.served(self.resume(self.edge, "plain", mode, version)).kind, "Reused")
                    self.assertEqual(self.served(self.resume(self.second, "plain", mode, version)).kind, "Reused")
                    self.assertEqual(self.served(self.resume(self.edge, "plain", mode, version, name="other.example.com")).kind, "New")
                    self.assertEqual(self.served(self.resume(self.edge, "strong", mode, version)).kind, "New")
                    # B asks for a certificate and does not take A's session instead.
                    without = self.resume(self.edge, "strict", mode, version)
                    self.refused(without)
                    self.assertIn("CN = Test CA", without.text)
                    with_one = self.served(self.resume(self.edge, "strict", mode, version, *self.shown))
                    self.assertEqual(with_one.kind, "New")

    def test_l1_a_changed_policy_resumes_nothing(self):
        self.addCleanup(self.apply, "plain")
        for tls in ({"unknownName": "REFUSE"}, {"minCipherBits": 256},
                    {"clientCertificates": {"mode": "REQUESTED", "caBundlePem": self.authority.pem()}}):
            self.apply("plain")
            self.begin("STARTTLS", "-tls1_3")
            self.apply("plain", **tls)
            self.assertEqual(self.served(self.resume(self.edge, "plain", "STARTTLS", "-tls1_3")).kind, "New", tls)


class Names(Encrypted):
    """L2: SNI chooses a certificate, never the policy."""

    def test_l2_the_policy_is_the_listeners(self):
        strict, plain = self.edge.port("strict", "IMPLICIT"), self.edge.port("plain", "IMPLICIT")
        for name in ("mail.example.com", "strict.example.com", "unknown.example", None):
            asked = self.served(s_client(plain, starttls=False, name=name))
            self.assertIn("CN = mail.example.com", asked.text)
            self.assertNotIn("CN = Test CA", asked.text)
            self.refused(s_client(strict, starttls=False, name=name))
            self.served(s_client(strict, *self.shown, starttls=False, name=name))

    def test_l2_an_unknown_name_is_refused_where_policy_says_so(self):
        self.addCleanup(self.apply, "plain")
        self.apply("plain", unknownName="REFUSE")
        port = self.edge.port("plain", "IMPLICIT")
        for name in ("mail.example.com", "MAIL.example.com.", None):
            self.served(s_client(port, starttls=False, name=name))
        for name in ("unknown.example", "strict.example.com"):
            refused = s_client(port, starttls=False, name=name)
            self.refused(refused)
            self.assertIn("unrecognized name", refused.text)

    def test_l2_hostile_names_end_the_handshake(self):
        port = self.edge.port("plain", "IMPLICIT")
        for name in (b"mail.example.com\0.evil", b"\0", b"", b"a" * 256, b"a" * 65000):
            with self.subTest(name=name[:24]), socket.create_connection(("127.0.0.1", port), timeout=20) as sock:
                try:
                    sock.sendall(client_hello(name))
                    answer = sock.recv(4096)
                except ConnectionError:
                    answer = b""
                self.assertIn(answer[:1], (b"", b"\x15"), answer)  # nothing, or an alert
        with socket.create_connection(("127.0.0.1", port), timeout=20) as sock:
            sock.sendall(client_hello(b"mail.example.com"))
            self.assertEqual(sock.recv(1), b"\x16", "the control: such a ClientHello is answered")
        self.served(s_client(port, starttls=False))


class Stalls(Encrypted):
    """L5: a handshake that does not end is ended, and leaves nothing behind."""

    def test_l5_stalled_handshakes_are_gone_after_their_deadline(self):
        def descriptors():
            return len(os.listdir(f"/proc/{self.edge.pid}/fd"))

        self.served(s_client(self.edge.port("plain", "STARTTLS")))
        wait_for(lambda: not self.edge.sessions("plain"), 10, "the end of that session")
        before = descriptors()
        hello = client_hello(b"mail.example.com")
        socks = []
        began = time.monotonic()
        for i in range(600):
            mode = MODES[i % 2]
            sock = socket.create_connection(("127.0.0.1", self.edge.port("plain", mode)), timeout=30, source_address=(f"127.0.0.{2 + i % 50}", 0))
            if mode == "STARTTLS":
                sock.recv(512)
                sock.sendall(b"EHLO c.example\r\n")
                sock.recv(2048)
                sock.sendall(b"STARTTLS\r\n")
                sock.recv(512)
            # Nothing, half a ClientHello, or all of it and then silence.
            sock.sendall((b"", hello[:20], hello)[i % 3])
            socks.append(sock)
        self.assertGreater(descriptors(), before + 590, "(a probe of the next hop may have been open before)")
        # Meanwhile others are served.
        self.served(s_client(self.edge.port("plain", "IMPLICIT"), starttls=False))
        wait_for(lambda: descriptors() <= before, 40, "the baseline of open files", every=0.2)
        self.assertLess(time.monotonic() - began, 45)
        for sock in socks:
            sock.close()


class ClientCertificates(Encrypted):
    """L6."""

    def test_l6_a_good_one_is_served_on_both_listeners_and_versions(self):
        for mode in MODES:
            for version in VERSIONS:
                self.served(s_client(self.edge.port("strict", mode), version, *self.shown, starttls=mode == "STARTTLS"))

    def bad(self):
        """(what, arguments of s_client, reason in the log)"""
        expired = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=60)
        other = Authority("Test CA")
        yield "expired", *self.made("expired", self.authority.issue("old", started=expired)), "expired"
        yield "wrong use", *self.made("use", self.authority.issue("server", usage=(SERVER,))), "purpose"
        yield "unknown CA", *self.made("unknown", other.issue("mallory")), ""
        yield "101 names", *self.made("names", self.authority.issue("many", names=[f"n{i}.example" for i in range(101)])), "name or key"
        certificate, key = self.authority.issue("long")
        yield "6 certificates", self.files("six", [certificate] + [self.authority.certificate] * 5, key), "more than 5"
        yield "64 KiB", self.files("big", [certificate] + [self.authority.certificate] * 250, key), "EXCESSIVE_MESSAGE_SIZE"

    def made(self, name, issued):
        certificate, key = issued
        return [self.files(name, [certificate], key)]

    def test_l6_bad_ones_are_refused_even_where_none_is_needed(self):
        self.addCleanup(self.apply, "plain")
        self.apply("plain", clientCertificates={"mode": "REQUESTED", "caBundlePem": self.authority.pem()})
        self.served(s_client(self.edge.port("plain", "IMPLICIT"), starttls=False))
        self.served(s_client(self.edge.port("plain", "IMPLICIT"), *self.shown, starttls=False))
        for what, arguments, reason in self.bad():
            for server in ("strict", "plain"):
                for version in VERSIONS:
                    with self.subTest(what=what, server=server, version=version):
                        self.refused(s_client(self.edge.port(server, "STARTTLS"), version, *arguments), reason)

    def test_l6_none_is_refused_where_it_is_mandatory(self):
        for version in VERSIONS:
            self.refused(s_client(self.edge.port("strict", "STARTTLS"), version), "PEER_DID_NOT_RETURN_A_CERTIFICATE")

    def test_l6_a_refused_fingerprint_is_refused_from_now_on(self):
        self.addCleanup(self.apply, "strict", clientCertificates={"mode": "MANDATORY", "caBundlePem": self.authority.pem()})
        session = self.cluster.folder / "refused.pem"
        port = self.edge.port("strict", "STARTTLS")
        self.served(s_client(port, *self.shown, "-sess_out", session))
        self.assertEqual(self.served(s_client(port, "-sess_in", session)).kind, "Reused")
        self.apply("strict", clientCertificates={"mode": "MANDATORY", "caBundlePem": self.authority.pem(),
                                                 "refusedFingerprints": [fingerprint(self.certificate).upper()]})
        self.refused(s_client(port, "-sess_in", session, *self.shown), "fingerprint is refused")


class Floor(Encrypted):
    """R17: the floor is in force for the next handshake, and sessions go on."""

    AES128_FIRST = ("-ciphersuites", "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256")

    def test_r17_clients_that_put_aes_128_first_get_256_bits(self):
        for mode in MODES:
            strong = self.served(s_client(self.edge.port("strong", mode), *self.AES128_FIRST, starttls=mode == "STARTTLS"))
            self.assertEqual((strong.version, strong.cipher), ("TLSv1.2", "ECDHE-ECDSA-AES256-GCM-SHA384"))
            plain = self.served(s_client(self.edge.port("plain", mode), *self.AES128_FIRST, starttls=mode == "STARTTLS"))
            self.assertEqual((plain.version, plain.cipher), ("TLSv1.3", "TLS_AES_128_GCM_SHA256"))
            self.refused(s_client(self.edge.port("strong", mode), "-tls1_3", "-ciphersuites", "TLS_AES_128_GCM_SHA256", starttls=mode == "STARTTLS"))
        self.assertEqual(self.edge.metrics()['gatepost_edge_tls_ciphers_total{cipher="TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",virtual_server="strong"}'], 2)

    def test_r17_a_raised_floor_holds_for_new_handshakes_and_drops_no_session(self):
        self.addCleanup(self.apply, "plain")
        context = insecure_context()
        client = Client(self.edge.port("plain", "IMPLICIT"), implicit_tls=True, context=context)
        self.addCleanup(client.sock.close)
        client.hello()
        self.apply("plain", minVersion="TLS_1_3", minCipherBits=256)
        self.assertEqual(client.command("NOOP"), "250 2.0.0 OK")
        self.refused(s_client(self.edge.port("plain", "IMPLICIT"), "-tls1_2", starttls=False))
        self.refused(s_client(self.edge.port("plain", "IMPLICIT"), *self.AES128_FIRST, starttls=False))
        self.assertEqual(self.served(s_client(self.edge.port("plain", "IMPLICIT"), starttls=False)).cipher, "TLS_AES_256_GCM_SHA384")
        self.assertEqual(client.command("NOOP"), "250 2.0.0 OK")


class Wizard(Encrypted):
    """R15: a request made by the service, signed by a CA, installed; expiry where an administrator looks."""

    def test_r15_a_signing_request_and_its_answer(self):
        port = self.edge.port("plain", "STARTTLS")
        csr = self.cluster.ctl("certificate", "request", "plain", "--dns", "mail.example.com", "--organization", "Example", "--country", "NL")
        self.assertTrue(csr.startswith("-----BEGIN CERTIFICATE REQUEST-----"), csr)
        self.assertIn("made", self.row("plain"))
        self.assertIn("issuer=CN = mail.example.com", self.served(s_client(port)).text, "what is in use stays in use")
        waiting = self.cluster.ctl("certificate", "request", "plain", "--dns", "mail.example.com", check=False)
        self.assertEqual(waiting.returncode, 1)
        self.assertIn("waiting already", waiting.stderr)

        answer = self.cluster.folder / "answer.pem"
        answer.write_text(pem(Authority("Other").sign(self.cluster.ctl("certificate", "request", "another", "--dns", "mail.example.com"))))
        wrong = self.cluster.ctl("certificate", "install", "plain", "--chain", answer, check=False)
        self.assertEqual(wrong.returncode, 2)
        self.assertIn("not for the key of the request", wrong.stderr)

        answer.write_text(pem(self.authority.sign(csr, days=20)) + self.authority.pem())
        self.assertIn("expires in 20 days", self.cluster.ctl("certificate", "install", "plain", "--chain", answer))
        self.cluster.wait_applied()
        spoken = self.served(s_client(port, "-CAfile", self.write("ca.pem", self.authority.pem()), "-verify_return_error", "-verify_hostname", "mail.example.com"))
        self.assertIn("CN = Test CA", spoken.text)
        self.assertIn("Verify return code: 0 (ok)", spoken.text)
        self.assertIn("in 20 days", self.row("plain"))
        expiry = self.edge.metrics()['gatepost_edge_certificate_expiry_timestamp_seconds{key="ecdsa",virtual_server="plain"}']
        self.assertAlmostEqual(expiry - time.time(), 20 * 86400, delta=2 * 3600)

    def row(self, identifier):
        rows = self.cluster.ctl("certificate", "list").splitlines()
        return next(row for row in rows if row.startswith(identifier + " "))

    def write(self, name, text):
        path = self.cluster.folder / name
        path.write_text(text)
        return path


class Secrets(Encrypted):
    """L7: keys are found nowhere but sealed."""

    def keys(self):
        """{what: octets} of all private keys and ticket keys, unsealed from the config service's database."""
        master = AESGCM((self.cluster.folder / "master.key").read_bytes())
        secrets = {"the master key": (self.cluster.folder / "master.key").read_bytes()}
        with sqlite3.connect(f"file:{self.cluster.folder / 'config.db'}?mode=ro", uri=True) as database:
            rows = database.execute("SELECT key, value FROM records").fetchall()
        for name, value in rows:
            if not name.startswith(("certificateKeys/", "requestKeys/", "ticketKeys/")):
                continue
            plain = master.decrypt(value[1:13], value[13:], b"\x01" + name.encode())
            if name.startswith("ticketKeys/"):
                # Of each TicketKey the two fields of 32 octets (0x12, 0x1a).
                for i, octets in enumerate(re.findall(rb"[\x12\x1a]\x20(.{32})", plain, re.S)):
                    secrets[f"{name}[{i}]"] = octets
            else:
                number = serialization.load_pem_private_key(plain, None).private_numbers().private_value
                secrets[name] = number.to_bytes(32, "big")
                secrets[name + " as PEM"] = b"".join(plain.split(b"\n")[1:-2])[-60:]
        self.assertTrue({"certificateKeys/plain", "requestKeys/waiting", "ticketKeys/plain[0]", "ticketKeys/plain[1]"} <= set(secrets), set(secrets))
        return secrets

    def places(self):
        """(what, octets) of everything that an administrator, Prometheus or a log collector sees."""
        for process in (self.edge, self.cluster.config, self.cluster.auth):
            yield f"the log of {process.name}", process.log.read_bytes()
        for name, port in (("edge", self.edge.metrics_port), ("config", self.cluster.config_metrics), ("auth", self.cluster.auth_metrics)):
            yield f"/metrics of {name}", urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10).read()
        for noun, names in (("certificate", ("plain", "waiting")), ("virtual-server", ("plain", "strict"))):
            for form in ("text", "json", "yaml"):
                yield f"{noun} list", self.cluster.ctl(noun, "list", "--output", form).encode()
                for name in names:
                    yield f"{noun} get {name}", self.cluster.ctl(noun, "get", name, "--output", form).encode()
        yield "edge list", self.cluster.ctl("edge", "list", "--output", "json").encode()
        yield "the edge's snapshot", (self.cluster.folder / "edge1" / "snapshot").read_bytes()
        for path in self.cluster.folder.glob("config.db*"):
            yield path.name, path.read_bytes()
        for process in (self.edge, self.cluster.config, self.cluster.auth):
            for kind in ("cmdline", "environ"):
                with open(f"/proc/{process.pid}/{kind}", "rb") as file:
                    yield f"{kind} of {process.name}", file.read()

    def test_l7_no_key_is_in_logs_metrics_answers_or_files(self):
        self.cluster.apply(self.cluster.document("plain", self.upstream.address, MODES, anonymous=True, local_domains=["in.example"], logging={"protocolLog": True}))
        self.cluster.ctl("certificate", "request", "waiting", "--dns", "mail.example.com")
        for mode in MODES:
            self.served(s_client(self.edge.port("plain", mode), starttls=mode == "STARTTLS"))
            self.refused(s_client(self.edge.port("strict", mode), starttls=mode == "STARTTLS"))
        # What is refused with a key in the request is logged without it.
        certificate, key = Authority().issue("imported", names=["mail.example.com"], usage=(SERVER,))
        chain, private = self.cluster.folder / "import.crt", self.cluster.folder / "import.key"
        chain.write_text(pem(certificate))
        private.write_text(key_pem(self.key))
        self.assertEqual(self.cluster.ctl("certificate", "import", "bad", "--chain", chain, "--private-key", private, check=False).returncode, 2)
        private.write_text(key_pem(key))
        self.cluster.ctl("certificate", "import", "good", "--chain", chain, "--private-key", private)
        wait_for(lambda: (self.cluster.folder / "edge1" / "snapshot").exists(), 20, "the edge's snapshot")
        secrets = self.keys()
        secrets["the key that was refused"] = self.key.private_numbers().private_value.to_bytes(32, "big")
        public = fingerprint(certificate).encode()
        self.assertTrue(any(public in octets for _, octets in self.places()), "the control: what is public is found")
        found = []
        for place, octets in self.places():
            for what, secret in secrets.items():
                forms = (secret, secret.hex().encode(), secret.hex().upper().encode(), base64.b64encode(secret)[:40])
                if any(form in octets for form in forms):
                    found.append(f"{what} in {place}")
        self.assertEqual(found, [])
        self.assertNotIn(b"PRIVATE KEY", b"".join(octets for _, octets in self.places()))

    def test_l7_no_kernel_core_would_hold_one(self):
        for process in (self.edge, self.cluster.config, self.cluster.auth):
            with open(f"/proc/{process.pid}/limits", encoding="ascii") as limits:
                row = next(line for line in limits if line.startswith("Max core file size"))
            self.assertEqual(row.split()[4:6], ["0", "0"], row)


if __name__ == "__main__":
    unittest.main()
