"""A PostgreSQL server of the test's own: as a plain user (it refuses root), in a temporary folder, on a Unix socket, without fsync."""
import contextlib
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile

from harness.processes import wait_for


def _programs():
    """The folder of the newest server, or None."""
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


def skip_unless_available():
    """Ends the script as skipped, with the reason, where PostgreSQL cannot be started."""
    if not _programs():
        print("SKIPPED: PostgreSQL's server is not installed (no initdb below /usr/lib/postgresql)")
        sys.exit(0)


class Postgres:
    """start(); uri() for a program's --database; stop(), start() again; sql(...) as the superuser.

    Postgres(standby_of=other): streams what the other one, which runs, has and gets; promote() makes a primary of it.
    """

    def __init__(self, standby_of=None):
        self.programs = _programs()
        # A short path: a socket's name has 107 octets at most.
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="gatepost-postgres-", dir="/tmp"))
        self.user = {}
        if os.geteuid() == 0:
            names = [entry.pw_name for entry in pwd.getpwall()]
            user = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
            os.chown(self.folder, user.pw_uid, user.pw_gid)
            self.user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        self.server = None
        if standby_of is None:
            self._run("initdb", "-D", self.folder / "data", "-U", "gatepost", "-A", "trust", "--no-sync", "-E", "UTF8", "--no-locale")
        else:
            self._run("pg_basebackup", "-D", self.folder / "data", "-h", standby_of.folder, "-U", "gatepost", "--write-recovery-conf",
                      "--checkpoint=fast", "--no-sync")

    def _argv(self, program, arguments):
        return [str(a) for a in (self.programs / program, *arguments)]

    def _run(self, program, *arguments):
        done = subprocess.run(self._argv(program, arguments), capture_output=True, text=True, timeout=60, cwd=self.folder, check=False, **self.user)
        if done.returncode != 0:
            raise AssertionError(f"{program}: {done.stdout}{done.stderr}")
        return done.stdout.strip()

    def start(self, *settings):
        """settings: `name=value`, for this run."""
        with open(self.folder / "log", "ab") as log:
            self.server = subprocess.Popen(
                self._argv("postgres", ("-D", self.folder / "data", "-p", "5432", "-c", "listen_addresses=", "-c", f"unix_socket_directories={self.folder}",
                                        "-c", "fsync=off", *(word for setting in settings for word in ("-c", setting)))), stdout=log, stderr=log, cwd=self.folder, **self.user)
        wait_for(lambda: subprocess.run([self.programs / "pg_isready", "-q", "-h", self.folder], check=False).returncode == 0, 30,
                 "PostgreSQL", every=0.05)

    def stop(self, sign=signal.SIGQUIT):
        """SIGQUIT: as after a crash; SIGINT: in order."""
        if self.server is not None:
            self.server.send_signal(sign)
            self.server.wait(30)
            self.server = None

    def kill(self):
        """As when the machine fails: every process of it, at once."""
        children = pathlib.Path(f"/proc/{self.server.pid}/task/{self.server.pid}/children").read_text(encoding="ascii").split()
        for pid in (self.server.pid, *map(int, children)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.server.wait(30)
        self.server = None

    def promote(self):
        self._run("pg_ctl", "promote", "-D", self.folder / "data")

    def remove(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def uri(self, *others, user="gatepost"):
        """Of this one, or of whichever of them is the primary."""
        hosts = ",".join(str(one.folder) for one in (self, *others))
        return f"postgresql://{user}@/postgres?host={hosts}" + ("&target_session_attrs=read-write" if others else "")

    def sql(self, text):
        return self._run("psql", "-X", "-q", "-A", "-t", "-h", self.folder, "-U", "gatepost", "-d", "postgres", "-c", text)

    def read_only(self, on):
        """For transactions that begin from now on, also on open connections."""
        self.sql("ALTER SYSTEM SET default_transaction_read_only = on" if on else "ALTER SYSTEM RESET default_transaction_read_only")
        self.sql("SELECT pg_reload_conf()")
        wait_for(lambda: self.sql("SHOW default_transaction_read_only") == ("on" if on else "off"), 10, "the setting")
