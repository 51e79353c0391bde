#!/usr/bin/python3
"""Virtual servers as the administrator of the article sees them, on real edges: each class is one test target (argument 1).

SideBySide   R2, R3, R31, pools, SNI: virtual servers beside each other, each with its own settings
States       R18: stop, start, pause
Access       R6, R7, R9, R11, R12: who may open a session, and how clients authenticate
RelayLists   R21-R24: who may relay
"""
import base64
import itertools
import os
import re
import socket
import ssl
import subprocess
import unittest

from harness.client import Client, insecure_context
from harness.cluster import Cluster, Edge
from harness.processes import wait_for
from harness.recorder import Recorder

LOGIN, PASSWORD = "alice@in.example", "correct horse"


class World(unittest.TestCase):
    """One cluster, one next hop, one edge for a class; a test has virtual servers of its own."""

    @classmethod
    def setUpClass(cls):
        cls.upstream = Recorder()
        cls.addClassCleanup(cls.upstream.close)
        cls.cluster = Cluster()
        cls.addClassCleanup(cls.cluster.stop)
        cls.cluster.start()
        cls.cluster.create_user("alice", LOGIN, PASSWORD)
        cls.cluster.apply(cls.cluster.document("first", cls.upstream.address, **cls.inbound()))
        cls.edge = cls.cluster.edge("edge1")

    @classmethod
    def inbound(cls, **more):
        return {"anonymous": True, "local_domains": ["in.example"], **more}

    def setUp(self):
        self.clear()

    def clear(self):
        self.upstream.forget()

    def serve(self, identifier, listeners=("NONE",), **settings):
        """Creates or changes a virtual server; its first port."""
        if any(mode != "NONE" for mode in listeners):
            self.cluster.certificate(identifier, settings.get("fqdn", "mail.example.com"))
        self.cluster.apply(self.cluster.document(identifier, self.upstream.address, listeners, **settings))
        ports = [self.edge.port(identifier, mode) for mode in listeners]
        for port in ports:
            wait_for(lambda p=port: listens(p), 20, f"the listener on port {port}")
        return ports[0] if len(ports) == 1 else ports

    def client(self, port, **options):
        client = Client(port, **options)
        self.addCleanup(lambda: client.sock.close())  # STARTTLS replaces it
        return client

    def greeted(self, port, **options):
        client = self.client(port, **options)
        self.assertTrue(client.banner.startswith("220 "), client.banner)
        client.hello()
        return client

    def verdict(self, client, recipient, sender="a@in.example"):
        client.command("RSET")
        self.assertEqual(client.command(f"MAIL FROM:<{sender}>"), "250 2.1.0 Sender OK")
        return client.command(f"RCPT TO:<{recipient}>")

    def asked(self, port, recipient, **options):
        """A fresh session's verdict on a recipient."""
        with Client(port, **options) as client:
            client.hello()
            return self.verdict(client, recipient)

    def deliver(self, client, text="hello"):
        self.assertEqual(self.verdict(client, "b@in.example"), "250 2.1.5 Recipient OK")
        self.assertTrue(client.command("DATA").startswith("354"))
        client.send(f"Subject: x\r\n\r\n{text}\r\n.\r\n".encode())
        reply = client.reply()
        self.assertTrue(reply.startswith("250 2.0.0 Accepted "), reply)


def listens(port, host="127.0.0.1"):
    try:
        socket.create_connection((host, port), timeout=5).close()
        return True
    except OSError:
        return False


def certificate_name(port, server_name, starttls=False):
    """The subject of the certificate that is shown to a client which asks for this name."""
    argv = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-showcerts"]
    argv += ["-servername", server_name] if server_name else ["-noservername"]
    argv += ["-starttls", "smtp"] if starttls else []
    done = subprocess.run(argv, input=b"QUIT\r\n", capture_output=True, timeout=30, check=False)
    subjects = [line for line in done.stdout.decode().splitlines() if line.strip().startswith("subject=")]
    return subjects[0].split("CN = ")[1] if subjects else done.stderr.decode()


class SideBySide(World):
    """R2, R3, R31."""

    def test_a_second_virtual_server_is_added_live_beside_the_first(self):
        before = self.greeted(self.edge.port("first"))
        self.assertEqual(before.command("MAIL FROM:<a@in.example>"), "250 2.1.0 Sender OK")
        port = self.serve("second", fqdn="second.example.com", anonymous=True, local_domains=["second.example"])
        self.assertTrue(self.asked(port, "b@second.example").startswith("250"))
        self.assertTrue(self.asked(port, "b@in.example").startswith("550 5.7.1"))
        # The first one's transaction that was open goes on as though nothing had happened.
        self.assertEqual(before.command("RCPT TO:<b@in.example>"), "250 2.1.5 Recipient OK")
        self.assertTrue(self.asked(self.edge.port("first"), "b@second.example").startswith("550 5.7.1"))
        # Its removal closes its listeners, ends its sessions between transactions, and nothing else.
        open_session = self.greeted(port)
        self.cluster.ctl("virtual-server", "delete", "second")
        del self.cluster.ports[("second", "NONE")]
        self.assertEqual(open_session.reply(), "421 4.3.2 second.example.com Closing")
        self.assertIs(open_session.at_end(), True)
        wait_for(lambda: not listens(port), 10, "the closed listener")
        self.assertEqual(before.command("RCPT TO:<c@in.example>"), "250 2.1.5 Recipient OK")

    def test_each_says_its_own_name_wherever_it_says_one(self):
        for name in ("one.example.com", "two.example.com"):
            identifier = name.split(".")[0]
            port = self.serve(identifier, fqdn=name, bannerText=f"ESMTP {identifier} speaking", **self.inbound())
            client = self.client(port)
            self.assertEqual(client.banner, f"220 {name} ESMTP {identifier} speaking")
            self.assertEqual(client.hello().split("\n")[0], f"250-{name} Hello [127.0.0.1]")
            self.assertEqual(client.command("HELO client.example"), f"250 {name} Hello [127.0.0.1]")
            self.clear()
            client.hello()
            self.deliver(client)
            head = self.upstream.messages[0].body.split(b"\r\nSubject", 1)[0].replace(b"\r\n\t", b" ").replace(b"\r\n ", b" ")
            self.assertIn(f" by {name} ".encode(), head)
            self.assertEqual(client.command("QUIT"), f"221 2.0.0 {name} Closing")
        # Changed live: for new sessions.
        old = self.greeted(self.edge.port("one"))
        port = self.serve("one", fqdn="renamed.example.com", **self.inbound())
        self.assertEqual(self.client(port).banner, "220 renamed.example.com ESMTP Gatepost")
        self.assertEqual(old.command("QUIT"), "221 2.0.0 one.example.com Closing")

    def test_opposite_settings_on_one_edge_do_not_touch_each_other(self):
        """R31: every control once on, once off, at the same time."""
        strict = self.serve("strict", ("STARTTLS",), secure_channel=True, fqdn="strict.example.com", dialect="EXCHANGE",
                            local_domains=["strict.example"], messageLimits={"maxMessageOctets": 1000000, "maxRecipients": 100},
                            connection_control={"entries": [{"address": "127.0.0.66"}]}, sessionLimits={"maxProtocolErrors": 1},
                            connectionLimits={"maxPerSource": 2})
        loose = self.serve("loose", ("NONE",), anonymous=True, fqdn="loose.example.com", local_domains=["loose.example"],
                           relay={"entries": [{"address": "127.0.0.66"}]}, messageLimits={"maxMessageOctets": 2000000},
                           authentication={"basic": {"allowClearTextCredentials": True}},
                           connection_control={"mode": "ONLY_LIST", "entries": [{"subnet": "127.0.0.0/25"}]})
        for _ in range(2):  # each after the other: neither leaves anything behind
            client = self.client(strict)
            hello = client.hello()
            self.assertIn("STARTTLS", hello)
            self.assertNotIn("AUTH", hello)
            self.assertIn("SIZE 1000000", hello)
            self.assertTrue(client.command("MAIL FROM:<a@strict.example>").startswith("530 5.7.0 Must issue a STARTTLS"))
            client.starttls()
            client.hello()
            self.assertEqual(client.command("MAIL FROM:<a@strict.example>"), "530 5.7.1 Client was not authenticated")
            self.assertEqual(client.auth_plain(LOGIN, "wrong"), "535 5.7.3 Authentication unsuccessful")
            self.assertTrue(client.auth_plain(LOGIN, PASSWORD).startswith("235 "))
            self.assertTrue(self.verdict(client, "b@far.example").startswith("250"))
            self.assertTrue(client.command("XXXX").startswith("500"))
            self.assertTrue(client.command("XXXX").startswith("421 4.7.0 strict.example.com "))
            client = self.client(strict, source="127.0.0.66")
            self.assertEqual(client.banner, "554 strict.example.com Connection refused: 127.0.0.66 is not permitted")
            client.sock.close()

            client = self.client(loose)
            hello = client.hello()
            self.assertNotIn("STARTTLS", hello)
            self.assertRegex(hello, "AUTH .*PLAIN LOGIN")
            self.assertIn("SIZE 2000000", hello)
            self.assertTrue(self.verdict(client, "b@loose.example").startswith("250"))
            self.assertTrue(self.verdict(client, "b@strict.example").startswith("550 5.7.1 Unable to relay"))
            client.command("RSET")
            self.assertEqual(client.auth_plain(LOGIN, "wrong"), "535 5.7.8 Authentication credentials invalid")
            for _ in range(3):
                self.assertTrue(client.command("XXXX").startswith("500"))
            self.assertTrue(client.auth_plain(LOGIN, PASSWORD).startswith("235 "))
            client.sock.close()
            self.assertTrue(self.asked(loose, "b@far.example", source="127.0.0.66").startswith("250"))
            client = self.client(loose, source="127.0.0.130")
            self.assertEqual(client.banner, "554 loose.example.com Connection refused: 127.0.0.130 is not permitted")
            client.sock.close()
        # A limit on connections of one counts no connection of the other.
        wait_for(lambda: self.edge.sessions("strict") == 0, 10, "the places of those who left")
        held = [self.greeted(loose) for _ in range(5)]
        held += [self.greeted(strict) for _ in range(2)]
        self.assertEqual(self.client(strict).banner, "421 strict.example.com Too many connections")
        self.assertTrue(self.client(loose).banner.startswith("220 "))

    def test_a_virtual_server_is_served_by_the_edges_of_its_pools_alone(self):
        subprocess.run([os.environ["GATEPOST_BIN_CTL"], "pki", "issue", "--dir", str(self.cluster.folder / "pki"), "edge", "east"],
                       check=True, capture_output=True)
        self.cluster.apply(self.cluster.document("eastern", self.upstream.address, pools=["east"], **self.inbound()))
        east = Edge(self.cluster, "east1", 5000, 1, [], pool="east")
        self.cluster.edges["east1"] = east
        wait_for(lambda: listens(east.port("eastern")) and listens(east.port("first")), 20, "the edge of pool east")
        self.assertTrue(self.asked(east.port("eastern"), "b@in.example").startswith("250"))
        self.assertFalse(listens(self.edge.port("eastern")), "an edge of another pool listens")
        # The same port in two pools is no conflict, in one it is.
        port = self.cluster.ports[("eastern", "NONE")]
        self.cluster.ports[("western", "NONE")] = port
        self.cluster.apply(self.cluster.document("western", self.upstream.address, pools=["default"], fqdn="west.example.com",
                                                 **self.inbound()))
        wait_for(lambda: listens(port), 10, "the same port in the pool default")
        self.assertEqual(self.client(self.edge.port("western")).banner, "220 west.example.com ESMTP Gatepost")
        self.assertEqual(self.client(east.port("eastern")).banner, "220 mail.example.com ESMTP Gatepost")
        with self.assertRaisesRegex(AssertionError, "listeners"):
            self.cluster.apply(self.cluster.document("western", self.upstream.address, pools=["default", "east"], **self.inbound()))
        # Moved live from one pool to the other.
        self.cluster.ctl("virtual-server", "delete", "western")
        del self.cluster.ports[("western", "NONE")]
        self.cluster.apply(self.cluster.document("eastern", self.upstream.address, pools=["default"], **self.inbound()))
        wait_for(lambda: listens(port) and not listens(east.port("eastern")), 10, "the move to the pool default")
        self.assertTrue(self.asked(port, "b@in.example").startswith("250"))
        east.stop()
        del self.cluster.edges["east1"]

    def test_the_name_a_client_asks_for_chooses_the_certificate_and_never_the_policy(self):
        self.cluster.ctl("certificate", "create", "a-ec", "--self-signed", "--dns", "a.example.com")
        self.cluster.ctl("certificate", "create", "a-rsa", "--self-signed", "--rsa", "--dns", "alias.example.com")
        self.cluster.ctl("certificate", "create", "b-ec", "--self-signed", "--dns", "b.example.com")
        a, b = self.cluster.document("sni-a", self.upstream.address, ("IMPLICIT",), fqdn="a.example.com",
                                     certificates=["certificates/a-ec", "certificates/a-rsa"], **self.inbound()), \
            self.cluster.document("sni-b", self.upstream.address, ("IMPLICIT",), fqdn="b.example.com", anonymous=False,
                                  certificates=["certificates/b-ec"], local_domains=["b.example"])
        self.cluster.apply(a, b)
        port = self.edge.port("sni-a", "IMPLICIT")
        for asked, shown in (("a.example.com", "a.example.com"), ("alias.example.com", "alias.example.com"),
                             ("b.example.com", "a.example.com"), ("unknown.example", "a.example.com"), (None, "a.example.com")):
            self.assertEqual(certificate_name(port, asked), shown, asked)
            context = insecure_context()
            sock = socket.create_connection(("127.0.0.1", port), timeout=20)
            with context.wrap_socket(sock, server_hostname=asked) as tls, tls.makefile("rb") as lines:
                said = lines.readline()
            self.assertEqual(said, b"220 a.example.com ESMTP Gatepost\r\n", asked)
        self.assertEqual(certificate_name(self.edge.port("sni-b", "IMPLICIT"), "a.example.com"), "b.example.com")


class States(World):
    """R18."""

    def test_stop_closes_the_listeners_and_ends_sessions_between_transactions(self):
        port = self.serve("stopped", ("NONE",), **self.inbound())
        idle = self.greeted(port)
        silent = self.client(port)
        busy = self.greeted(port)
        self.assertEqual(self.verdict(busy, "b@in.example"), "250 2.1.5 Recipient OK")
        self.assertTrue(busy.command("DATA").startswith("354"))
        other = self.greeted(self.edge.port("first"))
        self.cluster.ctl("virtual-server", "stop", "stopped")
        for client in (idle, silent):
            self.assertEqual(client.reply(), "421 4.3.2 mail.example.com Closing")
            self.assertIs(client.at_end(), True)
        wait_for(lambda: not listens(port), 10, "the closed listener")
        busy.send(b"Subject: x\r\n\r\nfinished in peace\r\n.\r\n")
        self.assertTrue(busy.reply().startswith("250 2.0.0 Accepted "))
        self.assertEqual(busy.reply(), "421 4.3.2 mail.example.com Closing")
        self.assertIs(busy.at_end(), True)
        self.assertEqual(other.command("NOOP"), "250 2.0.0 OK")
        self.assertIn("STOPPED", self.cluster.ctl("virtual-server", "list"))
        # Settings change while it is stopped, and it stays stopped.
        self.cluster.apply(self.cluster.document("stopped", self.upstream.address, fqdn="again.example.com", **self.inbound()))
        self.assertFalse(listens(port))
        self.cluster.ctl("virtual-server", "start", "stopped")
        wait_for(lambda: listens(port), 10, "the listener that was opened again")
        self.assertEqual(self.client(port).banner, "220 again.example.com ESMTP Gatepost")

    def test_pause_lets_sessions_go_on_and_greets_new_ones_with_421(self):
        port, implicit = self.serve("paused", ("NONE", "IMPLICIT"), **self.inbound())
        before = self.greeted(port)
        self.cluster.ctl("virtual-server", "pause", "paused")
        self.cluster.wait_applied()
        refused = self.client(port)
        self.assertEqual(refused.banner, "421 mail.example.com Not accepting connections")
        self.assertIs(refused.at_end(), True)
        # Where TLS comes first the edge closes: it would cost a handshake each.
        with socket.create_connection(("127.0.0.1", implicit), timeout=20) as sock:
            with self.assertRaises((ssl.SSLError, OSError)):
                insecure_context().wrap_socket(sock)
        for _ in range(2):
            self.deliver(before)
        self.assertTrue(self.greeted(self.edge.port("first")))
        self.cluster.ctl("virtual-server", "start", "paused")
        self.cluster.wait_applied()
        self.deliver(self.greeted(port))
        self.deliver(before)
        self.assertEqual(self.client(implicit, implicit_tls=True).banner, "220 mail.example.com ESMTP Gatepost")

    def test_stop_out_of_pause_ends_what_the_pause_let_go_on(self):
        port = self.serve("both", ("NONE",), **self.inbound())
        session = self.greeted(port)
        self.cluster.ctl("virtual-server", "pause", "both")
        self.cluster.wait_applied()
        self.assertEqual(session.command("NOOP"), "250 2.0.0 OK")
        self.cluster.ctl("virtual-server", "stop", "both")
        self.assertEqual(session.reply(), "421 4.3.2 mail.example.com Closing")
        self.assertIs(session.at_end(), True)
        wait_for(lambda: not listens(port), 10, "the closed listener")

    def test_an_edge_that_starts_finds_the_states_as_they_are(self):
        stopped, paused = self.serve("off", **self.inbound()), self.serve("half", **self.inbound())
        self.cluster.ctl("virtual-server", "stop", "off")
        self.cluster.ctl("virtual-server", "pause", "half")
        self.cluster.wait_applied()
        late = Edge(self.cluster, "late", 5000, 1, [])
        self.cluster.edges["late"] = late
        wait_for(lambda: listens(paused + 5000), 20, "the late edge")
        self.assertEqual(self.client(paused + 5000).banner, "421 mail.example.com Not accepting connections")
        self.assertFalse(listens(stopped + 5000))
        self.assertFalse(listens(stopped))
        late.stop()
        del self.cluster.edges["late"]


class Access(World):
    """R6, R7, R9, R11, R12."""
    ADDRESSES = ["127.0.0.1", "127.0.0.66", "127.0.1.7", "127.0.1.255", "127.0.2.0", "127.9.0.1"]
    ENTRIES = [{"address": "127.0.0.66"}, {"subnet": "127.0.1.0/255.255.255.0"}, {"range": "127.9.0.0-127.9.0.1"}]
    LISTED = {"127.0.0.66", "127.0.1.7", "127.0.1.255", "127.9.0.1"}

    def test_both_modes_with_addresses_subnets_by_mask_and_ranges(self):
        for mode in ("ALL_EXCEPT", "ONLY_LIST"):
            port = self.serve("door", connection_control={"mode": mode, "entries": self.ENTRIES}, **self.inbound())
            for address in self.ADDRESSES:
                banner = self.client(port, source=address).banner
                if (address in self.LISTED) == (mode == "ONLY_LIST"):
                    self.assertEqual(banner, "220 mail.example.com ESMTP Gatepost", (mode, address))
                else:
                    self.assertEqual(banner, f"554 mail.example.com Connection refused: {address} is not permitted", mode)
        # Each refusal's log line names the field that decided.
        event = self.edge.event(lambda e: e.get("event") == "refused" and "127.0.1.7" in e.get("client", ""))
        self.assertEqual((event["reason"], event["rule"]), ("client_not_permitted", "connection_control.entries[1]"))

    def test_an_empty_list_lets_everybody_in_or_nobody(self):
        port = self.serve("empty", **self.inbound())
        self.assertTrue(self.client(port, source="127.9.9.9").banner.startswith("220 "))
        port = self.serve("empty", connection_control={"mode": "ONLY_LIST"}, **self.inbound())
        self.assertTrue(self.client(port).banner.startswith("554 mail.example.com Connection refused: 127.0.0.1 is"))

    def test_anonymous_and_basic_in_every_combination_with_and_without_tls(self):
        for anonymous, basic, clear in itertools.product((False, True), repeat=3):
            port = self.serve("mix", ("STARTTLS",), anonymous=anonymous, local_domains=["in.example"],
                              authentication={"basic": {"enabled": basic, "allowClearTextCredentials": clear}, "scram": {"enabled": False},
                                              "integrated": {"enabled": False}})
            for tls in (False, True):
                what = f"anonymous {anonymous}, basic {basic}, in clear {clear}, TLS {tls}"
                client = self.client(port)
                hello = client.hello()
                if tls:
                    client.starttls()
                    hello = client.hello()
                offered = basic and (tls or clear)
                self.assertEqual(bool(re.search("AUTH .*PLAIN LOGIN", hello)), offered, what)
                answer = client.command("MAIL FROM:<a@in.example>")
                self.assertEqual(answer, "250 2.1.0 Sender OK" if anonymous else "530 5.7.0 Authentication required", what)
                client.command("RSET")
                answer = client.auth_plain(LOGIN, PASSWORD)
                if offered:
                    self.assertEqual(answer, "235 2.7.0 Authentication successful", what)
                    self.assertTrue(self.verdict(client, "b@far.example").startswith("250"), what)
                elif basic:
                    self.assertEqual(answer, "538 5.7.11 Encryption required for requested authentication mechanism", what)
                else:
                    self.assertEqual(answer, "504 5.5.4 Unrecognized authentication type", what)
                client.sock.close()

    def test_a_default_domain_completes_bare_account_names(self):
        port = self.serve("domain", authentication={"basic": {"allowClearTextCredentials": True, "defaultDomain": "in.example"}})
        for login in ("alice", LOGIN):
            client = self.greeted(port)
            self.assertEqual(client.auth_plain(login, PASSWORD), "235 2.7.0 Authentication successful", login)
            client.sock.close()
        client = self.greeted(port)
        self.assertEqual(client.command("AUTH LOGIN"), "334 VXNlcm5hbWU6")
        self.assertEqual(client.command(base64.b64encode(b"alice").decode()), "334 UGFzc3dvcmQ6")
        self.assertEqual(client.command(base64.b64encode(PASSWORD.encode()).decode()), "235 2.7.0 Authentication successful")
        client = self.greeted(port)
        self.assertTrue(client.auth_plain("alice@elsewhere.example", PASSWORD).startswith("535 "))
        # Without one a bare name is nobody's.
        port = self.serve("domain", authentication={"basic": {"allowClearTextCredentials": True}})
        self.assertTrue(self.greeted(port).auth_plain("alice", PASSWORD).startswith("535 "))


class RelayLists(World):
    """R21-R24."""
    FAR = "550 5.7.1 Unable to relay for ceo@far.example"

    def test_a_new_virtual_server_does_not_relay(self):
        self.cluster.ctl("virtual-server", "create", "new", "--fqdn", "mail.example.com", "--listen", "127.0.0.1:32100,none",
                         "--local-domain", "in.example", "--next-hop", self.upstream.address, "--anonymous")
        wait_for(lambda: listens(32100), 20, "the new virtual server")
        for address in ("127.0.0.1", "127.0.0.66"):
            self.assertEqual(self.asked(32100, "ceo@far.example", source=address), self.FAR)
            self.assertEqual(self.asked(32100, "b@in.example", source=address), "250 2.1.5 Recipient OK")

    def test_both_modes_with_addresses_subnets_and_ranges(self):
        for mode in ("ONLY_LIST", "ALL_EXCEPT"):
            port = self.serve("relay", relay={"mode": mode, "entries": Access.ENTRIES, "allowOpenRelay": True}, **self.inbound())
            for address in Access.ADDRESSES:
                answer = self.asked(port, "ceo@far.example", source=address)
                if (address in Access.LISTED) == (mode == "ONLY_LIST"):
                    self.assertEqual(answer, "250 2.1.5 Recipient OK", (mode, address))
                else:
                    self.assertEqual(answer, self.FAR, (mode, address))
                # Whoever may not relay still delivers to the local domains.
                self.assertEqual(self.asked(port, "b@in.example", source=address), "250 2.1.5 Recipient OK")
        event = self.edge.event(lambda e: e.get("event") == "refused" and e.get("reason") == "relay_denied" and
                                e.get("rule") == "relay.entries[2]")
        self.assertIn("127.9.0.1", event["client"])

    def test_who_authenticated_relays_from_everywhere_unless_that_is_switched_off(self):
        clear = {"basic": {"allowClearTextCredentials": True}}
        for may in (True, False):
            port = self.serve("auth", authentication={"anonymous": True, **clear}, local_domains=["in.example"],
                              relay={"entries": [{"address": "127.0.0.1"}], "authenticatedMayRelay": may})
            client = self.greeted(port, source="127.0.0.66")
            self.assertEqual(self.verdict(client, "ceo@far.example"), self.FAR)
            client.command("RSET")
            self.assertTrue(client.auth_plain(LOGIN, PASSWORD).startswith("235 "))
            self.assertEqual(self.verdict(client, "ceo@far.example"), "250 2.1.5 Recipient OK" if may else self.FAR)
            # An OR: the address alone is enough as well.
            self.assertEqual(self.asked(port, "ceo@far.example"), "250 2.1.5 Recipient OK")

    def test_local_domains_with_and_without_their_subdomains(self):
        document = self.cluster.document("local", self.upstream.address, anonymous=True)
        document["localDomains"] = [{"domain": "in.example"}, {"domain": "wide.example", "includeSubdomains": True}]
        self.cluster.apply(document)
        port = self.edge.port("local")
        for recipient, taken in (("b@in.example", True), ("b@IN.Example", True), ("b@mail.in.example", False), ("b@wide.example", True),
                                 ("b@a.b.wide.example", True), ("b@notwide.example", False), ("b@example", False),
                                 ("b@in.example.far.example", False), ("Postmaster", True)):
            answer = self.asked(port, recipient)
            self.assertEqual(answer[:9], "250 2.1.5" if taken else "550 5.7.1", recipient)

    def test_a_refused_recipient_leaves_the_accepted_ones(self):
        client = self.greeted(self.edge.port("first"))
        self.assertEqual(self.verdict(client, "b@in.example"), "250 2.1.5 Recipient OK")
        self.assertEqual(client.command("RCPT TO:<ceo@far.example>"), self.FAR)
        self.assertTrue(client.command("DATA").startswith("354"))
        client.send(b"Subject: x\r\n\r\nto one\r\n.\r\n")
        self.assertTrue(client.reply().startswith("250 2.0.0 Accepted "))
        self.assertEqual([m.recipients for m in self.upstream.messages], [[b"RCPT TO:<b@in.example>"]])


if __name__ == "__main__":
    unittest.main()
