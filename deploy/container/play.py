"""podman and buildah with a storage, networks and settings of their own in one folder, so that the machine's own are left alone; `kube play`
of a workload that kustomize rendered. Used by demo.py and by the tests.

podman 4.3 knows no StatefulSets, fsGroup, binary Secrets or gRPC probes, and needs `optional` at a Secret's volume: workloads become
Pods, volumes get the contents, owner and mode that Kubernetes would give them, and probes are made by the caller, against the ports that
the manifest names.
"""
import base64
import copy
import json
import os
import pathlib
import shutil
import subprocess

import yaml

import grpc

SETTINGS = """
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
tmp_dir = "{folder}/tmp"
[containers]
default_ulimits = ["nofile=20000:20000", "nproc=4096:4096"]
log_driver = "k8s-file"
[network]
network_backend = "netavark"
network_config_dir = "{folder}/networks"
"""
STORAGE = """
[storage]
driver = "overlay"
graphroot = "{folder}/storage"
runroot = "{folder}/run"
"""


class Podman:

    def __init__(self, folder, network):
        missing = [tool for tool in ("podman", "buildah", "runc", "mmdebstrap", "catatonit", "iptables") if shutil.which(tool) is None]
        if missing:
            raise RuntimeError(f"not installed: {', '.join(missing)}: deploy/local/install test")
        self.folder, self.network, self.kept = pathlib.Path(folder), network, {}
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "containers.conf").write_text(SETTINGS.format(folder=self.folder))
        (self.folder / "storage.conf").write_text(STORAGE.format(folder=self.folder))
        (self.folder / "networks").mkdir(exist_ok=True)
        self.environment = {**os.environ, "CONTAINERS_CONF": str(self.folder / "containers.conf"), "CONTAINERS_STORAGE_CONF": str(self.folder / "storage.conf")}

    def run(self, *command, check=True, seconds=120):
        """Its standard output."""
        done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=seconds, env=self.environment, check=False)
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-3000:]}")
        return done.stdout.strip() if check else done

    def remove(self):
        """Ends every pod and removes the folder."""
        for command in (["podman", "pod", "rm", "--force", "--all", "--time", "0"], ["podman", "rm", "--force", "--all", "--time", "0"],
                        ["podman", "volume", "rm", "--all", "--force"], ["podman", "network", "rm", "--force", self.network]):
            self.run(*command, check=False)
        self.run("buildah", "rm", "--all", check=False)
        # What lies over the storage is let go before its folder is removed.
        for mount in reversed([line.split()[1] for line in pathlib.Path("/proc/mounts").read_text().splitlines()]):
            if mount.startswith(f"{self.folder}/"):
                subprocess.run(["umount", "--lazy", mount], check=False, capture_output=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def unusable(self, image):
        """Why containers cannot run on this machine at all, or None."""
        done = self.run("podman", "network", "exists", self.network, check=False)
        if done.returncode != 0:
            done = self.run("podman", "network", "create", self.network, check=False)
        if done.returncode == 0:
            done = self.run("podman", "run", "--rm", "--network", self.network, image, "--version", check=False)
        return None if done.returncode == 0 else done.stderr.strip().splitlines()[-1]

    def secrets(self, documents):
        """Keeps Secrets for pods that are played later."""
        self.kept = {d["metadata"]["name"]: d for d in documents if d["kind"] == "Secret"}

    def play(self, workload, name=None, alias=None):
        """Starts one pod of a Deployment or StatefulSet; its address."""
        name = name or workload["metadata"]["name"]
        pod = copy.deepcopy(workload["spec"]["template"]["spec"])
        documents, adopted, contents = [], [], {}
        group = pod.get("securityContext", {}).get("fsGroup", 0)
        claims = [t["metadata"]["name"] for t in workload["spec"].get("volumeClaimTemplates", [])]
        pod.setdefault("volumes", [])
        for volume in pod["volumes"]:
            if "secret" in volume:
                source = copy.deepcopy(self.kept[volume["secret"]["secretName"]])
                # A pod of its own Secret each: podman makes one volume of a Secret.
                source["metadata"]["name"] = f"{name}-{source['metadata']['name']}"
                documents.append(source)
                contents[source["metadata"]["name"]] = source["data"]
                adopted.append((source["metadata"]["name"], volume["secret"]["defaultMode"]))
                volume["secret"] = {"secretName": source["metadata"]["name"], "optional": False}
            elif "emptyDir" in volume:
                del volume["emptyDir"]
                volume["persistentVolumeClaim"] = {"claimName": f"{name}-{volume['name']}"}
                adopted.append((f"{name}-{volume['name']}", None))
        for claim in claims:
            pod["volumes"].append({"name": claim, "persistentVolumeClaim": {"claimName": f"{name}-{claim}"}})
            adopted.append((f"{name}-{claim}", None))
        for volume, mode in adopted:
            if mode is None:
                self.run("podman", "volume", "create", volume)
        for container in pod["containers"]:
            # podman would publish a container's ports on this machine.
            for unfit in ("ports", "startupProbe", "readinessProbe", "livenessProbe"):
                container.pop(unfit, None)
        pod["restartPolicy"] = "Never"
        documents.append({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": workload["spec"]["template"]["metadata"]["labels"]}, "spec": pod})
        path = self.folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump_all(documents))
        network = self.network + (f":alias={alias}" if alias else "")
        self.run("podman", "kube", "play", "--start=false", "--network", network, path)
        for volume, mode in adopted:
            place = pathlib.Path(self.run("podman", "volume", "inspect", "--format", "{{.Mountpoint}}", volume))
            os.chown(place, 0, group)
            if mode is None:
                place.chmod(0o2770)
            else:
                place.chmod(0o750)
                for file in place.iterdir():
                    # podman takes the octets for text.
                    file.write_bytes(base64.b64decode(contents[volume][file.name]))
                    os.chown(file, 0, group)
                    file.chmod(mode)
        self.run("podman", "pod", "start", name)
        return self.address(name)

    def container(self, name):
        """The id of a pod's one container that is not its infrastructure."""
        listed = json.loads(self.run("podman", "ps", "--all", "--filter", f"pod={name}", "--format", "json"))
        return next(c["Id"] for c in listed if not c["IsInfra"])

    def address(self, name):
        infra = json.loads(self.run("podman", "pod", "inspect", name))["InfraContainerID"]
        networks = json.loads(self.run("podman", "inspect", infra))[0]["NetworkSettings"]["Networks"]
        return networks[self.network]["IPAddress"]

    def logs(self, name):
        done = self.run("podman", "logs", self.container(name), check=False)
        return done.stdout + done.stderr


def probe(address, grpc_probe, seconds=2):
    """What the kubelet's gRPC probe asks: True when it is answered SERVING."""
    # HealthCheckRequest{service = 1}, HealthCheckResponse{status = 1}; SERVING is 1.
    service = grpc_probe.get("service", "").encode()
    request = b"\x0a" + bytes([len(service)]) + service
    with grpc.insecure_channel(f"{address}:{grpc_probe['port']}") as channel:
        call = channel.unary_unary("/grpc.health.v1.Health/Check", request_serializer=lambda r: r, response_deserializer=lambda r: r)
        try:
            return call(request, timeout=seconds) == b"\x08\x01"
        except grpc.RpcError:
            return False

