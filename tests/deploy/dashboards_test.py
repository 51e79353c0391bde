#!/usr/bin/python3
"""Dashboards and consoles before a real Prometheus that scrapes a real Gatepost under traffic.

Every query of Grafana's dashboards has an answer with a figure in it; every alert's and recording rule's expression evaluates; the
consoles show figures and graphs in a real browser, whose screenshots are kept with the test's output.
"""
import html.parser
import json
import math
import os
import pathlib
import re
import shutil
import subprocess
import sys
import threading
import unittest
import urllib.parse
import urllib.request

import yaml

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "integration"))
from harness.client import Client, Closed  # noqa: E402
from harness.cluster import Cluster  # noqa: E402
from harness.ports import free_port  # noqa: E402
from harness.dns import DnsServer  # noqa: E402
from harness.processes import Process, wait_for  # noqa: E402
from harness.recorder import Recorder  # noqa: E402

DEPLOY = pathlib.Path("deploy").resolve()
BROWSER = shutil.which("chromium")
JOBS = {"edge": "gatepost-edge", "config": "gatepost-config", "auth": "gatepost-auth"}


class Traffic(threading.Thread):
    """Clients of every kind, one after the other, until told to end: accepted, refused, deferred, logged in, turned away."""

    def __init__(self, cluster):
        super().__init__(daemon=True)
        self.cluster = cluster
        self.ended = threading.Event()
        self.rounds = 0
        self.problem = None

    def run(self):
        try:
            while not self.ended.is_set():
                for edge in list(self.cluster.edges.values()):
                    self.deliver(edge)
                    self.submit(edge, "secret of alice")
                self.rounds += 1
                if self.rounds % 4 == 1:
                    self.submit(next(iter(self.cluster.edges.values())), "not her secret")
                self.ended.wait(0.1)
        except Exception as error:  # pylint: disable=broad-except
            self.problem = error

    def deliver(self, edge):
        """One message that is taken, one recipient that is not local."""
        with Client(edge.port("inbound")) as client:
            client.hello()
            client.command("MAIL FROM:<a@in.example>")
            client.command("RCPT TO:<b@far.example>")
            client.command("RCPT TO:<b@in.example>")
            client.command("DATA")
            assert client.command("Subject: x\r\n\r\nhello\r\n.")[:3] in ("250", "451")
            client.command("QUIT")

    def submit(self, edge, password):
        with Client(edge.port("submission", "STARTTLS")) as client:
            client.hello()
            client.starttls()
            client.hello()
            try:
                if client.auth_plain("alice", password).startswith("235"):
                    client.command("MAIL FROM:<alice@in.example>")
                    client.command("RCPT TO:<b@far.example>")
                    client.command("DATA")
                    client.command("Subject: x\r\n\r\nhello\r\n.")
                client.command("QUIT")
            except Closed:
                pass


class Page(html.parser.HTMLParser):
    """What a console says: {title: [(label, figure as shown, value)]}, and how many lines its graphs have."""

    def __init__(self, text):
        super().__init__()
        self.panels, self.lines, self.drawn, self.choices = {}, {}, None, set()
        self.title, self.within, self.row = None, None, []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        if tag == "body":
            self.drawn = int(attributes.get("data-drawn", -1))
        elif tag in ("h2", "td"):
            self.within = tag
            if tag == "td":
                self.row.append(["", attributes.get("data-value")])
            else:
                self.title = ""
        elif tag == "tr":
            self.row = []
        elif tag == "polyline":
            self.lines[self.title] = self.lines.get(self.title, 0) + 1
        elif tag == "a" and attributes.get("href", "").startswith("?"):
            self.choices.add(attributes["href"])

    def handle_endtag(self, tag):
        if tag == "h2":
            self.panels[self.title] = []
        elif tag == "tr" and len(self.row) == 2:
            self.panels[self.title].append((self.row[0][0].strip(), self.row[1][0].strip(), self.row[1][1]))
        if tag in ("h2", "td"):
            self.within = None

    def handle_data(self, data):
        if self.within == "h2":
            self.title += data
        elif self.within == "td":
            self.row[-1][0] += data


class Dashboards(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.upstream = Recorder()
        cls.addClassCleanup(cls.upstream.close)
        cls.cluster = Cluster()
        cls.addClassCleanup(cls.cluster.stop)
        cls.cluster.start()
        cls.cluster.create_user("alice", "alice", "secret of alice")
        # A domain entry asks DNS for each client's name.
        cls.dns = DnsServer(ttl=1)
        cls.addClassCleanup(cls.dns.close)
        cls.cluster.virtual_server("inbound", cls.upstream.address, anonymous=True, local_domains=["in.example"],
                                   connectionControl={"entries": [{"domain": "refused.example"}]})
        cls.cluster.virtual_server("submission", cls.upstream.address, listeners=("STARTTLS",), local_domains=["in.example"])
        cls.cluster.edge("edge1", extra=("--dns-server", cls.dns.address))
        cls.cluster.edge("edge2", offset=5000, extra=("--dns-server", cls.dns.address))
        cls.start_prometheus()
        cls.traffic = Traffic(cls.cluster)
        cls.traffic.start()

        # Rates need two samples of series that appear with the first session: wait for what comes last.
        def seen():
            assert cls.traffic.problem is None, repr(cls.traffic.problem)
            return (cls.query('sum(rate(gatepost_edge_auth_total{outcome="failure"}[1m])) > 0')
                    and len(cls.query('sum by (instance) (rate(gatepost_edge_messages_total[1m])) > 0')) == 2
                    and len(cls.query("count_over_time(up[1m]) > 2")) == 4
                    and len(cls.query("virtual_server:gatepost_end_of_data_seconds:p95_15m")) == 2)
        wait_for(seen, 60, "rates of messages and failed logins, and what the rules record", every=0.5)

    @classmethod
    def tearDownClass(cls):
        cls.traffic.ended.set()
        cls.traffic.join(30)

    @classmethod
    def start_prometheus(cls):
        folder = cls.cluster.folder / "prometheus"
        folder.mkdir()
        cls.folder = folder
        cls.port = free_port()
        configuration = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
        configuration["global"].update(scrape_interval="1s", scrape_timeout="1s", evaluation_interval="1s")
        for part in ("rules", "consoles", "console_libraries"):
            shutil.copytree(DEPLOY / "prometheus" / part, folder / part)
        (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration))
        targets = [("config", "config", cls.cluster.config_metrics), ("auth", "auth", cls.cluster.auth_metrics)]
        targets += [("edge", name, edge.metrics_port) for name, edge in cls.cluster.edges.items()]
        (folder / "targets.json").write_text(json.dumps(
            [{"targets": [f"127.0.0.1:{port}"], "labels": {"job": JOBS[job], "instance": instance}} for job, instance, port in targets]))
        cls.prometheus = Process("prometheus", ["/usr/bin/prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
                                                f"--web.listen-address=127.0.0.1:{cls.port}", f"--web.console.templates={folder}/consoles",
                                                f"--web.console.libraries={folder}/console_libraries"], folder)
        cls.addClassCleanup(lambda: cls.prometheus.running() and cls.prometheus.kill())

        def ready():
            assert cls.prometheus.running(), cls.prometheus.tail()
            try:
                return len(cls.query("up == 1")) == len(targets)
            except OSError:
                return False
        wait_for(ready, 60, "Prometheus and its targets", every=0.2)

    @classmethod
    def get(cls, path, **parameters):
        url = f"http://127.0.0.1:{cls.port}{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=20) as answer:
            return answer.read().decode()

    @classmethod
    def query(cls, expression):
        answer = json.loads(cls.get("/api/v1/query", query=expression))
        assert answer["status"] == "success", answer
        return answer["data"]["result"]

    def test_every_query_of_the_dashboards_has_a_figure(self):
        asked = 0
        for path in sorted((DEPLOY / "grafana").glob("*.json")):
            for panel in json.loads(path.read_text())["panels"]:
                for target in panel["targets"]:
                    expression = target["expr"].replace("$__rate_interval", "1m").replace("$virtual_server", ".+").replace("$instance", ".+")
                    with self.subTest(dashboard=path.stem, panel=panel["title"], query=expression):
                        values = [float(series["value"][1]) for series in self.query(expression)]
                        self.assertTrue(values, "no series")
                        self.assertTrue(any(math.isfinite(v) for v in values), f"no figure: {values}")
                        asked += 1
        self.assertGreater(asked, 60)

    def test_every_metric_of_ours_is_on_a_dashboard(self):
        shown = (DEPLOY / "prometheus" / "dashboards.yaml").read_text()
        names = {re.sub("_(bucket|sum|count)$", "", name) for name in json.loads(self.get("/api/v1/label/__name__/values"))["data"]
                 if name.startswith("gatepost_")}
        self.assertGreater(len(names), 70)
        self.assertEqual(sorted(name for name in names if not re.search(rf"\b{name}(_bucket|_sum|_count)?\b", shown)), [])

    def test_every_rule_evaluates_and_knows_its_metrics(self):
        def healthy():
            groups = json.loads(self.get("/api/v1/rules"))["data"]["groups"]
            rules = [rule for group in groups for rule in group["rules"]]
            problems = [(rule["name"], rule.get("lastError")) for rule in rules if rule["health"] not in ("ok", "unknown")]
            self.assertEqual(problems, [])
            return rules and all(rule["health"] == "ok" for rule in rules)
        wait_for(healthy, 30, "every rule evaluated", every=0.5)
        known = set(json.loads(self.get("/api/v1/label/__name__/values"))["data"])
        for path in (DEPLOY / "prometheus" / "rules").glob("*.yml"):
            for group in yaml.safe_load(path.read_text())["groups"]:
                for rule in group["rules"]:
                    for metric in re.findall(r"(?<![\w:])((?:virtual_server:)?(?:gatepost|process)_[a-z0-9_:]+)", rule["expr"]):
                        self.assertIn(metric, known, f"{rule.get('alert') or rule.get('record')} asks for what nobody exports")

    def test_a_healthy_gatepost_raises_no_alert(self):
        firing = self.query('ALERTS{alertstate="firing", alertname!~"GatepostRejectRateHigh"}')
        self.assertEqual([f["metric"] for f in firing], [])

    def open(self, page, output):
        """The page's DOM after its script has run, as a real browser has it; a screenshot beside it."""
        address = f"http://127.0.0.1:{self.port}/consoles/{page}"
        flags = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
                 "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--hide-scrollbars", "--window-size=1400,2000",
                 f"--user-data-dir={self.folder}/browser", "--virtual-time-budget=15000"]
        dom = subprocess.run([*flags, "--dump-dom", address], capture_output=True, text=True, timeout=120, check=True)
        subprocess.run([*flags, f"--screenshot={output}", address], capture_output=True, timeout=120, check=True)
        return Page(dom.stdout)

    def test_the_consoles_show_figures_and_graphs_in_a_browser(self):
        self.assertIsNotNone(BROWSER, "chromium is not installed: deploy/local/install test")
        outputs = pathlib.Path(os.environ.get("TEST_UNDECLARED_OUTPUTS_DIR") or self.folder)
        boards = yaml.safe_load((DEPLOY / "prometheus" / "dashboards.yaml").read_text())
        for board in boards:
            screenshot = outputs / f"{board['id']}.png"
            page = self.open(f"{board['id']}.html", screenshot)
            graphs = [p["title"] for p in board["panels"] if p.get("kind") != "stat"]
            self.assertEqual(sorted(page.panels), sorted(p["title"] for p in board["panels"]), board["id"])
            self.assertEqual(page.drawn, len(graphs), f"{board['id']}: graphs that the script drew")
            for title, rows in page.panels.items():
                with self.subTest(console=board["id"], panel=title):
                    values = [float(value) for _, _, value in rows if value is not None]
                    self.assertTrue(any(math.isfinite(v) for v in values), rows)
                    self.assertTrue(all(label and shown for label, shown, _ in rows), rows)
                    if title in graphs:
                        self.assertEqual(page.lines.get(title), len(rows), "lines of the graph")
            self.assertGreater(screenshot.stat().st_size, 10000)
            if board["id"] == "overview":
                self.assertEqual(page.panels["Edges up"], [("up", "2", "2")])
                self.assertEqual(page.panels["Edges ready"], [("ready", "2", "2")])
                accepted = dict((label, float(value)) for label, _, value in page.panels["Messages in the last hour"])["accepted"]
                self.assertGreater(accepted, 0)
            elif board["id"] == "control-plane":
                self.assertEqual(page.panels["Virtual servers"], [("stored", "2", "2")])
                self.assertEqual([value for _, _, value in page.panels["Edges"]], ["2", "0", "0"])
            elif board["id"] == "authentication":
                self.assertEqual(page.panels["Users"], [("users", "1", "1")])
            elif board["id"] == "virtual-server":
                self.assertEqual(page.choices, {"?virtual_server=inbound", "?virtual_server=submission"})

    def test_a_console_of_one_virtual_server_shows_that_one_alone(self):
        page = Page(self.get("/consoles/virtual-server.html", virtual_server="inbound"))
        self.assertEqual([label for label, _, _ in page.panels["Sessions now"]], ["inbound"])
        # What is no id is not put into a query: these octets are dropped, and nothing bears the name that is left.
        page = Page(self.get("/consoles/virtual-server.html", virtual_server='inbound"} or up{job=~".*'))
        self.assertEqual(page.panels["Sessions now"], [("nothing yet", "", None)])


if __name__ == "__main__":
    unittest.main(verbosity=2)
