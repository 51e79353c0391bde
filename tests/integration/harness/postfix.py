"""A private Postfix with its vulnerable defaults (Debian 12's: bare newlines forgiven, % and ! rewritten), and its Maildirs."""
import email
import os
import pathlib
import signal
import subprocess
import sys

from harness.ports import free_port
from harness.processes import wait_for

SCRIPT = pathlib.Path(__file__).resolve().parents[3] / "deploy" / "local" / "postfix"


def available():
    """None when it can be started, else why not."""
    if os.geteuid() != 0:
        return "Postfix's master needs root"
    if not pathlib.Path("/usr/sbin/postfix").exists():
        return "the Debian package postfix is missing"
    return None


def skip_unless_available():
    """Ends the script as skipped, with the reason, where Postfix cannot be started."""
    why = available()
    if why:
        print(f"SKIPPED: {why}")
        sys.exit(0)


class Postfix:
    """start(), then mail arrives in Maildirs; kill() is SIGKILL to every process of it; stop() is orderly."""

    def __init__(self, folder, domains=("example.com",), users=("alice", "bob", "postmaster"), parameters=""):
        """parameters: more lines of main.cf."""
        self.folder = pathlib.Path(folder)
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.env = {**os.environ, "LOCAL_DOMAINS": " ".join(domains), "LOCAL_USERS": " ".join(users), "MAIN_CF": parameters}

    def start(self):
        done = subprocess.run([SCRIPT, "start", self.folder, str(self.port)], env=self.env, capture_output=True, text=True, timeout=90,
                              check=False)
        if done.returncode != 0:
            raise AssertionError(f"Postfix: {done.stdout}{done.stderr}")

    def stop(self):
        subprocess.run([SCRIPT, "stop", self.folder], env=self.env, capture_output=True, timeout=60, check=False)

    def kill(self):
        """SIGKILL to the master that we started and to its children."""
        pid = int((self.folder / "queue" / "pid" / "master.pid").read_text().split()[0])
        children = [int(p) for p in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        for process in [pid, *children]:
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                pass
        wait_for(lambda: not pathlib.Path(f"/proc/{pid}").exists(), 20, "the end of Postfix's master")

    def files(self, user):
        folder = self.folder / "mail" / user
        return sorted(p for sub in ("new", "cur") if (folder / sub).is_dir() for p in (folder / sub).iterdir())

    def messages(self, user):
        """[(raw octets, parsed)] of a Maildir."""
        rows = []
        for path in self.files(user):
            raw = path.read_bytes()
            rows.append((raw, email.message_from_bytes(raw)))
        return rows

    def wait_messages(self, user, count, seconds=30):
        wait_for(lambda: len(self.files(user)) >= count, seconds, f"{count} messages for {user}", every=0.1)
        return self.messages(user)

    def flush(self):
        """Delivery is tried again now for what waits."""
        subprocess.run(["/usr/sbin/postqueue", "-c", self.folder / "etc", "-f"], capture_output=True, timeout=60, check=False)

    def queue_empty(self):
        """No message that Postfix has acknowledged waits. (A file without the x bit is one that was never finished.)"""
        spool = self.folder / "queue"
        return not any(p.is_file() and p.stat().st_mode & 0o100 for sub in ("incoming", "active", "deferred", "maildrop")
                       if (spool / sub).is_dir() for p in (spool / sub).rglob("*"))
