#!/usr/bin/python3
"""testssl.sh and sslscan find nothing below the floor: R17, threats.md L4.

Two virtual servers, floors of 128 bits (with an ECDSA and an RSA certificate) and of 256, each on a listener with STARTTLS and one
with implicit TLS. What the scanners accept as a cipher is exactly what protocol.md 5 lists; no old version, no renegotiation by the
client, no compression, no known weakness.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "integration"))
from harness.cluster import Cluster  # noqa: E402
from harness.recorder import Recorder  # noqa: E402

MODES = ("STARTTLS", "IMPLICIT")
# By their numbers; the names that testssl.sh and sslscan give are not the same.
STRONG = {0x1302: "TLS_AES_256_GCM_SHA384", 0x1303: "TLS_CHACHA20_POLY1305_SHA256", 0xc02c: "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
          0xcca9: "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"}
ALL = {**STRONG, 0x1301: "TLS_AES_128_GCM_SHA256", 0xc02b: "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
       0xc02f: "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", 0xc030: "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
       0xcca8: "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"}
SUITES = {"floor128": set(ALL), "floor256": set(STRONG)}
# What testssl.sh says of these where nothing is wrong.
FINE = ("OK", "INFO", "DEBUG")


class Scanners(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        for tool in ("testssl", "sslscan"):
            if not shutil.which(tool):
                raise AssertionError(f"{tool} is missing: deploy/local/install test")
        cls.upstream = Recorder()
        cls.cluster = Cluster()
        cls.addClassCleanup(cls.upstream.close)
        cls.addClassCleanup(cls.cluster.stop)
        cls.cluster.start()
        cls.cluster.ctl("certificate", "create", "rsa", "--self-signed", "--rsa", "--dns", "mail.example.com")
        for identifier, bits, more in (("floor128", 128, ["certificates/rsa"]), ("floor256", 256, [])):
            cls.cluster.certificate(identifier, "mail.example.com")
            document = cls.cluster.document(identifier, cls.upstream.address, MODES, anonymous=True, local_domains=["in.example"],
                                            tls={"minCipherBits": bits}, connectionLimits={"maxPerSource": 0})
            document["certificates"] += more
            cls.cluster.apply(document)
        cls.edge = cls.cluster.edge("edge1")

    def sslscan(self, server, mode):
        argv = ["sslscan", "--no-colour", "--sni-name=mail.example.com", "--show-cipher-ids"]
        argv += ["--starttls-smtp"] if mode == "STARTTLS" else []
        done = subprocess.run([*argv, f"127.0.0.1:{self.edge.port(server, mode)}"], capture_output=True, text=True, timeout=120, check=False,
                              stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def test_sslscan(self):
        for server in SUITES:
            for mode in MODES:
                with self.subTest(server=server, mode=mode):
                    text = self.sslscan(server, mode)
                    for old in ("SSLv2", "SSLv3", "TLSv1.0", "TLSv1.1"):
                        self.assertRegex(text, rf"(?m)^{re.escape(old)} +disabled$")
                    self.assertRegex(text, r"(?m)^TLSv1.2 +enabled$")
                    self.assertIn("Session renegotiation not supported", text)
                    self.assertNotRegex(text, r"(?m)(?<!not )vulnerable to heartbleed|Compression enabled|Insecure session")
                    found = re.findall(r"(?m)^(?:Preferred|Accepted) +TLSv1\.[23] +(\d+) bits +0x([0-9A-F]+)", text)
                    suites = {int(number, 16) for _, number in found}
                    # Its probe of TLS 1.3 puts AES-128 first: with a floor of 256 bits it sees TLS 1.2 alone.
                    expected = SUITES[server] - ({0x1302, 0x1303} if server == "floor256" else set())
                    self.assertEqual(suites, expected, text)
                    self.assertTrue(all(int(bits) >= int(server[-3:]) for bits, _ in found), found)

    def scan(self, server, mode, *parts):
        """{id: finding} of these parts of testssl.sh; a finding that is not fine fails."""
        report = self.cluster.folder / "scan.json"
        report.unlink(missing_ok=True)
        argv = ["testssl", "--quiet", "--color", "0", "--warnings", "off", "--nodns", "none", "--ip", "127.0.0.1", "--jsonfile", report, *parts]
        argv += ["-t", "smtp"] if mode == "STARTTLS" else []
        done = subprocess.run([*map(str, argv), f"mail.example.com:{self.edge.port(server, mode)}"], capture_output=True, text=True, timeout=400,
                              check=False, stdin=subprocess.DEVNULL, cwd=self.cluster.folder)
        self.assertTrue(report.exists(), done.stdout + done.stderr)
        rows = json.loads(report.read_text())
        # Its probes of TLS 1.3 put AES-128 first or alone, and get TLS 1.2 or an alert where the floor is 256 bits.
        unjudged = {"TLS1_3"} if server == "floor256" else set()
        self.assertEqual([r for r in rows if r["severity"] not in FINE and r["id"] not in unjudged], [], done.stdout)
        return {r["id"]: r["finding"] for r in rows}

    def suites(self, found):
        return {int(name.removeprefix("cipher_x"), 16) for name in found if name.startswith("cipher_x")}

    def whole(self, server):
        found = self.scan(server, "STARTTLS", "--protocols", "--each-cipher", "--vulnerable", "--fs")
        self.assertEqual(self.suites(found), SUITES[server])
        for old in ("SSLv2", "SSLv3", "TLS1", "TLS1_1"):
            self.assertEqual(found[old], "not offered")
        self.assertEqual(found["TLS1_2"], "offered")
        self.assertEqual(found["secure_renego"], "supported")
        self.assertEqual(found["secure_client_renego"], "not vulnerable")
        self.assertTrue(found["CRIME_TLS"].startswith("not vulnerable"), found["CRIME_TLS"])

    def test_testssl_with_a_floor_of_128_bits(self):
        self.whole("floor128")

    def test_testssl_with_a_floor_of_256_bits(self):
        self.whole("floor256")

    def test_testssl_on_implicit_tls(self):
        for server in SUITES:
            found = self.scan(server, "IMPLICIT", "--protocols", "--renegotiation", "--compression", "--fs")
            self.assertEqual(found["TLS1_1"], "not offered")
            self.assertEqual(found["secure_client_renego"], "not vulnerable")


if __name__ == "__main__":
    unittest.main()
