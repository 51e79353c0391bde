#!/usr/bin/python3
"""Who may log in how, and what may then be said, over the wire: anonymous, basic and integrated authentication in every combination
(KB 823019, R11); what is offered in which TLS state (threats.md A10); odd PLAIN and LOGIN messages (A4, A5); sending as others
(A15). Kerberos' tickets are of a real KDC.
"""
import itertools
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__))))
from harness import kdc as kerberos  # noqa: E402
from harness.cluster import Cluster  # noqa: E402
from harness.ntlm import Ntlm  # noqa: E402
from harness.recorder import Recorder  # noqa: E402
from harness.sasl import ACCEPTED, CANCELLED, MALFORMED, NEEDS_TLS, REJECTED, UNKNOWN, SaslClient, encode, wait_offered  # noqa: E402

DOMAIN = "example.com"
HOST = "mail.example.com"
PASSWORD = "correct horse battery"
BASIC, INTEGRATED, SCRAM = ["PLAIN", "LOGIN"], ["GSSAPI", "NTLM"], ["SCRAM-SHA-256"]
MUST_LOG_IN = "530 5.7.0 Authentication required"
# Virtual servers without TLS: whether basic, and integrated, are allowed in clear all the same.
CLEAR = {"clear": (False, False), "clear-basic": (True, False), "clear-integrated": (False, True), "clear-both": (True, True)}
QUICK = {"maxAuthFailures": 10, "authFailureDelay": "0s", "authFailureJitter": "0s"}


def setUpModule():  # noqa: N802
    World.build()


class World:
    """One edge, with a virtual server for each setting."""
    cluster = edge = None

    @classmethod
    def build(cls):
        missing = kerberos.available()
        if missing:
            raise AssertionError(f"missing: {missing}")
        cls.recorder = Recorder()
        unittest.addModuleCleanup(cls.recorder.close)
        cls.cluster = Cluster()
        unittest.addModuleCleanup(cls.cluster.stop)
        kdc = kerberos.Kdc(cls.cluster.folder / "kdc")
        unittest.addModuleCleanup(kdc.stop)
        kdc.start()
        os.environ.update(kdc.environment)
        kdc.principal("alice", PASSWORD)
        kdc.service(f"smtp/{HOST}")
        kdc.kinit("alice", PASSWORD)
        cls.cluster.auth_options = ["--keytab", kdc.keytab, "--scram-iterations", "4096"]
        cls.cluster.start()
        cls.cluster.certificate("mail", HOST)
        realms = [{"realm": kerberos.REALM, "domain": DOMAIN}]
        servers = []

        def serve(name, listeners=("STARTTLS",), **authentication):
            options = {"basic": {"defaultDomain": DOMAIN}, "integrated": {"realms": realms}}
            for key, value in authentication.items():
                options[key] = {**options.get(key, {}), **value} if isinstance(value, dict) else value
            servers.append(cls.cluster.document(name, cls.recorder.address, listeners=listeners, local_domains=[DOMAIN],
                                                certificates=["certificates/mail"], authentication=options, sessionLimits=QUICK))
        for anonymous, basic, integrated in itertools.product((False, True), repeat=3):
            serve(combination(anonymous, basic, integrated), anonymous=anonymous, basic={"enabled": basic},
                  integrated={"enabled": integrated}, scram={"enabled": False})
        serve("default")
        serve("own", sendAs="OWN_ADDRESSES")
        for name, (basic, integrated) in CLEAR.items():
            serve(name, ("NONE",), basic={"allowClearTextCredentials": basic}, integrated={"requiresTls": not integrated})
        cls.cluster.apply(*({"kind": "User", "name": f"users/{name}", "login": f"{name}@{DOMAIN}", "password": PASSWORD, "ntlm": True}
                            for name in ("alice", "bob")), *servers)
        cls.edge = cls.cluster.edge("edge1")
        wait_offered(cls.edge.port("default", "STARTTLS"), *INTEGRATED)


def combination(*allowed):
    return "-".join(["allow", *(name for name, on in zip(("anonymous", "basic", "integrated"), allowed) if on)])


class Authentication(unittest.TestCase):
    def client(self, server, tls=True):
        client = SaslClient(World.edge.port(server, "NONE" if server in CLEAR else "STARTTLS"), tls)
        self.addCleanup(client.sock.close)
        return client

    def plain(self, client, login=f"alice@{DOMAIN}", password=PASSWORD):
        return client.auth_plain(login, password)

    def login(self, client):
        return client.login("LOGIN", b"alice", PASSWORD.encode())

    def ntlm(self, client):
        peer = Ntlm("alice", PASSWORD)
        return client.login("NTLM", peer.negotiate(), peer.authenticate)

    def gssapi(self, client):
        import gssapi
        context = gssapi.SecurityContext(name=gssapi.Name(f"smtp@{HOST}", gssapi.NameType.hostbased_service), usage="initiate",
                                         mech=gssapi.MechType.kerberos, flags=[gssapi.RequirementFlag.mutual_authentication])
        return client.login("GSSAPI", context.step(), lambda octets: context.step(octets) or b"",
                            lambda octets: context.wrap(context.unwrap(octets).message, False).message)


class Combinations(Authentication):
    def test_anonymous_basic_and_integrated_in_any_combination(self):
        """R11: each of the eight is shown by EHLO, and is what is enforced."""
        for allowed in itertools.product((False, True), repeat=3):
            anonymous, basic, integrated = allowed
            name = combination(*allowed)
            with self.subTest(name):
                self.assertEqual(self.client(name, None).offered, [], "both require TLS")
                self.assertEqual(self.client(name).offered, INTEGRATED * integrated + BASIC * basic)
                sender = self.client(name).command("MAIL FROM:<x@elsewhere.example>")
                self.assertEqual(sender, "250 2.1.0 Sender OK" if anonymous else MUST_LOG_IN)
                for served, ways in ((basic, (self.plain, self.login)), (integrated, (self.ntlm, self.gssapi))):
                    for log_in in ways:
                        client = self.client(name)
                        self.assertEqual(log_in(client), ACCEPTED if served else UNKNOWN, log_in)
                        told = "250 2.1.0 Sender OK" if served or anonymous else MUST_LOG_IN
                        self.assertEqual(client.command(f"MAIL FROM:<alice@{DOMAIN}>"), told)


class Offers(Authentication):
    """A10."""

    def test_nothing_is_offered_or_served_before_tls(self):
        client = self.client("default", None)
        self.assertEqual(client.offered, [])
        for mechanism in (*BASIC, *INTEGRATED, *SCRAM, "SCRAM-SHA-256-PLUS"):
            self.assertEqual(client.command(f"AUTH {mechanism}"), NEEDS_TLS, mechanism)
        self.assertEqual(self.plain(client), NEEDS_TLS)
        self.assertEqual(client.command("AUTH CRAM-MD5"), UNKNOWN)

    def test_under_tls_the_strongest_comes_first(self):
        self.assertEqual(self.client("default").offered, ["SCRAM-SHA-256-PLUS", *SCRAM, *INTEGRATED, *BASIC])
        for mechanism in ("CRAM-MD5", "DIGEST-MD5", "SCRAM-SHA-1", "ANONYMOUS", "GSS-SPNEGO", "EXTERNAL", "XOAUTH2"):
            self.assertEqual(self.client("default").command(f"AUTH {mechanism}"), UNKNOWN, mechanism)

    def test_in_clear_only_what_its_switch_allows(self):
        for server, (basic, integrated) in CLEAR.items():
            with self.subTest(server):
                offered = self.client(server, None).offered
                self.assertEqual([m for m in offered if m in BASIC], BASIC * basic)
                self.assertEqual([m for m in offered if m in INTEGRATED], INTEGRATED * integrated)
                self.assertNotIn("SCRAM-SHA-256-PLUS", offered)
                self.assertEqual(self.plain(self.client(server, None)), ACCEPTED if basic else NEEDS_TLS)
                self.assertEqual(self.ntlm(self.client(server, None)), ACCEPTED if integrated else NEEDS_TLS)
                self.assertEqual(self.gssapi(self.client(server, None)), ACCEPTED if integrated else NEEDS_TLS)


class Messages(Authentication):
    """A4, A5."""

    def test_plain_with_every_part_made_wrong(self):
        alice, password = f"alice@{DOMAIN}".encode(), PASSWORD.encode()
        right = b"\0" + alice + b"\0" + password
        for token in (right, alice + right, b"ALICE@EXAMPLE.COM" + right):
            self.assertEqual(self.client("default").login("PLAIN", token), ACCEPTED, token)
        malformed = (b"", b"\0", b"\0\0", alice, alice + b"\0" + password, right + b"\0", right + b"\0x", b"\0" + right, b"\0\0\0\0",
                     b"\0\xff\xfe\0x", b"\0" + alice + b"\0\xc3\x28", b"\0al\x01ice\0x", b"\0" + b"n" * 256 + b"\0x",
                     b"\0" + alice + b"\0" + b"p" * 1025)
        for token in malformed:
            self.assertIn(self.client("default").login("PLAIN", token), (MALFORMED, REJECTED), token)
        # Nothing is cut at a NUL: the password with more behind it is another password.
        for token in (b"bob@example.com" + right, b"\0" + alice + b"\0" + password + b" ", b"\0" + alice + b"\0" + password[:-1],
                      b"\0" + alice + b" \0" + password + b"x"):
            self.assertEqual(self.client("default").login("PLAIN", token), REJECTED, token)

    def test_login_in_each_form(self):
        name, password = b"alice", PASSWORD.encode()
        self.assertEqual(self.client("default").login("LOGIN", name, password), ACCEPTED)
        self.assertEqual(self.client("default").login("LOGIN", name, password, initial=True), ACCEPTED)
        for steps in ([b"", password], [name, b""], [b"al\0ice", password], [b"\xff", password], [b"x" * 256, password],
                      [name, b"p" * 1025]):
            client = self.client("default")
            self.assertIn(client.login("LOGIN", *steps), (MALFORMED, REJECTED), steps)
            self.assertEqual(client.command("NOOP"), "250 2.0.0 OK")
        for answered in range(2):
            client = self.client("default")
            client.command("AUTH LOGIN")
            for _ in range(answered):
                client.command(encode(name))
            self.assertEqual(client.command("*"), CANCELLED)
            self.assertEqual(self.login(client), ACCEPTED)


class SendAs(Authentication):
    """A15."""

    def test_the_sender_is_the_login_where_policy_says_so(self):
        for log_in in (self.plain, self.login, self.ntlm, self.gssapi):
            client = self.client("own")
            self.assertEqual(log_in(client), ACCEPTED)
            for sender, accepted in ((f"alice@{DOMAIN}", True), ("alice@EXAMPLE.COM", True), ("", True), (f"bob@{DOMAIN}", False),
                                     (f"alice+x@{DOMAIN}", False), (f"alice@sub.{DOMAIN}", False), ("alice@elsewhere.example", False),
                                     (f"\"alice@{DOMAIN}\"@{DOMAIN}", False)):
                reply = client.command(f"MAIL FROM:<{sender}>")
                self.assertEqual(reply, "250 2.1.0 Sender OK" if accepted else f"550 5.7.1 alice@{DOMAIN} may not send as {sender}", log_in)
                client.command("RSET")
        # What the client claims besides is no sender (RFC 4954 5: AUTH=).
        self.assertTrue(client.command(f"MAIL FROM:<bob@{DOMAIN}> AUTH=alice@{DOMAIN}").startswith("550 5.7.1 "))

    def test_anybody_where_it_does_not(self):
        client = self.client("default")
        self.assertEqual(self.plain(client), ACCEPTED)
        self.assertEqual(client.command(f"MAIL FROM:<bob@{DOMAIN}>"), "250 2.1.0 Sender OK")


if __name__ == "__main__":
    unittest.main()
