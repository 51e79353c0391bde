#!/usr/bin/python3
"""SCRAM-SHA-256 and -PLUS as attackers speak them, over the wire (threats.md A9, A10): replays, nonces, channel bindings of another
kind, of another connection or none, downgrades, messages out of order and at another edge. tls-exporter (RFC 9266) is computed here by
OpenSSL, on TLS 1.3 and on 1.2 with the extended master secret: the edge's BoringSSL says the same.

The reason of each refusal is held against the auth service's log: `downgrade` is what tells an administrator of a stripped list.
"""
import base64
import itertools
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "integration"))
from harness.cluster import Cluster  # noqa: E402
from harness.sasl import ACCEPTED, MALFORMED, REJECTED, UNKNOWN, SaslClient, challenge, encode, judged, wait_offered  # noqa: E402
from harness.scram import Scram, attributes  # noqa: E402

PASSWORD = "correct horse battery"
DOMAIN = "example.com"
SCRAM, PLUS = "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"
EXPORTER = "p=tls-exporter,,"
BOUND = ("TLSv1.3", "TLSv1.2")
UNBOUND = "TLSv1.2 without EMS"
VICTIMS = tuple(f"victim{n}" for n in range(4))


class ScramAttacks(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster()
        cls.addClassCleanup(cls.cluster.stop)
        # What is computed here 4,096 times is computed as often by each client of ours.
        cls.cluster.auth_options = ["--scram-iterations", "4096"]
        cls.cluster.start()
        cls.cluster.certificate("mail", "mail.example.com")
        cls.cluster.apply(*({"kind": "User", "name": f"users/{name}", "login": f"{name}@{DOMAIN}", "password": PASSWORD}
                            for name in VICTIMS),
                          cls.cluster.document("mail", "127.0.0.1:9", listeners=("STARTTLS",), certificates=["certificates/mail"],
                                               authentication={"basic": {"defaultDomain": DOMAIN}},
                                               sessionLimits={"maxAuthFailures": 10, "authFailureDelay": "0s", "authFailureJitter": "0s"}))
        cls.edges = [cls.cluster.edge("edge1"), cls.cluster.edge("edge2", offset=5000)]
        for edge in cls.edges:
            wait_offered(edge.port("mail", "STARTTLS"), SCRAM)
        cls.victims = itertools.cycle(f"{name}@{DOMAIN}" for name in VICTIMS)

    def setUp(self):
        self.user = next(self.victims)

    def client(self, tls="TLSv1.3", edge=0):
        client = SaslClient(self.edges[edge].port("mail", "STARTTLS"), tls)
        self.addCleanup(client.sock.close)
        return client

    def scram(self, header="n,,", binding=b"", **options):
        return Scram(self.user, PASSWORD, header, binding, **options)

    def plus(self, client, header=EXPORTER):
        return self.scram(header, client.exporter())

    def run_scram(self, mechanism, client, peer, **wrong):
        """The last reply of a whole exchange, the server's signature verified on the way. wrong: see Scram.final()."""
        return client.login(mechanism, peer.first(), lambda octets: peer.final(octets, **wrong), peer.finish)

    def refuse(self, mechanism, client, *steps, reply=REJECTED, reason=None):
        self.assertEqual(client.login(mechanism, *steps), reply)
        self.assertEqual(judged(self.cluster, client)[1], reason)
        self.assertEqual(client.command("NOOP"), "250 2.0.0 OK")

    # --- what is right

    def test_plus_by_the_exporter_of_both_tls_versions(self):
        for tls in BOUND:
            with self.subTest(tls):
                client = self.client(tls)
                self.assertEqual(client.offered[:2], [PLUS, SCRAM])
                self.assertEqual(self.run_scram(PLUS, client, self.plus(client)), ACCEPTED)

    def test_without_the_extended_master_secret_there_is_no_plus(self):
        client = self.client(UNBOUND)
        self.assertNotIn(PLUS, client.offered)
        self.assertIn(SCRAM, client.offered)
        self.assertEqual(client.command(f"AUTH {PLUS}"), UNKNOWN)
        # "I could, you cannot" is true here, and no downgrade.
        self.assertEqual(self.run_scram(SCRAM, client, self.scram("y,,")), ACCEPTED)

    def test_without_plus_by_who_cannot_bind(self):
        self.assertEqual(self.run_scram(SCRAM, self.client(), self.scram()), ACCEPTED)
        self.assertEqual(self.run_scram(SCRAM, self.client(), self.scram(f"n,a={self.user},")), ACCEPTED)

    # --- channel bindings

    def test_a_wrong_binding_is_refused(self):
        for tls in BOUND:
            other = self.client(tls).exporter()
            for wrong in (other, b"\0" * 32, b"", None):
                with self.subTest(f"{tls} {wrong}"):
                    client = self.client(tls)
                    binding = client.exporter()[:-1] if wrong is None else wrong
                    peer = self.scram(EXPORTER, binding)
                    self.refuse(PLUS, client, peer.first(), peer.final, reason="wrong_password")

    def test_bindings_of_another_kind_are_refused(self):
        """tls-unique is undefined on TLS 1.3 (RFC 9266 1), and right on 1.2 does not help: tls-exporter alone is served."""
        for tls in BOUND:
            for name, octets in (("tls-unique", lambda c: c.sock.finished()), ("tls-server-end-point", lambda c: c.end_point()[21:]),
                                 ("tls-exporter2", lambda c: c.exporter())):
                with self.subTest(f"{tls} {name}"):
                    client = self.client(tls)
                    peer = self.scram(f"p={name},,", octets(client))
                    self.refuse(PLUS, client, peer.first(), peer.final, reason="binding")

    def test_mechanism_and_header_must_agree(self):
        for mechanism, header in ((SCRAM, EXPORTER), (PLUS, "n,,"), (PLUS, "y,,")):
            with self.subTest(f"{mechanism} {header}"):
                client = self.client()
                peer = self.plus(client, header)
                self.refuse(mechanism, client, peer.first(), peer.final, reason="binding")

    # --- downgrade

    def test_a_stripped_list_is_noticed_and_logged(self):
        """A10: somebody between has taken -PLUS out of the list; the client says that it could have bound."""
        client = self.client()
        peer = self.scram("y,,")
        self.refuse(SCRAM, client, peer.first(), peer.final, reason="downgrade")

    def test_a_header_changed_on_the_way_breaks_the_proof(self):
        """He between changes the client's `y` to `n`: the last message says what the first one had been."""
        client = self.client()
        peer = self.scram("y,,")
        self.refuse(SCRAM, client, b"n" + peer.first()[1:], peer.final, reason="wrong_password")

    # --- replays

    def test_a_recorded_exchange_proves_nothing(self):
        for mechanism in (SCRAM, PLUS):
            with self.subTest(mechanism):
                client = self.client()
                peer = self.plus(client) if mechanism == PLUS else self.scram()
                self.assertEqual(self.run_scram(mechanism, client, peer), ACCEPTED)
                self.refuse(mechanism, self.client(), peer.first(), peer.message, reason="wrong_password")

    def test_the_nonce_is_the_server_s_of_this_exchange(self):
        peer = self.scram()
        seen = set()
        for _ in range(3):
            client = self.client()
            client.command(f"AUTH {SCRAM}")
            seen.add(attributes(challenge(client.command(encode(peer.first()))))["r"])
        self.assertEqual(len(seen), 3)
        for nonce, reply in ((seen.pop(), REJECTED), (peer.nonce, REJECTED), (peer.nonce + "x", REJECTED), ("x", REJECTED),
                             (",", MALFORMED)):
            with self.subTest(nonce):
                client = self.client()
                self.assertEqual(client.login(SCRAM, peer.first(), lambda octets: peer.final(octets, nonce=nonce)), reply)  # noqa: B023
                self.assertNotEqual(judged(self.cluster, client)[0], "success")

    def test_a_message_at_another_connection_or_edge_is_refused(self):
        for edge in (0, 1):
            with self.subTest(edge):
                here, there = self.client(), self.client(edge=edge)
                peer = self.scram()
                for client in (here, there):
                    client.command(f"AUTH {SCRAM}")
                ours = challenge(here.command(encode(peer.first())))
                challenge(there.command(encode(peer.first())))
                final = encode(peer.final(ours))
                self.assertEqual(there.command(final), REJECTED)
                # The exchange that it belongs to goes on where it began.
                self.assertTrue(peer.proved(challenge(here.command(final))))
                self.assertEqual(here.command(""), ACCEPTED)

    # --- messages

    def test_messages_out_of_order_or_none_are_refused(self):
        peer = self.scram()
        self.run_scram(SCRAM, self.client(), peer)
        first, final = peer.first(), peer.message
        self.refuse(SCRAM, self.client(), first, b"c=biws,r=" + final.split(b"r=")[1], reason="wrong_password")
        for steps in ([final], [first, first], [first, b""], [b"n,,"], [b"n,,n=,r=x"], [b"n,,n=u"], [b"n,,r=x,n=u"], [b"x,,n=u,r=x"],
                      [first + b"\0"], [b"n,,n=u\xff,r=x"], [b"n,,n=u,r=\x01"], [first, final + b"\0"], [first, b"c=biws,r=x"],
                      [first, b"c=biws"], [first, b"," * 100]):
            with self.subTest(steps):
                client = self.client()
                self.assertEqual(client.login(SCRAM, *steps), MALFORMED)
                self.assertEqual(client.command("NOOP"), "250 2.0.0 OK")

    def test_extensions_that_are_mandatory_are_refused(self):
        client = self.client()
        peer = self.scram(extension="m=future,")
        self.refuse(SCRAM, client, peer.first(), peer.final, reply=MALFORMED, reason="malformed")

    def test_the_last_words_must_be_answered_by_nothing(self):
        peer = self.scram()
        client = self.client()
        self.assertEqual(client.login(SCRAM, peer.first(), peer.final, b"more"), MALFORMED)
        self.assertTrue(client.command("MAIL FROM:<a@example.com>").startswith("530 5.7."))
        client = self.client()
        client.login(SCRAM, peer.first(), peer.final)
        self.assertEqual(client.command("*"), "501 5.7.0 Authentication cancelled")
        self.assertTrue(client.command("MAIL FROM:<a@example.com>").startswith("530 5.7."))

    def test_another_s_name_is_refused(self):
        other = next(self.victims)
        client = self.client()
        peer = self.scram(f"n,a={other},")
        self.refuse(SCRAM, client, peer.first(), peer.final, reason="authzid")

    def test_a_name_that_nobody_has_looks_like_a_user_s(self):
        told = []
        for user in (self.user, self.user, "nobody@example.com", "nobody@example.com"):
            for edge in (0, 1):
                client = self.client(edge=edge)
                client.command(f"AUTH {SCRAM}")
                told.append(attributes(challenge(client.command(encode(Scram(user, "x").first())))))
        self.assertEqual(len({t["s"] for t in told[:4]}), 1)
        self.assertEqual(len({t["s"] for t in told[4:]}), 1)
        self.assertEqual({len(base64.b64decode(t["s"])) for t in told}, {16})
        self.assertEqual({t["i"] for t in told}, {"4096"})
        self.user = "nobody@example.com"
        client = self.client()
        peer = self.scram()
        self.refuse(SCRAM, client, peer.first(), peer.final, reason="unknown")


if __name__ == "__main__":
    unittest.main()
