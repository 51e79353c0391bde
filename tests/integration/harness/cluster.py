"""A whole Gatepost on loopback: PKI, config, auth, edges, as an administrator would have it, in one temporary folder.

The programs come from the environment: GATEPOST_BIN_{EDGE,CONFIG,AUTH,CTL}, set by the build. Everything is done through
gatepostctl and the programs' flags: the tests know no more than an administrator.
"""
import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time

from harness.ports import OFFSETS, free_port
from harness.processes import Process, wait_for


def binary(name):
    path = os.environ.get(f"GATEPOST_BIN_{name}")
    if not path:
        raise RuntimeError(f"GATEPOST_BIN_{name} is not set: run this through bazel test")
    return str(pathlib.Path(path).resolve())


class Edge(Process):
    """One edge; its listeners' ports are the resources' plus its offset."""

    def __init__(self, cluster, name, offset, threads, extra, pool="default", wrapper=(), config_port=None, auth_port=None, identity=None):
        """wrapper: a program that becomes the edge, with its arguments, such as prlimit. config_port, auth_port: what stands before the
        services; identity: --cert, --key and --ca with other files than the cluster's."""
        self.cluster = cluster
        self.offset = offset
        folder = cluster.folder / name
        folder.mkdir(exist_ok=True)
        self.metrics_port = free_port()
        self.health_port = free_port()
        argv = [*wrapper, binary("EDGE"), "--config-address", cluster.config_target or f"127.0.0.1:{config_port or cluster.config_port}",
                "--auth-address", cluster.auth_target or f"127.0.0.1:{auth_port or cluster.auth_port}", *(identity or cluster.identity("edge", pool)), "--node-id", name, "--threads", threads, "--port-offset", offset,
                "--metrics-listen", f"127.0.0.1:{self.metrics_port}", "--health-listen", f"127.0.0.1:{self.health_port}",
                "--snapshot-file", folder / "snapshot", "--snapshot-key-file", cluster.folder / "snapshot.key", *extra]
        super().__init__(name, argv, folder)

    def port(self, virtual_server, mode="NONE"):
        return self.cluster.ports[(virtual_server, mode)] + self.offset

    def metrics(self):
        """{'name{label="x"}': value} as Prometheus would read it."""
        import urllib.request
        text = urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=10).read().decode()
        rows = (line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#"))
        return {key: float(value) for key, value in rows}

    def sessions(self, virtual_server):
        """How many are open."""
        return self.metrics().get(f'gatepost_edge_open_sessions{{virtual_server="{virtual_server}"}}', 0)


class Cluster:
    """start(), then virtual_server(...), create_user(...), edge(...); stop() ends all and removes the folder."""

    def __init__(self):
        # A short path that everybody may pass through: Postfix's sockets have names of 107 octets at most, and users of their own.
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="gatepost-test-", dir="/tmp"))
        self.folder.chmod(0o711)
        self.config = self.auth = None
        self.auth_options = []  # more flags of the auth service
        self.config_options = []  # more flags of the config service
        self.config_database = self.folder / "config.db"  # or a postgresql:// URI
        self.auth_database = self.folder / "auth.db"
        self.config_target = self.auth_target = None  # what edges dial instead, such as a name with several addresses
        self.config_port = free_port()
        self.auth_port = free_port()
        self.config_metrics = free_port()
        self.auth_metrics = free_port()
        self.config_health = free_port()
        self.auth_health = free_port()
        self.services = []  # every config and auth process that was started
        self.edges = {}
        self.ports = {}
        self.certificates = set()

    def identity(self, role, name):
        base = self.folder / "pki" / f"{role}-{name}"
        return ["--cert", f"{base}.crt", "--key", f"{base}.key", "--ca", self.folder / "pki" / "ca.crt"]

    def ctl(self, *arguments, check=True, stdin=None, host="127.0.0.1"):
        """Runs gatepostctl as an admin; its standard output. host: of the replica that is asked."""
        argv = [binary("CTL"), "--config-address", f"{host}:{self.config_port}", "--auth-address", f"{host}:{self.auth_port}",
                *self.identity("admin", "test"), *arguments]
        done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=60, input=stdin,
                              env={k: v for k, v in os.environ.items() if not k.startswith("GATEPOSTCTL_")}, check=False)
        if check and done.returncode != 0:
            raise AssertionError(f"gatepostctl {' '.join(map(str, arguments))}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout if check else done

    def start(self):
        pki = self.folder / "pki"
        names = ["--ip", "127.0.0.1", "--ip", "127.0.0.2", "--dns", "localhost"]
        for arguments in (["init", pki], ["issue", "--dir", pki, "config", "default", *names, "--dns", "config.test"],
                          ["issue", "--dir", pki, "auth", "default", *names, "--dns", "auth.test"],
                          ["issue", "--dir", pki, "edge", "default"], ["issue", "--dir", pki, "admin", "test"]):
            subprocess.run([binary("CTL"), "pki", *map(str, arguments)], check=True, capture_output=True)
        for key in ("master.key", "snapshot.key"):
            path = self.folder / key
            path.write_bytes(os.urandom(32))
            path.chmod(0o600)
        self.start_config()
        self.start_auth()

    def start_config(self):
        self.config = self.replica("config", "127.0.0.1", self.config_metrics, self.config_health)

    def start_auth(self):
        self.auth = self.replica("auth", "127.0.0.1", self.auth_metrics, self.auth_health)

    def replica(self, role, host, metrics=None, health=None):
        """The config or auth service on another address of loopback and the same port; on PostgreSQL there may be several."""
        name = role if host == "127.0.0.1" else f"{role}-{host}"
        port, database, options = (getattr(self, f"{role}_{what}") for what in ("port", "database", "options"))
        process = Process(name, [binary(role.upper()), "--listen", f"{host}:{port}", *self.identity(role, "default"),
                                 "--database", database, "--master-key-file", self.folder / "master.key",
                                 "--metrics-listen", f"127.0.0.1:{metrics or free_port()}",
                                 "--health-listen", f"127.0.0.1:{health or free_port()}", *options], self.folder)
        self.services.append(process)
        self._answers(port, process, host)
        return process

    def _answers(self, port, process, host="127.0.0.1"):
        def connects():
            assert process.running(), f"{process.name} ended:\n{process.tail()}"
            try:
                socket.create_connection((host, port), timeout=1).close()
                return True
            except OSError:
                return False
        wait_for(connects, 30, f"{process.name} on port {port}")

    def apply(self, *documents):
        """`gatepostctl apply`, and waits until every edge has applied what the store holds."""
        path = self.folder / "apply.json"
        path.write_text(json.dumps(list(documents)))
        self.ctl("apply", "-f", path)
        if self.edges:
            self.wait_applied()

    def wait_applied(self):
        """Until every running edge has applied the revision that the config service is at."""
        names = {name for name, edge in self.edges.items() if edge.running()}

        def applied():
            edges = json.loads(self.ctl("edge", "list", "--output", "json"))
            seen = {e["name"].split("/")[-1]: e for e in edges}
            return names <= set(seen) and all(seen[n].get("connected") and seen[n].get("appliedRevision") == seen[n]["currentRevision"]
                                              for n in names)
        wait_for(applied, 20, "the edges' applied revision", every=0.05)

    def create_user(self, identifier, login, password):
        self.ctl("user", "create", identifier, "--login", login, "--password-stdin", stdin=password + "\n")

    def certificate(self, identifier, fqdn):
        """A self-signed one, made once."""
        if identifier in self.certificates:
            return
        self.certificates.add(identifier)
        self.ctl("certificate", "create", identifier, "--self-signed", "--dns", fqdn)

    def document(self, identifier, upstream, listeners=("NONE",), anonymous=False, secure_channel=False, local_domains=(), relay=None,
                 host="127.0.0.1", **more):
        """The VirtualServer document of `apply`, ports chosen once per (virtual server, mode)."""
        rows = []
        for mode in listeners:
            port = self.ports.setdefault((identifier, mode), free_port(host))
            rows.append({"address": host, "port": port, "tlsMode": mode})
        needs_certificate = any(mode != "NONE" for mode in listeners)
        upstreams = [upstream] if isinstance(upstream, str) else list(upstream)
        document = {"kind": "VirtualServer", "name": f"virtualServers/{identifier}", "fqdn": "mail.example.com", "listeners": rows,
                    "localDomains": [{"domain": d} for d in local_domains],
                    "authentication": {"anonymous": anonymous},
                    "tls": {"requireSecureChannel": secure_channel},
                    "delivery": {"defaultRoute": {"nextHops": [{"host": u.rsplit(":", 1)[0], "port": int(u.rsplit(":", 1)[1])}
                                                               for u in upstreams]}}}
        if needs_certificate:
            document["certificates"] = [f"certificates/{identifier}"]
        if relay is not None:
            document["relay"] = relay
        for key, value in more.items():
            if isinstance(value, dict) and isinstance(document.get(key), dict):
                document[key] = {**document[key], **value}
            else:
                document[key] = value
        return document

    def virtual_server(self, identifier, upstream, listeners=("NONE",), **options):
        if any(mode != "NONE" for mode in listeners):
            self.certificate(identifier, "mail.example.com")
        self.apply(self.document(identifier, upstream, listeners, **options))

    def edge(self, name, offset=0, threads=2, extra=(), **more):
        """Starts an edge and waits until it is ready: a snapshot is applied and every listener is open. more: Edge's."""
        assert offset in OFFSETS, f"an edge's offset is one of {OFFSETS}: else it listens in another test's block"
        edge = Edge(self, name, offset, threads, list(extra), **more)
        self.edges[name] = edge
        self.wait_listening(edge)
        return edge

    def wait_listening(self, edge):
        for (identifier, mode) in list(self.ports):
            self._answers(edge.port(identifier, mode), edge)

    def stop(self):
        problems = []
        for process in {*self.edges.values(), *self.services, self.auth, self.config} - {None}:
            if process.running():
                process.kill()
            for sign in (b"AddressSanitizer", b"terminate called", b"GATEPOST_CHECK"):
                if process.log.exists() and sign in process.log.read_bytes():
                    problems.append(f"{process.name}: {process.tail(40)}")
        shutil.rmtree(self.folder, ignore_errors=True)
        if problems:
            raise AssertionError("\n".join(problems))

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()


def deadline(seconds):
    """A callable that is true until `seconds` have passed."""
    end = time.monotonic() + seconds
    return lambda: time.monotonic() < end
