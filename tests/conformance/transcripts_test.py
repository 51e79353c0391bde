#!/usr/bin/python3
"""Whole sessions, line for line, against a real edge: transcripts/*.txt.

    # comment
    server VIRTUAL_SERVER [MODE]     the first line
    S: text      a reply line that must come; `*` at its end stands for anything
    C: text      a line to send; C+ text: the same, but sent together with what follows
    TLS          the handshake
    END          the server closes, and has said nothing more
"""
import os
import pathlib
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "integration"))
from harness.client import Client  # noqa: E402
from harness.cluster import Cluster  # noqa: E402
from harness.recorder import Recorder  # noqa: E402

FOLDER = pathlib.Path(__file__).resolve().parent / "transcripts"


class Transcripts(unittest.TestCase):
    """One cluster; every transcript is a subtest."""

    def play(self, path, edge):
        client, pending = None, b""
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            where = f"{path.name}:{number}: {line}"
            if not line or line.startswith("#"):
                continue
            if line.startswith("server "):
                client = Client(edge.port(*line.split()[1:]), banner=False)
                self.addCleanup(client.sock.close)
            elif line.startswith("C+ "):
                pending += line[3:].encode() + b"\r\n"
            elif line.startswith("C:"):
                client.send(pending + line[3:].encode() + b"\r\n")
                pending = b""
            elif line.startswith("S: "):
                said = client.line().decode()
                wanted = line[3:]
                if wanted.endswith("*"):
                    self.assertTrue(said.startswith(wanted[:-1]), f"{where}\nsaid: {said}")
                else:
                    self.assertEqual(said, wanted, where)
            elif line == "TLS":
                client.sock = client.context.wrap_socket(client.sock, server_hostname="mail.example.com")
            elif line == "END":
                self.assertIs(client.at_end(), True, where)
                return
            else:
                self.fail(f"{where}: not a line of a transcript")
        self.fail(f"{path.name} does not end with END")

    def test_transcripts(self):
        upstream = Recorder()
        self.addCleanup(upstream.close)
        cluster = Cluster()
        self.addCleanup(cluster.stop)
        cluster.start()
        cluster.create_user("alice", "alice@in.example", "correct horse")
        cluster.virtual_server("inbound", upstream.address, anonymous=True, local_domains=["in.example"])
        cluster.virtual_server("submission", upstream.address, listeners=("STARTTLS",), secure_channel=True, local_domains=["in.example"])
        extended = Recorder(capabilities=("PIPELINING", "SIZE 40000000", "DSN", "ENHANCEDSTATUSCODES", "8BITMIME", "BINARYMIME", "CHUNKING",
                                          "SMTPUTF8", "LIMITS MAILMAX=7"))
        self.addCleanup(extended.close)
        cluster.virtual_server("extended", extended.address, anonymous=True, local_domains=["in.example"], dialect="EXCHANGE",
                               messageLimits={"maxMessages": "50"})
        edge = cluster.edge("edge1")
        # What a next hop can do is learnt by the probe, and by these sessions at the latest.
        for name in ("inbound", "extended"):
            with Client(edge.port(name)) as client:
                client.hello()
                client.command("MAIL FROM:<a@in.example>")
                self.assertTrue(client.command("RCPT TO:<b@in.example>").startswith("250"))
        paths = sorted(FOLDER.glob("*.txt"))
        self.assertGreaterEqual(len(paths), 5)
        for path in paths:
            with self.subTest(path=path.name):
                self.play(path, edge)


if __name__ == "__main__":
    unittest.main()
