#!/usr/bin/python3
"""The images: what is in them, and the Kubernetes demo's workloads run by podman.

Built twice from the same input they have the same digest; a service's holds no shell and no program but its own. The workloads run
under the names of their Services, a message goes through them, and an edge that is told to end under load fails no transaction.

Needs root and namespaces for podman, and Go for kustomize; where a machine cannot have them, this is skipped and says so.
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import unittest

# Where the scripts lie for real: they find each other by their own place.
TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tests" / "integration"), str(TOP / "deploy"), str(TOP / "deploy" / "container")]
import demo  # noqa: E402
import gomodules  # noqa: E402
from harness.client import Client, Closed  # noqa: E402
from harness.processes import wait_for  # noqa: E402
from play import Podman, probe  # noqa: E402

SERVICES = ("edge", "config", "auth")
REVISION, EPOCH = "test-revision", "1700000000"
CLIENTS = 8


class Images(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.podman = PODMAN
        cls.folder = PODMAN.folder

    def files(self, name):
        """{path: mode} of all regular files of an image."""
        container = self.podman.run("buildah", "from", f"localhost/gatepost-{name}:{VERSION}")
        try:
            root = pathlib.Path(self.podman.run("buildah", "mount", container))
            return {str(p.relative_to(root)): p.stat().st_mode for p in root.rglob("*") if p.is_file() and not p.is_symlink()}
        finally:
            self.podman.run("buildah", "rm", container)

    def test_the_same_input_makes_the_same_digest(self):
        self.assertEqual(build(self.podman, *SERVICES), {name: DIGESTS[name] for name in SERVICES})

    def test_a_services_image_has_its_program_and_no_other(self):
        for name in SERVICES:
            files = self.files(name)
            programs = [p for p, mode in files.items() if mode & 0o111 and not re.search(r"/lib.*\.so|/ld-linux", p)]
            self.assertEqual(programs, [f"usr/bin/gatepost-{name}"])
            self.assertTrue(all(mode & 0o6022 == 0 for mode in files.values()), "nothing is writable by others, or setuid")
            self.assertIn("etc/ssl/certs/ca-certificates.crt", files)

    def test_images_say_what_they_are_and_run_as_nobody(self):
        for name in SERVICES:
            image = json.loads(self.podman.run("podman", "image", "inspect", f"localhost/gatepost-{name}:{VERSION}"))[0]
            self.assertEqual(image["Labels"]["org.opencontainers.image.version"], VERSION)
            self.assertEqual(image["Labels"]["org.opencontainers.image.revision"], REVISION)
            self.assertEqual(image["Config"]["User"], "65532:65532")
            self.assertEqual(image["Config"]["Entrypoint"], [f"/usr/bin/gatepost-{name}"])

    def test_each_image_has_a_bill_of_materials(self):
        for name in SERVICES:
            bill = json.loads((self.folder / "bills" / f"gatepost-{name}.spdx.json").read_text())
            names = {p["SPDXID"]: p["name"] for p in bill["packages"]}
            linked = {names[r["relatedSpdxElement"]] for r in bill["relationships"] if r["relationshipType"] == "DYNAMIC_LINK"}
            self.assertLessEqual({"libc6", "libgrpc++1.51", "libprotobuf32", "libssl3"}, linked)
            static = {names[r["relatedSpdxElement"]] for r in bill["relationships"] if r["relationshipType"] == "STATIC_LINK"}
            self.assertEqual("BoringSSL" in static, name == "edge", name)
            noted = {p.rsplit("/", 1)[1] for p in self.files(name) if p.startswith("var/lib/dpkg/status.d/")}
            self.assertEqual(noted, {p["name"] for p in bill["packages"] if p["SPDXID"].startswith("SPDXRef-deb-")})
            for related in bill["relationships"]:
                self.assertIn(related["relatedSpdxElement"], names)
                self.assertIn(related["spdxElementId"], {*names, "SPDXRef-DOCUMENT"})


class Load:
    """Clients who deliver to whichever edge is ready, as a Service would have them do; every failure of a transaction is kept."""

    def __init__(self, edges, health):
        self.edges, self.health = edges, health
        self.ready = set(edges)
        self.ended = threading.Event()
        self.sent, self.failed, self.by_edge = 0, [], dict.fromkeys(edges, 0)
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.clients, args=(i,), daemon=True) for i in range(CLIENTS)]
        self.threads.append(threading.Thread(target=self.look, daemon=True))
        for thread in self.threads:
            thread.start()

    def look(self):
        while not self.ended.is_set():
            for edge in self.edges:
                (self.ready.add if probe(edge, self.health) else self.ready.discard)(edge)
            self.ended.wait(0.2)

    def clients(self, number):
        turn = number
        while not self.ended.is_set():
            edges = sorted(self.ready)
            if not edges:
                continue
            edge, turn = edges[turn % len(edges)], turn + 1
            said = "connect"
            try:
                with Client(2525, host=edge) as client:
                    said = client.banner
                    assert said.startswith("220"), said
                    for command in ("EHLO client.example", "MAIL FROM:<a@example.net>", "RCPT TO:<bob@example.com>", "DATA"):
                        said = client.command(command)
                        assert said.startswith("354" if command == "DATA" else "250"), said
                    said = client.command("Subject: under load\r\n\r\nhello\r\n.")
                    assert said.startswith("250"), said
                    client.send(b"QUIT\r\n")
                with self.lock:
                    self.sent += 1
                    self.by_edge[edge] += 1
            except (AssertionError, OSError, Closed) as error:
                with self.lock:
                    self.failed.append((edge, said, repr(error)))

    def stop(self):
        self.ended.set()
        for thread in self.threads:
            thread.join(60)


class Workloads(unittest.TestCase):
    """The demo overlay as podman plays it: config, auth, Postfix, an edge; what comes later builds on what came before."""

    @classmethod
    def setUpClass(cls):
        cls.demo = demo.Demo(PODMAN, binary("CTL"))
        cls.demo.start()
        cls.demo.configure("correct horse")
        cls.demo.wait("gatepost-edge", "readinessProbe")
        cls.podman, cls.addresses = PODMAN, cls.demo.addresses

    def greets(self, edge, port):
        def try_it():
            try:
                with Client(port, host=edge, implicit_tls=port == 2465) as client:
                    return client.banner.startswith("220")
            except (OSError, Closed):
                return False
        wait_for(try_it, 30, f"port {port} of {edge}", every=0.2)

    def test_1_every_probe_of_the_manifests_is_answered_by_its_port(self):
        for name in ("gatepost-config", "gatepost-auth", "gatepost-edge"):
            for which in ("startupProbe", "readinessProbe", "livenessProbe"):
                self.assertTrue(probe(self.addresses[name], self.demo.container(name)[which]["grpc"]), f"{name}: {which}")
            self.assertFalse(probe(self.addresses[name], {**self.demo.container(name)["readinessProbe"]["grpc"], "service": "no-such-service"}))

    def test_2_a_message_goes_through(self):
        for port in (2587, 2465, 2525):
            self.greets(self.addresses["gatepost-edge"], port)
        self.demo.submit("correct horse", "through the pods")
        wait_for(lambda: len(self.demo.mailbox("bob")) == 1, 30, "the message in bob's mailbox", every=0.5)
        text = self.podman.run("podman", "exec", self.podman.container("postfix"), "cat", self.demo.mailbox("bob")[0])
        self.assertIn("Subject: through the pods", text)
        # One session, one id: in the edge's log, in the auth service's, in what the next hop got.
        session = next(e["session"] for e in self.events("gatepost-edge") if e.get("event") == "message" and e.get("accepted"))
        self.assertIn(session, text)
        self.assertIn(session, [e.get("session") for e in self.events("gatepost-auth")])

    def events(self, pod):
        return [json.loads(line) for line in self.podman.logs(pod).splitlines() if line.startswith("{")]

    def test_3_an_edge_that_ends_under_load_fails_no_transaction(self):
        workload = self.demo.workload("gatepost-edge")
        self.addresses["gatepost-edge-2"] = self.podman.play(workload, name="gatepost-edge-2", alias="gatepost-smtp")
        self.demo.wait("gatepost-edge", "readinessProbe", pod="gatepost-edge-2")
        edges = [self.addresses["gatepost-edge"], self.addresses["gatepost-edge-2"]]
        for edge in edges:
            self.greets(edge, 2525)
        before = len(self.demo.mailbox("bob"))
        load = Load(edges, self.demo.container("gatepost-edge")["readinessProbe"]["grpc"])
        try:
            wait_for(lambda: min(load.by_edge.values()) >= 50, 60, "50 messages by each edge", every=0.1)
            ending = self.podman.container("gatepost-edge")
            told = time.monotonic()
            self.podman.run("podman", "kill", "--signal", "TERM", ending)
            grace = workload["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
            code = self.podman.run("podman", "wait", ending, seconds=grace)
            took = time.monotonic() - told
            reached = load.by_edge[edges[1]]
            wait_for(lambda: load.by_edge[edges[1]] > reached + 20, 60, "the other edge goes on", every=0.1)
        finally:
            load.stop()
        self.assertEqual(code, "0", self.podman.logs("gatepost-edge")[-2000:])
        self.assertEqual(load.failed, [])
        self.assertGreaterEqual(took, 10, "--drain-delay")
        self.assertLess(took, 60, "a drained edge leaves at once")
        print(f"{load.sent} messages, {dict(zip(('first', 'second'), load.by_edge.values()))}; drained in {took:.1f} s")
        wait_for(lambda: len(self.demo.mailbox("bob")) >= before + load.sent, 60, "what was acknowledged is in the mailbox", every=0.5)
        self.assertEqual(len(self.demo.mailbox("bob")), before + load.sent)


def binary(name):
    return str(pathlib.Path(os.environ[f"GATEPOST_BIN_{name}"]).resolve())


def build(podman, *names):
    """{name: digest}"""
    programs = podman.folder / "programs"
    programs.mkdir(exist_ok=True)
    for name in SERVICES:
        if not (programs / f"gatepost-{name}").exists():
            shutil.copy(binary(name.upper()), programs / f"gatepost-{name}")
    podman.environment["SOURCE_DATE_EPOCH"] = EPOCH
    said = demo.build(podman, programs, names, ["--revision", REVISION])
    return {re.search(r"gatepost-([\w-]+):", line).group(1): line.split()[1] for line in said.splitlines()}


if __name__ == "__main__":
    if os.geteuid() != 0:
        print("SKIPPED: images are built and run as root here")
        sys.exit(0)
    PODMAN = Podman(tempfile.mkdtemp(prefix="gatepost-podman-", dir="/tmp"), "gatepost-test")
    try:
        gomodules.program(gomodules.KUSTOMIZE)
        VERSION = subprocess.run([binary("EDGE"), "--version"], capture_output=True, text=True, check=True).stdout.split()[-1]
        DIGESTS = build(PODMAN, *demo.IMAGES)
        if reason := PODMAN.unusable(f"localhost/gatepost-edge:{VERSION}"):
            raise gomodules.Unavailable(f"podman cannot run a container on this machine: {reason}")
        outcome = unittest.main(verbosity=2, exit=False)
    except gomodules.Unavailable as why:
        print(f"SKIPPED: {why}")
        sys.exit(0)
    finally:
        PODMAN.remove()
    sys.exit(0 if outcome.result.wasSuccessful() else 1)
