#!/usr/bin/python3
"""Who the client is: names and block lists by DNS, the PROXY protocol, next hops by the DNS servers of the virtual server.

A real edge, and a DNS server that answers by script. Clients connect from addresses of 127.0.0.0/8, each with a name of its own.
Rows of threats.md: I2, I3, I4, U6 (PROXY v2); of failures.md: 22; R5, R10, R32; limits.md: PROXY header, DNS for a policy decision.
Each class is one test target (argument 1).
"""
import socket
import ssl
import struct
import sys
import time
import unittest

from harness import dns as zones
from harness.client import Client, Closed, insecure_context
from harness.cluster import Cluster
from harness.dns import DnsServer
from harness.processes import wait_for
from harness.recorder import Recorder

REFUSED = "554 mail.example.com Connection refused: {} is not permitted"
TRY_LATER = "421 mail.example.com Reverse lookup failed, try again later"
GREETING = "220 mail.example.com ESMTP Gatepost"
ONLY_TRUSTED = {"mode": "ONLY_LIST", "entries": [{"domain": "trusted.example"}]}
BUT_EVIL = {"mode": "ALL_EXCEPT", "entries": [{"domain": "evil.example"}]}


class Identity(unittest.TestCase):
    """One edge, of one worker with its one cache, and one DNS server for all tests of a class, whose `configure` makes the virtual
    servers."""

    @classmethod
    def setUpClass(cls):
        cls.dns = DnsServer()
        cls.upstream = Recorder()
        cls.cluster = Cluster()
        cls.cluster.start()
        cls.configure()
        cls.edge = cls.cluster.edge("edge1", threads=1, extra=("--dns-server", cls.dns.address))

    @classmethod
    def configure(cls):
        pass

    @classmethod
    def virtual_server(cls, identifier, upstream=None, **options):
        options.setdefault("anonymous", True)
        options.setdefault("local_domains", ["in.example"])
        cls.cluster.virtual_server(identifier, upstream or cls.upstream.address, **options)

    @classmethod
    def tearDownClass(cls):
        cls.cluster.stop()
        cls.upstream.close()
        cls.dns.close()

    def setUp(self):
        self.dns.everything = None
        self.upstream.forget()

    def client(self, virtual_server, source="127.0.0.1", **options):
        client = Client(self.edge.port(virtual_server), source=source, **options)
        self.addCleanup(lambda: client.sock.close())
        return client

    def banner(self, virtual_server, source):
        return self.client(virtual_server, source).banner

    def recipient(self, virtual_server, source, recipient="b@in.example"):
        """The reply to a RCPT of an anonymous client."""
        client = self.client(virtual_server, source)
        client.hello()
        self.assertEqual(client.command("MAIL FROM:<a@elsewhere.example>"), "250 2.1.0 Sender OK")
        return client.command(f"RCPT TO:<{recipient}>")

    def deliver(self, virtual_server, source="127.0.0.1"):
        client = self.client(virtual_server, source)
        client.hello()
        client.send(b"MAIL FROM:<a@in.example>\r\nRCPT TO:<b@in.example>\r\nDATA\r\n")
        self.assertEqual([client.reply()[:3] for _ in range(3)], ["250", "250", "354"])
        client.send(b"Subject: x\r\n\r\nhello\r\n.\r\n")
        self.assertTrue(client.reply().startswith("250 2.0.0 Accepted "))

    def lookups(self, virtual_server):
        """{(kind, result): count}"""
        counts = {}
        for key, value in self.edge.metrics().items():
            if key.startswith("gatepost_edge_dns_lookups_total{") and f'virtual_server="{virtual_server}"' in key:
                labels = dict(pair.split("=") for pair in key[key.index("{") + 1:-1].split(","))
                counts[(labels["kind"].strip('"'), labels["result"].strip('"'))] = value
        return counts


class Names(Identity):
    """Domain entries: I4, R10, R32."""

    @classmethod
    def configure(cls):
        cls.virtual_server("plain")
        cls.virtual_server("only", connectionControl=ONLY_TRUSTED)
        cls.virtual_server("except", connectionControl=BUT_EVIL)
        for failure in ("ALLOW", "DENY"):
            lookup = {"onLookupFailure": failure, "timeout": "0.5s"}
            cls.virtual_server(f"only-{failure.lower()}", connectionControl=ONLY_TRUSTED, reverseLookup=lookup)
            cls.virtual_server(f"except-{failure.lower()}", connectionControl=BUT_EVIL, reverseLookup=lookup)
        cls.virtual_server("relay", relay={"mode": "ONLY_LIST", "entries": [{"domain": "trusted.example"}]})

    def test_a_confirmed_name_is_in_the_entry_of_its_domain(self):
        self.dns.client("127.1.0.1", "mail.Trusted.example")
        self.dns.client("127.1.0.2", "trusted.example")
        self.dns.client("127.1.0.3", "mail.evil.example")
        self.dns.client("127.1.0.4", "nottrusted.example")
        for source, only, besides in (("127.1.0.1", GREETING, GREETING), ("127.1.0.2", GREETING, GREETING),
                                      ("127.1.0.3", REFUSED, REFUSED), ("127.1.0.4", REFUSED, GREETING)):
            self.assertEqual(self.banner("only", source), only.format(source))
            self.assertEqual(self.banner("except", source), besides.format(source))

    def test_without_a_name_the_client_is_in_no_entry(self):
        self.assertEqual(self.banner("only", "127.1.1.1"), REFUSED.format("127.1.1.1"))
        self.assertEqual(self.banner("except", "127.1.1.1"), GREETING)

    def test_i4_a_name_that_does_not_resolve_back_is_none(self):
        self.dns.ptr("127.1.2.1", "mail.trusted.example")
        self.dns.a("mail.trusted.example", "127.1.0.1")
        self.dns.ptr("127.1.2.2", "unheard-of.trusted.example")
        for source in ("127.1.2.1", "127.1.2.2"):
            self.assertEqual(self.banner("only", source), REFUSED.format(source))
        # Nor does a lie keep out of a deny list whom his own name is in.
        self.dns.ptr("127.1.2.3", "mail.trusted.example", "me.evil.example")
        self.dns.a("me.evil.example", "127.1.2.3")
        self.assertEqual(self.banner("except", "127.1.2.3"), REFUSED.format("127.1.2.3"))

    def test_i4_names_that_are_no_host_names_are_none(self):
        hostile = [[b"a\r\nRCPT TO:<evil@v>", b"trusted", b"example"], [b"%s%n%x", b"trusted", b"example"],
                   [b"x.trusted", b"example"], [b"trusted.example"], [b"a b", b"trusted", b"example"],
                   [b"\xc3\xa4", b"trusted", b"example"], [b"127", b"1", b"3", b"1"], []]
        for number, labels in enumerate(hostile):
            source = f"127.1.3.{number + 1}"
            self.dns.ptr(source, labels)
            self.assertEqual(self.banner("only", source), REFUSED.format(source), labels)
        # More than 255 octets in all: no answer that could be read.
        self.dns.ptr("127.1.3.100", [b"a" * 63] * 4 + [b"trusted", b"example"])
        self.assertEqual(self.banner("only", "127.1.3.100"), TRY_LATER)
        self.assertNotIn("evil@v", self.edge.log.read_text(errors="replace"))

    def test_i4_a_thousand_names_are_none(self):
        self.dns.ptr("127.1.4.1", *(f"h{i}.trusted.example" for i in range(1000)))
        for i in range(1000):
            self.dns.a(f"h{i}.trusted.example", "127.1.4.1")
        self.assertEqual(self.banner("only", "127.1.4.1"), REFUSED.format("127.1.4.1"))
        self.assertIn("tcp", [transport for _, _, transport in self.dns.asked(zones.reverse("127.1.4.1"))])
        self.assertEqual(self.dns.asked("h0.trusted.example"), [])
        # As many as one address may have: ten are asked back.
        names = [f"k{i:02}.trusted.example" for i in range(32)]
        self.dns.ptr("127.1.4.2", *names)
        self.dns.a(names[0], "127.1.4.2")
        self.assertEqual(self.banner("only", "127.1.4.2"), GREETING)
        self.assertEqual(sum(len(self.dns.asked(name)) for name in names), 10)

    def test_i4_aliases_are_followed_and_a_loop_is_no_name(self):
        self.dns.cname(zones.reverse("127.1.5.1"), "1.0-127.5.1.127.in-addr.arpa")  # RFC 2317
        self.dns.add("1.0-127.5.1.127.in-addr.arpa", "PTR", zones.wire("alias.trusted.example"))
        self.dns.a("alias.trusted.example", "127.1.5.1")
        self.assertEqual(self.banner("only", "127.1.5.1"), GREETING)
        self.dns.cname(zones.reverse("127.1.5.2"), "loop.example")
        self.dns.cname("loop.example", zones.reverse("127.1.5.2"))
        self.assertEqual(self.banner("only", "127.1.5.2"), REFUSED.format("127.1.5.2"))
        self.dns.ptr("127.1.5.3", "circle.trusted.example")
        self.dns.cname("circle.trusted.example", "circle.trusted.example")
        self.assertEqual(self.banner("only", "127.1.5.3"), REFUSED.format("127.1.5.3"))

    def test_a_failure_is_answered_as_the_virtual_server_says(self):
        for number, failure in enumerate(("servfail", "refused", "silence", b"\xc0\x0c\x00\x0c")):
            source = f"127.1.6.{number + 1}"
            self.dns.fail[zones.reverse(source)] = failure
            for kind in ("only", "except"):
                if failure != "silence":  # it is another test, and slow
                    self.assertEqual(self.banner(kind, source), TRY_LATER, failure)
                self.assertEqual(self.banner(f"{kind}-allow", source), GREETING, failure)
                self.assertEqual(self.banner(f"{kind}-deny", source), REFUSED.format(source), failure)
        # That the name cannot be asked back is a failure as well.
        self.dns.ptr("127.1.6.100", "unsure.trusted.example")
        self.dns.fail["unsure.trusted.example"] = "servfail"
        self.assertEqual(self.banner("only", "127.1.6.100"), TRY_LATER)

    def test_a_failure_never_grants_relaying(self):
        self.dns.client("127.1.7.1", "out.trusted.example")
        self.assertEqual(self.recipient("relay", "127.1.7.1", "x@elsewhere.example"), "250 2.1.5 Recipient OK")
        self.dns.fail[zones.reverse("127.1.7.2")] = "servfail"
        reply = self.recipient("relay", "127.1.7.2", "x@elsewhere.example")
        self.assertTrue(reply.startswith("4"), reply)
        self.assertEqual(self.recipient("relay", "127.1.7.2"), "250 2.1.5 Recipient OK")  # ours: nobody is asked
        self.assertEqual(self.recipient("relay", "127.1.7.3", "x@elsewhere.example"),
                         "550 5.7.1 Unable to relay for x@elsewhere.example")

    def test_f22_dns_dead_the_banner_comes_within_three_seconds_and_others_do_not_notice(self):
        self.dns.everything = "silence"
        start = time.monotonic()
        waiting = socket.create_connection(("127.0.0.1", self.edge.port("only")), source_address=("127.1.8.1", 0))
        self.addCleanup(waiting.close)
        self.deliver("plain", "127.1.8.2")
        self.assertLess(time.monotonic() - start, 2)
        waiting.settimeout(10)
        self.assertEqual(waiting.recv(100), TRY_LATER.encode() + b"\r\n")
        took = time.monotonic() - start
        self.assertGreater(took, 2.5)
        self.assertLess(took, 3.5)
        self.assertEqual(self.lookups("plain"), {key: 0 for key in self.lookups("plain")})
        self.assertGreaterEqual(self.lookups("only")[("ptr", "timed_out")], 1)

    def test_slow_dns_has_one_deadline_for_all_questions(self):
        self.dns.client("127.1.9.1", "slow.trusted.example")
        self.dns.fail[zones.reverse("127.1.9.1")] = 0.3
        self.dns.fail["slow.trusted.example"] = 0.4
        start = time.monotonic()
        self.assertEqual(self.banner("only-deny", "127.1.9.1"), REFUSED.format("127.1.9.1"))
        self.assertLess(time.monotonic() - start, 1)

    def test_r32_the_cost_of_names_is_seen_and_what_is_known_is_not_asked_again(self):
        self.dns.client("127.1.10.1", "cached.trusted.example")
        before = self.lookups("only")
        for _ in range(3):
            self.assertEqual(self.banner("only", "127.1.10.1"), GREETING)
        after = self.lookups("only")
        self.assertEqual(len(self.dns.asked(zones.reverse("127.1.10.1"))), 1)
        for kind in ("ptr", "address"):
            self.assertEqual(after[(kind, "answered")] - before[(kind, "answered")], 1)
            self.assertEqual(after[(kind, "hit")] - before[(kind, "hit")], 2)
        self.assertGreater(self.edge.metrics()['gatepost_edge_dns_lookup_seconds_count{virtual_server="only"}'], 0)


class BlockLists(Identity):
    """DNS block lists, for anonymous clients at RCPT."""

    @classmethod
    def configure(cls):
        cls.cluster.create_user("alice", "alice@in.example", "correct horse")
        lists = [{"zone": "bl.example"}, {"zone": "picky.example", "answers": ["127.0.0.4"]}]
        cls.virtual_server("filtered", filters={"blockLists": lists, "timeout": "0.5s"},
                           authentication={"basic": {"enabled": True, "allowClearTextCredentials": True}})
        for failure in ("TEMPFAIL", "DENY"):
            cls.virtual_server(f"filtered-{failure.lower()}",
                               filters={"blockLists": lists, "timeout": "0.5s", "onLookupFailure": failure})

    def test_a_listed_client_is_refused_at_rcpt_with_the_zone(self):
        self.dns.a(zones.listed("127.2.0.1", "bl.example"), "127.0.0.2")
        self.dns.a(zones.listed("127.2.0.2", "picky.example"), "127.0.0.4")
        self.assertEqual(self.recipient("filtered", "127.2.0.1"), "550 5.7.1 127.2.0.1 is listed by bl.example")
        self.assertEqual(self.recipient("filtered", "127.2.0.2"), "550 5.7.1 127.2.0.2 is listed by picky.example")
        self.assertEqual(self.upstream.commands(), [])

    def test_who_is_not_listed_passes(self):
        self.assertEqual(self.recipient("filtered", "127.2.1.1"), "250 2.1.5 Recipient OK")
        self.dns.a(zones.listed("127.2.1.2", "picky.example"), "127.0.0.3")  # not one of the answers that count
        self.dns.a(zones.listed("127.2.1.3", "bl.example"), "198.51.100.1")  # not an answer of a block list
        for source in ("127.2.1.2", "127.2.1.3"):
            self.assertEqual(self.recipient("filtered", source), "250 2.1.5 Recipient OK")

    def test_who_has_authenticated_is_not_asked_about(self):
        self.dns.a(zones.listed("127.2.2.1", "bl.example"), "127.0.0.2")
        client = self.client("filtered", "127.2.2.1")
        client.hello()
        self.assertTrue(client.auth_plain("alice@in.example", "correct horse").startswith("235"))
        client.command("MAIL FROM:<alice@in.example>")
        self.assertEqual(client.command("RCPT TO:<b@in.example>"), "250 2.1.5 Recipient OK")
        self.assertEqual(self.dns.asked(zones.listed("127.2.2.1", "bl.example")), [])

    def test_a_list_that_fails_is_answered_as_the_virtual_server_says(self):
        for number, failure in enumerate(("servfail", "silence")):
            source = f"127.2.3.{number + 1}"
            self.dns.fail[zones.listed(source, "bl.example")] = failure
            self.assertEqual(self.recipient("filtered", source), "250 2.1.5 Recipient OK")
            reply = self.recipient("filtered-tempfail", source)
            self.assertTrue(reply.startswith("451 "), reply)
            reply = self.recipient("filtered-deny", source)
            self.assertTrue(reply.startswith("550 5.7.1 "), reply)
        # A list that says that it does not answer us.
        self.dns.a(zones.listed("127.2.3.9", "bl.example"), "127.255.255.254")
        self.assertEqual(self.recipient("filtered", "127.2.3.9"), "250 2.1.5 Recipient OK")
        self.assertTrue(self.recipient("filtered-tempfail", "127.2.3.9").startswith("451 "))
        # Listed by another one: listed.
        self.dns.fail[zones.listed("127.2.3.10", "bl.example")] = "servfail"
        self.dns.a(zones.listed("127.2.3.10", "picky.example"), "127.0.0.4")
        self.assertEqual(self.recipient("filtered-tempfail", "127.2.3.10"), "550 5.7.1 127.2.3.10 is listed by picky.example")


V2_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def v2(command=0x21, family=0x11, block=None, length=None):
    block = socket.inet_aton("192.0.2.9") + socket.inet_aton("198.51.100.2") + struct.pack(">HH", 4660, 25) if block is None else block
    return V2_SIGNATURE + bytes([command, family]) + struct.pack(">H", len(block) if length is None else length) + block


class Proxy(Identity):
    """The PROXY protocol on listeners: I2, I3."""

    V1 = b"PROXY TCP4 192.0.2.9 198.51.100.2 4660 25\r\n"

    @classmethod
    def configure(cls):
        cls.virtual_server("plain")
        trusted = {"required": True, "trustedSubnets": ["127.0.0.1/32"]}
        control = {"mode": "ALL_EXCEPT", "entries": [{"address": "192.0.2.66"}]}
        cls.proxied("proxied", ("NONE",), trusted, connectionControl=control)
        cls.proxied("limited", ("NONE",), trusted, connectionLimits={"maxPerSource": 2})
        cls.proxied("proxied-tls", ("IMPLICIT", "STARTTLS"), trusted)

    @classmethod
    def proxied(cls, identifier, listeners, proxy, **options):
        if listeners != ("NONE",):
            cls.cluster.certificate(identifier, "mail.example.com")
        document = cls.cluster.document(identifier, cls.upstream.address, listeners, anonymous=True, local_domains=["in.example"],
                                        **options)
        for listener in document["listeners"]:
            listener["proxyProtocol"] = proxy
        cls.cluster.apply(document)

    def introduced(self, header, virtual_server="proxied", mode="NONE"):
        client = Client(self.edge.port(virtual_server, mode), banner=False)
        self.addCleanup(lambda: client.sock.close())
        client.send(header)
        return client

    def outcome(self, name, virtual_server="proxied"):
        return self.edge.metrics()[f'gatepost_edge_proxy_headers_total{{outcome="{name}",virtual_server="{virtual_server}"}}']

    def closed_without_a_banner(self, header, seconds=3, **options):
        client = self.introduced(header, **options)
        self.assertIs(client.at_end(seconds), True, header)

    def test_the_client_is_the_headers(self):
        for header, address in ((self.V1, "192.0.2.9"), (v2(), "192.0.2.9"),
                                (b"PROXY TCP6 2001:db8::9 2001:db8::2 4660 25\r\n", "2001:db8::9"),
                                (b"PROXY TCP6 ::ffff:192.0.2.9 ::ffff:198.51.100.2 1 25\r\n", "192.0.2.9"),
                                (b"PROXY UNKNOWN\r\n", "127.0.0.1"), (v2(0x20, 0, b""), "127.0.0.1"),
                                (v2(0x20, 0x11), "127.0.0.1"), (v2(0x21, 0, b""), "127.0.0.1")):
            with self.subTest(header=header):
                client = self.introduced(header)
                self.assertEqual(client.reply(), GREETING)
                self.assertIn(f"[{address}]", client.hello().split("\n")[0])
                client.command("QUIT")

    def test_policy_limits_received_and_log_are_about_the_headers_client(self):
        client = self.introduced(b"PROXY TCP4 192.0.2.66 198.51.100.2 4660 25\r\n")
        self.assertEqual(client.reply(), REFUSED.format("192.0.2.66"))
        held = [self.introduced(b"PROXY TCP4 192.0.2.67 198.51.100.2 1 25\r\n", "limited") for _ in range(2)]
        self.assertEqual([client.reply() for client in held], [GREETING] * 2)
        self.assertEqual(self.introduced(b"PROXY TCP4 192.0.2.67 198.51.100.2 3 25\r\n", "limited").reply(),
                         "421 mail.example.com Too many connections")
        self.assertEqual(self.introduced(b"PROXY TCP4 192.0.2.68 198.51.100.2 4 25\r\n", "limited").reply(), GREETING)
        client = held[0]
        client.hello()
        client.send(b"MAIL FROM:<a@in.example>\r\nRCPT TO:<b@in.example>\r\nDATA\r\n")
        self.assertEqual([client.reply()[:3] for _ in range(3)], ["250", "250", "354"])
        client.send(b"Subject: x\r\n\r\nhello\r\n.\r\n")
        self.assertTrue(client.reply().startswith("250 2.0.0 Accepted "))
        self.assertIn(b"[192.0.2.67]", self.upstream.messages[0].body.split(b"\r\n\t")[0] + self.upstream.messages[0].body[:200])
        client.command("QUIT")
        self.edge.event(lambda e: e.get("event") == "session_end" and "192.0.2.67" in str(e))

    def test_what_follows_the_header_is_the_sessions(self):
        # Not lost, and so it is what is said before the greeting always is.
        client = self.introduced(self.V1 + b"EHLO early.example\r\n")
        self.assertEqual(client.reply(), "554 mail.example.com Protocol error")

    def test_the_header_may_come_octet_by_octet(self):
        for header in (self.V1, v2()):
            client = self.introduced(b"")
            for i in range(len(header)):
                client.send(header[i:i + 1])
            self.assertEqual(client.reply(), GREETING)

    def test_the_header_comes_before_the_handshake(self):
        client = self.introduced(v2(), "proxied-tls", "IMPLICIT")
        client.sock = insecure_context().wrap_socket(client.sock, server_hostname="mail.example.com")
        self.assertEqual(client.reply(), GREETING)
        self.assertIn("[192.0.2.9]", client.hello())
        client = self.introduced(self.V1, "proxied-tls", "STARTTLS")
        self.assertEqual(client.reply(), GREETING)
        client.hello()
        client.starttls()
        self.assertIn("[192.0.2.9]", client.hello())
        # A ClientHello is no header.
        with self.assertRaises((ssl.SSLError, OSError)):
            Client(self.edge.port("proxied-tls", "IMPLICIT"), implicit_tls=True)

    def test_i3_what_is_no_header_is_closed_without_a_banner(self):
        before = self.outcome("malformed")
        bad = [b"EHLO client.example\r\n", b"GET / HTTP/1.1\r\n\r\n", b"PROXY TCP4 192.0.2.256 198.51.100.2 4660 25\r\n",
               b"PROXY TCP4 2001:db8::1 198.51.100.2 4660 25\r\n", b"PROXY TCP4 192.0.2.9 198.51.100.2 4660 25\n", b"PROXY " + b"x" * 102,
               b"PROXY UNKNOWN " + b"f" * 92 + b"\r\n", v2(length=65535), v2(0x21, 0x31, b"a" * 216), v2(0x21, 0x12), v2(0x22), v2(block=b"12345"),
               v2(block=v2()[16:] + b"\x03\0\x04abcd"), v2(block=v2()[16:] + b"\x04\0\xff"), V2_SIGNATURE[:-1] + b"\r"]
        for header in bad:
            with self.subTest(header=header):
                self.closed_without_a_banner(header)
        self.assertEqual(self.outcome("malformed") - before, len(bad))

    def test_i3_the_longest_header_and_not_an_octet_more(self):
        padded = lambda size: v2(block=v2()[16:] + b"\x04" + struct.pack(">H", size - 31) + b"\0" * (size - 31))  # noqa: E731
        self.assertEqual(len(padded(536)), 536)
        self.assertEqual(self.introduced(padded(536)).reply(), GREETING)
        self.closed_without_a_banner(padded(537))

    def test_i3_only_who_is_trusted_is_believed_and_nobody_else_is_served(self):
        before = self.outcome("untrusted")
        client = Client(self.edge.port("proxied"), source="127.0.0.2", banner=False)
        self.addCleanup(lambda: client.sock.close())
        self.assertIs(client.at_end(3), True)
        self.assertEqual(self.outcome("untrusted") - before, 1)

    def test_i3_the_header_has_five_seconds(self):
        silent = self.introduced(b"")
        start = time.monotonic()
        slow = self.introduced(b"PROXY TCP4 ")
        half_open = self.introduced(self.V1[:10])
        half_open.sock.shutdown(socket.SHUT_WR)
        self.assertIs(half_open.at_end(3), True)
        self.assertLess(time.monotonic() - start, 3)
        for octet in b"192":
            time.sleep(1)  # 1 octet a second: what is tested is the clock
            slow.send(bytes([octet]))
        self.assertIs(silent.at_end(4), True)
        self.assertIs(slow.at_end(4), True)
        took = time.monotonic() - start
        self.assertGreater(took, 4.5)
        self.assertLess(took, 7)
        self.assertGreaterEqual(self.outcome("timed_out"), 2)

    def test_i3_a_reset_before_the_header_is_no_session(self):
        for header in (b"", self.V1[:20]):
            client = self.introduced(header)
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.sock.close()
        wait_for(lambda: self.outcome("closed") >= 2, 10, "two connections that were reset")
        self.assertEqual(self.introduced(self.V1).reply(), GREETING)

    def test_i2_a_listener_without_proxy_does_not_look_into_a_header(self):
        client = self.client("plain")
        client.send(b"PROXY TCP4 192.0.2.9 198.51.100.2 4660 25\r\nEHLO x\r\n")
        self.assertEqual(client.reply(), "554 5.5.0 Protocol error")
        self.assertIs(client.at_end(), True)
        client = self.client("plain")
        client.send(v2())
        replies = client.at_end()
        self.assertTrue(replies.endswith(b"500 5.5.2 Syntax error\r\n"), replies)
        self.assertTrue(all(reply.startswith(b"500 ") for reply in replies.splitlines()), replies)

    def test_a_listener_gets_and_loses_the_protocol_live(self):
        self.proxied("live", ("NONE",), {"required": True, "trustedSubnets": ["127.0.0.1"]})
        self.cluster.wait_listening(self.edge)
        client = self.introduced(self.V1, "live")
        self.assertEqual(client.reply(), GREETING)
        self.proxied("live", ("NONE",), {})
        self.assertEqual(self.client("live").banner, GREETING)
        self.assertIn("[192.0.2.9]", client.hello())


class ProxyUpstream(Identity):
    """A PROXY header towards the next hop: U6."""

    @classmethod
    def configure(cls):
        cls.behind = Recorder(proxy=True)
        told = {"delivery": {"defaultRoute": {"clientIdentity": "PROXY_V2",
                                              "nextHops": [{"host": "127.0.0.1", "port": cls.behind.port}]}}}
        cls.virtual_server("telling", cls.behind.address, **told)
        document = cls.cluster.document("chained", cls.behind.address, anonymous=True, local_domains=["in.example"], **told)
        document["listeners"][0]["proxyProtocol"] = {"required": True, "trustedSubnets": ["127.0.0.1"]}
        cls.cluster.apply(document)

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        cls.behind.close()

    def told(self):
        """The header of the connection that carried the last message."""
        return self.behind.connections[self.behind.messages[-1].connection].proxy_header

    def test_u6_the_next_hop_is_told_the_client_and_probes_speak_for_themselves(self):
        self.deliver("telling", "127.3.0.1")
        header = self.told()
        self.assertEqual(header[:20], V2_SIGNATURE + b"\x21\x11\0\x0c" + socket.inet_aton("127.3.0.1"))
        self.assertEqual(header[20:24], socket.inet_aton("127.0.0.1"))
        self.assertEqual(struct.unpack(">H", header[26:28])[0], self.edge.port("telling"))
        self.behind.wait(lambda behind: v2(0x20, 0, b"") in [connection.proxy_header for connection in behind.connections],
                         what="a probe's header")

    def test_u6_a_client_behind_a_proxy_is_told_as_the_proxy_said(self):
        client = Client(self.edge.port("chained"), banner=False)
        self.addCleanup(lambda: client.sock.close())
        block = socket.inet_pton(socket.AF_INET6, "2001:db8::9") + socket.inet_pton(socket.AF_INET6, "2001:db8::2")
        header = v2(0x21, 0x21, block + struct.pack(">HH", 4660, 25))
        client.send(header)
        self.assertEqual(client.reply(), GREETING)
        client.hello()
        client.send(b"MAIL FROM:<a@in.example>\r\nRCPT TO:<b@in.example>\r\nDATA\r\n")
        self.assertEqual([client.reply()[:3] for _ in range(3)], ["250", "250", "354"])
        client.send(b"Subject: x\r\n\r\nhello\r\n.\r\n")
        self.assertTrue(client.reply().startswith("250 2.0.0 Accepted "))
        self.assertEqual(self.told(), header)


class NextHops(Identity):
    """delivery.dns_servers: R5."""

    @classmethod
    def configure(cls):
        port = cls.upstream.port
        cls.virtual_server("by-name", f"hop.example:{port}", delivery={
            "dnsServers": [cls.dns.address], "timeouts": {"connect": "1s"},
            "defaultRoute": {"nextHops": [{"host": "hop.example", "port": port}]}})

    def test_r5_a_next_hop_is_found_through_the_servers_of_the_virtual_server(self):
        client = self.client("by-name")
        client.hello()
        client.command("MAIL FROM:<a@in.example>")
        self.assertTrue(client.command("RCPT TO:<b@in.example>").startswith("451 4.4.1"))  # it does not exist yet
        self.dns.a("hop.example", "127.0.0.1")
        # That it does not exist is known for five seconds.
        wait_for(lambda: self.recipient("by-name", "127.0.0.1").startswith("250"), 15, "the name of the next hop", every=0.5)
        self.deliver("by-name")
        self.assertEqual(len(self.upstream.messages), 1)
        # DNS dies: what is known stays in use, whatever its age.
        self.dns.everything = "silence"
        self.deliver("by-name")


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]] + sys.argv[1:], verbosity=1)
