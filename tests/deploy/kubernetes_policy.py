"""What Gatepost asks of its own manifests, over what kustomize has rendered: `violations(objects)` lists where they fall short.

Pod Security "restricted" everywhere but in the one namespace that is excepted; probes, requests and limits; nothing of the API server in a pod;
a NetworkPolicy rule for every port that is used but the kubelet's health ports, and none for a port that is not; disruption budgets that let
a node be drained; one process at a time on a SQLite file.
"""
EXCEPTED = {"gatepost-demo-upstream"}
RESTRICTED_VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob", "ReplicaSet", "Pod")
DNS = {("UDP", 53), ("TCP", 53)}


def matches(selector, labels):
    """A label selector with matchLabels alone, which is all that is used."""
    assert set(selector or {}) <= {"matchLabels"}, selector
    return all(labels.get(key) == value for key, value in (selector or {}).get("matchLabels", {}).items())


class Workload:

    def __init__(self, thing):
        self.thing = thing
        self.kind, self.name = thing["kind"], thing["metadata"]["name"]
        self.namespace = thing["metadata"]["namespace"]
        self.labels = thing["spec"]["template"]["metadata"]["labels"]
        self.pod = thing["spec"]["template"]["spec"]
        self.containers = self.pod["containers"]
        self.arguments = [a for c in self.containers for a in c.get("args", [])]

    def __str__(self):
        return f"{self.kind} {self.name}"

    def ports(self, health=False):
        return {("TCP" if "protocol" not in p else p["protocol"], p["containerPort"]) for c in self.containers for p in c.get("ports", [])
                if health or p["name"] != "health"}


class Policy:

    def __init__(self, objects):
        self.objects = objects
        self.found = []
        self.workloads = [Workload(o) for o in objects if o["kind"] in WORKLOADS]
        self.namespaces = {o["metadata"]["name"]: o["metadata"].get("labels", {}) for o in self.of("Namespace")}

    def of(self, kind):
        return [o for o in self.objects if o["kind"] == kind]

    def expect(self, holds, where, what):
        if not holds:
            self.found.append(f"{where}: {what}")

    def check(self):
        self.expect(self.workloads, "all", "no workload")
        for thing in self.objects:
            self.expect(thing["kind"] == "Namespace" or thing["metadata"].get("namespace") in self.namespaces, f"{thing['kind']} {thing['metadata']['name']}",
                        "in no namespace of ours")
        for name, labels in self.namespaces.items():
            level = "baseline" if name in EXCEPTED else "restricted"
            self.expect(labels.get("pod-security.kubernetes.io/enforce") == level, f"Namespace {name}", f"Pod Security is not {level}")
        for workload in self.workloads:
            self.pod(workload)
            self.state(workload)
        self.services()
        self.network()
        self.budgets()
        self.autoscalers()
        return self.found

    def pod(self, workload):
        where, pod = str(workload), workload.pod
        excepted = workload.namespace in EXCEPTED
        self.expect(pod.get("automountServiceAccountToken") is False, where, "has a service account's token")
        self.expect(pod.get("enableServiceLinks") is False, where, "has service links in its environment")
        for forbidden in ("hostNetwork", "hostPID", "hostIPC"):
            self.expect(not pod.get(forbidden), where, forbidden)
        for volume in pod.get("volumes", []):
            kinds = set(volume) - {"name"}
            self.expect(kinds <= RESTRICTED_VOLUMES, where, f"volume of kind {kinds}")
            if "emptyDir" in volume:
                self.expect(volume["emptyDir"].get("sizeLimit"), where, f"volume {volume['name']} has no limit")
        security = pod.get("securityContext", {})
        self.expect(security.get("seccompProfile", {}).get("type") == "RuntimeDefault", where, "no seccomp profile")
        if not excepted:
            self.expect(security.get("runAsNonRoot") is True and security.get("runAsUser", 0) > 0, where, "may run as root")
        for container in workload.containers + pod.get("initContainers", []):
            at, own = f"{where}/{container['name']}", container.get("securityContext", {})
            self.expect(own.get("allowPrivilegeEscalation") is False, at, "may gain privileges")
            self.expect(not own.get("privileged"), at, "privileged")
            self.expect(own.get("capabilities", {}).get("drop") == ["ALL"], at, "keeps capabilities")
            if not excepted:
                self.expect(not own.get("capabilities", {}).get("add"), at, "adds capabilities")
                self.expect(own.get("readOnlyRootFilesystem") is True, at, "may write to its root")
            resources = container.get("resources", {})
            self.expect({"cpu", "memory"} <= set(resources.get("requests", {})) and "memory" in resources.get("limits", {}), at, "no requests or limits")
            self.expect("preStop" not in container.get("lifecycle", {}), at, "a preStop hook, and the image has no shell")
            self.expect(all("hostPort" not in p for p in container.get("ports", [])), at, "a port of the host")
            self.expect(":" in container["image"] and not container["image"].endswith(":latest"), at, "an image without a version")
            health = {p["containerPort"] for p in container.get("ports", []) if p["name"] == "health"}
            for probe, service in (("startupProbe", "liveness"), ("readinessProbe", "readiness"), ("livenessProbe", "liveness")):
                grpc = container.get(probe, {}).get("grpc")
                if excepted:
                    self.expect(container.get(probe), at, f"no {probe}")
                else:
                    self.expect(grpc and grpc["port"] in health and grpc.get("service") == service, at, f"{probe} does not ask the health port for {service}")

    def state(self, workload):
        """SQLite files have one process at a time; who has none may be several, and loses none of them to a drained node."""
        spec, where = workload.thing["spec"], str(workload)
        databases = [v for c in workload.containers for v in c.get("env", []) if v["name"].endswith("_DATABASE")]
        self.expect(not any("postgresql://" in a for a in workload.arguments) and all("secretKeyRef" in v.get("valueFrom", {}) for v in databases),
                    where, "the database's URI is not from a Secret")
        if databases:
            self.expect(spec.get("replicas", 1) >= 2, where, "PostgreSQL with one replica")
            self.expect(any(matches(b["spec"]["selector"], workload.labels) for b in self.of("PodDisruptionBudget")), where, "no disruption budget")
            self.expect({c["topologyKey"] for c in workload.pod.get("topologySpreadConstraints", [])} >= {"kubernetes.io/hostname"}, where,
                        "not spread over nodes")
            ways = [r for p in self.of("NetworkPolicy") if workload in self.selected(p["metadata"]["namespace"], p["spec"]["podSelector"])
                    for r in p["spec"].get("egress", [])]
            self.expect(any({"protocol": "TCP", "port": 5432} in r["ports"] for r in ways), where, "may not reach its database")
        if any(a.startswith("--database=/") for a in workload.arguments):
            self.expect(workload.kind == "StatefulSet", where, "SQLite outside of a StatefulSet: an update would start a second process")
            self.expect(spec.get("replicas") == 1, where, "SQLite with other than one replica")
            path = next(a for a in workload.arguments if a.startswith("--database=")).split("=")[1]
            mounts = [m["mountPath"] for c in workload.containers for m in c["volumeMounts"]
                      if m["name"] in [t["metadata"]["name"] for t in spec.get("volumeClaimTemplates", [])]]
            self.expect(any(path.startswith(m + "/") for m in mounts), where, "the database lies on no volume")
        if workload.labels.get("app.kubernetes.io/component") == "edge":
            self.expect(workload.pod.get("terminationGracePeriodSeconds") == 660, where, "terminationGracePeriodSeconds is not 660")
            self.expect("--drain-delay=10" in workload.arguments, where, "no --drain-delay=10")

    def selected(self, namespace, selector):
        return [w for w in self.workloads if w.namespace == namespace and matches(selector, w.labels)]

    def services(self):
        for service in self.of("Service"):
            where, spec = f"Service {service['metadata']['name']}", service["spec"]
            behind = self.selected(service["metadata"]["namespace"], {"matchLabels": spec["selector"]})
            self.expect(len(behind) == 1, where, "selects not one workload")
            for workload in behind:
                for port in spec["ports"]:
                    self.expect((port.get("protocol", "TCP"), port["targetPort"]) in workload.ports(), where, f"port {port['targetPort']} is not {workload}'s")
            if spec.get("type") == "LoadBalancer":
                self.expect(spec.get("externalTrafficPolicy") == "Local", where, "hides clients' addresses")
        for workload in self.workloads:
            for argument in workload.arguments:
                if argument.startswith(("--config-address=", "--auth-address=")):
                    host, port = argument.split("=")[1].split(":")
                    named = [s for s in self.of("Service") if s["metadata"]["name"] == host and s["metadata"]["namespace"] == workload.namespace]
                    self.expect(named and named[0]["spec"].get("clusterIP") == "None" and int(port) in [p["port"] for p in named[0]["spec"]["ports"]],
                                workload, f"{argument}: no headless Service")

    def network(self):
        policies = self.of("NetworkPolicy")
        for namespace in self.namespaces:
            closed = [p for p in policies if p["metadata"]["namespace"] == namespace and p["spec"]["podSelector"] == {} and
                      set(p["spec"]["policyTypes"]) == {"Ingress", "Egress"} and "ingress" not in p["spec"] and "egress" not in p["spec"]]
            self.expect(closed, f"Namespace {namespace}", "not closed by default")
        # (workload's name, port) -> the rules that let somebody in.
        let_in, let_out = {}, []
        for policy in policies:
            spec, namespace, where = policy["spec"], policy["metadata"]["namespace"], f"NetworkPolicy {policy['metadata']['name']}"
            targets = self.selected(namespace, spec["podSelector"])
            self.expect(targets, where, "is about no workload")
            for rule in spec.get("ingress", []):
                self.expect(rule.get("ports"), where, "lets in on every port")
                for port in rule.get("ports", []):
                    for workload in targets:
                        let_in.setdefault((workload.name, port["protocol"], port["port"]), []).append(rule)
                        self.expect((port["protocol"], port["port"]) in workload.ports(), where, f"lets in to port {port['port']}, which {workload} has not")
            for rule in spec.get("egress", []):
                self.expect(rule.get("ports") and rule.get("to"), where, "lets out to everywhere or to every port")
                let_out += [(workload, where, rule) for workload in targets]
        for workload in self.workloads:
            for protocol, port in workload.ports():
                self.expect((workload.name, protocol, port) in let_in, workload, f"port {port} is closed by default and no NetworkPolicy opens it")
        for workload, where, rule in let_out:
            for peer in rule.get("to", []):
                self.reach(workload, where, rule, peer, let_in)
        # Every address that a program dials is one that it may reach.
        for workload in self.workloads:
            for argument in workload.arguments:
                if argument.startswith(("--config-address=", "--auth-address=")):
                    host, port = argument.split("=")[1].split(":")
                    self.expect(any(w is workload and {"protocol": "TCP", "port": int(port)} in r["ports"] and
                                    any(matches(p.get("podSelector"), t.labels) for p in r["to"] if "podSelector" in p and "namespaceSelector" not in p
                                        for t in self.workloads if t.name == host) for w, _, r in let_out), workload, f"may not reach {host}:{port}")

    def reach(self, workload, where, rule, peer, let_in):
        """A rule that lets out to a workload of ours meets one there that lets in."""
        ports = {(p["protocol"], p["port"]) for p in rule["ports"]}
        if "ipBlock" in peer or ports <= DNS:
            return
        if "namespaceSelector" in peer:
            spaces = [n for n in self.namespaces if matches(peer["namespaceSelector"], {"kubernetes.io/metadata.name": n, **self.namespaces[n]})]
        else:
            spaces = [workload.namespace]
        targets = [t for n in spaces for t in self.selected(n, peer.get("podSelector"))]
        self.expect(targets, where, "lets out to nobody")
        for target in targets:
            for protocol, port in ports:
                rules = let_in.get((target.name, protocol, port), [])
                self.expect(any("from" not in r or any(matches(f.get("podSelector"), workload.labels) for f in r["from"] if "podSelector" in f) for r in rules),
                            where, f"lets {workload} out to port {port} of {target}, which does not let it in")

    def budgets(self):
        for budget in self.of("PodDisruptionBudget"):
            where, spec = f"PodDisruptionBudget {budget['metadata']['name']}", budget["spec"]
            self.expect("minAvailable" not in spec and spec.get("maxUnavailable") not in (None, 0, "0%"), where, "may allow no disruption")
            for workload in self.selected(budget["metadata"]["namespace"], spec["selector"]):
                self.expect(workload.thing["spec"].get("replicas") != 1, where, f"of {workload}, which has one replica")

    def autoscalers(self):
        for scaler in self.of("HorizontalPodAutoscaler"):
            where, target = f"HorizontalPodAutoscaler {scaler['metadata']['name']}", scaler["spec"]["scaleTargetRef"]
            scaled = [w for w in self.workloads if (w.kind, w.name) == (target["kind"], target["name"])]
            self.expect(len(scaled) == 1 and "replicas" not in scaled[0].thing["spec"], where, "its target is not there, or sets replicas itself")
            self.expect(scaler["spec"]["minReplicas"] >= 3, where, "fewer than three")
            for workload in scaled:
                self.expect({c["topologyKey"] for c in workload.pod.get("topologySpreadConstraints", [])} >= {"topology.kubernetes.io/zone", "kubernetes.io/hostname"},
                            workload, "not spread over zones and nodes")
                self.expect(any(matches(b["spec"]["selector"], workload.labels) for b in self.of("PodDisruptionBudget")), workload, "no disruption budget")


def violations(objects):
    return Policy(objects).check()
