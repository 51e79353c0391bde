#!/usr/bin/python3
"""Mixed good and bad traffic without end, row F32: no leak, no drift.

Rounds of the program `soak`; after each the edge's resident memory is read, and its descriptors whenever all sessions have ended and
the connections to next hops that wait for the next one are closed. After the warm-up (caches and the allocator's arenas fill) memory
must not rise, descriptors are what they were, no session is left, and no reply was unexpected. The short form proves the mechanism, and
finds a leak of 7 octets a command or 100 a session: that raises memory in every round, whatever else does in some.

  LONG=1 soak_test.py SOAK SINK          2 hours or 10^7 commands (SOAK_SECONDS, SOAK_COMMANDS); in the second half memory rises by at most
                                         1 MiB an hour
  ASAN_OPTIONS=detect_leaks=1 with GATEPOST_BIN_EDGE built by --config=asan: its reports count, its memory does not (what was freed it
  keeps aside).
"""
import json
import os
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "integration"))
from harness.cluster import Cluster  # noqa: E402
from harness.processes import wait_for  # noqa: E402

LONG = bool(os.environ.get("LONG"))
SANITIZED = "ASAN_OPTIONS" in os.environ
SECONDS = int(os.environ.get("SOAK_SECONDS", 7200 if LONG else 10))
COMMANDS = int(os.environ.get("SOAK_COMMANDS", 10_000_000 if LONG else 1_000_000))
ROUND = 50_000 if LONG else 10_000  # commands
WARM_UP = 20 if LONG else 3  # rounds
AT_REST = 20  # rounds from one reading at rest to the next
KIB, MIB = 1 << 10, 1 << 20
# What every round may add, short form.
MOST_RISE = 64 * KIB
LOGIN, PASSWORD = "alice@in.example", "correct horse"


def slope(points):
    """Of the line that fits (x, y) best, by Theil and Sen: the median of all pairs' slopes, whatever single points do."""
    slopes = sorted((b[1] - a[1]) / (b[0] - a[0]) for i, a in enumerate(points) for b in points[i + 1:] if b[0] > a[0])
    return slopes[len(slopes) // 2] if slopes else 0.0


class Soak(unittest.TestCase):
    """One edge, before a next hop that takes everything."""

    def setUp(self):
        self.sink = subprocess.Popen([SINK], stdout=subprocess.PIPE, text=True)
        self.addCleanup(self.end_sink)
        self.cluster = Cluster()
        self.addCleanup(self.cluster.stop)
        self.cluster.start()
        self.cluster.create_user("alice", LOGIN, PASSWORD)
        self.cluster.virtual_server("soak", f"127.0.0.1:{int(self.sink.stdout.readline())}", ("STARTTLS", "IMPLICIT"),
                                    anonymous=True, local_domains=["in.example"], connectionLimits={"maxPerSource": 0},
                                    messageLimits={"maxMessageOctets": str(64 << 10)})
        self.edge = self.cluster.edge("edge1")

    def end_sink(self):
        self.sink.terminate()
        self.sink.wait(20)
        self.sink.stdout.close()

    def round(self, number):
        """One; what the program said."""
        arguments = ["--port", self.edge.port("soak", "STARTTLS"), "--implicit-port", self.edge.port("soak", "IMPLICIT"),
                     "--user", LOGIN, "--password", PASSWORD, "--commands", ROUND, "--seed", number]
        done = subprocess.run([SOAK, *map(str, arguments)], capture_output=True, text=True, errors="replace", timeout=600, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr + self.edge.tail(5))
        return json.loads(done.stdout)

    def rest(self):
        """Until nobody is connected, nor we to a next hop."""
        def at_rest():
            figures = self.edge.metrics()
            return figures["gatepost_edge_client_connections"] == 0 and figures["gatepost_edge_upstream_connections"] == 0 \
                and self.edge.sessions("soak") == 0
        wait_for(at_rest, 60, "the end of all sessions", every=0.05)

    def resident(self):
        """Octets of its own: pages of programs and libraries, mapped when their code first runs, are neither leak nor drift."""
        with open(f"/proc/{self.edge.pid}/status", encoding="ascii") as file:
            return next(int(line.split()[1]) * KIB for line in file if line.startswith("RssAnon:"))

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.edge.pid}/fd"))

    def test_nothing_leaks_and_nothing_drifts(self):
        began, total, points, files, kinds, number = time.monotonic(), {}, [], [], {}, 0
        while number < WARM_UP + 5 or (time.monotonic() - began < SECONDS and total["commands"] < COMMANDS):
            said = self.round(number)
            number += 1
            for key, value in said.pop("kinds").items():
                kinds[key] = kinds.get(key, 0) + value
            for key, value in said.items():
                total[key] = total.get(key, 0) + value
            if number >= WARM_UP:
                points.append((time.monotonic() - began, self.resident(), total["commands"]))
            if number == WARM_UP or number % AT_REST == 0:
                self.rest()
                files.append(self.descriptors())
                self.report(total, points, files, began)
            # What it logs is kept by the harness: not for hours.
            with self.edge.changed:
                del self.edge.events[:-1000]
        self.rest()
        files.append(self.descriptors())
        self.report(total, points, files, began)
        print(f"sessions by kind: {kinds}; resident KiB by round: {[point[1] // KIB for point in points]}")
        self.assertTrue(self.edge.running())
        self.assertEqual(total["unexpected"], 0)
        self.assertGreater(min(kinds.values()), 0)
        self.assertGreater(total["logins"], 0)
        # gRPC renews its connections every ten minutes, and keeps the old ones beside them until their streams have ended.
        self.assertLessEqual(max(files) - min(files), 6, files)
        if not SANITIZED:
            rises = [after[1] - before[1] for before, after in zip(points, points[1:])]
            self.assertLessEqual(min(rises), MOST_RISE, rises)
            if LONG:
                self.assertLessEqual(slope(points_by_time(points[len(points) // 2:])) * 3600, MIB)
        # A sanitizer tells of leaks at an orderly end, by the exit code.
        self.assertEqual(self.edge.stop(90), 0, self.edge.tail())

    def report(self, total, points, files, began):
        minutes = (time.monotonic() - began) / 60
        print(f"{total['commands']} commands in {total['sessions']} sessions, {total['accepted']} messages, {total['logins']} logins, "
              f"{minutes:.1f} min, {total['commands'] / total['seconds']:.0f} commands/s; unexpected {total['unexpected']}; "
              f"resident KiB {points[0][1] // KIB} to {points[-1][1] // KIB}, slope {slope(points_by_time(points)) * 3600 / MIB:.2f} MiB/h; "
              f"descriptors {min(files)} to {max(files)}", flush=True)


def points_by_time(points):
    return [(seconds, octets) for seconds, octets, _ in points]


if __name__ == "__main__":
    SOAK, SINK = (os.path.abspath(path) for path in sys.argv[1:3])
    unittest.main(argv=sys.argv[:1])
