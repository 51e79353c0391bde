#!/usr/bin/python3
"""The Kubernetes demo without Kubernetes: builds the images, plays the overlay's workloads with podman, sends a message through them.

  deploy/container/demo.py up [--state DIR] [--bin DIR]     builds what is not built, starts what does not run, sends a message
  deploy/container/demo.py ctl [--state DIR] ARGUMENT...    gatepostctl as this demonstration's administrator
  deploy/container/demo.py down [--state DIR]               ends it and removes all that it made

Images, volumes, networks and settings lie in DIR (/var/lib/gatepost-podman): the machine's own podman is not touched. Pods have the names
of their Services on a network of their own, at addresses that this machine alone reaches. --bin: programs that are built already. Needs
root, the Debian packages of `deploy/local/install build test`, and Go's module proxy for kustomize. Exit 0 when the message arrived.
"""
import argparse
import os
import pathlib
import secrets
import smtplib
import ssl
import subprocess
import sys
import time

import yaml

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parent), str(pathlib.Path(__file__).resolve().parents[1])]
import gomodules  # noqa: E402
import programs  # noqa: E402
from play import Podman, probe  # noqa: E402

DEPLOY = pathlib.Path(__file__).resolve().parents[1]
# In the order in which they start.
WORKLOADS = [("StatefulSet", "gatepost-config", "gatepost-config"), ("StatefulSet", "gatepost-auth", "gatepost-auth"), ("Deployment", "postfix", "postfix"),
             ("Deployment", "gatepost-edge", "gatepost-smtp")]
IMAGES = ("edge", "config", "auth", "demo-postfix")


class Demo:
    """The overlay's workloads under one Podman. `ctl` is the path of gatepostctl; `images` are built already."""

    def __init__(self, podman, ctl):
        self.podman, self.program = podman, str(ctl)
        self.pki = podman.folder / "pki"
        self.addresses = {}
        overlay = DEPLOY / "kubernetes" / "overlays" / "demo"
        rendered = podman.run(gomodules.program(gomodules.KUSTOMIZE), "build", overlay)
        self.objects = [thing for thing in yaml.safe_load_all(rendered) if thing]

    def workload(self, name):
        return next(o for o in self.objects if o["kind"] in ("Deployment", "StatefulSet") and o["metadata"]["name"] == name)

    def container(self, name):
        return self.workload(name)["spec"]["template"]["spec"]["containers"][0]

    def start(self):
        """Starts all that does not run; returns when the probes of the manifests say ready."""
        made = subprocess.run([DEPLOY / "kubernetes" / "secrets", "--pki", self.pki], capture_output=True, text=True, timeout=60, check=True,
                              env={**os.environ, "GATEPOSTCTL": self.program})
        self.podman.secrets([d for d in yaml.safe_load_all(made.stdout) if d])
        for _, name, alias in WORKLOADS:
            running = self.podman.run("podman", "pod", "exists", name, check=False).returncode == 0
            self.addresses[name] = self.podman.address(name) if running else self.podman.play(self.workload(name), alias=alias)
            if name.startswith("gatepost-") and name != "gatepost-edge":
                self.wait(name, "readinessProbe")
        # An edge is ready when it has a configuration, and a fresh one has no virtual server yet: what is asked for is that it answers.
        self.wait("gatepost-edge", "startupProbe")

    def wait(self, workload, which, pod=None, seconds=60):
        """Until a probe of the workload's manifest succeeds at its pod."""
        pod, deadline = pod or workload, time.monotonic() + seconds
        while not probe(self.addresses[pod], self.container(workload)[which]["grpc"]):
            if time.monotonic() > deadline:
                raise AssertionError(f"{pod}: its {which} fails\n{self.podman.logs(pod)[-3000:]}")
            time.sleep(0.2)

    def command(self, *arguments):
        """gatepostctl with what it needs to reach the pods."""
        server = "auth" if arguments[0] in ("user", "group", "credential", "throttle") else "config"
        argv = [self.program, "--config-address", f"{self.addresses['gatepost-config']}:2050", "--auth-address", f"{self.addresses['gatepost-auth']}:2060",
                "--server-name", f"gatepost-{server}", "--cert", self.pki / "admin-main.crt", "--key", self.pki / "admin-main.key",
                "--ca", self.pki / "ca.crt", *arguments]
        return [str(a) for a in argv]

    def ctl(self, *arguments, stdin=None):
        """gatepostctl's standard output."""
        done = subprocess.run(self.command(*arguments), capture_output=True, text=True, timeout=60, input=stdin, check=False)
        if done.returncode != 0:
            raise AssertionError(f"gatepostctl {' '.join(map(str, arguments))}: {done.stdout}{done.stderr}")
        return done.stdout

    def configure(self, password):
        """Two virtual servers and a user, as deploy/local/up has them; once."""
        if "inbound" in self.ctl("virtual-server", "list"):
            return
        self.ctl("certificate", "create", "mail", "--self-signed", "--dns", "mail.example.com")
        self.ctl("user", "create", "alice", "--login", "alice@example.com", "--password-stdin", stdin=password + "\n")
        # The Service has port 25; without Kubernetes it is the pod's own.
        common = ["--fqdn", "mail.example.com", "--certificate", "mail", "--local-domain", "example.com", "--next-hop", "postfix:2500"]
        self.ctl("virtual-server", "create", "inbound", "--listen", "0.0.0.0:2525", "--anonymous", "--set", "connectionLimits.maxPerSource=0", *common)
        self.ctl("virtual-server", "create", "submission", "--listen", "0.0.0.0:2587", "--listen", "0.0.0.0:2465,implicit", "--require-secure-channel", *common)

    def submit(self, password, subject):
        """One message of alice's to bob, by STARTTLS and AUTH; repeated while the listener or the auth service's stream is still on its way."""
        context = ssl.create_default_context(cadata=self.ctl("certificate", "get", "mail", "--pem"))
        deadline = time.monotonic() + 30
        while True:
            try:
                with smtplib.SMTP(self.addresses["gatepost-edge"], 2587, timeout=30) as client:
                    client._host = "mail.example.com"  # the name that the certificate is for
                    client.starttls(context=context)
                    client.login("alice@example.com", password)
                    client.sendmail("alice@example.com", ["bob@example.com"], f"From: alice@example.com\r\nTo: bob@example.com\r\nSubject: {subject}\r\n\r\nhello\r\n")
                    return
            except (OSError, smtplib.SMTPException):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

    def mailbox(self, user):
        """The files in a user's mailbox."""
        done = self.podman.run("podman", "exec", self.podman.container("postfix"), "find", f"/var/lib/postfix-demo/mail/{user}/new", "-type", "f", check=False)
        return done.stdout.split()


def build(podman, where=None, images=IMAGES, options=()):
    """Builds images into the demonstration's storage; what `build` says."""
    command = [DEPLOY / "container" / "build", *(["--bin", where] if where else []), "--output", podman.folder / "bills", *options, *images]
    done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, text=True, timeout=3000, env=podman.environment, check=False)
    if done.returncode != 0:
        raise AssertionError(f"{command[0]}: exit {done.returncode}, see above")
    return done.stdout


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("\n\n")[1].replace("  deploy", "\n  deploy", 1), description=__doc__.split("\n")[0], allow_abbrev=False)
    parser.add_argument("verb", choices=("up", "ctl", "down"))
    parser.add_argument("--state", type=pathlib.Path, default=pathlib.Path("/var/lib/gatepost-podman"))
    parser.add_argument("--bin", type=pathlib.Path)
    options, rest = parser.parse_known_args()
    if rest and options.verb != "ctl":
        parser.error(f"{rest[0]}?")
    if os.geteuid() != 0:
        sys.exit("demo: run this as root: podman's pods get addresses of their own")
    os.umask(0o077)
    started = time.monotonic()

    def step(what):
        print(f"[{time.monotonic() - started:4.0f} s] {what}", flush=True)

    podman = Podman(options.state, "gatepost-demo")
    if options.verb == "down":
        podman.remove()
        return 0
    if options.verb == "up":
        built = podman.run("podman", "images", "--format", "{{.Repository}}").split()
        if missing := [name for name in IMAGES if f"localhost/gatepost-{name}" not in built]:
            step(f"Building the images {', '.join(missing)} (the first time with the programs, about 15 minutes)")
            print(build(podman, options.bin, missing))
        if reason := podman.unusable("localhost/gatepost-edge:0.1.0"):
            sys.exit(f"demo: podman cannot run a container on this machine: {reason}")
    if options.bin:
        ctl = options.bin / "gatepostctl"
    else:
        ctl = programs.build("gatepostctl") / "ctl" / "gatepostctl"
    demo = Demo(podman, ctl.resolve())
    if options.verb == "ctl":
        demo.addresses = {name: podman.address(name) for _, name, _ in WORKLOADS}
        # In our place: it may ask for a password.
        command = demo.command(*(rest or ["--help"]))
        os.execv(command[0], command)
    step("Starting config, auth, Postfix and an edge, as the overlay has them")
    demo.start()
    kept = options.state / "alice"
    if not kept.exists():
        kept.write_text(secrets.token_urlsafe(18))
    demo.configure(kept.read_text())
    before = len(demo.mailbox("bob"))
    step("Sending a message as alice@example.com to bob@example.com: STARTTLS and AUTH")
    demo.submit(kept.read_text(), "Through the pods")
    deadline = time.monotonic() + 30
    while len(demo.mailbox("bob")) == before:
        if time.monotonic() > deadline:
            sys.exit("demo: the message was accepted and is not in bob's mailbox")
        time.sleep(0.2)
    print(podman.run("podman", "exec", podman.container("postfix"), "cat", demo.mailbox("bob")[-1]))
    edge = demo.addresses["gatepost-edge"]
    here = "" if options.state == parser.get_default("state") else f" --state {options.state}"
    step(f"""Done. Try:
  swaks --server {edge}:2587 --tls --auth PLAIN --auth-user alice@example.com --auth-password $(cat {kept}) --from alice@example.com --to bob@example.com
  swaks --server {edge}:2525 --from a@example.net --to b@example.org        refused: no relay
  deploy/container/demo.py ctl{here} virtual-server list
  curl http://{edge}:2590/metrics
  deploy/container/demo.py down{here}""")
    return 0


if __name__ == "__main__":
    sys.exit(main())
