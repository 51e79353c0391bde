#!/usr/bin/python3
"""Real clients log in by every mechanism, through the edge over TLS, and a message of theirs arrives.

curl (PLAIN, LOGIN, NTLM, GSSAPI, OAUTHBEARER, XOAUTH2), smtplib (PLAIN, LOGIN), msmtp (SCRAM-SHA-256, GSSAPI), gsasl (SCRAM-SHA-256-PLUS,
SCRAM-SHA-256, GSSAPI), python's ntlm_auth (NTLMv2 with MIC and channel binding), openssl s_client with a client certificate (EXTERNAL).
Clients that speak NTLMv1 alone are refused. Rows R11, R13; threats.md A5, A9, A11, A12. How attackers speak them: *_attacks_test.py.
"""
import base64
import hashlib
import json
import os
import shutil
import smtplib
import ssl
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "integration"))
from harness import kdc as kerberos  # noqa: E402
from harness.cluster import Cluster  # noqa: E402
from harness.recorder import Recorder  # noqa: E402
from harness.sasl import MALFORMED, REJECTED, SaslClient, wait_offered  # noqa: E402

LOGIN, PASSWORD = "alice@example.com", "correct horse battery"
HOST = "mail.example.com"
ISSUER = "https://issuer.example"
MESSAGE = b"From: alice@example.com\r\nTo: bob@example.com\r\nSubject: login\r\n\r\nHello\r\n"


class Mechanisms(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        missing = kerberos.available() + [tool for tool in ("curl", "msmtp", "gsasl", "swaks", "openssl") if not shutil.which(tool)]
        if missing:
            raise AssertionError(f"missing: {missing}")
        cls.recorder = Recorder()
        cls.addClassCleanup(cls.recorder.close)
        cls.cluster = Cluster()
        cls.addClassCleanup(cls.cluster.stop)
        folder = cls.cluster.folder
        cls.kdc = kerberos.Kdc(folder / "kdc")
        cls.addClassCleanup(cls.kdc.stop)
        cls.kdc.start()
        os.environ.update(cls.kdc.environment)
        cls.kdc.principal("alice", "kerberos password")
        cls.kdc.principal("alice/admin", "kerberos password")
        cls.kdc.principal("mallory", "kerberos password")
        for service in (f"smtp/{HOST}", "smtp/localhost"):
            cls.kdc.service(service)
        cls.kdc.kinit("alice", "kerberos password")

        cls.make_issuer(folder)
        cls.cluster.auth_options = ["--keytab", cls.kdc.keytab, "--token-issuers", folder / "issuers.json"]
        cls.cluster.start()
        cls.cluster.apply({"kind": "User", "name": "users/alice", "login": LOGIN, "password": PASSWORD, "ntlm": True})
        cls.client_certificate(folder)
        common = {"sessionLimits": {"authFailureDelay": "0s", "authFailureJitter": "0s"}, "listeners": ("STARTTLS", "IMPLICIT"), "local_domains": ["example.com"], "secure_channel": True,
                  "authentication": {"basic": {"defaultDomain": "example.com"}, "token": {"enabled": True}, "external": {"enabled": True},
                                     "integrated": {"realms": [{"realm": "EXAMPLE.COM", "domain": "example.com"}]}},
                  "tls": {"clientCertificates": {"mode": "REQUESTED", "caBundlePem": (folder / "client-ca.pem").read_text()}}}
        cls.cluster.virtual_server("all", cls.recorder.address, **common)
        strict = {**common, "authentication": {"basic": {"defaultDomain": "example.com"}, "integrated": {
            "ntlm": {"requireMic": True, "channelBinding": "REQUIRED"}, "realms": [{"realm": "EXAMPLE.COM", "domain": "example.com"}]}}}
        cls.cluster.virtual_server("strict", cls.recorder.address, **{**strict, "tls": {}})
        cls.edge = cls.cluster.edge("edge1")
        cls.trusted = {}
        for name in ("all", "strict"):
            path = folder / f"{name}.pem"
            path.write_text(cls.cluster.ctl("certificate", "get", name, "--pem"))
            cls.trusted[name] = path
            wait_offered(cls.edge.port(name, "STARTTLS"), "NTLM", "GSSAPI")

    @classmethod
    def make_issuer(cls, folder):
        import jwt
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import rsa
        cls.jwt_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        key = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(cls.jwt_key.public_key()))
        (folder / "jwks.json").write_text(json.dumps({"keys": [{**key, "kid": "k1", "use": "sig", "key_ops": ["verify"]}]}))
        (folder / "issuers.json").write_text(json.dumps({"issuers": [
            {"name": "test", "iss": ISSUER, "aud": "gatepost", "jwks": str(folder / "jwks.json"), "login_claim": "email"}]}))
        cls.jwt_pem = cls.jwt_key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())

    @classmethod
    def token(cls, algorithm="RS256", **claims):
        import jwt
        claims = {"iss": ISSUER, "aud": "gatepost", "email": LOGIN, "exp": int(time.time()) + 300, **claims}
        return jwt.encode(claims, cls.jwt_pem, algorithm=algorithm, headers={"kid": "k1"})

    @classmethod
    def client_certificate(cls, folder):
        def run(*argv):
            subprocess.run(["openssl", *map(str, argv)], check=True, capture_output=True, timeout=30)
        run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", folder / "client-ca.key", "-out",
            folder / "client-ca.pem", "-subj", "/CN=clients", "-days", "2")
        for name, email in (("client", LOGIN), ("stranger", "nobody@example.com")):
            (folder / "ext").write_text(f"subjectAltName=email:{email}\nextendedKeyUsage=clientAuth\n")
            run("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", folder / f"{name}.key", "-out",
                folder / f"{name}.csr", "-subj", f"/CN={name}")
            run("x509", "-req", "-in", folder / f"{name}.csr", "-CA", folder / "client-ca.pem", "-CAkey", folder / "client-ca.key",
                "-CAcreateserial", "-days", "2", "-extfile", folder / "ext", "-out", folder / f"{name}.pem")

    def run_client(self, argv, stdin=None, ok=True):
        done = subprocess.run([str(a) for a in argv], input=stdin, capture_output=True, timeout=60,
                              env={**os.environ, "HOME": str(self.cluster.folder)}, check=False)
        said = f"{argv[0]}: {done.stdout.decode(errors='replace')}{done.stderr.decode(errors='replace')}"
        if ok:
            self.assertEqual(done.returncode, 0, said)
        elif ok is False:
            self.assertNotEqual(done.returncode, 0, said)
        return said

    def arrives(self, send):
        before = len(self.recorder.messages)
        said = send()
        try:
            self.recorder.wait(lambda r: len(r.messages) == before + 1, what="one message")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{said}") from error

    def curl(self, options, server="all", ok=True):
        path = self.cluster.folder / "message.eml"
        path.write_bytes(MESSAGE)
        port = self.edge.port(server, "STARTTLS")
        return self.run_client(["curl", "--verbose", "--silent", "--show-error", "--ssl-reqd", "--cacert", self.trusted[server], "--resolve",
                                f"{HOST}:{port}:127.0.0.1", f"smtp://{HOST}:{port}/client.example", *options, "--mail-from", LOGIN,
                                "--mail-rcpt", "bob@example.com", "--upload-file", path], ok=ok)

    def msmtp(self, mechanism, *options, ok=True, server="all", host="127.0.0.1"):
        return self.run_client(["msmtp", "--file=/dev/null", f"--host={host}", f"--port={self.edge.port(server, 'STARTTLS')}", "--tls=on",
                                f"--tls-trust-file={self.trusted[server]}", f"--tls-host-override={HOST}", f"--auth={mechanism}",
                                f"--passwordeval=echo {PASSWORD}", "--domain=client.example", f"--from={LOGIN}", *options,
                                "bob@example.com"], stdin=MESSAGE.replace(b"\r\n", b"\n"), ok=ok)

    # --- passwords

    def test_curl_basic(self):
        for mechanism in ("PLAIN", "LOGIN"):
            with self.subTest(mechanism):
                options = ["--login-options", f"AUTH={mechanism}", "--user"]
                self.arrives(lambda: self.curl([*options, f"{LOGIN}:{PASSWORD}"]))  # noqa: B023
                self.arrives(lambda: self.curl([*options, f"alice:{PASSWORD}", "--sasl-ir"]))  # noqa: B023
                self.assertIn("535 5.7.8", self.curl([*options, f"{LOGIN}:wrong"], ok=False))

    def test_smtplib(self):
        def send(mechanism):
            with smtplib.SMTP("127.0.0.1", self.edge.port("all", "STARTTLS"), local_hostname="client.example", timeout=30) as smtp:
                smtp._host = HOST
                smtp.starttls(context=ssl.create_default_context(cafile=self.trusted["all"]))
                smtp.ehlo()
                smtp.user, smtp.password = LOGIN, PASSWORD
                code, text = smtp.auth(mechanism, getattr(smtp, "auth_" + mechanism.lower()))
                self.assertEqual((code, text), (235, b"2.7.0 Authentication successful"))
                smtp.sendmail(LOGIN, ["bob@example.com"], MESSAGE)
                return mechanism
        for mechanism in ("PLAIN", "LOGIN"):
            self.arrives(lambda: send(mechanism))  # noqa: B023

    # --- SCRAM

    def test_msmtp_scram(self):
        self.arrives(lambda: self.msmtp("scram-sha-256", f"--user={LOGIN}"))

    def test_msmtp_scram_with_a_bare_name(self):
        self.arrives(lambda: self.msmtp("scram-sha-256", "--user=alice"))

    def gsasl(self, mechanism, password=PASSWORD, options=()):
        return self.run_client(["gsasl", "--client", "--smtp", "--verbose", f"--mechanism={mechanism}", f"--authentication-id={LOGIN}",
                                f"--authorization-id={LOGIN}", f"--password={password}", "--x509-ca-file=",
                                f"--hostname={HOST}", *options, "127.0.0.1", self.edge.port("all", "STARTTLS")], stdin=b"", ok=None)

    def test_gsasl_scram_plus(self):
        self.assertIn("235 2.7.0", self.gsasl("SCRAM-SHA-256-PLUS"))
        self.assertIn("535 5.7.8", self.gsasl("SCRAM-SHA-256-PLUS", password="wrong"))
        self.assertIn("235 2.7.0", self.gsasl("SCRAM-SHA-256", options=["--no-cb"]))

    # --- NTLM

    def test_curl_ntlm(self):
        self.arrives(lambda: self.curl(["--user", f"alice:{PASSWORD}", "--login-options", "AUTH=NTLM"]))
        self.arrives(lambda: self.curl(["--user", f"EXAMPLE\\alice:{PASSWORD}", "--login-options", "AUTH=NTLM", "--sasl-ir"]))
        self.assertIn("535", self.curl(["--user", "alice:wrong", "--login-options", "AUTH=NTLM"], ok=False))

    def test_ntlm_version_one_is_refused(self):
        self.msmtp("ntlm", "--user=alice", ok=False)
        said = self.run_client(["swaks", "--server", "127.0.0.1", "--port", self.edge.port("all", "STARTTLS"), "--tls", "--auth", "NTLM",
                                "--auth-user", "alice", "--auth-password", PASSWORD, "--from", LOGIN, "--to", "bob@example.com"], ok=None)
        self.assertNotIn("235 ", said)
        self.assertNotIn("\n235 ", self.gsasl("NTLM"))

    def ntlm_auth(self, server, level=3, bind=None, mic=True):
        """The last reply to python's ntlm_auth; bind: the certificate whose hash it binds to, or None."""
        from ntlm_auth.gss_channel_bindings import GssChannelBindingsStruct
        from ntlm_auth.ntlm import NtlmContext
        context = ssl.create_default_context(cafile=self.trusted[server])
        with smtplib.SMTP("127.0.0.1", self.edge.port(server, "STARTTLS"), local_hostname="client.example", timeout=30) as smtp:
            smtp._host = HOST
            smtp.starttls(context=context)
            smtp.ehlo()
            binding = None
            if bind:
                der = smtp.sock.getpeercert(binary_form=True) if bind == "ours" else b"another"
                binding = GssChannelBindingsStruct()
                binding[binding.APPLICATION_DATA] = b"tls-server-end-point:" + hashlib.sha256(der).digest()
            client = NtlmContext("alice", PASSWORD, domain="", workstation="PC", cbt_data=binding, ntlm_compatibility=level)
            code, text = smtp.docmd("AUTH", "NTLM")
            self.assertEqual((code, text), (334, b"ntlm supported"))
            code, text = smtp.docmd(base64.b64encode(client.step()).decode())
            self.assertEqual(code, 334, text)
            answer = client.step(base64.b64decode(text))
            code, text = smtp.docmd(base64.b64encode(answer).decode())
            return code

    def test_ntlm_with_mic_and_channel_binding(self):
        self.assertEqual(self.ntlm_auth("all"), 235)
        self.assertEqual(self.ntlm_auth("all", bind="ours"), 235)
        self.assertEqual(self.ntlm_auth("all", bind="another"), 535)
        self.assertEqual(self.ntlm_auth("strict", bind="ours"), 235)
        self.assertEqual(self.ntlm_auth("strict"), 535)
        self.assertEqual(self.ntlm_auth("strict", bind="another"), 535)

    def test_curl_without_a_mic_is_refused_where_it_is_required(self):
        self.assertIn("535", self.curl(["--user", f"alice:{PASSWORD}", "--login-options", "AUTH=NTLM"], server="strict", ok=False))

    # --- Kerberos

    def test_curl_gssapi(self):
        self.kdc.kinit("alice", "kerberos password")
        self.arrives(lambda: self.curl(["--user", ":", "--login-options", "AUTH=GSSAPI"]))

    def test_msmtp_gssapi(self):
        self.kdc.kinit("alice", "kerberos password")
        self.arrives(lambda: self.msmtp("gssapi", "--user=alice", host="localhost"))

    def test_gsasl_gssapi(self):
        self.kdc.kinit("alice", "kerberos password")
        self.assertIn("235 2.7.0", self.gsasl("GSSAPI", options=["--service=smtp"]))

    def test_principals_that_are_nobody_are_refused(self):
        for principal in ("alice/admin", "mallory"):
            self.kdc.kinit(principal, "kerberos password")
            self.assertIn("535", self.curl(["--user", ":", "--login-options", "AUTH=GSSAPI"], ok=False), principal)

    # threats.md A12.
    def test_tokens_that_are_none_are_refused(self):
        reply = self.gssapi_reply(base64.b64encode(b"not a token").decode())
        self.assertEqual(reply, 535)
        self.assertIn(self.gssapi_reply("A" * 12_292), (500, 535))

    def gssapi_reply(self, initial):
        context = ssl.create_default_context(cafile=self.trusted["all"])
        with smtplib.SMTP("127.0.0.1", self.edge.port("all", "STARTTLS"), local_hostname="client.example", timeout=30) as smtp:
            smtp._host = HOST
            smtp.starttls(context=context)
            smtp.ehlo()
            return smtp.docmd("AUTH", "GSSAPI " + initial)[0]

    # --- bearer tokens

    def test_curl_bearer_tokens(self):
        for mechanism in ("OAUTHBEARER", "XOAUTH2"):
            with self.subTest(mechanism):
                options = ["--user", LOGIN, "--login-options", f"AUTH={mechanism}", "--oauth2-bearer"]
                self.arrives(lambda: self.curl([*options, self.token()]))  # noqa: B023
                self.curl([*options, self.token(exp=int(time.time()) - 300)], ok=False)
                self.curl([*options, self.token(aud="other")], ok=False)
                self.curl([*options, self.token(email="bob@example.com")], ok=False)

    # threats.md A5.
    def test_token_messages_that_are_none(self):
        token = self.token()
        messages = {"XOAUTH2": (b"junk", b"\1\1", b"user=\1auth=Bearer x\1\1", b"user=alice@example.com\1\1", b"user=alice@example.com\1auth=Bearer \1\1",
                                f"user={LOGIN}\1auth=Bearer {token}".encode(), f"user={LOGIN}\1auth=Basic {token}\1\1".encode(),
                                f"user={LOGIN}\0\1auth=Bearer {token}\1\1".encode(), b"\xff" * 100),
                    "OAUTHBEARER": (b"junk", b"n,,", b"n,,\1\1", b"n,,\1auth=Bearer \1\1", f"n,,\1auth=Bearer {token}".encode(),
                                    f"p=tls-exporter,,\1auth=Bearer {token}\1\1".encode(), f"n,,\1auth=Bearer {token}\1auth=Bearer x\1\1".encode(),
                                    f"n,a=bob@example.com,\1auth=Bearer {token}\1\1".encode(), b"\1")}
        for mechanism, tried in messages.items():
            for octets in tried:
                with self.subTest(mechanism=mechanism, octets=octets), SaslClient(self.edge.port("all", "STARTTLS")) as client:
                    # A token that is refused is told why by a challenge, whose answer does not matter.
                    self.assertIn(client.login(mechanism, octets, b"\1", initial=True), (MALFORMED, REJECTED))
                    self.assertEqual(client.command("NOOP"), "250 2.0.0 OK")

    def test_a_refused_token_is_told_by_a_challenge(self):
        context = ssl.create_default_context(cafile=self.trusted["all"])
        with smtplib.SMTP("127.0.0.1", self.edge.port("all", "STARTTLS"), local_hostname="client.example", timeout=30) as smtp:
            smtp._host = HOST
            smtp.starttls(context=context)
            smtp.ehlo()
            first = base64.b64encode(f"n,,\x01auth=Bearer {self.token(aud='other')}\x01\x01".encode()).decode()
            code, text = smtp.docmd("AUTH", "OAUTHBEARER " + first)
            self.assertEqual(code, 334)
            self.assertEqual(json.loads(base64.b64decode(text))["status"], "invalid_token")
            self.assertEqual(smtp.docmd("AQ==")[0], 535)

    # --- client certificates

    def external(self, name):
        folder = self.cluster.folder
        argv = ["openssl", "s_client", "-quiet", "-starttls", "smtp", "-connect", f"127.0.0.1:{self.edge.port('all', 'STARTTLS')}", "-CAfile",
                str(self.trusted["all"])]
        if name:
            argv += ["-cert", str(folder / f"{name}.pem"), "-key", str(folder / f"{name}.key")]
        with subprocess.Popen(["timeout", "30", *argv], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as client:
            def ask(line, last):
                client.stdin.write(line)
                client.stdin.flush()
                lines = []
                while not lines or not lines[-1].startswith(last):
                    lines.append(client.stdout.readline())
                    self.assertTrue(lines[-1], lines)
                return b"".join(lines)
            try:
                offered = ask(b"EHLO client.example\r\n", b"250 ")
                reply = ask(b"AUTH EXTERNAL =\r\n", (b"2", b"5", b"4"))
                return b"EXTERNAL" in offered, reply[:3]
            finally:
                client.kill()

    def test_openssl_external(self):
        self.assertEqual(self.external("client"), (True, b"235"))
        self.assertEqual(self.external("stranger"), (True, b"535"))
        self.assertEqual(self.external(None), (False, b"504"))


if __name__ == "__main__":
    unittest.main()
