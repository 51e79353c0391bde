#!/usr/bin/python3
"""Attacks and bad input against a real edge over sockets: the rows of threats.md that concern the wire.

Every test asks the byte-recording upstream what arrived: messages, envelope, exact octets. Rows: S1-S8, T1-T7, P1-P7, B1-B8, A1-A5,
A14, E1, E3-E5, E7, E8, T6, U1-U4. Each class is one test target (argument 1), so that the table shows sections apart.
"""
import base64
import signal
import socket
import ssl
import struct
import subprocess
import sys
import unittest

from harness.client import Client
from harness.cluster import Cluster
from harness.postfix import Postfix, skip_unless_available
from harness.processes import wait_for
from harness.recorder import Recorder

ENVELOPE = b"EHLO c.example\r\nMAIL FROM:<a@in.example>\r\nRCPT TO:<b@in.example>\r\n"
SMUGGLED = b"MAIL FROM:<evil@v>\r\nRCPT TO:<b@in.example>\r\nDATA\r\nFrom: ceo\r\n\r\ny\r\n.\r\n"
# threats.md S1: everything that some server, somewhere, takes for the end of a message.
FALSE_ENDS = [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r.\n", b"\n.\r", b"\r.\r\n", b"\r\n.\r", b"\r\n\0.\r\n", b"\r\n.\0\r\n",
              b"\r\n.\r\r\n", b"\r\r\n.\r\r\n"]


class Wire(unittest.TestCase):
    """One edge, one upstream for all tests of a class. `inbound` takes anonymous mail for in.example and does not relay;
    `submission` wants TLS and a password, and relays for who has one."""

    THREADS = 2

    @classmethod
    def setUpClass(cls):
        cls.upstream = Recorder()
        cls.cluster = Cluster()
        cls.cluster.start()
        cls.cluster.create_user("alice", "alice@in.example", "correct horse")
        cls.cluster.virtual_server("inbound", cls.upstream.address, anonymous=True, local_domains=["in.example"])
        cls.cluster.virtual_server("submission", cls.upstream.address, listeners=("STARTTLS", "IMPLICIT"), secure_channel=True,
                                   local_domains=["in.example"])
        cls.edge = cls.cluster.edge("edge1", threads=cls.THREADS)
        cls.port = cls.edge.port("inbound")
        cls.secure = cls.edge.port("submission", "STARTTLS")
        cls.implicit = cls.edge.port("submission", "IMPLICIT")

    @classmethod
    def tearDownClass(cls):
        cls.cluster.stop()
        cls.upstream.close()

    def setUp(self):
        self.upstream.answers = {}
        self.upstream.hook = None
        self.upstream.forget()

    def client(self, **options):
        client = Client(self.port, **options)
        self.addCleanup(client.sock.close)
        return client

    def secure_client(self):
        client = Client(self.secure)
        self.addCleanup(client.sock.close)
        client.hello()
        client.starttls()
        client.hello()
        return client

    def in_transaction(self):
        client = self.client()
        client.hello()
        self.assertEqual(client.command("MAIL FROM:<a@in.example>"), "250 2.1.0 Sender OK")
        self.assertEqual(client.command("RCPT TO:<b@in.example>"), "250 2.1.5 Recipient OK")
        return client

    def in_data(self):
        client = self.in_transaction()
        self.assertEqual(client.command("DATA"), "354 End data with <CR><LF>.<CR><LF>")
        return client

    def deliver(self, body):
        """Sends a body (with its dot-stuffing and final dot) by DATA; the final reply."""
        client = self.in_data()
        client.send(body)
        return client.reply()

    def body_of(self, message):
        """A message at the upstream without our one Received field."""
        head, separator, rest = message.body.partition(b"\r\n")
        self.assertTrue(head.startswith(b"Received: "), message.body[:80])
        while rest[:1] in (b" ", b"\t"):
            head, separator, rest = rest.partition(b"\r\n")
        self.assertTrue(separator)
        return rest

    def nothing_upstream(self):
        """No message was committed and no transaction's connection ended with a dot."""
        self.assertEqual(self.upstream.messages, [])
        self.assertNotIn(b"\r\n.\r\n", self.upstream.received())
        for connection in self.upstream.connections:
            self.assertFalse(any(b"evil@v" in command for command in connection.commands), connection.commands)

    def still_serves(self):
        self.assertTrue(self.deliver(b"Subject: x\r\n\r\nstill here\r\n.\r\n").startswith("250 2.0.0 Accepted "))


class Framing(Wire):
    """S1-S8."""

    def smuggle(self, false_end, pieces):
        client = self.in_data()
        for piece in pieces(b"x" + false_end + SMUGGLED):
            client.send(piece)
        reply = client.reply()
        self.assertTrue(reply.startswith("550 5.6.0 "), (false_end, reply))
        # One reply, no more: the next one answers the next command.
        self.assertEqual(client.command("NOOP"), "250 2.0.0 OK", false_end)
        client.command("QUIT")
        client.sock.close()

    def test_s1_a_false_end_never_ends_a_message(self):
        for false_end in FALSE_ENDS:
            with self.subTest(false_end=false_end):
                self.smuggle(false_end, lambda octets: [octets])
        self.nothing_upstream()
        self.still_serves()

    def test_s2_one_octet_a_segment(self):
        for false_end in FALSE_ENDS:
            with self.subTest(false_end=false_end):
                self.smuggle(false_end, lambda octets: [octets[i:i + 1] for i in range(len(octets))])
        self.nothing_upstream()

    def test_s2_one_octet_a_tls_record(self):
        for false_end in FALSE_ENDS[:4]:
            client = self.secure_client()
            self.assertTrue(client.auth_plain("alice@in.example", "correct horse").startswith("235"))
            for command in ("MAIL FROM:<alice@in.example>", "RCPT TO:<b@in.example>"):
                self.assertTrue(client.command(command).startswith("250"))
            self.assertTrue(client.command("DATA").startswith("354"))
            octets = b"x" + false_end + SMUGGLED
            for i in range(len(octets)):
                client.send(octets[i:i + 1])
            self.assertTrue(client.reply().startswith("550 5.6.0 "))
        self.nothing_upstream()

    def test_s2_at_every_offset_of_likely_buffers(self):
        offsets = [size + shift for size in (4096, 8192, 16384, 32768) for shift in range(-4, 4)]
        for offset in offsets:
            line = b"z" * 70 + b"\r\n"
            filler = (line * (offset // len(line) + 1))[:offset - 2]
            filler = filler.rstrip(b"\r\n") if filler.endswith((b"\r", b"\n")) else filler
            for false_end in (b"\n.\r\n", b"\r\n.\n"):
                self.smuggle(false_end, lambda octets: [filler + octets])
        self.nothing_upstream()

    def test_s3_dots_arrive_as_sent(self):
        bodies = [b"..\r\n", b"a\r\n..\r\nb\r\n", b"..a\r\n", b"...\r\n", b"..\t\r\n", b"a.b\r\n.\x2e\r\n", b".a\r\n. \r\n.\t\r\n" * 30_000]
        for size in (4095, 4096, 4097, 16383, 16384, 16385, 65535, 65536, 65537):
            bodies.append(b"q" * (size - 2) + b"\r\n" + b"..edge\r\n")
            bodies.append(b"q" * (size - 3) + b".x\r\n")
        for stuffed in bodies:
            before = len(self.upstream.messages)
            reply = self.deliver(b"Subject: dots\r\n\r\n" + stuffed + b".\r\n")
            self.assertTrue(reply.startswith("250 2.0.0 Accepted "), reply)
            self.assertEqual(len(self.upstream.messages), before + 1)
            lines = stuffed.split(b"\r\n")
            plain = b"\r\n".join(line[1:] if line.startswith(b".") else line for line in lines)
            self.assertEqual(self.body_of(self.upstream.messages[-1]), b"Subject: dots\r\n\r\n" + plain)

    def test_s3_an_empty_message_by_an_immediate_dot(self):
        self.assertTrue(self.deliver(b".\r\n").startswith("250 "))
        self.assertEqual(self.body_of(self.upstream.messages[0]), b"")

    def test_s4_first_lines(self):
        self.assertTrue(self.deliver(b" folded: x\r\nSubject: y\r\n\r\nz\r\n.\r\n").startswith("550 5.6.0 "))
        self.assertTrue(self.deliver(b"\tfolded: x\r\n\r\nz\r\n.\r\n").startswith("550 5.6.0 "))
        self.nothing_upstream()
        for body in (b"no colon here\r\nx\r\n", b"\r\nno header at all\r\n", b": empty name\r\n\r\n"):
            self.assertTrue(self.deliver(body + b".\r\n").startswith("250 "), body)
            self.assertEqual(self.body_of(self.upstream.messages[-1]), body)

    def test_s5_bare_line_feeds_end_no_command(self):
        for octets in (b"EHLO x\n", b"NOOP\n", b"NOOP\r", b"EHLO x\n\r\n", b"NOOP\rNOOP\r\n"):
            client = self.client()
            client.send(octets)
            if octets.endswith(b"\r"):
                client.send(b"X")
            self.assertEqual(client.reply(), "500 5.5.2 Syntax error", octets)
            self.assertIs(client.at_end(), True, octets)

    def test_s6_control_octets_in_commands(self):
        for line in (b"MAIL FROM:<a\0b@in.example>", b"EHLO conf\x07erence", b"EHLO a\x7fb", b"NOOP \x01"):
            client = self.client()
            if not line.startswith(b"EHLO"):
                client.hello()
            client.send(line + b"\r\n")
            self.assertRegex(client.reply(), r"^50[01] 5\.5\.[24] ", line)
        self.assertEqual(self.upstream.commands(), [])

    def test_s7_vanishing_in_data_commits_nothing(self):
        def reset(client):
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.sock.close()

        def half_close(client):
            client.sock.shutdown(socket.SHUT_WR)

        for tail in (b"mid-lin", b"line\r\n", b"line\r\n.", b"line\r\n.\r"):
            for leave in (reset, half_close):
                client = self.in_data()
                client.send(b"Subject: x\r\n\r\n" + tail)
                connections = len(self.upstream.connections)
                leave(client)
                self.upstream.wait(lambda u, n=connections: all(c.closed.is_set() for c in u.connections[:n]), what="upstream's close")
        self.nothing_upstream()

    def test_s7_tls_truncation_is_no_end(self):
        for clean in (True, False):
            client = self.secure_client()
            client.auth_plain("alice@in.example", "correct horse")
            client.command("MAIL FROM:<alice@in.example>")
            client.command("RCPT TO:<b@in.example>")
            client.command("DATA")
            client.send(b"Subject: x\r\n\r\nhalf")
            connections = len(self.upstream.connections)
            if clean:
                try:
                    client.sock.unwrap()
                except (OSError, ValueError):
                    pass
            client.sock.close()
            self.upstream.wait(lambda u, n=connections: all(c.closed.is_set() for c in u.connections[:n]), what="upstream's close")
        self.nothing_upstream()

    def test_s8_a_second_transaction_behind_the_dot(self):
        client = self.in_data()
        client.send(b"Subject: 1\r\n\r\none\r\n.\r\nMAIL FROM:<c@in.example>\r\nRCPT TO:<x@elsewhere.example>\r\nRCPT TO:<d@in.example>\r\n"
                    b"DATA\r\n")
        replies = [client.reply() for _ in range(5)]
        self.assertTrue(replies[0].startswith("250 2.0.0 Accepted "), replies)
        self.assertEqual(replies[1:4], ["250 2.1.0 Sender OK", "550 5.7.1 Unable to relay for x@elsewhere.example",
                                        "250 2.1.5 Recipient OK"])
        self.assertTrue(replies[4].startswith("354 "))
        client.send(b"Subject: 2\r\n\r\ntwo\r\n.\r\n")
        self.assertTrue(client.reply().startswith("250 "))
        self.assertEqual([len(m.recipients) for m in self.upstream.messages], [1, 1])
        self.assertEqual(self.upstream.messages[1].recipients, [b"RCPT TO:<d@in.example>"])


class VulnerablePostfix(Wire):
    """S1, S3, E3 in front of a Postfix with Debian 12's defaults, which forgives bare newlines and rewrites % and !."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.postfix = Postfix(cls.cluster.folder / "postfix", domains=("in.example",), users=("b", "postmaster"))
        cls.postfix.start()
        cls.cluster.virtual_server("inbound", cls.postfix.address, anonymous=True, local_domains=["in.example"])

    @classmethod
    def tearDownClass(cls):
        cls.postfix.stop()
        super().tearDownClass()

    def test_s1_nothing_is_smuggled(self):
        for false_end in FALSE_ENDS:
            client = self.in_data()
            client.send(b"x" + false_end + SMUGGLED)
            self.assertTrue(client.reply().startswith("550 5.6.0 "), false_end)
            client.sock.close()
        # A last, honest message: when it has arrived, anything smuggled before it would have too.
        self.assertTrue(self.deliver(b"Subject: honest\r\n\r\n..dot\r\n.lone\r\n.\r\n").startswith("250 2.0.0 Accepted "))
        stored = self.postfix.wait_messages("b", 1)
        wait_for(self.postfix.queue_empty, 30, "Postfix's empty queue")
        self.assertEqual(len(self.postfix.messages("b")), 1)
        self.assertEqual(self.postfix.messages("elsewhere"), [])
        self.assertTrue(stored[0][0].endswith(b"Subject: honest\n\n.dot\nlone\n"), stored[0][0])

    def test_u1_messages_over_connections_that_others_have_used(self):
        before = len(self.postfix.messages("b"))
        reused = 'gatepost_edge_upstream_reused_total{outcome="taken_over",virtual_server="inbound"}'
        sent = []
        for number in range(40):
            body = f"Subject: {number}\r\n\r\nmessage {number}\r\n"
            self.assertTrue(self.deliver(body.encode() + b".\r\n").startswith("250 2.0.0 Accepted "))
            sent.append(body.replace("\r\n", "\n").encode())
            failing = self.in_data()
            failing.send(b"Subject: never\r\n\r\nhalf a mess")
            failing.sock.close()
            if number >= 5 and self.edge.metrics().get(reused, 0) > 0:
                break
        self.assertGreater(self.edge.metrics().get(reused, 0), 0)
        stored = [raw for raw, _ in self.postfix.wait_messages("b", before + len(sent))]
        wait_for(self.postfix.queue_empty, 30, "Postfix's empty queue")
        self.assertEqual(len(self.postfix.messages("b")), before + len(sent))
        for body in sent:
            self.assertEqual(len([raw for raw in stored if raw.endswith(body)]), 1, body)

    def test_e3_no_route_is_relayed(self):
        client = self.client()
        client.hello()
        for recipient in ("<victim%ext.example@in.example>", "<ext.example!victim@in.example>", '<"victim@ext.example"@in.example>',
                          "<@in.example,@x.example:victim@ext.example>", "<victim@ext.example@in.example>", '<"victim%ext"@in.example>'):
            client.command("RSET")
            client.command("MAIL FROM:<a@in.example>")
            self.assertRegex(client.command("RCPT TO:" + recipient), r"^(550 5\.7\.1 Unable to relay for |501 5\.1\.3 )", recipient)
        self.assertEqual(self.postfix.messages("elsewhere"), [])


class StartTls(Wire):
    """T1-T5, T7."""

    def test_t1_injected_behind_starttls(self):
        client = Client(self.secure)
        client.hello()
        client.send(b"STARTTLS\r\nEHLO inj\r\n")
        rest = client.at_end()
        self.assertNotIn(b"250", rest if isinstance(rest, bytes) else b"")
        self.assertNotIn(b"220", rest if isinstance(rest, bytes) else b"")

    def test_t2_client_hello_in_the_same_segment(self):
        client = Client(self.secure)
        client.hello()
        client.send(b"STARTTLS\r\n\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00")
        rest = client.at_end()
        self.assertNotIn(b"220", rest if isinstance(rest, bytes) else b"")

    def test_t3_arguments_and_order(self):
        client = Client(self.secure)
        self.addCleanup(client.sock.close)
        self.assertTrue(client.command("STARTTLS").startswith("503 5.5.1 "))
        client.hello()
        self.assertTrue(client.command("STARTTLS x").startswith("501 5.5.4 "))
        client.starttls()
        self.assertNotIn("STARTTLS", client.hello())
        self.assertTrue(client.command("STARTTLS").startswith("503 5.5.1 "))

    def test_t4_all_is_forgotten(self):
        client = Client(self.secure)
        self.addCleanup(client.sock.close)
        client.hello()
        client.starttls()
        for command in ("MAIL FROM:<a@in.example>", "AUTH PLAIN AGEAYg=="):
            self.assertTrue(client.command(command).startswith("503 5.5.1 "), command)

    def test_t5_garbage_is_no_client_hello(self):
        for garbage in (b"GET / HTTP/1.1\r\n\r\n", b"EHLO again\r\n", b"\0" * 64):
            client = Client(self.secure)
            client.hello()
            self.assertTrue(client.command("STARTTLS").startswith("220"))
            client.send(garbage)
            rest = client.at_end()
            if isinstance(rest, bytes):  # an alert record at the most
                self.assertEqual(rest[:1], b"\x15", rest)
            self.assertNotIn(b"250", rest if isinstance(rest, bytes) else b"")

    def test_t7_auth_in_clear(self):
        client = Client(self.secure)
        self.addCleanup(client.sock.close)
        self.assertNotIn("AUTH", client.hello())
        before = len(self.cluster.auth.events)
        token = base64.b64encode(b"\0alice@in.example\0correct horse").decode()
        self.assertEqual(client.command("AUTH PLAIN " + token), "530 5.7.0 Must issue a STARTTLS command first")
        self.assertEqual(client.command("MAIL FROM:<a@in.example>"), "530 5.7.0 Must issue a STARTTLS command first")
        for log in (self.cluster.auth.log, self.edge.log):
            text = log.read_bytes()
            self.assertNotIn(token.encode(), text)
            self.assertNotIn(b"correct horse", text)
        self.assertFalse([e for e in self.cluster.auth.events[before:] if "alice" in str(e)])


class Commands(Wire):
    """P1-P7."""

    def test_p1_early_talkers(self):
        client = Client(self.port, banner=False)
        client.send(b"EHLO x\r\n")
        first = client.reply()
        # The edge greets at once: whether the octets came before the greeting is the kernel's choice. Both are safe.
        self.assertRegex(first, r"^(554 \S+ Protocol error|220 )")

    def test_p2_group_ends(self):
        for octets in (b"EHLO x\r\nMAIL FROM:<a@in.example>\r\n",):
            client = self.client()
            client.send(octets)
            self.assertIn("554 5.5.0 Protocol error", [client.reply()])
            self.assertIs(client.at_end(), True)
        client = self.in_transaction()
        client.send(b"DATA\r\nSubject: early\r\n\r\nx\r\n.\r\n")
        self.assertEqual(client.reply(), "554 5.5.0 Protocol error")
        self.assertIs(client.at_end(), True)
        client = self.secure_client()
        client.send(b"AUTH LOGIN\r\ndXNlcg==\r\ncGFzcw==\r\n")
        self.assertEqual(client.reply(), "554 5.5.0 Protocol error")
        client = self.client()
        client.send(b"QUIT\r\nNOOP\r\n")
        self.assertTrue(client.reply().startswith("221 2.0.0 "))
        self.assertIs(client.at_end(), True)
        self.nothing_upstream()

    def test_p3_line_lengths(self):
        client = self.client()
        client.hello()
        for length, good in ((511, True), (512, True), (513, True), (2048, True), (2049, False)):
            line = b"NOOP " + b"x" * (length - 7) + b"\r\n"
            self.assertEqual(len(line), length)
            client.send(line)
            self.assertEqual(client.reply(), "250 2.0.0 OK" if good else "500 5.5.2 Line too long", length)
        self.assertEqual(client.command("NOOP"), "250 2.0.0 OK")
        client.send(b"x" * 65536)
        self.assertRegex(client.reply(), r"^421 4\.7\.0 ")
        self.assertIs(client.at_end(), True)

    def test_p4_lengths_of_parts(self):
        client = self.client()
        client.hello()
        label = "d" * 63
        domain = ".".join([label] * 3 + ["e" * 60])  # 252
        self.assertEqual(client.command(f"MAIL FROM:<{'l' * 64}@in.example>"), "250 2.1.0 Sender OK")
        client.command("RSET")
        self.assertTrue(client.command(f"MAIL FROM:<{'l' * 65}@in.example>").startswith("501 5.1.7 "))
        self.assertEqual(client.command(f"MAIL FROM:<a@{domain}>"), "250 2.1.0 Sender OK")
        self.assertTrue(client.command(f"RCPT TO:<{'l' * 64}@in.example>").startswith("250"))
        self.assertTrue(client.command(f"RCPT TO:<{'l' * 65}@in.example>").startswith("501 5.1.3 "))
        self.assertTrue(client.command(f"RCPT TO:<a@{domain}>").startswith("550 5.7.1 Unable to relay"))
        self.assertTrue(client.command(f"RCPT TO:<a@{domain}f>").startswith("501 5.1.3 "))
        self.assertTrue(client.command("RSET").startswith("250"))
        hello = ".".join([label] * 3 + ["e" * 63])  # 255
        self.assertTrue(client.command(f"EHLO {hello}").startswith("250-"))
        self.assertTrue(client.command(f"EHLO {hello}f").startswith("501 5.5.4 "))

    def test_p4_long_text_lines_pass_byte_exact(self):
        for length in (998, 999, 1 << 20):
            body = b"Subject: long\r\n\r\n" + b"w" * length + b"\r\n"
            self.assertTrue(self.deliver(body + b".\r\n").startswith("250 "))
            self.assertEqual(self.body_of(self.upstream.messages[-1]), body)

    def test_p5_noise(self):
        client = self.client()
        for _ in range(20):
            self.assertEqual(client.command("BOGUS"), "500 5.5.1 Command not recognized")
        self.assertRegex(client.command("BOGUS"), r"^421 4\.7\.0 ")
        self.assertIs(client.at_end(), True)
        client = self.client()
        client.hello()
        replies = [client.command("NOOP") for _ in range(99)]
        self.assertEqual(set(replies), {"250 2.0.0 OK"})
        # EHLO was the first of the hundred.
        self.assertRegex(client.command("VRFY a"), r"^421 4\.7\.0 ")
        self.assertIs(client.at_end(), True)
        for line in (b"GET / HTTP/1.1\r\n", b"POST /x HTTP/1.0\r\n", b"CONNECT a:25 HTTP/1.1\r\n"):
            client = self.client()
            client.send(line)
            self.assertIs(client.at_end(), True, line)
        client = self.client()
        client.send(b"%s%n" * 500 + b"\r\n")
        self.assertEqual(client.reply(), "500 5.5.1 Command not recognized")

    def test_p6_order(self):
        client = self.client()
        self.assertTrue(client.command("MAIL FROM:<a@in.example>").startswith("503 5.5.1 "))
        client.hello()
        for command in ("RCPT TO:<b@in.example>", "DATA"):
            self.assertTrue(client.command(command).startswith("503 5.5.1 "), command)
        client.command("MAIL FROM:<a@in.example>")
        self.assertTrue(client.command("MAIL FROM:<a@in.example>").startswith("503 5.5.1 "))
        self.assertTrue(client.command("RCPT TO:<x@far.example>").startswith("550 5.7.1 "))
        self.assertTrue(client.command("DATA").startswith("554 5.5.1 "))
        self.assertTrue(client.command("RSET x").startswith("501 5.5.4 "))
        self.assertEqual(client.command("RSET"), "250 2.0.0 OK")
        self.nothing_upstream()

    def test_p7_after_each_failing_step(self):
        failures = {"MAIL": b"550 5.1.8 no\r\n", "RCPT": b"550 5.1.1 no\r\n", "DATA": b"554 5.7.1 no\r\n", "DOT": b"554 5.7.1 no\r\n"}
        for step, answer in failures.items():
            self.upstream.answers = {step: answer}
            client = self.client()
            client.hello()
            client.command("MAIL FROM:<a@in.example>")
            accepted = client.command("RCPT TO:<b@in.example>")
            self.assertEqual(accepted[:3], "550" if step in ("MAIL", "RCPT") else "250", step)
            if accepted.startswith("250"):
                answer = client.command("DATA")
                if step == "DOT":
                    client.send(b"x\r\n.\r\n")
                    answer = client.reply()
                self.assertTrue(answer.startswith("554 5.7.1"), (step, answer))
                self.assertTrue(client.command("RCPT TO:<b@in.example>").startswith("503 5.5.1"), step)
                self.assertTrue(client.command("DATA").startswith("503 5.5.1"), step)
            else:
                self.assertTrue(client.command("DATA").startswith(("554 5.5.1", "503 5.5.1")), step)
            self.upstream.answers = {}
            client.command("RSET")
            self.assertTrue(client.command("MAIL FROM:<a@in.example>").startswith("250"))
        self.assertEqual(self.upstream.messages, [])


class Bdat(Wire):
    """B1-B8."""

    def chunk(self, client, octets, last=False):
        client.send(b"BDAT %d%s\r\n" % (len(octets), b" LAST" if last else b"") + octets)
        return client.reply()

    def test_b1_chunks(self):
        client = self.in_transaction()
        self.assertEqual(self.chunk(client, b"hello"), "250 2.0.0 5 octets received")
        self.assertEqual(client.command("NOOP"), "250 2.0.0 OK")
        self.assertTrue(self.chunk(client, b"", last=True).startswith("250 2.0.0 Accepted "))
        self.assertEqual(self.body_of(self.upstream.messages[0]), b"hello\r\n")
        self.assertTrue(client.command("MAIL FROM:<a@in.example>").startswith("250"))
        self.assertTrue(client.command("RCPT TO:<b@in.example>").startswith("250"))
        self.chunk(client, b"lost\r\n")
        self.assertEqual(client.command("RSET"), "250 2.0.0 OK")
        self.assertTrue(client.command("MAIL FROM:<a@in.example>").startswith("250"))
        self.assertTrue(client.command("RCPT TO:<b@in.example>").startswith("250"))
        client.send(b"BDAT 4\r\none\rBDAT 5 LAST\r\n\ntwo\n")
        first, second = client.reply(), client.reply()
        self.assertEqual(first, "250 2.0.0 4 octets received")
        self.assertTrue(second.startswith("550 5.6.0 "), second)  # the last LF is bare
        self.assertEqual(len(self.upstream.messages), 1)

    def test_b2_order_and_syntax(self):
        client = self.client()
        client.hello()
        client.send(b"BDAT 4\r\nQUIT")
        self.assertTrue(client.reply().startswith("503 5.5.1 "))
        self.assertEqual(client.command("NOOP"), "250 2.0.0 OK")
        client.command("MAIL FROM:<a@in.example>")
        client.command("RCPT TO:<b@in.example>")
        self.assertTrue(self.chunk(client, b"x\r\n").startswith("250 "))
        self.assertTrue(client.command("DATA").startswith("503 5.5.1 "))
        for line in ("BDAT", "BDAT -1", "BDAT 18446744073709551616", "BDAT 0x10"):
            client = self.in_transaction()
            answer = client.command(line)
            self.assertTrue(answer.startswith("501 5.5.4 "), (line, answer))
            self.assertIs(client.at_end(), True, line)
        for line in ("BDAT 5 FIRST", "BDAT 10 LAST x"):
            client = self.in_transaction()
            size = int(line.split()[1])
            client.send(line.encode() + b"\r\n" + b"NOOP\r\nNOOP"[:size])
            self.assertTrue(client.reply().startswith("501 5.5.4 "), line)
            self.assertEqual(client.command("NOOP"), "250 2.0.0 OK", line)
        self.assertEqual(self.upstream.messages, [])

    def test_b3_hostile_octets_in_a_chunk(self):
        body = b"a\r\n.\r\nQUIT\r\n..\r\n"
        client = self.in_transaction()
        self.assertTrue(self.chunk(client, body, last=True).startswith("250 "))
        self.assertEqual(self.body_of(self.upstream.messages[0]), body)
        client = self.in_transaction()
        client.send(b"BDAT 3\r\nab\rBDAT 4 LAST\r\n\ncd\r")
        self.assertEqual(client.reply(), "250 2.0.0 3 octets received")
        self.assertTrue(client.reply().startswith("550 5.6.0 "))
        client = self.in_transaction()
        client.send(b"BDAT 3\r\nab\rBDAT 5 LAST\r\n\ncd\r\n")
        self.assertEqual(client.reply(), "250 2.0.0 3 octets received")
        self.assertTrue(client.reply().startswith("250 2.0.0 Accepted "))
        self.assertEqual(self.body_of(self.upstream.messages[1]), b"ab\r\ncd\r\n")
        for bad in (b"a\nb\r\n", b"a\0b\r\n", b"a\rb\r\n"):
            client = self.in_transaction()
            self.assertTrue(self.chunk(client, bad, last=True).startswith("550 5.6.0 "), bad)
        self.assertEqual(len(self.upstream.messages), 2)

    def test_b4_more_than_allowed(self):
        client = self.in_transaction()
        client.send(b"BDAT 4294967295\r\n")
        self.assertTrue(client.reply().startswith("552 5.3.4 "))
        client = self.client()
        client.hello()
        self.assertTrue(client.command("MAIL FROM:<a@in.example> SIZE=99999999").startswith("552 5.3.4 "))
        self.assertEqual(self.upstream.messages, [])

    def test_b7_after_a_failed_chunk(self):
        client = self.in_transaction()
        self.assertTrue(self.chunk(client, b"bad\nline\r\n", last=True).startswith("550 5.6.0 "))
        self.assertTrue(self.chunk(client, b"more\r\n", last=True).startswith("503 5.5.1 "))
        self.assertTrue(client.command("DATA").startswith("503 5.5.1 "))
        self.assertTrue(client.command("RCPT TO:<b@in.example>").startswith("503 5.5.1 "))
        self.assertEqual(client.command("MAIL FROM:<a@in.example>"), "250 2.1.0 Sender OK")
        self.assertEqual(self.upstream.messages, [])

    def test_b8_binarymime_is_not_converted(self):
        client = self.client()
        hello = client.hello()
        self.assertNotIn("BINARYMIME", hello)
        self.assertRegex(client.command("MAIL FROM:<a@in.example> BODY=BINARYMIME"), r"^(555 5\.5\.4|554 5\.6\.3|501 5\.5\.4) ")


class Auth(Wire):
    """A1-A5, A14."""

    def test_a1_sizes(self):
        client = self.secure_client()
        for user in ("alice@in.example", "nobody@in.example"):
            password = "p" * (9216 - 2 - len(user))
            token = base64.b64encode(b"\0" + user.encode() + b"\0" + password.encode())
            self.assertEqual(len(token), 12288)
            client.send(b"AUTH PLAIN " + token + b"\r\n")
            self.assertTrue(client.reply().startswith("535 5.7.8 "))
            client.send(b"AUTH PLAIN " + token + b"AAAA\r\n")
            self.assertTrue(client.reply().startswith("500 5.5.6 "), user)
            client = self.secure_client()
            self.assertTrue(client.command("AUTH PLAIN").startswith("334"))
            client.send(token + b"AAAA\r\n")
            self.assertTrue(client.reply().startswith("500 5.5.6 "), user)

    def test_a2_base64(self):
        client = self.secure_client()
        self.assertEqual(client.command("AUTH PLAIN"), "334 ")
        self.assertTrue(client.command("*").startswith("501 5.7.0 "))
        for token in ("!!!", "AGEAYg", "AGEAYg=", "AGEA Yg==", "AGEAYh==", "=AGE"):
            self.assertTrue(self.secure_client().command("AUTH PLAIN " + token).startswith("501 5.5."), token)
        self.assertTrue(self.secure_client().command("AUTH PLAIN =").startswith(("501 ", "535 ")))

    def test_a3_order(self):
        client = Client(self.secure)
        self.addCleanup(client.sock.close)
        client.hello()
        client.starttls()
        self.assertTrue(client.auth_plain("alice@in.example", "correct horse").startswith("503 5.5.1 "))
        client.hello()
        self.assertTrue(client.auth_plain("alice@in.example", "wrong").startswith("535 5.7.8 "))
        self.assertEqual(client.auth_plain("alice@in.example", "correct horse"), "235 2.7.0 Authentication successful")
        self.assertTrue(client.auth_plain("alice@in.example", "correct horse").startswith("503 5.5.1 "))
        client.command("MAIL FROM:<alice@in.example>")
        self.assertTrue(client.command("AUTH LOGIN").startswith("503 5.5.1 "))

    def test_a4_plain(self):
        good = b"\0alice@in.example\0correct horse"
        for token in (b"alice@in.example\0correct horse", b"\0\0", good + b"\0x", b"\0\0\0\0", b"\0\xff\xfe\0x", b"\0al\x01ice\0x",
                      b"\0" + b"n" * 256 + b"@in.example\0x", b"\0alice@in.example\0" + b"p" * 1100, b"bob\0alice@in.example\0correct horse"):
            client = self.secure_client()
            answer = client.command("AUTH PLAIN " + base64.b64encode(token).decode())
            self.assertRegex(answer, r"^(501 5\.5\.[24]|501 5\.5\.2|535 5\.7\.8) ", token)
        client = self.secure_client()
        self.assertTrue(client.command("AUTH PLAIN " + base64.b64encode(good).decode()).startswith("235 "))

    def test_a5_login(self):
        def b64(text):
            return base64.b64encode(text.encode()).decode()
        client = self.secure_client()
        self.assertEqual(client.command("AUTH LOGIN"), "334 VXNlcm5hbWU6")
        self.assertEqual(client.command(b64("alice@in.example")), "334 UGFzc3dvcmQ6")
        self.assertTrue(client.command("*").startswith("501 5.7.0 "))
        self.assertEqual(client.command("AUTH LOGIN " + b64("alice@in.example")), "334 UGFzc3dvcmQ6")
        self.assertEqual(client.command(b64("correct horse")), "235 2.7.0 Authentication successful")
        client = self.secure_client()
        client.command("AUTH LOGIN")
        self.assertRegex(client.command(""), r"^501 5\.5\.2 ")
        self.assertEqual(client.command("NOOP"), "250 2.0.0 OK")
        self.assertRegex(client.command("AUTH XOAUTH2 junk"), r"^504 5\.5\.4 ")

    def test_a14_auth_parameter(self):
        client = self.client()
        client.hello()
        for value in ("hey+A", "he+YY"):
            self.assertTrue(client.command(f"MAIL FROM:<x@in.example> AUTH={value}").startswith("501 5.5.4 "), value)
        self.assertTrue(client.command("MAIL FROM:<x@in.example> AUTH=<>").startswith(("250", "501")))


class Envelope(Wire):
    """E1, E3-E5, E7, E8."""

    def judge(self, recipient, client=None):
        client = client or self.client()
        if not hasattr(client, "greeted"):
            client.hello()
            client.greeted = True
        client.command("RSET")
        client.command("MAIL FROM:<a@in.example>")
        client.send(b"RCPT TO:" + (recipient if isinstance(recipient, bytes) else recipient.encode()) + b"\r\n")
        return client.reply()

    def test_e1_injection(self):
        for line in (b'RCPT TO:<"b\r\nDATA"@in.example>', b"RCPT TO:<b@in.example\r\nDATA>"):
            client = self.client()
            client.hello()
            client.command("MAIL FROM:<a@in.example>")
            client.send(line + b"\r\n")
            self.assertRegex(client.reply(), r"^(501|555) ")
        client = self.client()
        self.assertTrue(client.command("EHLO a b").startswith("501 5.5.4 "))
        client.hello()
        client.send(b"MAIL FROM:<a@in.example> X=1\nRCPT TO:<b@in.example>\r\n")
        self.assertEqual(client.reply(), "500 5.5.2 Syntax error")
        for text in ("a\u560d\u560aRSET", "b\u560a"):
            self.assertRegex(self.judge(f"<{text}@in.example>"), r"^(501 5\.1\.3|553 5\.6\.7) ")
        self.assertEqual(self.upstream.commands(), [])

    def test_e3_relay_tricks(self):
        for recipient in ("<victim%ext.example@in.example>", "<ext.example!victim@in.example>", '<"victim@ext.example"@in.example>',
                          "<@in.example,@x.example:victim@ext.example>", "<victim@ext.example@in.example>", "<victim@[203.0.113.9]>",
                          "<victim@in.example.>", '<"victim%ext"@in.example>', "<ext!victim>"):
            self.assertRegex(self.judge(recipient), r"^(550 5\.7\.1 Unable to relay for |501 5\.1\.3 )", recipient)
        self.assertEqual(self.upstream.commands(), [])

    def test_e4_literals(self):
        client = self.client()
        for domain in ("[127.0.0.1]", "[IPv6:::1]", "[IPv6:::ffff:127.0.0.1]"):
            self.assertRegex(self.judge(f"<b@{domain}>", client), r"^550 5\.7\.1 Unable to relay for ", domain)
        for domain in ("[0x7f000001]", "[127.1]", "[256.1.1.1]", "[IPv6:1:2]", "[x:y]", "[127.0.0.1", "127.0.0.1]"):
            self.assertRegex(self.judge(f"<b@{domain}>", client), r"^501 5\.1\.3 ", domain)

    def test_e5_special_paths(self):
        client = self.client()
        client.hello()
        self.assertEqual(client.command("MAIL FROM:<>"), "250 2.1.0 Sender OK")
        self.assertRegex(client.command("RCPT TO:<>"), r"^(501|550) 5\.1\.3 ")
        self.assertTrue(client.command("RCPT TO:<postmaster>").startswith("250"))
        self.assertTrue(client.command("RCPT TO:<b@in.example>").startswith("550 5.5.3 "))
        client.command("RSET")
        self.assertEqual(client.command("MAIL FROM: <a@in.example>"), "250 2.1.0 Sender OK")
        client.command("RSET")
        self.assertTrue(client.command("MAIL FROM:a@in.example").startswith("501 5.5.4 "))

    def test_e7_quoting(self):
        client = self.client()
        for recipient, upstream in (('<"a b"@in.example>', b'RCPT TO:<"a b"@in.example>'), ('<"a\\"b"@in.example>', b'RCPT TO:<"a\\"b"@in.example>'),
                                    ('<"a"@in.example>', b"RCPT TO:<a@in.example>"), ('<"\\a"@in.example>', b"RCPT TO:<a@in.example>"),
                                    ("<MiXed@IN.example>", None)):
            self.upstream.forget()
            other = self.client()
            self.assertTrue(self.judge(recipient, other).startswith("250"), recipient)
            seen = [c for commands in self.upstream.commands() for c in commands if c.startswith(b"RCPT")]
            if upstream:
                self.assertEqual([s.split(b"> ")[0].rstrip(b">") + b">" for s in seen], [upstream], recipient)
            else:
                self.assertTrue(seen and b"<MiXed@" in seen[0], seen)
        for recipient in ("<" + "(" * 1000 + "a@in.example>", "<a(c)@in.example>", "<a..b@in.example>", "<.a@in.example>"):
            self.assertRegex(self.judge(recipient, client), r"^501 5\.1\.3 ", recipient[:30])

    def test_e8_size_and_body(self):
        client = self.client()
        client.hello()
        for parameter, answer in (("SIZE=0", "250 2.1.0"), ("SIZE=-1", "501 5.5.4"), ("SIZE=99999999999999999999", "552 5.3.4"),
                                  ("SIZE=1 SIZE=1", "501 5.5.4")):
            self.assertTrue(client.command(f"MAIL FROM:<a@in.example> {parameter}").startswith(answer), parameter)
            client.command("RSET")
        self.assertTrue(client.command("MAIL FROM:<a@in.example> BODY=7BIT").startswith("250"))
        client.command("RCPT TO:<b@in.example>")
        client.command("DATA")
        client.send(b"Subject: x\r\n\r\ncaf\xe9\r\n.\r\n")
        self.assertTrue(client.reply().startswith("250"))
        self.assertEqual(self.body_of(self.upstream.messages[-1]), b"Subject: x\r\n\r\ncaf\xe9\r\n")


class Upstream(Wire):
    """U2-U4."""

    def test_u2_hostile_replies(self):
        hostile = [b"250-x\r\n" * 60 + b"250 x\r\n", b"250-x\r\n550 x\r\n", b"250x\r\n", b"250 x\n", b"250 caf\xe9\r\n", b"250 \0\r\n",
                   b"250 " + b"y" * 600 + b"\r\n", b"250-" + b"z" * 5000, b"150 x\r\n", b"650 x\r\n", b"99\r\n", b"250 ok\r\n250 extra\r\n"]
        for answer in hostile:
            for step in ("RCPT", "DOT"):
                self.upstream.answers = {step: answer}
                client = self.client()
                client.hello()
                client.command("MAIL FROM:<a@in.example>")
                reply = client.command("RCPT TO:<b@in.example>")
                if reply.startswith("250") and step == "DOT":
                    client.command("DATA")
                    client.send(b"Subject: x\r\n\r\nx\r\n.\r\n")
                    reply = client.reply()
                self.assertRegex(reply, r"^(250|4\d\d) \d\.\d\.\d ", (answer[:20], step))
                self.assertLessEqual(max(len(line) for line in reply.split("\n")), 510)
                self.assertTrue(reply.isascii() and reply.replace("\n", "").isprintable(), reply)
                # One reply for one command: the session is in step.
                self.assertRegex(client.command("NOOP"), r"^250 2\.0\.0 OK$")
        self.upstream.answers = {}
        self.still_serves()

    def test_u3_verdicts_pass(self):
        for final, expected in ((b"250 2.6.0 fine\r\n", "250 2.0.0 Accepted "), (b"450 4.2.0 later\r\n", "450 4.2.0 later"),
                                (b"550 5.7.9 spam\r\n", "550 5.7.9 spam"), (b"550 no code\r\n", "550 5.0.0 no code"),
                                (b"421 4.3.0 bye\r\n", "451 4.3.0 "), (b"535 5.7.8 auth\r\n", "451 4.3.5 "), (None, "451 4.4.2 ")):
            with self.upstream.changed:
                self.upstream.messages.clear()
            self.upstream.answers = {"DOT": final}
            self.upstream.hook = lambda u, c, verb, line: b"550 5.1.1 unknown\r\n" if verb == "RCPT" and b"<no@" in line else None
            client = self.client()
            client.hello()
            client.command("MAIL FROM:<a@in.example>")
            verdicts = [client.command(f"RCPT TO:<{name}@in.example>") for name in ("b", "no", "c")]
            self.assertEqual(verdicts, ["250 2.1.5 Recipient OK", "550 5.1.1 unknown", "250 2.1.5 Recipient OK"])
            self.assertTrue(client.command("DATA").startswith("354 "))
            client.send(b"Subject: x\r\n\r\nx\r\n.\r\n")
            reply = client.reply()
            self.assertTrue(reply.startswith(expected), (final, reply))
            if expected.startswith("250"):
                self.assertEqual(self.upstream.messages[0].recipients, [b"RCPT TO:<b@in.example>", b"RCPT TO:<c@in.example>"])

    def test_u4_early_replies(self):
        for answer in (b"354 go\r\n250 2.0.0 early\r\n", b"354 go\r\n550 5.0.0 no\r\n"):
            self.upstream.answers = {"DATA": answer}
            client = self.in_transaction()
            reply = client.command("DATA")
            if reply.startswith("354"):
                client.send(b"Subject: x\r\n\r\n" + b"x" * 70 + b"\r\n.\r\n")
                reply = client.reply()
            self.assertRegex(reply, r"^[45]\d\d [45]\.", answer)
            self.assertEqual(client.command("NOOP"), "250 2.0.0 OK")
        self.upstream.answers = {}
        self.still_serves()


    def test_a_pipelined_group_goes_on_as_one(self):
        """RFC 2920: what the client says in one segment the next hop gets in one, and each command gets the reply that it would get alone."""
        mail, accepted, unknown = "MAIL FROM:<a@in.example>", "RCPT TO:<b@in.example>", "RCPT TO:<no@in.example>"
        elsewhere = "RCPT TO:<x@elsewhere.example>"
        ok, yes, no, go = "250 2.1.0 Sender OK", "250 2.1.5 Recipient OK", "550 5.1.1 unknown", "354 End data with <CR><LF>.<CR><LF>"
        nobody, relay = "554 5.5.1 No valid recipients", "550 5.7.1 Unable to relay for x@elsewhere.example"
        upstream_mail, upstream_rcpt, upstream_no = b"MAIL FROM:<a@in.example>", b"RCPT TO:<b@in.example>", b"RCPT TO:<no@in.example>"
        for commands, replies, segments in (
                ((mail, accepted, "DATA"), (ok, yes, go), [[upstream_mail, upstream_rcpt, b"DATA"]]),
                ((mail, accepted, unknown, "DATA"), (ok, yes, no, go), [[upstream_mail, upstream_rcpt], [upstream_no, b"DATA"]]),
                ((mail, unknown, accepted, "DATA"), (ok, no, yes, go), [[upstream_mail, upstream_no], [upstream_rcpt, b"DATA"]]),
                ((mail, elsewhere, accepted, "data"), (ok, relay, yes, go), [[upstream_mail, upstream_rcpt, b"DATA"]]),
                ((mail, unknown, "DATA"), (ok, no, nobody), [[upstream_mail, upstream_no, b"DATA"]]),
                ((mail, elsewhere, "DATA"), (ok, relay, nobody), [])):
            self.upstream.forget()
            seen = []

            def hook(_recorder, connection, verb, line, seen=seen):
                # What has come by the time that the next hop looks at the first command of it.
                after_hello = bytes(connection.received).partition(b"\r\n")[2]
                if verb in ("MAIL", "RCPT") and after_hello not in seen:
                    seen.append(after_hello)
                return b"550 5.1.1 unknown\r\n" if b"<no@" in line else None
            self.upstream.hook = hook
            client = self.client()
            client.hello()
            client.send("".join(command + "\r\n" for command in commands).encode())
            self.assertEqual(tuple(client.reply() for _ in replies), replies)
            self.assertEqual([after[len(before):].splitlines() for before, after in zip([b"", *seen], seen)], segments)
            if replies[-1] == go:
                client.send(b"Subject: x\r\n\r\nx\r\n.\r\n")
                self.assertTrue(client.reply().startswith("250 2.0.0 Accepted "))
                self.assertEqual([m.recipients for m in self.upstream.messages], [[upstream_rcpt]])
            else:
                self.assertEqual(self.upstream.messages, [])
            client.send(f"{mail}\r\n{accepted}\r\nDATA\r\n".encode())
            self.assertEqual([client.reply() for _ in range(3)], [ok, yes, go])
            client.send(b"Subject: y\r\n\r\ny\r\n.\r\n")
            self.assertTrue(client.reply().startswith("250 2.0.0 Accepted "))
            client.sock.close()


class Reuse(Wire):
    """U1: a session leaves its connection to the next hop to the next session, of whatever client. One worker, so that it is seen to."""

    THREADS = 1
    TAKEN, REPLACED = (f'gatepost_edge_upstream_reused_total{{outcome="{what}",virtual_server="inbound"}}' for what in ("taken_over", "replaced"))

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cluster.virtual_server("inbound", cls.upstream.address, anonymous=True, local_domains=["in.example"],
                                   messageLimits={"maxMessageOctets": 20000})
        cls.cluster.wait_applied()

    def send(self, name, body=b"x: y\r\n\r\nmessage\r\n"):
        """A session with one message that goes well; the upstream's connection that it came over."""
        client = self.client()
        client.hello()
        for command, code in ((f"MAIL FROM:<{name}@in.example>", "250"), (f"RCPT TO:<{name}@in.example>", "250"), ("DATA", "354")):
            self.assertEqual(client.command(command)[:3], code, (name, command))
        client.send(body + b".\r\n")
        reply = client.reply()
        self.assertTrue(reply.startswith("250 2.0.0 Accepted "), (name, reply))
        self.assertTrue(client.command("QUIT").startswith("221 "))
        client.sock.close()
        message = self.upstream.messages[-1]
        self.assertEqual((message.mail.split(b">")[0], message.recipients), (f"MAIL FROM:<{name}@in.example".encode(), [f"RCPT TO:<{name}@in.example>".encode()]))
        self.assertEqual(self.body_of(message), body)
        return self.upstream.connections[message.connection]

    def mallory(self, commands, octets=b"", read=False):
        """Mallory's session: `commands`, `octets` as they are, perhaps one more reply; then she is gone."""
        client = self.client()
        client.hello()
        for command in commands:
            client.command(command)
        client.send(octets)
        if read:
            client.reply()
        client.sock.close()

    def test_u1_clean_sessions_share_a_connection(self):
        for _ in range(5):  # a machine that stands still for two seconds has it idle too long
            taken = self.edge.metrics().get(self.TAKEN, 0)
            connection = self.send("alice")
            if [self.send("bob") for _ in range(3)] == [connection] * 3:
                break
        else:
            self.fail("no connection was taken over three times")
        transaction = [b"MAIL FROM:<bob@in.example>", b"RCPT TO:<bob@in.example>", b"DATA"]
        commands = [command.split(b" SIZE")[0] for command in connection.commands if command != b"QUIT"]
        self.assertEqual(commands[-9:], transaction * 3)
        self.assertGreaterEqual(self.edge.metrics()[self.TAKEN], taken + 3)

    def test_u1_a_failed_session_leaves_nothing_to_the_next(self):
        mail, rcpt, refused = "MAIL FROM:<mallory@in.example>", "RCPT TO:<mallory@in.example>", "RCPT TO:<mallory-refused@in.example>"
        data = [mail, rcpt, "DATA"]
        header = b"Subject: mallory\r\n\r\n"
        early = {"DATA": b"354 go\r\n250 2.0.0 early\r\n"}
        cases = {
            "gone after MAIL": ({}, [mail]),
            "gone after RCPT": ({}, [mail, rcpt]),
            "a refused recipient": ({}, [mail, refused]),
            "one of two recipients refused": ({}, [mail, rcpt, refused, "DATA"], header + b"x\r\n.\r\n", True),
            "RSET after RCPT": ({}, [mail, rcpt, "RSET", "QUIT"]),
            "EHLO after RCPT": ({}, [mail, rcpt, "EHLO again.example", "QUIT"]),
            "gone after 354": ({}, data),
            "gone in the message": ({}, data, header + b"x" * 10000),
            "gone before the dot's end": ({}, data, header + b"x\r\n."),
            "too big": ({}, data, header + b"x\r\n" * 9000 + b".\r\n", True),
            "a bare LF": ({}, data, header + b"x\n.\nMAIL FROM:<mallory@v>\r\n.\r\n", True),
            "MAIL refused": ({"MAIL": b"550 5.7.1 no\r\n"}, [mail, rcpt]),
            "421 to MAIL": ({"MAIL": b"421 4.3.2 bye\r\n"}, [mail, rcpt]),
            "421 to RCPT": ({"RCPT": b"421 4.3.2 bye\r\n"}, [mail, rcpt]),
            "DATA refused": ({"DATA": b"451 4.3.0 no\r\n"}, data),
            "421 to DATA": ({"DATA": b"421 4.3.2 bye\r\n"}, data),
            "the message refused": ({"DOT": b"554 5.7.1 spam\r\n"}, data, header + b"x\r\n.\r\n", True),
            "421 to the message": ({"DOT": b"421 4.3.2 bye\r\n"}, data, header + b"x\r\n.\r\n", True),
            "an answer too many to MAIL": ({"MAIL": b"250 ok\r\n250 ok\r\n"}, [mail, rcpt]),
            "an answer too many to RCPT": ({"RCPT": b"250 ok\r\n250 ok\r\n"}, data, header + b"x\r\n.\r\n", True),
            "an early answer to the message": (early, data, header + b"x" * 10000 + b"\r\n.\r\n", True),
            "an answer too many to the message": ({"DOT": b"250 2.0.0 queued\r\n250 2.0.0 and again\r\n"}, data, header + b"x\r\n.\r\n", True),
        }
        for name, (answers, *steps) in cases.items():
            with self.subTest(name):
                self.upstream.forget()
                self.send("alice")  # leaves the connection that mallory takes over
                self.upstream.answers = answers
                self.upstream.hook = lambda _u, _c, verb, line: b"550 5.1.1 no\r\n" if verb == "RCPT" and b"-refused@" in line else None
                self.mallory(*steps)
                self.upstream.answers, self.upstream.hook = {}, None
                for _ in range(3):
                    connection = self.send("bob")
                    self.assertNotIn(b"mallory", bytes(connection.received))
                self.assertEqual([m.recipients for m in self.upstream.messages if b"bob@" in b"".join(m.recipients) and b"mallory" in m.body], [])

    def test_u1_what_an_idle_connection_says_answers_nobody(self):
        for octets in (b"250 2.0.0 stale\r\n", b"421 4.4.2 idle for too long\r\n", b"550 5", None):
            with self.subTest(octets):
                self.upstream.forget()
                first = self.send("alice")
                replaced = self.edge.metrics()[self.REPLACED]
                if octets:
                    for sock in list(self.upstream.live):
                        sock.sendall(octets)
                else:
                    self.upstream.hang_up()
                self.assertIsNot(self.send("bob"), first)
                # The edge has looked itself, or found out when it took the connection over.
                self.assertLessEqual(self.edge.metrics()[self.REPLACED], replaced + 1)
                self.assertNotIn(b"bob", bytes(first.received))

    def test_u1_a_connection_that_dies_under_mail_is_replaced(self):
        for answer in (None, b"421 4.7.0 too many messages\r\n", b"452 4.3.2 too many messages\r\n"):
            with self.subTest(answer):
                self.upstream.forget()
                first = self.send("alice")

                def hook(_recorder, connection, verb, _line, answer=answer, first=first):
                    if verb != "MAIL" or connection is not first:
                        return None
                    if answer is None:
                        raise Recorder.Drop(reset=True)
                    return answer
                self.upstream.hook = hook
                self.assertIsNot(self.send("bob"), first)
                self.assertNotIn(b"bob@in.example>\r\nDATA", bytes(first.received))

    def test_u1_idle_connections_end_with_quit(self):
        def ended(connection):
            self.assertTrue(connection.closed.wait(20))
            self.assertEqual(connection.commands[-1], b"QUIT")
        ended(self.send("alice"))  # by itself
        connection = self.send("alice")
        self.cluster.virtual_server("other", self.upstream.address, anonymous=True, local_domains=["in.example"])
        ended(connection)  # the configuration has changed
        leaving = self.cluster.edge("edge2", offset=5000, threads=1)
        with Client(leaving.port("inbound")) as client:
            client.hello()
            client.command("MAIL FROM:<alice@in.example>")
            client.command("RCPT TO:<alice@in.example>")
            client.command("DATA")
            client.send(b"x: y\r\n\r\nz\r\n.\r\n")
            self.assertTrue(client.reply().startswith("250 "))
            client.command("QUIT")
        connection = self.upstream.connections[self.upstream.messages[-1].connection]
        leaving.signal(signal.SIGTERM)
        self.assertEqual(leaving.process.wait(30), 0)
        ended(connection)


class UpstreamTls(Wire):
    """T6: a next hop for which TLS is required."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = cls.cluster.folder
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                        "/CN=upstream.example", "-addext", "subjectAltName=DNS:upstream.example", "-keyout", folder / "up.key", "-out",
                        folder / "up.crt"], check=True, capture_output=True)
        cls.tls_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        cls.tls_context.load_cert_chain(folder / "up.crt", folder / "up.key")
        cls.ca = (folder / "up.crt").read_text()
        cls.secured("upstream.example")

    @classmethod
    def secured(cls, name):
        document = cls.cluster.document("inbound", cls.upstream.address, anonymous=True, local_domains=["in.example"])
        document["delivery"]["defaultRoute"]["tls"] = {"mode": "REQUIRED", "caBundlePem": cls.ca, "serverName": name}
        cls.cluster.apply(document)

    def setUp(self):
        super().setUp()
        self.upstream.tls = self.tls_context

    def recipient(self):
        client = self.client()
        client.hello()
        client.command("MAIL FROM:<a@in.example>")
        return client.command("RCPT TO:<b@in.example>")

    def in_clear(self):
        """What transactions were begun on connections without TLS."""
        return [c for c in self.upstream.connections if not c.tls and any(x.upper().startswith(b"MAIL") for x in c.commands)]

    def test_t6_a_message_goes_through_tls(self):
        self.assertTrue(self.deliver(b"Subject: x\r\n\r\nsecret\r\n.\r\n").startswith("250 2.0.0 Accepted "))
        self.assertEqual(self.in_clear(), [])
        self.assertEqual(len(self.upstream.messages), 1)

    def test_t6_starttls_stripped_or_refused(self):
        self.upstream.tls = None
        self.assertRegex(self.recipient(), r"^451 4\.7\.4 ")
        self.upstream.tls = self.tls_context
        self.upstream.answers = {"STARTTLS": b"454 4.7.0 not now\r\n"}
        self.assertRegex(self.recipient(), r"^451 4\.7\.[45] ")
        self.assertEqual(self.in_clear(), [])
        self.assertEqual(self.upstream.messages, [])

    def test_t6_lines_injected_behind_the_220(self):
        self.upstream.answers = {"STARTTLS": b"220 go\r\n250-fake\r\n250 AUTH PLAIN\r\n"}
        self.assertRegex(self.recipient(), r"^451 4\.[47]\.\d ")
        self.assertEqual(self.in_clear(), [])
        self.assertEqual(self.upstream.messages, [])

    def test_t6_another_name(self):
        self.secured("other.example")
        try:
            self.assertRegex(self.recipient(), r"^451 4\.7\.5 ")
            self.assertEqual(self.in_clear(), [])
        finally:
            self.secured("upstream.example")


if __name__ == "__main__":
    if "VulnerablePostfix" in sys.argv:
        skip_unless_available()
    unittest.main(argv=[sys.argv[0]] + sys.argv[1:], verbosity=1)
