"""A control group with a memory limit for one process, where the machine lets us make one."""
import os
import pathlib
import subprocess

ROOT = pathlib.Path("/sys/fs/cgroup")


class MemoryGroup:
    """make(octets), then Edge(..., wrapper=group.wrapper); remove() once the process has ended."""

    def __init__(self, folder, unified):
        self.folder = folder
        self.unified = unified
        # Enters the group, then becomes the program: nothing of it is ever outside.
        self.wrapper = ("/bin/sh", "-c", 'echo $$ > "$0" && exec "$@"', folder / "cgroup.procs")

    @classmethod
    def make(cls, octets):
        """None: no rights, or no such controller."""
        name = f"gatepost-test-{os.getpid()}"
        for parent, unified in ((ROOT / "memory", False), (ROOT, True)):
            folder = parent / name
            try:
                if unified and "memory" not in (parent / "cgroup.subtree_control").read_text().split():
                    continue
                folder.mkdir()
            except OSError:
                continue
            group = cls(folder, unified)
            try:
                (folder / ("memory.max" if unified else "memory.limit_in_bytes")).write_text(str(octets))
                # Whether a process of ours may be moved there is only known by doing it.
                subprocess.run([*map(str, group.wrapper), "true"], check=True, capture_output=True, timeout=20)
                return group
            except (OSError, subprocess.SubprocessError):
                group.remove()
        return None

    def kills(self):
        """How many processes the kernel has killed for want of memory."""
        lines = (self.folder / ("memory.events" if self.unified else "memory.oom_control")).read_text().splitlines()
        return int(dict(line.split() for line in lines).get("oom_kill", 0))

    def remove(self):
        self.folder.rmdir()
