#!/usr/bin/python3
"""The logs: one JSON object a line from every program, and one session id from the edge by the auth service to the next hop's Received."""
import os
import re
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "integration"))
from harness.client import Client  # noqa: E402
from harness.cluster import Cluster  # noqa: E402
from harness.processes import wait_for  # noqa: E402
from harness.recorder import Recorder  # noqa: E402

PASSWORD = "correct horse"


class Logs(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.upstream = Recorder()
        cls.addClassCleanup(cls.upstream.close)
        cls.cluster = Cluster()
        cls.addClassCleanup(cls.cluster.stop)
        cls.cluster.start()
        cls.cluster.create_user("alice", "alice@example.com", PASSWORD)
        cls.cluster.virtual_server("submission", cls.upstream.address, listeners=("STARTTLS",), secure_channel=True, local_domains=["example.com"])
        cls.edge = cls.cluster.edge("edge1")
        wait_for(lambda: cls.edge.metrics()["gatepost_edge_auth_streams"] >= 1, 30, "the edge's stream to the auth service")

    def submit(self, password):
        """The replies to AUTH and, after its success, to two messages' dots."""
        with Client(self.edge.port("submission", "STARTTLS")) as client:
            client.hello()
            client.starttls()
            client.hello()
            said = [client.auth_plain("alice@example.com", password)]
            for _ in range(2 if said[0].startswith("235") else 0):
                for command in ("MAIL FROM:<alice@example.com>", "RCPT TO:<bob@example.com>", "DATA", "Subject: x\r\n\r\ny\r\n."):
                    answer = client.command(command)
                    self.assertIn(answer[0], "23")
                said.append(answer)
            client.command("QUIT")
        return said

    def test_one_id_from_the_edge_by_the_auth_service_to_the_next_hop(self):
        # The client hears it: 250 2.0.0 Accepted SESSION.MESSAGE what the next hop said.
        _, *dots = self.submit(PASSWORD)
        ids = [said.split(" ")[3] for said in dots]
        session = ids[0].split(".")[0]
        self.assertEqual(ids, [f"{session}.1", f"{session}.2"])
        for event, expected in (("auth", "success"), ("message", None), ("session_end", None)):
            found = self.edge.event(lambda e: e.get("event") == event and e["session"] == session)  # noqa: B023
            self.assertEqual(found.get("outcome"), expected)
        self.assertEqual([e["message"] for e in self.edge.events if e.get("event") == "message" and e["session"] == session], ids)
        login = self.cluster.auth.event(lambda e: e.get("event") == "login" and e["session"] == session)
        self.assertEqual((login["user"], login["outcome"]), ("users/alice", "success"))
        traces = [re.search(rb"^\tid (\S+)\r?$", m.body.split(b"\r\n\r\n")[0], re.MULTILINE).group(1).decode() for m in self.upstream.messages[-2:]]
        self.assertEqual(traces, ids)

    def test_a_refused_login_is_found_by_the_same_id(self):
        self.assertTrue(self.submit("wrong")[0].startswith("535"))
        refused = self.edge.event(lambda e: e.get("event") == "auth" and e["outcome"] != "success")
        self.cluster.auth.event(lambda e: e.get("event") == "login" and e["session"] == refused["session"])

    def test_every_line_is_json_with_time_level_and_event(self):
        self.submit(PASSWORD)
        for process in (self.edge, self.cluster.auth, self.cluster.config):
            self.assertGreaterEqual(len(process.events), 2)
            for event in list(process.events):
                self.assertIn("event", event, f"{process.name}: no JSON")
                self.assertRegex(event["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
                self.assertIn(event["level"], ("debug", "info", "warning", "error"))
                self.assertRegex(event["event"], r"^[a-z_]+$")


if __name__ == "__main__":
    unittest.main()
