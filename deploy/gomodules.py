"""Programs and files from Go modules, at pinned versions, kept in ~/.cache/gatepost/go ($GATEPOST_GO_CACHE).

Raises Unavailable when there is no Go, or when the Go module proxy cannot be reached and nothing was kept: the caller skips and says so.
"""
import json
import os
import pathlib
import pwd
import re
import shutil
import subprocess

# Debian 12's Go is 1.19: these are the newest that it builds.
KUSTOMIZE = "sigs.k8s.io/kustomize/kustomize/v5@v5.0.3"
KUBERNETES = "k8s.io/kubernetes@v1.26.15"
CERT_MANAGER = "github.com/cert-manager/cert-manager@v1.11.5"
PROMETHEUS_OPERATOR = "github.com/prometheus-operator/prometheus-operator@v0.65.2"


class Unavailable(Exception):
    """What is needed cannot be had on this machine; says why."""


def cache():
    home = os.environ.get("HOME") or pwd.getpwuid(os.getuid()).pw_dir
    return pathlib.Path(os.environ.get("GATEPOST_GO_CACHE") or pathlib.Path(home) / ".cache" / "gatepost" / "go")


def go(*arguments, where=None, seconds=1500):
    """`where`: the folder that it runs in; the cache's by default."""
    # Debian's before another: it is what the versions above are pinned for.
    command = shutil.which("/usr/bin/go") or shutil.which("go") or shutil.which("/usr/local/go/bin/go")
    if command is None:
        raise Unavailable("Go is not installed: deploy/local/install test")
    folder = cache()
    folder.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "GOPATH": str(folder), "GOBIN": str(folder / "bin"), "GOCACHE": str(folder / "build"), "GO111MODULE": "on",
                   "GOTOOLCHAIN": "local", "CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false -modcacherw", "HOME": str(folder), "GOWORK": "off"}
    return subprocess.run([command, *arguments], capture_output=True, text=True, timeout=seconds, cwd=where or folder, env=environment, check=False)


def module(name):
    """The folder of a module's files."""
    path, version = name.split("@")
    kept = cache() / "pkg" / "mod" / f"{path}@{version}"
    if not kept.is_dir():
        done = go("mod", "download", "-json", name)
        answer = json.loads(done.stdout or "{}")
        if done.returncode != 0 or "Dir" not in answer:
            raise Unavailable(f"the Go module {name} cannot be fetched: {answer.get('Error') or done.stderr.strip()[-300:]}")
        kept = pathlib.Path(answer["Dir"])
    return kept


def program(name):
    """A module's program, built once."""
    path, version = name.split("@")
    base = next(part for part in reversed(path.split("/")) if not (part.startswith("v") and part[1:].isdigit()))
    built = cache() / "bin" / f"{base}-{version}"
    if not built.exists():
        done = go("install", name)
        if done.returncode != 0:
            raise Unavailable(f"{name} cannot be built: {done.stderr.strip()[-300:]}")
        (cache() / "bin" / base).rename(built)
    return built


def kube_apiserver():
    """The path of kube-apiserver, built once: 10 minutes or so of two cores."""
    version = KUBERNETES.split("@")[1]
    built = cache() / "bin" / f"kube-apiserver-{version}"
    if built.exists():
        return built
    sources, place = module(KUBERNETES), cache() / f"kube-apiserver-{version}"
    place.mkdir(exist_ok=True)
    # k8s.io/kubernetes replaces its own libraries by folders that its module does not contain: a module of ours that asks for it, with
    # all versions that it pins, takes them from the proxy under the number that they are published by.
    pinned = (sources / "go.mod").read_text().replace("module k8s.io/kubernetes", "module gatepost.internal/kube-apiserver", 1)
    pinned = re.sub(r"(?m)=> \./staging/src/(k8s\.io/\S+)$", rf"=> \1 {version.replace('v1.', 'v0.', 1)}", pinned)
    (place / "go.mod").write_text(pinned + f"\nrequire k8s.io/kubernetes {version}\n")
    shutil.copy(sources / "go.sum", place / "go.sum")
    (place / "main.go").write_text('package main\n\nimport _ "k8s.io/kubernetes/cmd/kube-apiserver/app"\n\nfunc main() {}\n')
    done = go("build", "-mod=mod", "-trimpath", "-o", str(built), "k8s.io/kubernetes/cmd/kube-apiserver", where=place, seconds=3600)
    if done.returncode != 0:
        raise Unavailable(f"kube-apiserver cannot be built: {done.stderr.strip()[-600:]}")
    return built
