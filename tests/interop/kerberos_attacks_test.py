#!/usr/bin/python3
"""GSSAPI as attackers speak it, over the wire and with a real KDC (threats.md A12; R13): tokens that are none, a replayed AP-REQ, clocks
that differ, tickets for other services, channel bindings in each mode, layers, names, and a keytab that goes.

The reason of each refusal is held against the auth service's log. Clients are MIT's library through python's gssapi.
"""
import os
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "integration"))
from harness import kdc as kerberos  # noqa: E402
from harness.cluster import Cluster  # noqa: E402
from harness.processes import wait_for  # noqa: E402
from harness.sasl import (ACCEPTED, REJECTED, TOO_LONG, UNAVAILABLE, UNKNOWN, SaslClient, challenge, encode, judged,  # noqa: E402
                          wait_offered)

DOMAIN = "example.com"
HOST = "mail.example.com"
PASSWORD = "kerberos password"
MODES = ("off", "when", "required")
NO_LAYER = b"\1\0\0\0"
# A client of its own, since its clock is another: prints the first token.
FIRST_TOKEN = """
import sys, gssapi
context = gssapi.SecurityContext(name=gssapi.Name(sys.argv[1], gssapi.NameType.hostbased_service), usage="initiate")
sys.stdout.buffer.write(context.step())
"""


class Peer:
    """A client's side of RFC 4752, as steps of SaslClient.login(): first(), token, layer."""

    def __init__(self, service=f"smtp@{HOST}", end_point=None, mutual=True, authorization=b"", layer=NO_LAYER):
        import gssapi
        flags = [gssapi.RequirementFlag.out_of_sequence_detection, gssapi.RequirementFlag.integrity]
        if mutual:
            flags.append(gssapi.RequirementFlag.mutual_authentication)
        bindings = gssapi.raw.ChannelBindings(application_data=end_point) if end_point else None
        self.context = gssapi.SecurityContext(name=gssapi.Name(service, gssapi.NameType.hostbased_service), usage="initiate", flags=flags,
                                              mech=gssapi.MechType.kerberos, channel_bindings=bindings)
        self.last = layer + authorization
        self.mutual = mutual

    def steps(self):
        self.first = self.context.step()
        return [self.first, *([self.token] if self.mutual else []), self.layer]

    def token(self, octets):
        return self.context.step(octets) or b""

    def layer(self, octets):
        offered = self.context.unwrap(octets).message
        assert offered == NO_LAYER, offered
        return self.context.wrap(self.last, False).message


class KerberosAttacks(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        missing = kerberos.available()
        if missing:
            raise AssertionError(f"missing: {missing}")
        cls.cluster = Cluster()
        cls.addClassCleanup(cls.cluster.stop)
        cls.kdc = kerberos.Kdc(cls.cluster.folder / "kdc")
        cls.addClassCleanup(cls.kdc.stop)
        cls.kdc.start()
        os.environ.update(cls.kdc.environment)
        cls.kdc.principal("alice", PASSWORD)
        # imap's key lies in the same keytab; http's does not.
        for service in (f"smtp/{HOST}", f"imap/{HOST}"):
            cls.kdc.service(service)
        cls.kdc.run("kadmin.local", "-r", kerberos.REALM, "addprinc", "-randkey", f"http/{HOST}")
        cls.kdc.kinit("alice", PASSWORD)
        cls.cluster.auth_options = ["--keytab", cls.kdc.keytab]
        cls.cluster.start()
        cls.cluster.certificate("mail", HOST)
        servers = [cls.cluster.document(
            name, "127.0.0.1:9", listeners=("STARTTLS",), certificates=["certificates/mail"],
            authentication={"integrated": {"realms": [{"realm": kerberos.REALM, "domain": DOMAIN}], **mode}},
            sessionLimits={"maxAuthFailures": 10, "authFailureDelay": "0s", "authFailureJitter": "0s"})
            for name, mode in (("default", {}), ("off", {"gssapiChannelBinding": "OFF"}),
                               ("when", {"gssapiChannelBinding": "WHEN_SUPPORTED"}), ("required", {"gssapiChannelBinding": "REQUIRED"}))]
        cls.cluster.apply({"kind": "User", "name": "users/alice", "login": f"alice@{DOMAIN}"}, *servers)
        cls.edge = cls.cluster.edge("edge1", threads=1)  # All connections see one offer.
        wait_offered(cls.edge.port("default", "STARTTLS"), "GSSAPI")

    def client(self, server="default"):
        client = SaslClient(self.edge.port(server, "STARTTLS"))
        self.addCleanup(client.sock.close)
        return client

    def try_login(self, peer, client=None, initial=False):
        """(reply, reason)"""
        client = client or self.client()
        reply = client.login("GSSAPI", *peer.steps(), initial=initial)
        return reply, judged(self.cluster, client)[1]

    def refuse(self, *steps, reason="gssapi_message", reply=REJECTED, server="default"):
        client = self.client(server)
        self.assertEqual(client.login("GSSAPI", *steps), reply)
        # Of most tokens that are cut the library says no more than of a ticket for somebody else.
        self.assertIn(judged(self.cluster, client)[1], (reason, "ticket") if reason == "gssapi_message" else (reason,))
        self.assertEqual(client.command("NOOP"), "250 2.0.0 OK")

    # --- what is right

    def test_a_ticket_logs_in(self):
        for mutual in (True, False):
            for initial in (True, False):
                self.assertEqual(self.try_login(Peer(mutual=mutual), initial=initial), (ACCEPTED, ""))
        self.assertEqual(self.try_login(Peer(authorization=b"alice@" + DOMAIN.encode())), (ACCEPTED, ""))

    # --- tokens

    def test_tokens_that_are_none_are_refused(self):
        right = Peer().steps()[0]
        for token in (b"", b"x", b"not a token", right[:20], right[:-1], right[:100], b"\x60\x82\xff\xff" + right[4:],
                      b"\x60\x84\xff\xff\xff\xff", b"NTLMSSP\0\1\0\0\0" + b"\0" * 20):
            with self.subTest(token[:12]):
                self.refuse(token)
        damaged = bytearray(right)
        damaged[-20] ^= 1
        self.refuse(bytes(damaged), reason="ticket")

    def test_spnego_is_another_mechanism(self):
        import gssapi
        context = gssapi.SecurityContext(name=gssapi.Name(f"smtp@{HOST}", gssapi.NameType.hostbased_service), usage="initiate",
                                         mech=gssapi.OID.from_int_seq("1.3.6.1.5.5.2"))
        self.refuse(context.step())

    def test_the_largest_token_is_handled_and_a_larger_one_is_too_long(self):
        right = Peer().steps()[0]
        self.refuse(right.ljust(9216, b"\0"))
        self.refuse(b"x" * 9216)
        for commands in ([f"AUTH GSSAPI {'A' * 12292}"], ["AUTH GSSAPI", "A" * 12292]):
            client = self.client()
            self.assertEqual([client.command(c) for c in commands][-1], TOO_LONG)
            self.assertEqual(client.command("NOOP"), "250 2.0.0 OK")

    def test_messages_out_of_order_are_refused(self):
        for mutual in (True, False):
            peer = Peer(mutual=mutual)
            self.refuse(peer.steps()[0], b"x")
            self.refuse(Peer(mutual=mutual).steps()[0], lambda octets: octets)
        first = Peer(mutual=False).steps()[0]
        self.refuse(first, first)

    # --- replay

    def test_a_replayed_ap_req_is_refused(self):
        for mutual in (True, False):
            with self.subTest(mutual):
                peer = Peer(mutual=mutual)
                self.assertEqual(self.try_login(peer), (ACCEPTED, ""))
                for server in MODES:
                    self.refuse(peer.first, reason="replay", server=server)

    def test_a_stolen_ap_req_does_not_end_the_exchange(self):
        """Who has the AP-REQ, and is faster than its owner, still lacks the session's key."""
        peer = Peer()
        self.refuse(peer.steps()[0], b"", b"\1\0\0\0")

    # --- clocks, names of services

    def token_at(self, offset):
        argv = ["faketime", "-f", offset, "/usr/bin/python3", "-c", FIRST_TOKEN, f"smtp@{HOST}"]
        return subprocess.run(argv, capture_output=True, timeout=60, check=True).stdout

    def test_a_clock_that_differs_by_six_minutes_is_refused_by_four_is_not(self):
        Peer().steps()  # The ticket lies in the cache from now on: the KDC would not give one to such a clock.
        # Slow by as much, the client itself takes its ticket for one of the future.
        self.refuse(self.token_at("+6m"), reason="clock_skew")
        for offset in ("+4m", "-4m"):
            with self.subTest(offset):
                client = self.client()
                client.command("AUTH GSSAPI")
                self.assertTrue(client.command(encode(self.token_at(offset))).startswith("334 "))

    def test_tickets_of_other_services_are_refused(self):
        for service in (f"imap@{HOST}", f"http@{HOST}"):
            with self.subTest(service):
                self.refuse(Peer(service).steps()[0], reason="ticket")

    # --- channel bindings

    def test_bindings_in_each_mode(self):
        wrong = b"tls-server-end-point:" + b"x" * 32
        unique = b"tls-unique:" + b"x" * 12
        accepted, refused, missing = (ACCEPTED, ""), (REJECTED, "binding"), (REJECTED, "binding_missing")
        expected = {"default": (accepted,) * 4, "off": (accepted,) * 4, "when": (accepted, accepted, refused, refused),
                    "required": (accepted, missing, refused, refused)}
        for server, results in expected.items():
            for name, result in zip(("right", "none", "wrong", "tls-unique"), results):
                with self.subTest(f"{name} at {server}"):
                    client = self.client(server)
                    end_point = {"right": client.end_point(), "none": None, "wrong": wrong, "tls-unique": unique}[name]
                    self.assertEqual(self.try_login(Peer(end_point=end_point), client), result)

    def test_a_relayed_exchange_fails_where_its_client_binds(self):
        """The victim's connection ends at the attacker, under the attacker's certificate."""
        for server, bound, result in (("off", True, ACCEPTED), ("when", True, REJECTED), ("when", False, ACCEPTED),
                                      ("required", False, REJECTED)):
            with self.subTest(f"{server} {bound}"):
                peer = Peer(end_point=b"tls-server-end-point:" + b"attackers certificate hash......" if bound else None)
                self.assertEqual(self.client(server).login("GSSAPI", *peer.steps()), result)

    # --- layers and names

    def test_a_security_layer_is_refused(self):
        for layer in (b"\2\0\x10\0", b"\4\0\x10\0", b"\0\0\0\0", b"\1\0\0", b""):
            with self.subTest(layer):
                self.assertEqual(self.try_login(Peer(layer=layer)), (REJECTED, "layer"))
        for name in (b"bob@example.com", b"alice@example.com\0bob", b"\xff"):
            with self.subTest(name):
                self.assertEqual(self.try_login(Peer(authorization=name)), (REJECTED, "authzid"))

    # --- the keytab; the last test: it takes the keytab away

    def test_zz_a_keytab_that_goes(self):
        port = self.edge.port("default", "STARTTLS")
        away = self.kdc.keytab.with_suffix(".away")
        octets = self.kdc.keytab.read_bytes()

        def offered():
            with SaslClient(port) as client:
                return "GSSAPI" in client.offered

        def make_folder():
            self.kdc.keytab.unlink()
            self.kdc.keytab.mkdir()
        for name, spoil in (("missing", lambda: self.kdc.keytab.rename(away)), ("junk", lambda: self.kdc.keytab.write_bytes(b"junk")),
                            ("empty", lambda: self.kdc.keytab.write_bytes(b"")), ("a folder", make_folder)):
            with self.subTest(name):
                running, begun = self.client(), self.client()
                self.assertEqual(running.command("AUTH GSSAPI"), "334 ")
                peer = Peer()
                steps = peer.steps()
                begun.command("AUTH GSSAPI")
                answer = begun.command(encode(steps[0]))
                spoil()
                self.assertEqual(running.command(encode(Peer().steps()[0])), UNAVAILABLE)
                # An exchange that has its key goes on.
                step = begun.command(encode(peer.token(challenge(answer)), empty=""))
                self.assertEqual(begun.command(encode(peer.layer(challenge(step)))), ACCEPTED)
                wait_for(lambda: not offered(), 20, "GSSAPI offered no more")
                self.assertEqual(self.client().command("AUTH GSSAPI"), UNKNOWN)
                if self.kdc.keytab.is_dir():
                    self.kdc.keytab.rmdir()
                self.kdc.keytab.write_bytes(octets)
                wait_for(offered, 20, "GSSAPI offered again")
                self.assertEqual(self.try_login(Peer()), (ACCEPTED, ""))
        self.assertTrue(self.cluster.auth.running())


if __name__ == "__main__":
    unittest.main()
