#!/usr/bin/python3
"""Every object of the overlays, as a real Kubernetes API server takes it: optional, `bazel test //tests/deploy:apiserver_test`.

kube-apiserver is built from its Go modules (5 minutes of processor time, once; ~/.cache/gatepost/go keeps it), etcd is Debian's, unpacked
and not installed. Both run on loopback in a folder of the test's. Namespaces and the CRDs of cert-manager and the Prometheus operator are
made; everything else is applied by server-side dry run with strict field validation: schemas, defaults, Kubernetes' own validation. Pods are
asked for as well, one of each workload, since Pod Security is enforced on pods: at "restricted" in gatepost, "baseline" in the demo's upstream.
"""
import json
import os
import pathlib
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request

import yaml

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tests" / "integration"), str(TOP / "tests" / "deploy"), str(TOP / "deploy")]
import gomodules  # noqa: E402
from harness.ports import free_port  # noqa: E402
from harness.processes import wait_for  # noqa: E402
from kubernetes_schema import custom_resource_definitions  # noqa: E402

KUBERNETES = TOP / "deploy" / "kubernetes"
TOKEN = "administrator-of-this-test"
# The production overlay with a second virtual server, as the runbook says to make one.
SECOND = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": ["../production"],
          "components": ["../../components/additional-virtual-server"]}


def etcd():
    """The path of Debian's etcd. Its package would start a service of the machine's: it is unpacked, and not installed."""
    for installed in (pathlib.Path("/usr/bin/etcd"), gomodules.cache() / "etcd" / "usr" / "bin" / "etcd"):
        if installed.exists():
            return installed
    with tempfile.TemporaryDirectory(prefix="gatepost-etcd-") as folder:
        done = subprocess.run(["apt-get", "download", "etcd-server"], cwd=folder, capture_output=True, text=True, check=False)
        packages = list(pathlib.Path(folder).glob("*.deb"))
        if done.returncode != 0 or not packages:
            raise gomodules.Unavailable(f"Debian's etcd-server cannot be fetched: {done.stderr.strip()[-300:]}")
        subprocess.run(["dpkg-deb", "-x", packages[0], gomodules.cache() / "etcd"], check=True)
    return installed


class ApiServer:
    """etcd and kube-apiserver, as little of them as takes objects."""

    def __init__(self, folder):
        self.folder, self.processes, self.resources = folder, [], {}
        self.port, client, peer = free_port(), free_port(), free_port()
        self.start("etcd", etcd(), "--data-dir", folder / "etcd", "--listen-client-urls", f"http://127.0.0.1:{client}", "--advertise-client-urls",
                   f"http://127.0.0.1:{client}", "--listen-peer-urls", f"http://127.0.0.1:{peer}", "--initial-advertise-peer-urls",
                   f"http://127.0.0.1:{peer}", "--initial-cluster", f"default=http://127.0.0.1:{peer}", "--unsafe-no-fsync")
        subprocess.run(["openssl", "genrsa", "-out", folder / "accounts.key", "2048"], check=True, capture_output=True)
        (folder / "tokens.csv").write_text(f'{TOKEN},admin,1,"system:masters"\n')
        self.start("kube-apiserver", gomodules.kube_apiserver(), "--etcd-servers", f"http://127.0.0.1:{client}", "--bind-address", "127.0.0.1",
                   "--secure-port", self.port, "--cert-dir", folder / "certificates", "--token-auth-file", folder / "tokens.csv",
                   "--authorization-mode", "RBAC", "--service-account-issuer", "https://127.0.0.1", "--service-account-key-file", folder / "accounts.key",
                   "--service-account-signing-key-file", folder / "accounts.key", "--service-cluster-ip-range", "10.96.0.0/16",
                   # What other controllers would make: accounts of namespaces.
                   "--disable-admission-plugins", "ServiceAccount")
        wait_for(self.ready, 120, "kube-apiserver", every=0.5)

    def start(self, name, *argv):
        with (self.folder / f"{name}.log").open("wb") as log:
            self.processes.append((name, subprocess.Popen([str(a) for a in argv], stdout=log, stderr=subprocess.STDOUT, cwd=self.folder)))

    def stop(self):
        for _, process in reversed(self.processes):
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(20)

    def ready(self):
        for name, process in self.processes:
            if process.poll() is not None:
                raise AssertionError(f"{name} ended:\n{(self.folder / f'{name}.log').read_text()[-3000:]}")
        try:
            return self.call("GET", "/readyz")[0] == 200
        except OSError:
            return False

    def call(self, method, path, body=None, content_type="application/json"):
        """(status, answer)"""
        request = urllib.request.Request(f"https://127.0.0.1:{self.port}{path}", method=method, data=body and body.encode(),
                                         headers={"Authorization": f"Bearer {TOKEN}", "Content-Type": content_type})
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        try:
            with urllib.request.urlopen(request, timeout=60, context=context) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def resource(self, version, kind):
        """(path prefix, plural, whether it lies in a namespace) of a kind; None when there is no such kind."""
        prefix = f"/api/{version}" if "/" not in version else f"/apis/{version}"
        if prefix not in self.resources:
            status, answer = self.call("GET", prefix)
            if status != 200:
                return None
            self.resources[prefix] = {r["kind"]: r for r in json.loads(answer)["resources"] if "/" not in r["name"]}
        found = self.resources[prefix].get(kind)
        return (prefix, found["name"], found["namespaced"]) if found else None

    def apply(self, thing, dry_run=True):
        """Server-side apply, strictly; what the server says against it, or None."""
        found = self.resource(thing["apiVersion"], thing["kind"])
        if found is None:
            return f"{thing['apiVersion']} has no {thing['kind']}"
        prefix, plural, namespaced = found
        if namespaced:
            prefix += f"/namespaces/{thing['metadata'].get('namespace', 'default')}"
        status, answer = self.call("PATCH", f"{prefix}/{plural}/{thing['metadata']['name']}?fieldManager=gatepost&force=true&fieldValidation=Strict"
                                   + ("&dryRun=All" if dry_run else ""), yaml.safe_dump(thing), "application/apply-patch+yaml")
        return None if status in (200, 201) else f"{thing['kind']} {thing['metadata']['name']}: {json.loads(answer).get('message', answer)}"


def render(path):
    done = subprocess.run([gomodules.program(gomodules.KUSTOMIZE), "build", path], capture_output=True, text=True, timeout=120, check=True)
    return [thing for thing in yaml.safe_load_all(done.stdout) if thing]


def pod_of(workload):
    """The pod that its controller would ask for."""
    template = workload["spec"]["template"]
    spec = json.loads(json.dumps(template["spec"]))
    # A StatefulSet's controller adds the volumes of its claims.
    spec.setdefault("volumes", []).extend({"name": c["metadata"]["name"], "persistentVolumeClaim": {"claimName": f"{c['metadata']['name']}-0"}}
                                          for c in workload["spec"].get("volumeClaimTemplates", []))
    return {"apiVersion": "v1", "kind": "Pod", "spec": spec,
            "metadata": {"name": f"{workload['metadata']['name']}-0", "namespace": workload["metadata"]["namespace"], "labels": template["metadata"]["labels"]}}


class Overlays(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="gatepost-apiserver-", dir="/tmp"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, True)
        # A copy: runfiles are links, and kustomize does not follow them out of its root.
        shutil.copytree(KUBERNETES, cls.folder / "kubernetes")
        overlays = cls.folder / "kubernetes" / "overlays"
        (overlays / "second").mkdir()
        (overlays / "second" / "kustomization.yaml").write_text(yaml.safe_dump(SECOND))
        cls.rendered = {name: render(overlays / name) for name in ("demo", "production", "second")}
        cls.server = ApiServer(cls.folder)
        cls.addClassCleanup(cls.server.stop)
        for definition in custom_resource_definitions():
            if said := cls.server.apply(definition, dry_run=False):
                raise AssertionError(said)
        wait_for(lambda: cls.server.resource("cert-manager.io/v1", "Certificate") and cls.server.resource("monitoring.coreos.com/v1", "PodMonitor"),
                 60, "the CRDs' kinds", every=0.5)
        for thing in cls.rendered["demo"]:
            if thing["kind"] == "Namespace" and (said := cls.server.apply(thing, dry_run=False)):
                raise AssertionError(said)

    def test_every_object_is_taken(self):
        for name, objects in self.rendered.items():
            said = [self.server.apply(thing) for thing in objects]
            self.assertEqual([s for s in said if s], [], name)
            print(f"{name}: {len(objects)} objects of {len({o['kind'] for o in objects})} kinds")

    def test_every_pod_is_admitted_at_its_namespaces_level(self):
        for name, objects in self.rendered.items():
            pods = [pod_of(thing) for thing in objects if thing["kind"] in ("Deployment", "StatefulSet")]
            self.assertGreaterEqual(len(pods), 3)
            self.assertEqual([s for s in map(self.server.apply, pods) if s], [], name)

    def test_the_server_would_refuse(self):
        deployment = next(o for o in self.rendered["production"] if o["kind"] == "Deployment")
        for said, change in {".spec.template.spec.serviceLinks: field not declared": lambda pod: pod.update(serviceLinks=False),
                             "Unsupported value: \"SMTP\"": lambda pod: pod["containers"][0]["ports"][0].update(protocol="SMTP")}.items():
            broken = json.loads(json.dumps(deployment))
            change(broken["spec"]["template"]["spec"])
            self.assertIn(said, self.server.apply(broken) or "it was taken")
        pod = pod_of(deployment)
        pod["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = True
        self.assertIn('violates PodSecurity "restricted', self.server.apply(pod) or "it was taken")


if __name__ == "__main__":
    started = time.monotonic()
    try:
        etcd()
        gomodules.kube_apiserver()
    except gomodules.Unavailable as why:
        print(f"SKIPPED: {why}")
        sys.exit(0)
    print(f"kube-apiserver is there after {time.monotonic() - started:.0f} s")
    os.environ.pop("KUBECONFIG", None)
    unittest.main(verbosity=2)
