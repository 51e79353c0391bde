#!/usr/bin/python3
"""The control plane as the data plane sees it: live changes, static stability, refusals at start.

A change through gatepostctl is live on both edges in under a second and drops no session (R18); edges run, and restart, without the
config service (F4, F5); a corrupt snapshot never serves (F5); a port that is taken fails one listener alone (F7).
"""
import os
import random
import signal
import socket
import sys
import time
import unittest

from harness.client import Client, Closed
from harness.cluster import Cluster
from harness.ports import free_port
from harness.processes import wait_for
from harness.recorder import Recorder


class ControlPlane(unittest.TestCase):
    """Each test has a cluster of its own: they kill its parts."""

    def setUp(self):
        self.upstream = Recorder()
        self.addCleanup(self.upstream.close)
        self.cluster = Cluster()
        self.addCleanup(self.cluster.stop)
        self.cluster.start()
        self.inbound = dict(anonymous=True, local_domains=["in.example"])
        self.cluster.virtual_server("inbound", self.upstream.address, **self.inbound)

    def verdict(self, client, recipient):
        client.command("RSET")
        self.assertTrue(client.command("MAIL FROM:<a@in.example>").startswith("250"))
        return client.command(f"RCPT TO:<{recipient}>")

    def fresh_verdict(self, edge, recipient):
        with Client(edge.port("inbound")) as client:
            client.hello()
            return self.verdict(client, recipient)

    def test_a_change_is_live_on_both_edges_within_a_second_and_drops_no_session(self):
        edges = [self.cluster.edge("edge1"), self.cluster.edge("edge2", offset=5000)]
        sessions = []
        for edge in edges:
            for _ in range(20):
                client = Client(edge.port("inbound"))
                self.addCleanup(client.sock.close)
                client.hello()
                sessions.append(client)
        for edge in edges:
            self.assertTrue(self.fresh_verdict(edge, "x@far.example").startswith("550 5.7.1 Unable to relay for x@far.example"))
        document = self.cluster.document("inbound", self.upstream.address, relay={"entries": [{"subnet": "127.0.0.0/8"}]}, **self.inbound)
        path = self.cluster.folder / "change.json"
        path.write_text(__import__("json").dumps([document]))
        self.cluster.ctl("apply", "-f", path)
        done = time.monotonic()
        for edge in edges:
            wait_for(lambda e=edge: self.fresh_verdict(e, "x@far.example").startswith("250"), 5, "the changed verdict", every=0.01)
        took = time.monotonic() - done
        self.assertLess(took, 1.0, "from the answered call to both edges")
        # Sessions from before: alive, and on the policy they began with.
        for client in sessions:
            self.assertTrue(self.verdict(client, "b@in.example").startswith("250"))
            self.assertTrue(self.verdict(client, "x@far.example").startswith("550 5.7.1"))

    def test_mail_flows_without_the_config_service(self):
        edge = self.cluster.edge("edge1")
        self.cluster.config.kill()
        for _ in range(20):
            self.assertTrue(self.fresh_verdict(edge, "b@in.example").startswith("250"))
        wait_for(lambda: any("config" in k and v > 0 for k, v in edge.metrics().items() if "age" in k), 10, "a growing config age")

    def test_an_edge_restarts_from_its_sealed_snapshot(self):
        edge = self.cluster.edge("edge1")
        snapshot = self.cluster.folder / "edge1" / "snapshot"
        wait_for(snapshot.exists, 10, "the snapshot file")
        self.assertEqual(snapshot.stat().st_mode & 0o777, 0o600)
        self.cluster.config.kill()
        edge.kill()
        begin = time.monotonic()
        edge = self.cluster.edge("edge1")
        self.assertTrue(self.fresh_verdict(edge, "b@in.example").startswith("250"))
        self.assertLess(time.monotonic() - begin, 3.0)

    def test_a_corrupt_or_missing_snapshot_never_serves(self):
        edge = self.cluster.edge("edge1")
        snapshot = self.cluster.folder / "edge1" / "snapshot"
        wait_for(snapshot.exists, 10, "the snapshot file")
        good = snapshot.read_bytes()
        self.cluster.config.kill()
        rng = random.Random(5)
        flipped = bytearray(good)
        flipped[rng.randrange(len(flipped))] ^= 1 << rng.randrange(8)
        for octets in (bytes(flipped), good[:len(good) // 2], b"", None):
            edge.kill()
            if octets is None:
                snapshot.unlink()
            else:
                snapshot.write_bytes(octets)
            from harness.cluster import Edge
            edge = Edge(self.cluster, "edge1", 0, 1, [])
            self.cluster.edges["edge1"] = edge
            wait_for(lambda e=edge: self.answers(e.metrics_port), 20, "the metrics port")
            with self.assertRaises(OSError):
                socket.create_connection(("127.0.0.1", edge.port("inbound")), timeout=2)
            self.assertTrue(edge.running(), edge.tail())
        # The config service comes back: the edge serves without a restart.
        self.cluster.start_config()
        self.cluster.wait_listening(edge)
        self.assertTrue(self.fresh_verdict(edge, "b@in.example").startswith("250"))

    def answers(self, port, host="127.0.0.1"):
        try:
            socket.create_connection((host, port), timeout=1).close()
            return True
        except OSError:
            return False

    def test_a_taken_port_fails_one_listener_alone(self):
        taken = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(taken.close)
        self.cluster.ports[("blocked", "NONE")] = taken.getsockname()[1]
        self.cluster.apply(self.cluster.document("blocked", self.upstream.address, **self.inbound))
        del self.cluster.ports[("blocked", "NONE")]
        edge = self.cluster.edge("edge1")
        self.assertTrue(self.fresh_verdict(edge, "b@in.example").startswith("250"))
        wait_for(lambda: "FAILED" in self.cluster.ctl("edge", "list", "--output", "json"), 10, "the failed listener in edge list")
        # Freed, it is opened by the next try.
        port = taken.getsockname()[1]
        taken.close()
        wait_for(lambda: self.answers(port), 15, "the listener that was freed")

    def test_ipv6_listeners_lists_and_next_hops_by_name(self):
        document = self.cluster.document("six", "localhost:%d" % self.upstream.port, host="::1", anonymous=True, local_domains=["in.example"],
                                         connection_control={"mode": "ONLY_LIST", "entries": [{"subnet": "::1/128"}]})
        self.cluster.apply(document)
        port = self.cluster.ports.pop(("six", "NONE"))
        edge = self.cluster.edge("edge1")
        wait_for(lambda: self.answers(port, "::1"), 20, "the listener on ::1")
        with Client(port, host="::1") as client:
            self.assertIn("[::1]", client.hello().replace("IPv6:", ""))
            self.assertTrue(self.verdict(client, "b@in.example").startswith("250"))
            self.assertTrue(client.command("DATA").startswith("354"))
            client.send(b"Subject: six\r\n\r\nx\r\n.\r\n")
            self.assertTrue(client.reply().startswith("250 2.0.0 Accepted "))
        self.assertIn(b"[IPv6:::1]", self.upstream.messages[0].body)
        document["connection_control"]["entries"] = [{"subnet": "2001:db8::/32"}]
        self.cluster.apply(document)
        with Client(port, host="::1") as client:
            self.assertRegex(client.banner, r"^554 mail\.example\.com Connection refused: (IPv6:)?::1 is not permitted$")
            self.assertTrue(client.command("EHLO x").startswith("503 5.5.1 "))
            self.assertTrue(client.command("QUIT").startswith("221 2.0.0 "))
        self.assertTrue(edge.running())

    def test_sigterm_drains(self):
        edge = self.cluster.edge("edge1")
        idle = Client(edge.port("inbound"))
        idle.hello()
        busy = Client(edge.port("inbound"))
        busy.hello()
        busy.command("MAIL FROM:<a@in.example>")
        busy.command("RCPT TO:<b@in.example>")
        self.assertTrue(busy.command("DATA").startswith("354"))
        edge.signal(signal.SIGTERM)
        self.assertRegex(idle.reply(), r"^421 4\.3\.2 ")
        self.assertIs(idle.at_end(), True)
        busy.send(b"Subject: x\r\n\r\nfinished in peace\r\n.\r\n")
        self.assertTrue(busy.reply().startswith("250 2.0.0 Accepted "))
        self.assertRegex(busy.reply(), r"^421 4\.3\.2 ")
        busy.sock.close()
        self.assertEqual(edge.process.wait(30), 0, edge.tail())
        self.assertEqual(len(self.upstream.messages), 1)


if __name__ == "__main__":
    unittest.main()
