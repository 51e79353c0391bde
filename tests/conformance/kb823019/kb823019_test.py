#!/usr/bin/python3
"""KB 823019, the section that verifies: the article's steps with real clients, and what a capture of the wire shows (tshark).

RefusedAddress (R25), ClearText (R26, the control: it proves that the capture shows what is in clear), Integrated (R27), Encrypted (R28),
RelayRefused (R30). "Another computer" is another address of loopback, 127.0.0.66.
"""
import base64
import os
import re
import smtplib
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "..", "integration"))
from harness.capture import Capture, tls_records  # noqa: E402
from harness.client import Client, insecure_context  # noqa: E402
from harness.cluster import Cluster  # noqa: E402
from harness.ntlm import Ntlm, nt_hash  # noqa: E402
from harness.recorder import Recorder  # noqa: E402
from harness.sasl import wait_offered  # noqa: E402
from harness.secrets import forms_of  # noqa: E402

FQDN = "mail.example.com"
LOGIN = "alice@in.example"
PASSWORD = "Correct-Horse-7"
SECRET = "the merger is called off"
OTHER = "127.0.0.66"
REFUSED = f"554 {FQDN} Connection refused: {OTHER} is not permitted"


def run(*argv, stdin=""):
    """A client program; (exit code, everything it printed)."""
    done = subprocess.run([str(a) for a in argv], input=stdin, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


def message(body=SECRET):
    return f"From: <{LOGIN}>\r\nTo: <bob@in.example>\r\nSubject: confidential\r\n\r\n{body}\r\n"


class Article(unittest.TestCase):
    """One edge before one next hop."""

    @classmethod
    def setUpClass(cls):
        cls.upstream = Recorder()
        cls.addClassCleanup(cls.upstream.close)
        cls.cluster = Cluster()
        cls.addClassCleanup(cls.cluster.stop)
        cls.cluster.start()
        cls.cluster.create_user("alice", LOGIN, PASSWORD)

    def setUp(self):
        self.delivered()

    def serve(self, listeners, **settings):
        """The article's virtual server, on one edge."""
        self.cluster.virtual_server("mail", self.upstream.address, listeners=listeners, local_domains=["in.example"], **settings)
        if not self.cluster.edges:
            self.cluster.edge("edge1")
        return [self.cluster.edges["edge1"].port("mail", mode) for mode in listeners]

    def capture(self, port):
        capture = Capture(port)
        self.addCleanup(capture.close)
        return capture

    def swaks(self, port, *options, recipient="bob@in.example", sender=LOGIN):
        return run("swaks", "--server", "127.0.0.1", "--port", port, "--from", sender, "--to", recipient, "--ehlo", "client.example",
                   "--header", "Subject: confidential", "--body", SECRET, *options)

    def curl(self, scheme, port, *options):
        return run("curl", "--silent", "--show-error", "--verbose", "--insecure", "--url", f"{scheme}://127.0.0.1:{port}/client.example",
                   "--mail-from", LOGIN, "--mail-rcpt", "bob@in.example", "--upload-file", "-", *options, stdin=message())

    def delivered(self):
        """How many messages came through, each with the secret in it."""
        with self.upstream.changed:
            bodies = [m.body for m in self.upstream.messages]
            self.upstream.messages.clear()
        for body in bodies:
            self.assertIn(SECRET.encode(), body)
        return len(bodies)

    def message_of(self, conversation):
        """The server's lines in clear."""
        return conversation.server.decode("ascii").split("\r\n")


class RefusedAddress(Article):
    """R25: a connection from an excluded address is refused, with a message that says so."""

    def test_an_excluded_address_is_refused_with_a_message_that_says_so(self):
        starttls, implicit = self.serve(("STARTTLS", "IMPLICIT"), anonymous=True,
                                        connection_control={"mode": "ALL_EXCEPT", "entries": [{"address": OTHER}]})
        with self.capture(starttls) as capture:
            code, text = self.swaks(starttls, "--local-interface", OTHER)
            self.assertNotEqual(code, 0)
            self.assertIn(REFUSED, text)
            with self.assertRaises(smtplib.SMTPConnectError) as refused:
                smtplib.SMTP("127.0.0.1", starttls, "client.example", 20, source_address=(OTHER, 0))
            self.assertEqual((refused.exception.smtp_code, refused.exception.smtp_error.decode()), (554, REFUSED[4:]))
            code, text = self.curl("smtp", starttls, "--interface", OTHER)
            self.assertNotEqual(code, 0)
            self.assertIn(REFUSED, text)
        conversations = capture.conversations()
        self.assertEqual(len(conversations), 3)
        for conversation in conversations:
            self.assertEqual(self.message_of(conversation)[0], REFUSED)
        # Where TLS comes first, the message is under it: the user must be able to read it.
        code, text = run("openssl", "s_client", "-connect", f"127.0.0.1:{implicit}", "-bind", f"{OTHER}:0", "-quiet", "-crlf", stdin="QUIT\n")
        self.assertIn(REFUSED, text)
        # What is left to say is QUIT.
        with Client(starttls, source=OTHER) as client:
            self.assertEqual(client.banner, REFUSED)
            self.assertTrue(client.hello().startswith("503 5.5.1 "))
            self.assertEqual(client.command("QUIT"), f"221 2.0.0 {FQDN} Closing")
            self.assertIs(client.at_end(), True)
        # Everybody else is served, and nothing of the refused ones arrived.
        self.assertEqual(self.delivered(), 0)
        code, text = self.swaks(starttls)
        self.assertEqual(code, 0, text)
        self.assertEqual(self.delivered(), 1)

    def test_a_computer_that_is_not_on_the_only_list_is_refused(self):
        (port,) = self.serve(("NONE",), anonymous=True, connection_control={"mode": "ONLY_LIST", "entries": [{"address": "127.0.0.1"}]})
        code, text = self.swaks(port, "--local-interface", OTHER)
        self.assertNotEqual(code, 0)
        self.assertIn(REFUSED, text)
        code, text = self.swaks(port)
        self.assertEqual(code, 0, text)
        self.assertEqual(self.delivered(), 1)


class ClearText(Article):
    """R26: without TLS a capture shows login, password and message. The control of Encrypted."""

    def test_without_tls_the_capture_shows_login_password_and_message(self):
        (port,) = self.serve(("NONE",), authentication={"basic": {"allowClearTextCredentials": True}})
        with self.capture(port) as capture:
            code, text = self.swaks(port, "--auth", "LOGIN", "--auth-user", LOGIN, "--auth-password", PASSWORD)
            self.assertEqual(code, 0, text)
            code, text = self.curl("smtp", port, "--user", f"{LOGIN}:{PASSWORD}", "--login-options", "AUTH=PLAIN")
            self.assertEqual(code, 0, text)
        self.assertEqual(self.delivered(), 2)
        by_login, by_plain = capture.conversations()
        lines = by_login.client.split(b"\r\n")
        self.assertIn(base64.b64encode(LOGIN.encode()), lines)
        self.assertIn(base64.b64encode(PASSWORD.encode()), lines)
        tokens = [word for line in by_plain.client.split(b"\r\n")[:10] for word in line.split(b" ") if len(word) > 20 and b"@" not in word]
        self.assertIn(b"\0" + LOGIN.encode() + b"\0" + PASSWORD.encode(), [base64.b64decode(t + b"==") for t in tokens])
        for conversation in (by_login, by_plain):
            self.assertIn(SECRET.encode(), conversation.client)
            self.assertIn(b"235 2.7.0 Authentication successful\r\n", conversation.server)
        # As the article does it: tshark itself reads login and password from the packets.
        read = capture.fields("smtp.auth.username || smtp.auth.password || smtp.auth.username_password", "smtp.auth.username",
                              "smtp.auth.password", "smtp.auth.username_password", decode=(f"tcp.port=={port},smtp",))
        seen = {value for row in read for value in row}
        encoded = base64.b64encode(PASSWORD.encode()).decode()
        self.assertTrue(any(PASSWORD in value or encoded in value for value in seen), seen)


class Integrated(Article):
    """R27 (and R14): with NTLM and no TLS the capture shows neither password nor hash; the message it shows."""

    def test_with_ntlm_the_capture_shows_neither_password_nor_hash_but_the_message(self):
        self.cluster.apply({"kind": "User", "name": "users/carol", "login": "carol@in.example", "password": PASSWORD, "ntlm": True})
        (port,) = self.serve(("NONE",), authentication={
            "basic": {"enabled": False, "defaultDomain": "in.example"}, "scram": {"enabled": False}, "integrated": {"requiresTls": False}})
        wait_offered(port, "NTLM", tls=None)
        with self.capture(port) as capture:
            for options in (("--login-options", "AUTH=NTLM"), ("--login-options", "AUTH=NTLM", "--sasl-ir"), ()):
                code, text = self.curl("smtp", port, "--user", f"IN\\carol:{PASSWORD}", *options)
                self.assertEqual(code, 0, text)
            with Client(port) as client:
                self.assertIn("AUTH NTLM\n", client.hello() + "\n")
                peer = Ntlm("carol", PASSWORD)
                client.command("AUTH NTLM")
                told = client.command(base64.b64encode(peer.negotiate()).decode())
                answer = peer.authenticate(base64.b64decode(told[4:]))
                self.assertEqual(client.command(base64.b64encode(answer).decode()), "235 2.7.0 Authentication successful")
                for command, code in (("MAIL FROM:<carol@in.example>", "250"), ("RCPT TO:<bob@in.example>", "250"), ("DATA", "354")):
                    self.assertTrue(client.command(command).startswith(code))
                client.send(message().encode() + b".\r\n")
                self.assertTrue(client.reply().startswith("250 2.0.0 "))
        self.assertEqual(self.delivered(), 4)
        conversations = capture.conversations()
        self.assertEqual(len(conversations), 4)
        for conversation in conversations:
            self.assertIn(b"235 2.7.0 Authentication successful\r\n", conversation.server)
            self.assertIn(SECRET.encode(), conversation.client)
            self.assertIn(b"Subject: confidential", conversation.client)
        # Also inside of what is encoded: all that was sent as base64, decoded.
        octets = capture.octets()
        for side in (c.client + b"\r\n" + c.server for c in conversations):
            for word in side.split():
                try:
                    octets += b"\n" + base64.b64decode(word, validate=True)
                except ValueError:
                    pass
        self.assertEqual(octets.count(b"NTLMSSP\0\3"), 4)
        self.assertIn("carol".encode("utf-16-le"), octets)
        for secret in (PASSWORD.encode(), PASSWORD.encode("utf-16-le"), nt_hash(PASSWORD)):
            for form in forms_of(secret):
                self.assertNotIn(form, octets)
        # The control: what is looked for is found where it is.
        self.assertTrue(any(form in octets for form in forms_of(SECRET.encode())))


class Encrypted(Article):
    """R28 (and R19, R20): with a certificate and the secure channel required every packet of the client is encrypted."""

    def sent_by_clients(self, starttls, implicit):
        """Real clients on both TLS modes: [(port, how many conversations)]."""
        login = ("--auth-user", LOGIN, "--auth-password", PASSWORD)
        for options in (("--tls", "--auth", "PLAIN"), ("--tls", "--auth", "LOGIN")):
            code, text = self.swaks(starttls, *options, *login)
            self.assertEqual(code, 0, text)
        code, text = self.curl("smtp", starttls, "--ssl-reqd", "--user", f"{LOGIN}:{PASSWORD}")
        self.assertEqual(code, 0, text)
        with smtplib.SMTP("127.0.0.1", starttls, "client.example", 20) as client:
            client.starttls(context=insecure_context())
            client.login(LOGIN, PASSWORD)
            client.sendmail(LOGIN, ["bob@in.example"], message())
        self.assertEqual(self.delivered(), 4)

        code, text = self.swaks(implicit, "--tls-on-connect", "--auth", "PLAIN", *login)
        self.assertEqual(code, 0, text)
        code, text = self.curl("smtps", implicit, "--user", f"{LOGIN}:{PASSWORD}")
        self.assertEqual(code, 0, text)
        with smtplib.SMTP_SSL("127.0.0.1", implicit, "client.example", timeout=20, context=insecure_context()) as client:
            client.login(LOGIN, PASSWORD)
            client.sendmail(LOGIN, ["bob@in.example"], message())
        self.assertEqual(self.delivered(), 3)

    def test_every_packet_of_the_client_is_encrypted_on_both_tls_modes(self):
        starttls, implicit = self.serve(("STARTTLS", "IMPLICIT"), secure_channel=True)
        with self.capture(starttls) as by_command, self.capture(implicit) as from_first:
            self.sent_by_clients(starttls, implicit)
        self.assertEqual(len(by_command.conversations()), 4)
        self.assertEqual(len(from_first.conversations()), 3)
        for conversation in by_command.conversations():
            opening = re.match(rb"(?i:EHLO) [^ ]+\r\n(?i:STARTTLS)\r\n", conversation.client)
            self.assertIsNotNone(opening, conversation.client[:80])
            rest = conversation.client[opening.end():]
            self.assertEqual(tls_records(rest)[0][0], 22, "the first record is a handshake's")
            _, ready, answer = conversation.server.partition(b"220 2.0.0 Ready to start TLS\r\n")
            self.assertTrue(ready)
            tls_records(answer)
        for conversation in from_first.conversations():
            self.assertEqual(tls_records(conversation.client)[0][0], 22)
            tls_records(conversation.server)
        for capture in (by_command, from_first):
            octets = capture.octets()
            for secret in (LOGIN, PASSWORD, SECRET, "confidential", "bob@in.example"):
                for form in (secret.encode(), base64.b64encode(secret.encode()).rstrip(b"=")[:-1]):
                    self.assertNotIn(form, octets, secret)
            self.assertNotIn(b"AUTH PLAIN ", octets)
            self.assertNotIn(b"MAIL FROM", octets)

    def test_tshark_reads_tls_in_every_packet_behind_starttls(self):
        (port,) = self.serve(("STARTTLS",), secure_channel=True)
        with self.capture(port) as capture:
            code, text = self.swaks(port, "--tls", "--auth", "PLAIN", "--auth-user", LOGIN, "--auth-password", PASSWORD)
            self.assertEqual(code, 0, text)
        rows = capture.fields(f"tcp.dstport == {port} && tcp.len > 0", "frame.number", "smtp.req.command", "tls.record.content_type",
                              "tls.record.opaque_type", decode=(f"tcp.port=={port},smtp",))
        commands = [row[1].upper() for row in rows if row[1]]
        self.assertEqual(commands, ["EHLO", "STAR"] if commands[-1] == "STAR" else ["EHLO", "STARTTLS"])
        behind = rows[len(commands):]
        self.assertGreater(len(behind), 5)
        for row in behind:
            self.assertTrue(row[2] or row[3], f"packet {row[0]} of the client is no TLS record")

    def test_without_tls_a_required_channel_serves_nothing(self):
        (port,) = self.serve(("STARTTLS",), secure_channel=True)
        with self.capture(port) as capture:
            with Client(port) as client:
                self.assertNotIn("AUTH", client.hello())
                for command in ("MAIL FROM:<alice@in.example>", "RCPT TO:<bob@in.example>", "DATA", "VRFY bob"):
                    self.assertEqual(client.command(command), "530 5.7.0 Must issue a STARTTLS command first")
                self.assertEqual(client.command("NOOP"), "250 2.0.0 OK")
            code, text = self.curl("smtp", port, "--user", f"{LOGIN}:{PASSWORD}")
            self.assertNotEqual(code, 0, text)
        self.assertEqual(self.delivered(), 0)
        # curl saw no AUTH and kept the password to itself.
        self.assertNotIn(base64.b64encode(PASSWORD.encode())[:-2], capture.octets())
        self.assertNotIn(SECRET.encode(), capture.octets())


class RelayRefused(Article):
    """R30: from an excluded address to an external domain, exactly `550 5.7.1 Unable to relay for <recipient>`."""
    EXTERNAL = "ceo@far.example"
    TEXT = "550 5.7.1 Unable to relay for ceo@far.example"

    def test_from_an_excluded_address_to_an_external_domain(self):
        lists = {"only the list": {"mode": "ONLY_LIST", "entries": [{"address": "127.0.0.1"}]},
                 "all except the list": {"mode": "ALL_EXCEPT", "entries": [{"address": OTHER}], "allowOpenRelay": True}}
        for name, relay in lists.items():
            with self.subTest(name):
                (port,) = self.serve(("STARTTLS",), anonymous=True, relay=relay)
                with self.capture(port) as capture:
                    code, text = self.swaks(port, "--local-interface", OTHER, recipient=self.EXTERNAL)
                    self.assertEqual(code, 24, text)
                    self.assertIn(self.TEXT, text)
                    with smtplib.SMTP("127.0.0.1", port, "client.example", 20, source_address=(OTHER, 0)) as client:
                        with self.assertRaises(smtplib.SMTPRecipientsRefused) as refused:
                            client.sendmail("x@elsewhere.example", [self.EXTERNAL], message())
                    self.assertEqual(refused.exception.recipients, {self.EXTERNAL: (550, self.TEXT[4:].encode())})
                for conversation in capture.conversations():
                    self.assertIn(self.TEXT, self.message_of(conversation))
                self.assertEqual(self.delivered(), 0)
                # R24: what is local is taken from the same address; R23: the address that is not excluded relays.
                code, text = self.swaks(port, "--local-interface", OTHER)
                self.assertEqual(code, 0, text)
                code, text = self.swaks(port, recipient=self.EXTERNAL)
                self.assertEqual(code, 0, text)
                # R22: who logs in relays from the excluded address.
                code, text = self.swaks(port, "--local-interface", OTHER, "--tls", "--auth", "PLAIN", "--auth-user", LOGIN,
                                        "--auth-password", PASSWORD, recipient=self.EXTERNAL)
                self.assertEqual(code, 0, text)
                self.assertEqual(self.delivered(), 3)


if __name__ == "__main__":
    unittest.main()
