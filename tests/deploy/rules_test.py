#!/usr/bin/python3
"""Prometheus' rules: well formed, each alert fires and does not fire where it should, and each has an entry in the runbook.

Dashboards and consoles are what dashboards.yaml says, and ask for metrics that the programs have.
"""
import json
import pathlib
import re
import shutil
import subprocess
import unittest

import yaml

DEPLOY = pathlib.Path("deploy").resolve()
PROMETHEUS = DEPLOY / "prometheus"
PROMTOOL = shutil.which("promtool")


def rules():
    return [rule for path in sorted((PROMETHEUS / "rules").glob("*.yml")) for group in yaml.safe_load(path.read_text())["groups"]
            for rule in group["rules"]]


def alerts():
    return [rule["alert"] for rule in rules() if "alert" in rule]


class Rules(unittest.TestCase):

    def promtool(self, *arguments):
        self.assertIsNotNone(PROMTOOL, "promtool is not installed: deploy/local/install run")
        done = subprocess.run([PROMTOOL, *map(str, arguments)], capture_output=True, text=True, timeout=120, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_promtool_finds_the_rules_and_the_configuration_well_formed(self):
        self.promtool("check", "rules", "--lint=all", "--lint-fatal", *sorted((PROMETHEUS / "rules").glob("*.yml")))
        self.promtool("check", "config", "--syntax-only", PROMETHEUS / "prometheus.yml")

    def test_each_alert_fires_and_does_not_fire_where_its_test_says(self):
        self.promtool("test", "rules", *sorted((PROMETHEUS / "tests").glob("*.yml")))

    def test_each_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not(self):
        fires, silent = set(), set()
        for path in (PROMETHEUS / "tests").glob("*.yml"):
            for case in yaml.safe_load(path.read_text())["tests"]:
                for expected in case["alert_rule_test"]:
                    (fires if expected["exp_alerts"] else silent).add(expected["alertname"])
        self.assertEqual(sorted(alerts()), sorted(fires))
        self.assertEqual(sorted(alerts()), sorted(silent))

    def test_each_alert_has_a_severity_a_summary_and_an_entry_in_the_runbook(self):
        runbook = (DEPLOY / "runbook.md").read_text()
        for rule in rules():
            if "alert" in rule:
                self.assertIn(rule["labels"]["severity"], ("critical", "warning"), rule["alert"])
                self.assertTrue(rule["annotations"]["summary"], rule["alert"])
                self.assertRegex(runbook, rf"(?m)^#+ {rule['alert']}$")
        for name in re.findall(r"(?m)^#+ (Gatepost[A-Z]\w+)$", runbook):
            self.assertIn(name, alerts(), "the runbook explains an alert that there is not")


class Dashboards(unittest.TestCase):

    def test_dashboards_and_consoles_were_made_of_the_description_as_it_is(self):
        done = subprocess.run([PROMETHEUS / "generate.py", "--check"], capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_every_view_of_the_issue_is_there_and_has_an_id_of_its_own(self):
        boards = [json.loads(path.read_text()) for path in sorted((DEPLOY / "grafana").glob("*.json"))]
        self.assertEqual(sorted(b["uid"] for b in boards), sorted(f"gatepost-{i}" for i in (
            "overview", "virtual-server", "edge", "authentication", "upstreams", "control-plane")))
        for board in boards:
            ids = [panel["id"] for panel in board["panels"]]
            self.assertEqual(len(ids), len(set(ids)))
            taken = set()
            for panel in board["panels"]:
                at = panel["gridPos"]
                cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
                self.assertFalse(cells & taken, f"{board['title']}: {panel['title']} lies over another panel")
                self.assertLessEqual(at["x"] + at["w"], 24)
                taken |= cells


if __name__ == "__main__":
    unittest.main(verbosity=2)
