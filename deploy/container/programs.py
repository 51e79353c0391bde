"""The programs, built by Bazel as deploy/local/up builds them."""
import os
import pathlib
import subprocess

TOP = pathlib.Path(__file__).resolve().parents[2]


def build(*targets):
    """The folder in which NAME/gatepost-NAME lies for each target //:NAME."""
    cache = os.environ.get("GATEPOST_DISK_CACHE") or pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "gatepost" / "bazel"
    subprocess.run(["bazel", "build", f"--disk_cache={cache}", *(f"//:{target}" for target in targets)], cwd=TOP, check=True)
    said = subprocess.run(["bazel", "info", "bazel-bin"], cwd=TOP, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return pathlib.Path(said.stdout.strip()) / "services"
