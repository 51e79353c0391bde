#!/usr/bin/python3
"""Extensions against a real edge over sockets: threats.md B8, E2, E6, U5, U6, masquerading and XCLIENT.

Every test asks the byte-recording upstream what arrived. Each class is one test target (argument 1).
"""
import pathlib
import sys
import unittest

from harness.client import Client
from harness.cluster import Cluster
from harness.postfix import Postfix, skip_unless_available
from harness.processes import wait_for
from harness.recorder import Recorder

FULL = ("PIPELINING", "SIZE 40000000", "DSN", "ENHANCEDSTATUSCODES", "8BITMIME", "BINARYMIME", "CHUNKING", "SMTPUTF8")
XCLIENT = "XCLIENT NAME ADDR PORT PROTO HELO LOGIN"


class Wire(unittest.TestCase):
    """One edge, one upstream with all extensions for all tests of a class; `inbound` takes anonymous mail for its domains."""

    CAPABILITIES = FULL

    @classmethod
    def options(cls):
        return {"anonymous": True, "local_domains": ["in.example", "bücher.example"]}

    @classmethod
    def setUpClass(cls):
        cls.upstream = Recorder(capabilities=cls.CAPABILITIES)
        cls.cluster = Cluster()
        cls.cluster.start()
        cls.cluster.virtual_server("inbound", cls.upstream.address, **cls.options())
        cls.edge = cls.cluster.edge("edge1")
        cls.port = cls.edge.port("inbound")

    @classmethod
    def tearDownClass(cls):
        cls.cluster.stop()
        cls.upstream.close()

    def setUp(self):
        self.offer(self.CAPABILITIES)
        self.upstream.forget()

    def offer(self, capabilities):
        """Has the upstream offer these, and the edge know it by a session."""
        self.upstream.capabilities = list(capabilities)
        self.upstream.hang_up()
        with Client(self.port) as client:
            client.hello()
            client.command("MAIL FROM:<probe@in.example>")
            client.command("RCPT TO:<probe@in.example>")

    def client(self):
        client = Client(self.port)
        self.addCleanup(client.sock.close)
        return client

    def say(self, client, text):
        """A command in UTF-8, its reply's codes."""
        client.send(text.encode() + b"\r\n")
        return client.reply()[:9]

    def commands(self, verb):
        return [c for row in self.upstream.commands() for c in row if c.startswith(verb)]


class Dsn(Wire):
    """E2, U5."""

    def test_e2_parameters_are_written_anew(self):
        client = self.client()
        self.assertIn("250-DSN", client.hello())
        self.assertEqual(self.say(client, "MAIL FROM:<a@in.example> ret=hdrs envid=a+2Bb+20c"), "250 2.1.0")
        self.assertEqual(self.say(client, "RCPT TO:<b@in.example> notify=delay,success orcpt=rfc822;b+3Dc@in.example"), "250 2.1.5")
        self.assertEqual(self.say(client, "RCPT TO:<c@in.example> NOTIFY=NEVER"), "250 2.1.5")
        self.assertEqual(self.commands(b"MAIL")[-1:], [b"MAIL FROM:<a@in.example> RET=HDRS ENVID=a+2Bb+20c"])
        self.assertEqual(self.commands(b"RCPT")[-2:], [b"RCPT TO:<b@in.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;b+3Dc@in.example",
                                                       b"RCPT TO:<c@in.example> NOTIFY=NEVER"])

    def test_e2_malformed_parameters_are_501_and_reach_nobody(self):
        for parameter in ("ENVID=+00", "ENVID=a+0D+0ARCPT+20TO:<x@y>", "ENVID=a ENVID=b", "ENVID=" + "x" * 101, "RET=NONE", "RET"):
            client = self.client()
            client.hello()
            self.assertEqual(self.say(client, f"MAIL FROM:<a@in.example> {parameter}"), "501 5.5.4", parameter)
        for parameter in ("ORCPT=rfc822;a+0D+0ARCPT+20TO", "ORCPT=rfc822;+00", "ORCPT=rfc822", "ORCPT=rfc822;a ORCPT=rfc822;a",
                          "ORCPT=rfc822;" + "x" * 494, "ORCPT=rfc822;" + "x" * 2000, "NOTIFY=NEVER,SUCCESS", "NOTIFY=DELAY,DELAY",
                          "NOTIFY=", "NOTIFY=NEVER NOTIFY=NEVER"):
            client = self.client()
            client.hello()
            self.assertEqual(self.say(client, "MAIL FROM:<a@in.example>"), "250 2.1.0")
            self.assertEqual(self.say(client, f"RCPT TO:<b@in.example> {parameter}"), "501 5.5.4", parameter[:40])
        self.assertEqual(self.commands(b"RCPT"), [])

    def test_u5_what_the_upstream_has_lost_is_not_lost_silently(self):
        client = self.client()
        self.assertIn("250-DSN", client.hello())
        self.upstream.capabilities = ["PIPELINING"]
        self.assertEqual(self.say(client, "MAIL FROM:<a@in.example>"), "250 2.1.0")
        self.assertEqual(self.say(client, "RCPT TO:<b@in.example>"), "250 2.1.5")
        self.assertEqual(self.say(client, "RCPT TO:<c@in.example> NOTIFY=NEVER"), "451 4.3.5")
        # It has been learnt: the next session is not promised it.
        other = self.client()
        self.assertNotIn("DSN", other.hello())
        self.assertEqual(self.say(other, "MAIL FROM:<a@in.example> RET=FULL"), "555 5.5.4")
        self.assertEqual(self.edge.metrics()['gatepost_edge_upstream_misconfigured_total{virtual_server="inbound"}'], 1)

    def test_u5_eight_bit_bodies_are_not_sent_where_they_cannot_go(self):
        self.offer(["PIPELINING"])
        client = self.client()
        self.assertNotIn("8BITMIME", client.hello())
        self.assertEqual(self.say(client, "MAIL FROM:<a@in.example> BODY=8BITMIME"), "554 5.6.3")
        self.assertEqual(self.say(client, "MAIL FROM:<a@in.example>"), "250 2.1.0")
        self.assertEqual(self.say(client, "RCPT TO:<b@in.example>"), "250 2.1.5")
        self.assertTrue(self.say(client, "DATA").startswith("354"))
        self.assertEqual(self.say(client, "Subject: é\r\n\r\n."), "554 5.6.3")
        self.assertEqual(self.upstream.messages, [])


class Utf8(Wire):
    """E6."""

    def test_e6_addresses_need_the_parameter(self):
        client = self.client()
        self.assertIn("SMTPUTF8", client.hello())
        self.assertEqual(self.say(client, "MAIL FROM:<é@in.example>"), "550 5.6.7")
        self.assertEqual(self.say(client, "MAIL FROM:<a@in.example>"), "250 2.1.0")
        self.assertEqual(self.say(client, "RCPT TO:<é@in.example>"), "553 5.6.7")
        self.assertEqual(self.say(client, "RCPT TO:<b@bücher.example>"), "553 5.6.7")
        self.assertEqual(self.commands(b"MAIL"), [])

    def test_e6_domains_are_compared_as_a_labels_and_lookalikes_differ(self):
        client = self.client()
        client.hello()
        self.assertEqual(self.say(client, "MAIL FROM:<é@büro.example> SMTPUTF8"), "250 2.1.0")
        for path in ("é@BÜCHER.example", "é@bu\u0308cher.example", "é@xn--bcher-kva.example"):
            self.assertEqual(self.say(client, f"RCPT TO:<{path}>"), "250 2.1.5", path)
        for path in ("b@in.ex\u0430mple", "b@\u0456n.example", "b@bucher.example"):
            client.send(f"RCPT TO:<{path}>\r\n".encode())
            self.assertTrue(client.reply().startswith("550 5.7.1"), path)
        self.assertTrue(self.say(client, "DATA").startswith("354"))
        self.assertEqual(self.say(client, "Subject: é\r\n\r\n."), "250 2.0.0")
        message = self.upstream.messages[0]
        self.assertEqual(message.mail, "MAIL FROM:<é@xn--bro-hoa.example> SMTPUTF8".encode())
        self.assertEqual(set(message.recipients), {"RCPT TO:<é@xn--bcher-kva.example>".encode()})
        self.assertIn(b"with UTF8SMTP\r\n", message.body)

    def test_e6_nothing_turns_into_syntax(self):
        for path in ("victim\uff20ext.example@in.example", "victim\ufe6bext.example@in.example", "b@in\u3002example", "b@in\uff0eexample",
                     "a\uff0e\uff0eb@in.example", "a\u3002b@in.example", "b\u0085@in.example", "a\u2028@in.example",
                     "b@a\u200db.in.example", "b@xn--99999999.in.example", "b@xn--bücher.in.example", "b@" + "é" * 63 + ".in.example"):
            client = self.client()
            client.hello()
            self.assertEqual(self.say(client, "MAIL FROM:<a@in.example> SMTPUTF8"), "250 2.1.0")
            self.assertEqual(self.say(client, f"RCPT TO:<{path}>"), "501 5.1.3", path)
        for octets in (b"b\xc0\xae@in.example", b"\xff@in.example", b"\xed\xa0\x80@in.example", b"b\xc3@in.example"):
            client = self.client()
            client.hello()
            self.assertEqual(self.say(client, "MAIL FROM:<a@in.example> SMTPUTF8"), "250 2.1.0")
            client.send(b"RCPT TO:<" + octets + b">\r\n")
            self.assertEqual(client.reply()[:9], "501 5.1.3", octets)
        self.assertEqual(self.commands(b"RCPT"), [])

    def test_e6_no_downgrade(self):
        client = self.client()
        client.hello()
        self.upstream.capabilities = ["PIPELINING", "8BITMIME"]
        self.assertEqual(self.say(client, "MAIL FROM:<é@in.example> SMTPUTF8"), "250 2.1.0")
        self.assertEqual(self.say(client, "RCPT TO:<b@in.example>"), "553 5.6.7")
        self.assertEqual(self.commands(b"MAIL"), [])
        other = self.client()
        self.assertNotIn("SMTPUTF8", other.hello())
        self.assertEqual(self.say(other, "MAIL FROM:<a@in.example> SMTPUTF8"), "555 5.5.4")
        self.assertEqual(self.say(other, "MAIL FROM:<é@in.example> SMTPUTF8"), "550 5.6.7")


class Binary(Wire):
    """B8."""

    BODY = bytes(range(256)) * 400 + b"\r\n.\r\n\n.\n\0\r"

    def in_transaction(self):
        client = self.client()
        self.assertIn("BINARYMIME", client.hello())
        self.assertEqual(self.say(client, "MAIL FROM:<a@in.example> BODY=BINARYMIME"), "250 2.1.0")
        self.assertEqual(self.say(client, "RCPT TO:<b@in.example>"), "250 2.1.5")
        return client

    def test_b8_a_binary_message_passes_by_bdat_as_it_is(self):
        client = self.in_transaction()
        half = len(self.BODY) // 2
        client.send(b"BDAT %d\r\n%s" % (half, self.BODY[:half]))
        self.assertTrue(client.reply().startswith("250 2.0.0"))
        client.send(b"BDAT %d LAST\r\n%s" % (len(self.BODY) - half, self.BODY[half:]))
        self.assertTrue(client.reply().startswith("250 2.0.0"))
        message = self.upstream.messages[0]
        self.assertTrue(message.mail.endswith(b" BODY=BINARYMIME"))
        self.assertEqual(message.body[message.body.index(b"+0000\r\n") + 7:], self.BODY)
        self.assertEqual(self.commands(b"DATA"), [])

    def test_b8_data_is_out_of_order(self):
        client = self.in_transaction()
        self.assertEqual(self.say(client, "DATA"), "503 5.5.1")
        self.assertEqual(self.upstream.messages, [])

    def test_b8_an_upstream_without_it_gets_nothing(self):
        client = self.client()
        client.hello()
        self.upstream.capabilities = ["PIPELINING", "8BITMIME", "CHUNKING"]
        self.assertEqual(self.say(client, "MAIL FROM:<a@in.example> BODY=BINARYMIME"), "250 2.1.0")
        self.assertEqual(self.say(client, "RCPT TO:<b@in.example>"), "554 5.6.3")
        self.assertEqual(self.commands(b"MAIL"), [])
        other = self.client()
        self.assertNotIn("BINARYMIME", other.hello())
        self.assertEqual(self.say(other, "MAIL FROM:<a@in.example> BODY=BINARYMIME"), "554 5.6.3")

    def test_b8_vanishing_between_chunks_commits_nothing(self):
        client = self.in_transaction()
        client.send(b"BDAT %d\r\n%s" % (len(self.BODY), self.BODY))
        self.assertTrue(client.reply().startswith("250 2.0.0"))
        client.sock.close()
        self.upstream.wait(lambda up: all(c.closed.is_set() for c in up.connections), what="the end of the connection")
        self.assertEqual(self.upstream.messages, [])
        self.assertNotIn(b" LAST\r\n", self.upstream.received())


class Identity(Wire):
    """U6, masquerading."""

    CAPABILITIES = (*FULL, XCLIENT)
    LOGIN = "zoë+a=b c@in.example"

    @classmethod
    def options(cls):
        return {"anonymous": True, "local_domains": ["in.example"],
                "authentication": {"anonymous": True, "basic": {"allowClearTextCredentials": True}, "legacyAuthLine": True},
                "delivery": {"masqueradeDomain": "corp.example",
                             "defaultRoute": {"nextHops": [{"host": "127.0.0.1", "port": cls.upstream.port}], "clientIdentity": "XCLIENT"}}}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cluster.create_user("zoe", cls.LOGIN, "correct horse")

    def envelope(self, client):
        self.assertEqual(self.say(client, "MAIL FROM:<a@in.example>"), "250 2.1.0")
        return self.say(client, "RCPT TO:<b@in.example>")

    def test_u6_the_client_is_told_before_mail_and_told_again_when_it_has_authenticated(self):
        client = Client(self.port, source="127.0.0.2")
        self.addCleanup(client.sock.close)
        self.assertIn("\n250-AUTH=LOGIN\n", client.hello("laptop_1.example"))
        self.assertEqual(self.envelope(client), "250 2.1.5")
        self.assertEqual(self.say(client, "RSET"), "250 2.0.0")
        self.assertEqual(client.auth_plain(self.LOGIN, "correct horse")[:9], "235 2.7.0")
        self.assertEqual(self.envelope(client), "250 2.1.5")
        port = client.sock.getsockname()[1]
        rows = [row for row in self.upstream.commands() if any(c.startswith(b"XCLIENT") and b"127.0.0.2" in c for c in row)]
        self.assertEqual(len(rows), 1)
        told = [c for c in rows[0] if c.startswith(b"XCLIENT")]
        self.assertEqual([c.split(b" ")[2:] for c in told],
                         [[b"ADDR=127.0.0.2", b"PORT=%d" % port, b"PROTO=ESMTP", b"HELO=laptop_1.example", login]
                          for login in (b"LOGIN=[UNAVAILABLE]", b"LOGIN=zo+C3+AB+2Ba+3Db+20c@in.example")])
        verbs = [c.split(b" ")[0] for c in rows[0]]
        self.assertEqual(verbs, [b"EHLO", b"XCLIENT", b"EHLO", b"MAIL", b"RCPT", b"RSET", b"XCLIENT", b"EHLO", b"MAIL", b"RCPT"])

    def test_u6_an_upstream_that_does_not_ask_for_it_gets_no_mail(self):
        self.upstream.capabilities = list(FULL)
        client = self.client()
        client.hello()
        self.assertEqual(self.envelope(client), "451 4.3.5")
        self.assertEqual(self.commands(b"MAIL"), [])

    def test_a_local_sender_is_masqueraded_in_the_envelope_alone(self):
        client = self.client()
        client.hello()
        self.assertEqual(self.envelope(client), "250 2.1.5")
        self.assertTrue(self.say(client, "DATA").startswith("354"))
        self.assertEqual(self.say(client, "From: a@in.example\r\n\r\n."), "250 2.0.0")
        message = self.upstream.messages[0]
        self.assertEqual(message.mail, b"MAIL FROM:<a@corp.example>")
        self.assertIn(b"From: a@in.example\r\n", message.body)
        self.assertEqual(self.say(client, "MAIL FROM:<a@elsewhere.example>"), "250 2.1.0")
        self.assertEqual(self.say(client, "RCPT TO:<b@in.example>"), "250 2.1.5")
        self.assertEqual(self.commands(b"MAIL")[-1], b"MAIL FROM:<a@elsewhere.example>")


class RealPostfix(unittest.TestCase):
    """U6 and the extensions against a real next hop: what its own trace field says of our client, and of the message."""

    def test_postfix_believes_what_it_is_told(self):
        with Cluster() as cluster:
            postfix = Postfix(cluster.folder / "postfix", domains=("in.example",), users=("b",),
                              parameters="smtpd_authorized_xclient_hosts = 127.0.0.0/8")
            self.addCleanup(postfix.stop)
            postfix.start()
            cluster.create_user("alice", "alice+1@in.example", "correct horse")
            route = {"nextHops": [{"host": "127.0.0.1", "port": postfix.port}], "clientIdentity": "XCLIENT"}
            cluster.virtual_server("inbound", postfix.address, anonymous=True, local_domains=["in.example"],
                                   authentication={"basic": {"allowClearTextCredentials": True}}, delivery={"defaultRoute": route})
            edge = cluster.edge("edge1")

            def offered():
                with Client(edge.port("inbound")) as client:
                    said = client.hello()
                    return "DSN" in said and "AUTH " in said
            wait_for(offered, 20, "the probe's answer, and the auth service's mechanisms")
            with Client(edge.port("inbound"), source="127.0.0.9") as client:
                said = client.hello("laptop.example")
                for extension in ("DSN", "8BITMIME", "CHUNKING", "SMTPUTF8"):
                    self.assertIn(extension, said)
                for login in ("", "alice+1@in.example"):
                    if login:
                        self.assertEqual(client.auth_plain(login, "correct horse")[:9], "235 2.7.0")
                    client.send("MAIL FROM:<é@in.example> SMTPUTF8 RET=HDRS ENVID=x\r\n".encode())
                    self.assertEqual(client.reply()[:9], "250 2.1.0")
                    self.assertEqual(client.command("RCPT TO:<b@in.example> NOTIFY=NEVER ORCPT=rfc822;b@in.example")[:9], "250 2.1.5")
                    self.assertEqual(client.command("DATA")[:3], "354")
                    client.send("Subject: é\r\n\r\nx\r\n.\r\n".encode())
                    self.assertEqual(client.reply()[:9], "250 2.0.0")
            rows = postfix.wait_messages("b", 2)
            for raw, _ in rows:
                theirs = raw[raw.index(b"Received: from"):raw.index(b"Received: from", raw.index(b"Received: from") + 1)]
                self.assertIn(b"from laptop.example (", theirs)
                self.assertIn(b"[127.0.0.9])", theirs)
                self.assertIn(b"with UTF8SMTP", theirs)
                self.assertIn("Subject: é".encode(), raw)
            log = (pathlib.Path(postfix.folder) / "postfix.log").read_text(encoding="utf-8", errors="replace")
            self.assertIn("sasl_username=alice+1@in.example", log)


if __name__ == "__main__":
    section = sys.argv[1]
    if section == "RealPostfix":
        skip_unless_available()
    unittest.main(argv=sys.argv[:1] + sys.argv[1:], verbosity=1)
