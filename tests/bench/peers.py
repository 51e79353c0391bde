"""Gatepost, haproxy and nginx in front of one fast sink: CPU of all server processes, and memory of idle sessions.

Every round measures each peer once, in turn; the figure is the median of the rounds, the ratio the median of the rounds' ratios to
haproxy, so that a machine whose speed drifts does not decide. The upstream and the client are not counted.
  session    a session with one 4 KB message (TLS 1.3, full handshake; AUTH PLAIN where the peer has it)
  message    a message in a session of 100
  large      one 5 MB message
  idle       KB (PSS) for each idle TLS session
"""
import argparse
import http.server
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from harness.cluster import Cluster  # noqa: E402
from harness.ports import free_port  # noqa: E402
from harness.processes import wait_for  # noqa: E402

LOAD, SINK = os.environ["BENCH_LOAD"], os.environ["BENCH_SINK"]
TICK = os.sysconf("SC_CLK_TCK")
USER, PASSWORD = "alice@example.com", "correct horse"


def tree(pid):
    """A process and all its descendants."""
    found = [pid]
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += tree(int(child))
    return found


def cpu(pids):
    """Seconds of CPU used so far."""
    total = 0
    for pid in pids:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICK


def pss(pids):
    """KB."""
    total = 0
    for pid in pids:
        for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
    return total


class Peer:
    """Something that takes SMTP over implicit TLS on a port and passes it to the sink."""

    def __init__(self, name, port, pids, auth):
        self.name, self.port, self.pids, self.auth = name, port, pids, auth

    def load(self, *arguments):
        argv = [LOAD, "--port", str(self.port), "--tls", "implicit", *map(str, arguments)]
        if self.auth:
            argv += ["--user", USER, "--password", PASSWORD]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=600, check=False)
        if done.returncode != 0:
            raise SystemExit(f"{self.name}: {done.stdout}{done.stderr}")
        return json.loads(done.stdout)

    def cost(self, *arguments):
        """(CPU microseconds for each message, the load's own report)."""
        pids = self.pids()
        before = cpu(pids)
        report = self.load(*arguments)
        return (cpu(pids) - before) * 1e6 / report["messages"], report

    def idle(self, sessions):
        """KB for each idle session."""
        argv = [LOAD, "--port", str(self.port), "--tls", "implicit", "--idle", "--concurrency", str(sessions), "--sessions", "1"]
        if self.auth:
            argv += ["--user", USER, "--password", PASSWORD]
        before = pss(self.pids())
        process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        line = process.stdout.readline()
        assert line == "idle\n", line
        after = pss(self.pids())
        process.stdin.close()
        process.wait(60)
        return (after - before) / sessions


class NginxAuth(http.server.BaseHTTPRequestHandler):
    """nginx asks here who may log in, and where to."""

    sink = 0

    def do_GET(self):  # noqa: N802 - the base class's name
        self.send_response(200)
        self.send_header("Auth-Status", "OK")
        self.send_header("Auth-Server", "127.0.0.1")
        self.send_header("Auth-Port", str(self.sink))
        self.end_headers()

    def log_message(self, *_):
        pass


def haproxy(folder, pem, sink):
    port = free_port()
    config = folder / "haproxy.cfg"
    config.write_text(f"""global
  nbthread 2
  maxconn 8000
  ssl-default-bind-options ssl-min-ver TLSv1.2 no-tls-tickets
  tune.ssl.cachesize 0
defaults
  mode tcp
  timeout connect 5s
  timeout client 10m
  timeout server 10m
frontend smtps
  bind 127.0.0.1:{port} ssl crt {pem}
  default_backend sink
backend sink
  server sink 127.0.0.1:{sink}
""")
    process = subprocess.Popen(["/usr/sbin/haproxy", "-db", "-f", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return Peer("haproxy", port, lambda: tree(process.pid), False), process


def nginx(folder, certificate, key, sink):
    port = free_port()
    NginxAuth.sink = sink
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), NginxAuth)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    config = folder / "nginx.conf"
    config.write_text(f"""load_module /usr/lib/nginx/modules/ngx_mail_module.so;
daemon off;
worker_processes 2;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log error;
events {{ worker_connections 8000; }}
mail {{
  server_name mail.example.com;
  auth_http 127.0.0.1:{server.server_address[1]}/;
  proxy_pass_error_message on;
  ssl_session_cache off;
  ssl_session_tickets off;
  server {{
    listen 127.0.0.1:{port} ssl;
    protocol smtp;
    smtp_auth plain login;
    xclient off;
    ssl_certificate {certificate};
    ssl_certificate_key {key};
    ssl_protocols TLSv1.2 TLSv1.3;
  }}
}}
""")
    process = subprocess.Popen(["/usr/sbin/nginx", "-c", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return Peer("nginx", port, lambda: tree(process.pid), True), process


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sessions", type=int, default=2000, help="of the first column; the others follow from it")
    options = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="gatepost-bench-"))
    key, certificate, pem = folder / "key.pem", folder / "cert.pem", folder / "both.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out",
                    certificate, "-subj", "/CN=mail.example.com", "-days", "30"], check=True, capture_output=True)
    pem.write_text(certificate.read_text() + key.read_text())
    sink_process = subprocess.Popen([SINK], stdout=subprocess.PIPE, text=True)
    sink = int(sink_process.stdout.readline())
    started = [sink_process]
    cluster = Cluster()
    try:
        cluster.start()
        cluster.create_user("alice", USER, PASSWORD)
        cluster.virtual_server("submission", f"127.0.0.1:{sink}", listeners=("IMPLICIT",), secure_channel=True,
                               local_domains=["example.com"], connectionLimits={"maxPerSource": 0})
        edge = cluster.edge("edge1")
        gatepost = Peer("gatepost", edge.port("submission", "IMPLICIT"),
                        lambda: [edge.pid, cluster.auth.pid, cluster.config.pid], True)
        peers = [gatepost]
        peer, process = haproxy(folder, pem, sink)
        peers.append(peer)
        started.append(process)
        if pathlib.Path("/usr/lib/nginx/modules/ngx_mail_module.so").exists():
            peer, process = nginx(folder, certificate, key, sink)
            peers.append(peer)
            started.append(process)

        def up(p):
            import socket
            try:
                socket.create_connection(("127.0.0.1", p.port), 1).close()
                return True
            except OSError:
                return False
        for peer in peers:
            wait_for(lambda p=peer: up(p), 20, f"{peer.name} on its port")
            peer.load("--sessions", 50)  # warm caches, of credentials too
        n = options.sessions
        columns = {"session": ["--sessions", n], "message": ["--sessions", max(50, n // 40), "--messages", 100],
                   "large": ["--sessions", 10, "--concurrency", 10, "--messages", max(2, n // 200), "--size", 5_000_000]}
        figures = {(p.name, c): [] for p in peers for c in [*columns, "idle", "p99 ms"]}
        for number in range(options.rounds):
            for column, arguments in columns.items():
                for peer in peers:
                    micros, report = peer.cost(*arguments)
                    figures[(peer.name, column)].append(micros)
                    if column == "message":
                        figures[(peer.name, "p99 ms")].append(report["p99_ms"])
            for peer in peers:
                figures[(peer.name, "idle")].append(peer.idle(500))
            print(f"round {number + 1} of {options.rounds}", file=sys.stderr)
        print("| | session, us | message of 100, us | 5 MB message, us | idle session, KB | p99 of a message, ms |")
        print("|---|---|---|---|---|---|")
        order = [*columns, "idle", "p99 ms"]
        for peer in peers:
            print(f"| {peer.name} | " + " | ".join(f"{statistics.median(figures[(peer.name, c)]):,.1f}" for c in order) + " |")
        ratios = [statistics.median(a / b for a, b in zip(figures[("gatepost", c)], figures[("haproxy", c)])) for c in order]
        print("| gatepost / haproxy | " + " | ".join(f"{r:.2f}" for r in ratios) + " |")
        print("| goal | <= 0.65 | <= 0.80 | <= 0.90 | <= 0.40 | |")
    finally:
        for process in started:
            process.terminate()
            process.wait(20)
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
