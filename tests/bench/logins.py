"""What logins cost, and what a storm of them does to those who are in.

  storm    200 clients, each a user of its own, log in at once, none verified before; who hears 454 tries again. Beside it messages go
           through sessions that are authenticated already, before and during the storm. The auth service is held to one core and
           the edge to the other; clients and sink run where there is room. Printed: how long until all are in, 454s, the auth service's
           peak memory, p50 and p99 of a message without and with the storm, their ratio.
  cached   CPU of edge, auth and config for a session that logs in with a password that was verified lately, less that of the same
           session without AUTH; 8 sessions in flight, rounds interleaved, their median.
"""
import argparse
import collections
import json
import os
import pathlib
import statistics
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from harness.client import Client  # noqa: E402
from harness.cluster import Cluster  # noqa: E402

LOAD, SINK = os.environ["BENCH_LOAD"], os.environ["BENCH_SINK"]
USER, PASSWORD = "alice@example.com", "correct horse"
CLIENTS = 200


def cpu(pids):
    """Seconds of CPU used so far, of all threads, to the nanosecond."""
    total = 0
    for pid in pids:
        for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
            total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def pin(pid, core):
    subprocess.run(["taskset", "-a", "-c", "-p", str(core), str(pid)], check=True, capture_output=True)


def peak_mib(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) >> 10 for line in status.splitlines() if line.startswith("VmHWM:"))


class Bench:
    """A cluster with its edge, and users."""

    def __init__(self, cluster, sink):
        self.cluster = cluster
        cluster.auth_options = ["--verifiers", 1, "--scram-iterations", 4096]
        cluster.start()
        self.users = [f"user{n}@example.com" for n in range(CLIENTS)]
        cluster.apply(*[{"kind": "User", "name": f"users/{login.split('@')[0]}", "login": login, "password": PASSWORD}
                        for login in [*self.users, USER]])
        # One virtual server for both: who logs in, and who need not.
        cluster.virtual_server("submission", f"127.0.0.1:{sink}", local_domains=["example.com"], anonymous=True,
                               authentication={"anonymous": True, "basic": {"allowClearTextCredentials": True}},
                               connectionLimits={"maxPerSource": 0})
        self.edge = cluster.edge("edge1", threads=1)
        self.port = self.edge.port("submission")

    def load(self, *arguments, login=False):
        argv = [LOAD, "--port", self.port, *arguments]
        if login:
            argv += ["--user", USER, "--password", PASSWORD]
        done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=600, check=False)
        if done.returncode != 0:
            raise SystemExit(f"load: {done.stdout}{done.stderr}")
        return json.loads(done.stdout)

    def messages(self, count):
        return self.load("--sessions", 4, "--concurrency", 4, "--messages", count, login=True)

    def storm(self, count):
        pin(self.cluster.auth.pid, 0)
        pin(self.edge.pid, 1)
        self.messages(count)
        before = [self.messages(count) for _ in range(40)]
        clients = [Client(self.port) for _ in range(CLIENTS)]
        for client in clients:
            client.hello()
        replies, took = collections.Counter(), []
        start = threading.Barrier(CLIENTS + 1)

        def log_in(number):
            start.wait()
            began = time.monotonic()
            while not (reply := clients[number].auth_plain(self.users[number], PASSWORD)).startswith("235"):
                replies[reply[:9]] += 1
                time.sleep(0.5)  # as clients do that are told to come back
            replies[reply[:9]] += 1
            took.append(time.monotonic() - began)
        threads = [threading.Thread(target=log_in, args=(n,)) for n in range(CLIENTS)]
        for thread in threads:
            thread.start()
        start.wait()
        during, storming = [], lambda: any(t.is_alive() for t in threads)
        while storming():
            report = self.messages(count)
            if storming():
                during.append(report)
        for client in clients:
            client.sock.close()
        for pid in (self.cluster.auth.pid, self.edge.pid):
            subprocess.run(["taskset", "-a", "-c", "-p", f"0-{os.cpu_count() - 1}", str(pid)], check=True, capture_output=True)
        def median(reports, what):
            return statistics.median(report[what] for report in reports)
        print(f"storm: {CLIENTS} cold logins in {max(took):.1f} s, {dict(replies)}; auth's peak {peak_mib(self.cluster.auth.pid)} MiB")
        print("       a message, p50 / p99 in ms, medians of runs: "
              + ", ".join(f"{median(reports, 'p50_ms'):.2f} / {median(reports, 'p99_ms'):.2f} {when} ({len(reports)} runs)"
                          for when, reports in (("before", before), ("during", during)))
              + f"; ratio of p99 {median(during, 'p99_ms') / median(before, 'p99_ms'):.2f} (goal: at most 1.5), failures "
              f"{sum(report['failures'] for report in during)}")

    def cached(self, sessions, rounds):
        pids = {"edge": self.edge.pid, "auth": self.cluster.auth.pid, "config": self.cluster.config.pid}
        self.load("--sessions", 200, "--concurrency", 8, login=True)
        costs = []
        for _ in range(rounds):
            spent = {}
            for login in (False, True):
                begun = {name: cpu([pid]) for name, pid in pids.items()}
                self.load("--sessions", sessions, "--concurrency", 8, login=login)
                spent[login] = {name: (cpu([pid]) - begun[name]) / sessions * 1e6 for name, pid in pids.items()}
            costs.append({name: spent[True][name] - spent[False][name] for name in pids})
        parts = {name: statistics.median(c[name] for c in costs) for name in pids}
        whole = statistics.median(sum(c.values()) for c in costs)
        print(f"cached: a login costs {whole:.0f} us of CPU over all services ("
              + ", ".join(f"{name} {part:.0f}" for name, part in parts.items())
              + f"), {rounds} rounds of {sessions} sessions, 8 in flight (goal: below 150)")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=250, help="a session; four of them are a run of `storm`")
    parser.add_argument("--sessions", type=int, default=5000, help="a round of `cached`")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    cluster = Cluster()
    sink = subprocess.Popen([SINK], stdout=subprocess.PIPE, text=True)
    try:
        bench = Bench(cluster, int(sink.stdout.readline()))
        bench.cached(options.sessions, options.rounds)
        bench.storm(options.messages)
    finally:
        sink.terminate()
        sink.wait(20)
        cluster.stop()


if __name__ == "__main__":
    main()
