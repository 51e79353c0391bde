#!/usr/bin/python3
"""The Kubernetes manifests: kustomize 5 renders them, Kubernetes' own schemas know every field, our policy holds, and the programs
have the flags that they are given.

kustomize and the schemas come from Go modules; without Go, or without the Go module proxy, this is skipped.
"""
import copy
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import yaml

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tests" / "deploy"), str(TOP / "deploy")]
import gomodules  # noqa: E402
from kubernetes_policy import violations  # noqa: E402
from kubernetes_schema import Schemas  # noqa: E402

KUBERNETES = pathlib.Path("deploy/kubernetes").resolve()
FOLDER = pathlib.Path(tempfile.mkdtemp(prefix="gatepost-kubernetes-", dir="/tmp"))
# The production overlay with a second virtual server, as the runbook says to make one.
SECOND = """
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [../production]
components: [../../components/additional-virtual-server]
"""


def render(path):
    done = subprocess.run([gomodules.program(gomodules.KUSTOMIZE), "build", path], capture_output=True, text=True, timeout=120, check=False)
    if done.returncode != 0:
        raise AssertionError(f"kustomize build {path}: {done.stderr}")
    return [thing for thing in yaml.safe_load_all(done.stdout) if thing]


def find(objects, kind, name):
    return next(o for o in objects if o["kind"] == kind and o["metadata"]["name"] == name)


def edge(objects):
    return find(objects, "Deployment", "gatepost-edge")["spec"]["template"]["spec"]


def auth(objects):
    return find(objects, "Deployment", "gatepost-auth")


class Manifests(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        # A copy: runfiles are links, and kustomize does not follow them out of its root.
        shutil.copytree(KUBERNETES, FOLDER / "kubernetes")
        cls.addClassCleanup(shutil.rmtree, FOLDER)
        second = FOLDER / "kubernetes" / "overlays" / "second"
        second.mkdir()
        (second / "kustomization.yaml").write_text(SECOND)
        cls.rendered = {name: render(FOLDER / "kubernetes" / "overlays" / name) for name in ("demo", "production", "second")}

    def test_every_object_is_valid_by_its_schema(self):
        schemas = Schemas()
        for name, objects in self.rendered.items():
            for thing in objects:
                self.assertEqual(schemas.errors(thing), [], name)
        # The judge itself: a field too many, one too few, one of another type.
        for mutate in (lambda o: edge(o)["containers"][0].update(readinesProbe={}), lambda o: edge(o)["containers"][0].pop("name"),
                       lambda o: edge(o)["containers"][0]["ports"][0].update(containerPort="smtp"),
                       lambda o: find(o, "Certificate", "gatepost-edge")["spec"].pop("secretName"),
                       lambda o: find(o, "PodMonitor", "gatepost")["spec"].update(jobLabels="x")):
            broken = copy.deepcopy(self.rendered["production"])
            mutate(broken)
            self.assertEqual(len([e for thing in broken for e in schemas.errors(thing)]), 1)

    def test_our_policy_holds(self):
        for name, objects in self.rendered.items():
            self.assertEqual(violations(objects), [], name)

    def test_our_policy_sees_what_it_is_for(self):
        def container(objects):
            return edge(objects)["containers"][0]

        def rules(objects):
            return find(objects, "NetworkPolicy", "gatepost-edge")["spec"]["ingress"]

        changes = {
            "may run as root": lambda o: edge(o)["securityContext"].update(runAsUser=0),
            "no seccomp profile": lambda o: edge(o)["securityContext"].pop("seccompProfile"),
            "keeps capabilities": lambda o: container(o)["securityContext"].pop("capabilities"),
            "adds capabilities": lambda o: container(o)["securityContext"]["capabilities"].update(add=["NET_BIND_SERVICE"]),
            "may write to its root": lambda o: container(o)["securityContext"].pop("readOnlyRootFilesystem"),
            "may gain privileges": lambda o: container(o)["securityContext"].pop("allowPrivilegeEscalation"),
            "volume of kind": lambda o: edge(o)["volumes"].append({"name": "x", "hostPath": {"path": "/"}}),
            "service account's token": lambda o: edge(o).pop("automountServiceAccountToken"),
            "service links": lambda o: edge(o).pop("enableServiceLinks"),
            "readinessProbe": lambda o: container(o)["readinessProbe"]["grpc"].update(service="liveness"),
            "livenessProbe": lambda o: container(o).pop("livenessProbe"),
            "no requests or limits": lambda o: container(o)["resources"].pop("limits"),
            "a preStop hook": lambda o: container(o).update(lifecycle={"preStop": {"exec": {"command": ["sleep", "5"]}}}),
            "is not 660": lambda o: edge(o).update(terminationGracePeriodSeconds=30),
            "without a version": lambda o: container(o).update(image="gatepost-edge"),
            "Pod Security is not restricted": lambda o: find(o, "Namespace", "gatepost")["metadata"]["labels"].update({"pod-security.kubernetes.io/enforce": "baseline"}),
            "not closed by default": lambda o: o.remove(find(o, "NetworkPolicy", "default-deny")),
            "port 2590 is closed": lambda o: rules(o).pop(),
            "which Deployment gatepost-edge has not": lambda o: rules(o)[0]["ports"].append({"protocol": "TCP", "port": 2591}),
            "may not reach gatepost-auth:2060": lambda o: find(o, "NetworkPolicy", "gatepost-edge")["spec"]["egress"].pop(1),
            "which does not let it in": lambda o: find(o, "NetworkPolicy", "gatepost-auth")["spec"]["ingress"][0]["from"][0]["podSelector"]["matchLabels"].update(x="y"),
            "may allow no disruption": lambda o: find(o, "PodDisruptionBudget", "gatepost-edge")["spec"].update(maxUnavailable=0),
            "which has one replica": lambda o: find(o, "PodDisruptionBudget", "gatepost-edge")["spec"].update(
                selector={"matchLabels": {"app.kubernetes.io/name": "gatepost-config"}}),
            "sets replicas itself": lambda o: find(o, "Deployment", "gatepost-edge")["spec"].update(replicas=3),
            "SQLite with other than one replica": lambda o: find(o, "StatefulSet", "gatepost-config")["spec"].update(replicas=2),
            "SQLite outside of a StatefulSet": lambda o: find(o, "StatefulSet", "gatepost-config").update(kind="Deployment"),
            "the database lies on no volume": lambda o: find(o, "StatefulSet", "gatepost-config")["spec"].pop("volumeClaimTemplates"),
            "URI is not from a Secret": lambda o: auth(o)["spec"]["template"]["spec"]["containers"][0]["env"][0].update(
                valueFrom={"configMapKeyRef": {"name": "x", "key": "y"}}),
            "PostgreSQL with one replica": lambda o: auth(o)["spec"].update(replicas=1),
            "gatepost-auth: no disruption budget": lambda o: o.remove(find(o, "PodDisruptionBudget", "gatepost-auth")),
            "not spread over nodes": lambda o: auth(o)["spec"]["template"]["spec"].pop("topologySpreadConstraints"),
            "may not reach its database": lambda o: find(o, "NetworkPolicy", "gatepost-auth-database")["spec"]["egress"].pop(0),
            "hides clients' addresses": lambda o: find(o, "Service", "gatepost-smtp")["spec"].pop("externalTrafficPolicy"),
            "no headless Service": lambda o: find(o, "Service", "gatepost-config")["spec"].pop("clusterIP"),
            "is not Deployment gatepost-edge's": lambda o: find(o, "Service", "gatepost-smtp")["spec"]["ports"][0].update(targetPort=25),
            "not spread over zones": lambda o: edge(o)["topologySpreadConstraints"].pop(0),
        }
        for said, change in changes.items():
            objects = copy.deepcopy(self.rendered["production"])
            change(objects)
            with self.subTest(said):
                found = violations(objects)
                self.assertTrue(any(said in v for v in found), found)

    def test_the_one_exception_from_restricted_is_the_demos_upstream(self):
        level = "pod-security.kubernetes.io/enforce"
        levels = {name: {o["metadata"]["name"]: o["metadata"]["labels"][level] for o in objects if o["kind"] == "Namespace"}
                  for name, objects in self.rendered.items()}
        self.assertEqual(levels["demo"], {"gatepost": "restricted", "gatepost-demo-upstream": "baseline"})
        self.assertEqual(levels["production"], {"gatepost": "restricted"})

    def test_an_additional_virtual_server_has_an_address_of_its_own(self):
        first, second = (find(self.rendered["second"], "Service", name)["spec"] for name in ("gatepost-smtp", "gatepost-smtp-second"))
        self.assertEqual([p["port"] for p in first["ports"]], [p["port"] for p in second["ports"]])
        self.assertEqual(sorted(p["targetPort"] for p in second["ports"]), [2466, 2526, 2588])

    def test_every_secret_that_is_mounted_comes_from_somewhere(self):
        pki = FOLDER / "pki"
        script = [KUBERNETES / "secrets", "--pki", pki]
        environment = {**os.environ, "GATEPOSTCTL": str(pathlib.Path(os.environ["GATEPOST_BIN_CTL"]).resolve())}
        made = {}
        for options in ([], ["--keys-only"]):
            text = subprocess.run([*script, *options], capture_output=True, text=True, timeout=60, env=environment, check=True).stdout
            made[bool(options)] = {o["metadata"]["name"]: set(o["data"]) for o in yaml.safe_load_all(text) if o}
        issued = {c["spec"]["secretName"]: {"tls.crt", "tls.key", "ca.crt"} for c in self.rendered["production"] if c["kind"] == "Certificate"}
        # The administrator's own, as the runbook says.
        database = {"gatepost-auth-database": {"uri", "password", "ca.crt"}}
        for name, available in (("demo", made[False]), ("production", {**issued, **made[True], **database})):
            for thing in self.rendered[name]:
                pod = thing.get("spec", {}).get("template", {}).get("spec", {}) if thing["kind"] in ("Deployment", "StatefulSet") else {}
                arguments = [a for c in pod.get("containers", []) for a in c.get("args", [])]
                for volume in pod.get("volumes", []):
                    if "secret" in volume:
                        self.assertIn(volume["secret"]["secretName"], available, name)
                        mount = next(m["mountPath"] for c in pod["containers"] for m in c["volumeMounts"] if m["name"] == volume["name"])
                        wanted = {a.rsplit("/", 1)[1] for a in arguments if f"={mount}/" in a}
                        self.assertTrue(wanted and wanted <= available[volume["secret"]["secretName"]], f"{name}: {volume} has not {wanted}")

    def test_identities_by_cert_manager_are_those_of_gatepostctl_pki(self):
        uris = {c["spec"]["secretName"]: c["spec"].get("uris") for c in self.rendered["production"] if c["kind"] == "Certificate"}
        pki = FOLDER / "pki-names"
        environment = {**os.environ, "GATEPOSTCTL": str(pathlib.Path(os.environ["GATEPOST_BIN_CTL"]).resolve())}
        said = subprocess.run([KUBERNETES / "secrets", "--pki", pki], capture_output=True, text=True, timeout=60, env=environment, check=True).stderr
        ours = sorted(re.findall(r"spiffe://\S+?(?=: )", said))
        self.assertEqual(ours, sorted(u for found in uris.values() if found for u in found))

    def test_the_programs_have_the_flags_that_they_are_given(self):
        for objects in self.rendered.values():
            for thing in objects:
                if thing["metadata"]["name"] in ("gatepost-edge", "gatepost-config", "gatepost-auth") and thing["kind"] in ("Deployment", "StatefulSet"):
                    container = thing["spec"]["template"]["spec"]["containers"][0]
                    usage = subprocess.run([os.environ[f"GATEPOST_BIN_{container['name'].upper()}"], "--help"], capture_output=True, text=True,
                                           timeout=30, check=True).stdout
                    for argument in container["args"]:
                        self.assertRegex(usage, rf"(?m)^ +{re.escape(argument.split('=')[0])} ")
                    for variable in container.get("env", []):
                        self.assertIn(f"Env:{variable['name']})", usage)


if __name__ == "__main__":
    try:
        gomodules.program(gomodules.KUSTOMIZE)
        for needed in (gomodules.KUBERNETES, gomodules.CERT_MANAGER, gomodules.PROMETHEUS_OPERATOR):
            gomodules.module(needed)
    except gomodules.Unavailable as why:
        print(f"SKIPPED: {why}")
        sys.exit(0)
    unittest.main(verbosity=2)
