#!/usr/bin/python3
"""simulate_equals_edge_test.py JUDGE_SESSIONS: random sessions against a real edge, over real sockets, from addresses of
127.0.0.0/8: 300 with a TLS handshake, 50 without. Its replies are those that SimulateSession and the reference evaluator foretell, and its log names the
same deciding field for every refusal."""
import base64
import json
import os
import ssl
import sys
import unittest

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "integration"))
sys.path.insert(0, os.path.join(HERE, "reference"))
from compare import differences, sessions  # noqa: E402
from harness.client import Client, insecure_context  # noqa: E402
from harness.cluster import Cluster  # noqa: E402
from harness.ports import free_port  # noqa: E402
from harness.dns import DnsServer, listed, reverse  # noqa: E402
from harness.processes import wait_for  # noqa: E402
from harness.recorder import Recorder  # noqa: E402

ENCRYPTED, CLEAR = 300, 50
PASSWORD = "correct horse"
JUDGE = sys.argv.pop(1)


def choose(seed):
    """So many sessions with a handshake, and without."""
    encrypted, clear = [], []
    for session in sessions(JUDGE, 4 * ENCRYPTED, seed, "loopback"):
        handshake = any(step["kind"] == "TLS" for step in session["simulate"]["steps"])
        (encrypted if handshake else clear).append(session)
    return encrypted[:ENCRYPTED] + clear[:CLEAR]


def document(number, session, upstream):
    """The session's policy, as a virtual server of its own."""
    candidate = dict(session["request"]["candidate"])
    mode = session["request"].get("tls_mode", "STARTTLS")
    host, port = upstream.rsplit(":", 1)
    candidate.update(
        kind="VirtualServer", name=f"virtualServers/s{number}", certificates=["certificates/shared"],
        listeners=[{"address": "127.0.0.1", "port": free_port(), "tlsMode": mode}],
        delivery={"defaultRoute": {"nextHops": [{"host": host, "port": int(port)}]}})
    return candidate


def tell_dns(dns, session):
    """The facts of a session's client, as a resolver finds them."""
    client = session["request"]["client"]
    address = client["address"]
    if client.get("name_lookup_failed"):
        dns.fail[reverse(address)] = "servfail"
    for name in set(client.get("names", [])):
        dns.ptr(address, name)
        dns.a(name, address)
    for zone in {entry["zone"] for entry in session["request"]["candidate"].get("filters", {}).get("block_lists", [])}:
        if client.get("block_lists_failed"):
            dns.fail[listed(address, zone)] = "servfail"
        elif zone in client.get("listed_by", []):
            dns.a(listed(address, zone), "127.0.0.2")


class WireClient:
    """Says what the simulated client says; .steps are [kind, reply]."""

    def __init__(self, request, port):
        self.request = request
        self.steps = []
        mode = request.get("tls_mode", "STARTTLS")
        context = insecure_context()
        if request.get("tls", {}).get("version") == "TLS_1_2":
            context.maximum_version = ssl.TLSVersion.TLSv1_2
        self.client = Client(port, implicit_tls=mode == "IMPLICIT", source=request["client"]["address"], context=context)
        with self.client:
            if mode == "IMPLICIT":
                self.steps.append(["TLS", ""])
            self.converse(mode == "STARTTLS" and "tls" in request)

    def converse(self, starttls):
        if not self.note("CONNECT", self.client.banner) or not self.say("EHLO", "EHLO client.example"):
            return
        if starttls:
            if not self.say("STARTTLS", "STARTTLS"):
                return
            self.client.sock = self.client.context.wrap_socket(self.client.sock, server_hostname="mx.example")
            self.steps.append(["TLS", ""])
            if not self.say("EHLO", "EHLO client.example"):
                return
        if "identity" in self.request and not self.log_in(self.request["identity"]["login"]):
            return
        if not self.say("MAIL", f"MAIL FROM:<{self.request.get('sender', '')}>"):
            return
        for recipient in self.request.get("recipients", []):
            self.say("RCPT", f"RCPT TO:<{recipient}>")
            if self.steps[-1][1].startswith("421"):
                return

    def log_in(self, login):
        mechanism = self.request.get("mechanism", "PLAIN")
        first = f"\0{login}\0{PASSWORD}" if mechanism == "PLAIN" else login
        reply = self.client.command(f"AUTH {mechanism} {base64.b64encode(first.encode()).decode()}")
        if reply.startswith("334"):
            reply = self.client.command(base64.b64encode(PASSWORD.encode()).decode())
        return self.note("AUTH", reply)

    def say(self, kind, line):
        return self.note(kind, self.client.command(line))

    def note(self, kind, reply):
        self.steps.append([kind, reply])
        return reply.startswith("2")


def comparable(kind, reply):
    """What EHLO offers depends on the next hop and the auth service: of it the first line, and whether STARTTLS is there."""
    if kind != "EHLO" or not reply.startswith("250"):
        return [kind, reply]
    lines = reply.split("\n")
    return [kind, lines[0], any(line[4:] == "STARTTLS" for line in lines)]


def agree(logged, rules):
    """What exceeds a limit of the session is logged for its own rule, then for the limit, whose reply it gets."""
    if rules[-1].startswith("session_limits.") and len(logged) > len(rules):
        logged = logged[:-2] + logged[-1:]
    return logged == rules


class SimulateEqualsEdge(unittest.TestCase):
    """One cluster, a virtual server for each session."""

    @staticmethod
    def refusals(edge):
        """{virtual server: [the rules of its refusals]} of the edge's log."""
        rules = {}
        for event in list(edge.events):
            if event.get("event") == "refused":
                rules.setdefault(event["virtual_server"], []).append(event["rule"])
        return rules

    def test_sessions(self):
        seed = int.from_bytes(os.urandom(4), "big")
        print(f"seed {seed}")
        judged = choose(seed)
        self.assertEqual(len(judged), ENCRYPTED + CLEAR)
        upstream = Recorder()
        self.addCleanup(upstream.close)
        cluster = Cluster()
        self.addCleanup(cluster.stop)
        cluster.start()
        cluster.certificate("shared", "mx.example")
        users = [{"kind": "User", "name": f"users/{name}", "login": f"{name}@in.example", "password": PASSWORD, **more}
                 for name, more in (("alice", {}), ("bob", {"maySubmit": False}), ("carol", {"mayRelay": False}))]
        servers = [document(number, session, upstream.address) for number, session in enumerate(judged)]
        cluster.apply(*users, *servers)
        dns = DnsServer()
        self.addCleanup(dns.close)
        for session in judged:
            tell_dns(dns, session)
        edge = cluster.edge("edge1", threads=1, extra=["--dns-server", dns.address])
        cluster.wait_applied()

        for number, session in enumerate(judged):
            self.assertEqual(differences(session), [])
            expected = [comparable(step["kind"], "\n".join(step.get("reply_lines", []))) for step in session["simulate"]["steps"]]
            said = WireClient(session["request"], servers[number]["listeners"][0]["port"]).steps
            self.assertEqual([comparable(*step) for step in said], expected, json.dumps(session["request"]))

        expected = {f"s{number}": rules for number, session in enumerate(judged)
                    if (rules := [step["rule"] for step in session["simulate"]["steps"] if not step.get("accepted") and "rule" in step])}
        self.assertGreater(len(expected), ENCRYPTED // 5)
        last = list(expected)[-1]
        wait_for(lambda: len(self.refusals(edge).get(last, [])) >= len(expected[last]), 20, "the log of the last refusals")
        logged = self.refusals(edge)
        self.assertEqual(set(logged), set(expected))
        for name, rules in expected.items():
            self.assertTrue(agree(logged[name], rules), f"{name}: logged {logged[name]}, expected {rules}")


if __name__ == "__main__":
    unittest.main()
