#!/usr/bin/python3
"""Real mail clients submit a message with attachments through the edge; it arrives byte-equal.

curl (STARTTLS and implicit TLS), swaks, python's smtplib, msmtp and s-nail, each with a password, each checking the server's
certificate. At the recording upstream the message is what was sent but for our one Received; in Postfix's Maildir also, but for line
ends and Postfix's own fields. Rows R1, R20, R22.
"""
import email
import email.policy
import os
import random
import re
import shutil
import smtplib
import ssl
import subprocess
import sys
import unittest
from email.message import EmailMessage

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "integration"))
from harness.cluster import Cluster  # noqa: E402
from harness.postfix import Postfix, available  # noqa: E402
from harness.recorder import Recorder  # noqa: E402

LOGIN, PASSWORD = "alice@example.com", "correct horse battery"
# RFC 5321 4.4, our one trace field, folded.
RECEIVED = re.compile(rb"^Received: from [^\r\n]+(\r\n[ \t][^\r\n]+)*\r\n")


def sample(seed, subject):
    """A multipart message with a text, a binary and a dotty attachment; CR LF line ends."""
    rng = random.Random(seed)
    message = EmailMessage(policy=email.policy.SMTP)
    message["From"] = "Alice <alice@example.com>"
    message["To"] = "Bob <bob@example.com>"
    message["Subject"] = subject
    message["Date"] = "Tue, 24 Nov 2026 11:00:00 +0000"
    message["Message-ID"] = f"<{rng.getrandbits(64):x}@client.example>"
    message.set_content("Dear Bob,\n.\n..leading dots\nFrom here on\n\nAlice\n")
    message.add_attachment(rng.randbytes(70_000), maintype="application", subtype="octet-stream", filename="noise.bin")
    message.add_attachment("\n".join("." * n for n in range(40)) + "\n", filename="dots.txt")
    return message.as_bytes()


class Clients(unittest.TestCase):
    """Each client once against the recorder and once against Postfix."""

    @classmethod
    def setUpClass(cls):
        cls.recorder = Recorder()
        cls.cluster = Cluster()
        cls.cluster.start()
        cls.cluster.create_user("alice", LOGIN, PASSWORD)
        modes = ("STARTTLS", "IMPLICIT")
        cls.cluster.virtual_server("recorded", cls.recorder.address, listeners=modes, secure_channel=True, local_domains=["example.com"])
        cls.postfix = None
        if not available():
            cls.postfix = Postfix(cls.cluster.folder / "postfix")
            cls.postfix.start()
            cls.cluster.virtual_server("delivered", cls.postfix.address, listeners=modes, secure_channel=True,
                                       local_domains=["example.com"])
        cls.edge = cls.cluster.edge("edge1")
        cls.trusted = {}
        for name in ("recorded", "delivered") if cls.postfix else ("recorded",):
            path = cls.cluster.folder / f"{name}.pem"
            path.write_text(cls.cluster.ctl("certificate", "get", name, "--pem"))
            cls.trusted[name] = path

    @classmethod
    def tearDownClass(cls):
        if cls.postfix:
            cls.postfix.stop()
        cls.cluster.stop()
        cls.recorder.close()

    def run_client(self, argv, stdin=None):
        environment = {**os.environ, "HOME": str(self.cluster.folder), "MAILRC": "/dev/null"}
        done = subprocess.run([str(a) for a in argv], input=stdin, capture_output=True, timeout=60, env=environment, check=False)
        self.assertEqual(done.returncode, 0, f"{argv[0]}: {done.stdout.decode(errors='replace')}{done.stderr.decode(errors='replace')}")
        return done

    def both(self, send, expected=None):
        """send(virtual server) -> the octets that were sent; compares them at both upstreams."""
        before = len(self.recorder.messages)
        sent = send("recorded")
        self.recorder.wait(lambda r: len(r.messages) == before + 1, what="one message")
        body = self.recorder.messages[-1].body
        match = RECEIVED.match(body)
        self.assertIsNotNone(match, body[:200])
        trace = match.group(0)
        self.assertIn(b" with ESMTPSA ", trace.replace(b"\r\n\t", b" ").replace(b"\r\n ", b" ") + b" ")
        self.assertNotIn(b"alice", trace, "Received does not show the login")
        self.assertEqual(body[match.end():], sent)
        self.assertEqual(self.recorder.messages[-1].recipients[0].split(b">")[0], b"RCPT TO:<bob@example.com")
        if not self.postfix:
            return
        count = len(self.postfix.files("bob"))
        known = set(self.postfix.files("bob"))
        sent = send("delivered")
        self.postfix.wait_messages("bob", count + 1)
        new = (set(self.postfix.files("bob")) - known).pop().read_bytes()
        lines = sent.replace(b"\r\n", b"\n")
        self.assertTrue(new.endswith(lines), new[:600])
        head = new[:-len(lines)].decode()
        names = re.findall(r"^([A-Za-z-]+):", head, re.M)
        self.assertEqual(sorted(set(names)), ["Delivered-To", "Received", "Return-Path", "X-Original-To"], head)
        self.assertEqual(names.count("Received"), 2, head)  # Postfix's and ours

    def file(self, octets):
        path = self.cluster.folder / "message.eml"
        path.write_bytes(octets)
        return path

    def curl(self, mode):
        def send(server):
            octets = sample(f"curl{mode}{server}", f"curl {mode}")
            port = self.edge.port(server, mode)
            scheme = "smtps" if mode == "IMPLICIT" else "smtp"
            self.run_client(["curl", "--silent", "--show-error", "--ssl-reqd", "--cacert", self.trusted[server], "--resolve",
                             f"mail.example.com:{port}:127.0.0.1", f"{scheme}://mail.example.com:{port}/client.example", "--user",
                             f"{LOGIN}:{PASSWORD}", "--mail-from", LOGIN, "--mail-rcpt", "bob@example.com", "--upload-file", self.file(octets)])
            return octets
        self.both(send)

    def test_curl_by_starttls(self):
        self.curl("STARTTLS")

    def test_curl_by_implicit_tls(self):
        self.curl("IMPLICIT")

    def swaks(self, mechanism, tls):
        def send(server):
            octets = sample(f"swaks{mechanism}{tls}{server}", "swaks")
            mode = "IMPLICIT" if tls == "--tls-on-connect" else "STARTTLS"
            # swaks ends lines with CR LF, and puts one more behind the file.
            text = octets.replace(b"\r\n", b"\n").rstrip(b"\n") + b"\n"
            self.run_client(["swaks", "--server", "127.0.0.1", "--port", self.edge.port(server, mode), tls, "--tls-verify", "--tls-ca-path",
                             self.trusted[server], "--tls-sni", "mail.example.com", "--auth", mechanism, "--auth-user", LOGIN,
                             "--auth-password", PASSWORD, "--from", LOGIN, "--to", "bob@example.com", "--data", "@" + str(self.file(text)),
                             "--hide-all"])
            return text.replace(b"\n", b"\r\n") + b"\r\n"
        self.both(send)

    def test_swaks_plain_and_login(self):
        if not shutil.which("swaks"):
            self.fail("the Debian package swaks is missing")
        self.swaks("PLAIN", "--tls")
        self.swaks("LOGIN", "--tls-on-connect")

    def test_python_smtplib(self):
        def send(server):
            octets = sample(f"smtplib{server}", "smtplib")
            context = ssl.create_default_context(cafile=self.trusted[server])
            with smtplib.SMTP("127.0.0.1", self.edge.port(server, "STARTTLS"), local_hostname="client.example", timeout=30) as smtp:
                smtp._host = "mail.example.com"  # the name to verify; the address is loopback's
                smtp.starttls(context=context)
                smtp.login(LOGIN, PASSWORD)
                smtp.sendmail(LOGIN, ["bob@example.com"], octets)
            return octets
        self.both(send)

    def test_msmtp(self):
        def send(server):
            octets = sample(f"msmtp{server}", "msmtp")
            self.run_client(["msmtp", "--file=/dev/null", "--host=127.0.0.1", f"--port={self.edge.port(server, 'STARTTLS')}", "--tls=on",
                             f"--tls-trust-file={self.trusted[server]}", "--tls-host-override=mail.example.com", "--auth=plain",
                             f"--user={LOGIN}", f"--passwordeval=echo {PASSWORD}", "--domain=client.example", f"--from={LOGIN}",
                             "bob@example.com"], stdin=octets.replace(b"\r\n", b"\n"))
            return octets
        self.both(send)

    def test_s_nail(self):
        def send(server):
            attachment = self.cluster.folder / "noise.bin"
            attachment.write_bytes(random.Random(server).randbytes(50_000))
            record = self.cluster.folder / f"sent-{server}.mbox"
            record.unlink(missing_ok=True)
            port = self.edge.port(server, "STARTTLS")
            user = LOGIN.replace("@", "%40")
            self.run_client(["s-nail", "-:", "/", "-S", "v15-compat=yes", "-S", f"mta=smtp://{user}:{PASSWORD.replace(' ', '%20')}@127.0.0.1:{port}",
                             "-S", "smtp-use-starttls", "-S", "smtp-auth=plain", "-S", "tls-verify=ignore", "-S", f"from={LOGIN}", "-S", f"record={record}",
                             "-s", "s-nail", "-a", attachment, "bob@example.com"], stdin=b"Hello Bob\n.x\n..\nbye\n")
            # What s-nail says it sent: an mbox of one message, its From_ line and a blank line at the end aside.
            sent = record.read_bytes().split(b"\n", 1)[1]
            self.assertTrue(sent.endswith(b"\n\n"), sent[-40:])
            return sent[:-1].replace(b"\n", b"\r\n")
        self.both(send)


if __name__ == "__main__":
    unittest.main()
