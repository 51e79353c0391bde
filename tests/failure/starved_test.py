#!/usr/bin/python3
"""What an edge needs is taken away from it: its output, its scraper, its peers, its descriptors. Mail goes on.

Rows F18 (next hop's disk full), F24 (half-open connections), F25 (256 descriptors), F28 (blocked log, hung scrapes).
"""
import os
import socket
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "integration"))
from harness.client import Client  # noqa: E402
from harness.cluster import Cluster, Edge  # noqa: E402
from harness.processes import wait_for  # noqa: E402
from harness.recorder import Recorder  # noqa: E402

TCP_REPAIR = 19  # linux/tcp.h: a socket that is closed in this state tells its peer nothing
FQDN = "mail.example.com"


class Starved(unittest.TestCase):
    """Each test has a cluster of its own."""

    def setUp(self):
        self.upstream = Recorder()
        self.addCleanup(self.upstream.close)
        self.cluster = Cluster()
        self.addCleanup(self.cluster.stop)
        self.cluster.start()
        self.settings = {"anonymous": True, "local_domains": ["in.example"], "connectionLimits": {"maxPerSource": 0},
                         "sessionLimits": {"idleTimeout": "10s"}}

    def serve(self, **more):
        self.cluster.virtual_server("inbound", self.upstream.address, **{**self.settings, **more})

    def deliver(self, port):
        """One message in a session of its own; the final reply."""
        with Client(port) as client:
            if not client.banner.startswith("220 "):
                return client.banner
            client.hello()
            client.command("MAIL FROM:<a@in.example>")
            answer = client.command("RCPT TO:<b@in.example>")
            if not answer.startswith("250 "):
                return answer
            self.assertTrue(client.command("DATA").startswith("354 "))
            client.send(b"Subject: x\r\n\r\nx\r\n.\r\n")
            answer = client.reply()
            client.command("QUIT")
            return answer

    def accepted(self, port):
        answer = self.deliver(port)
        self.assertTrue(answer.startswith("250 2.0.0 Accepted "), answer)

    def test_a_blocked_log_and_hung_scrapes_never_block_mail(self):
        self.serve(logging={"protocolLog": True})
        edge = self.cluster.edge("edge1")
        port = edge.port("inbound")
        # Nobody reads its output any more: the reader of our harness stands still with its lock held.
        with edge.changed:
            hung = []
            for _ in range(20):  # more than the exposer has threads
                sock = socket.create_connection(("127.0.0.1", edge.metrics_port), timeout=20)
                sock.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n")
                hung.append(sock)
            # 4 MiB of queue and 64 KiB of pipe: 16 MiB of lines are more than fit.
            longest, sessions = 0.0, 0
            noise = b"".join(b"X" * 900 + b"%d\r\n" % n for n in range(20))
            until = time.monotonic() + 60
            while sessions * 20 * 1024 < 16 << 20 and time.monotonic() < until:
                with Client(port) as client:
                    client.send(noise)
                    for _ in range(20):
                        client.reply()
                sessions += 1
                if sessions % 50 == 0:
                    began = time.monotonic()
                    self.accepted(port)
                    longest = max(longest, time.monotonic() - began)
            for sock in hung:
                sock.close()
        self.assertLess(longest, 2, "a message beside a blocked log")
        wait_for(lambda: edge.metrics()["gatepost_edge_log_dropped_lines"] > 0, 30, "the count of dropped lines")
        # The log lives on with lines that are whole.
        seen = len(edge.events)
        self.accepted(port)
        wait_for(lambda: any(e.get("event") == "session_end" and e.get("messages") == 1 for e in edge.events[seen:]), 30, "its line")
        broken = [e for e in edge.events if "text" in e and "event" not in e]
        self.assertEqual(broken, [])

    def test_half_open_connections_are_freed(self):
        self.serve()
        edge = self.cluster.edge("edge1")
        before = len(os.listdir(f"/proc/{edge.pid}/fd"))
        gone = []
        for number in range(60):
            client = Client(edge.port("inbound"))
            if number % 2:
                client.hello()
                client.command("MAIL FROM:<a@in.example>")
                client.command("RCPT TO:<b@in.example>")
            gone.append(client)
        for client in gone:
            try:
                client.sock.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
            except OSError as error:
                self.skipTest(f"NOT VERIFIED: a connection cannot be left half open here (CAP_NET_ADMIN is needed): {error}")
            client.sock.close()
        self.assertGreaterEqual(edge.sessions("inbound"), 60)
        self.accepted(edge.port("inbound"))
        wait_for(lambda: edge.sessions("inbound") == 0, 40, "the end of who is not there any more", every=0.2)
        wait_for(lambda: len(os.listdir(f"/proc/{edge.pid}/fd")) <= before + 4, 20, "the baseline of descriptors", every=0.2)
        self.assertEqual(self.upstream.messages[1:], [])

    def test_few_descriptors_are_kept_for_next_hops_and_configuration(self):
        """F25: `ulimit -n 256`: clients have 179 of them, whoever comes then is told so, and nobody's message lacks a next hop."""
        self.serve()
        edge = Edge(self.cluster, "edge1", 0, 2, [], wrapper=("prlimit", "--nofile=256:256"))
        self.cluster.edges["edge1"] = edge
        self.cluster.wait_listening(edge)
        port = edge.port("inbound")
        self.assertEqual(edge.metrics()["gatepost_edge_client_connections_limit"], 179)
        wait_for(lambda: edge.metrics()["gatepost_edge_client_connections"] == 0, 10, "no connection but ours")
        crowd = [Client(port) for _ in range(179)]
        self.assertEqual({c.banner for c in crowd}, {f"220 {FQDN} ESMTP Gatepost"})
        for _ in range(50):
            self.assertEqual(self.deliver(port), f"421 {FQDN} Too many connections")
        # Those who are in are served to the end, and the configuration still arrives.
        for client in crowd[:40]:
            client.hello()
            client.command("MAIL FROM:<a@in.example>")
            self.assertEqual(client.command("RCPT TO:<b@in.example>"), "250 2.1.5 Recipient OK")
        self.serve(fqdn="renamed.example.com")
        self.assertEqual(self.deliver(port), "421 renamed.example.com Too many connections")
        for client in crowd[:40]:
            self.assertTrue(client.command("DATA").startswith("354 "))
            client.send(b"Subject: x\r\n\r\nx\r\n.\r\n")
            self.assertTrue(client.reply().startswith("250 2.0.0 Accepted "))
        for client in crowd:
            client.sock.close()
        began = time.monotonic()
        wait_for(lambda: self.deliver(port).startswith("250 "), 10, "service after the crowd")
        self.assertLess(time.monotonic() - began, 2)

    def test_a_full_disk_of_the_next_hop_is_passed_on(self):
        self.serve()
        edge = self.cluster.edge("edge1")
        for verb in ("MAIL", "RCPT", "DOT"):
            self.upstream.answers = {verb: b"452 4.3.1 Insufficient system storage\r\n"}
            answer = self.deliver(edge.port("inbound"))
            self.assertTrue(answer.startswith("452 4.3.1 "), (verb, answer))
            self.assertIn("Insufficient system storage", answer)
        self.upstream.answers = {}
        self.accepted(edge.port("inbound"))


if __name__ == "__main__":
    unittest.main()
