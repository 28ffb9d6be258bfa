"""A process of a task, confined as its definition and Fargate confine it.

Where the tests run as root on Linux, it has the user of the definition, no capability, no way to new privileges, a
read-only root of its own with the programs, the project and what its image has in `/opt`, and the memory of the task.
It writes where the definition mounts something, which no other process sees. Elsewhere it is a process of whoever runs
the tests, and `why_not` says why.
"""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.repository.docker_files import ROOT

# What the images have in these places, and where in the stack's folder it is.
OF_THE_IMAGE = {"/opt/dagster": "dagster", "/opt/certs/rds-global-bundle.pem": "ca.pem"}
_SYSTEM = ("bin", "etc", "lib", "lib64", "sbin", "usr")
_TOOLS = ("unshare", "mount", "chroot", "setpriv")


class Confinement:
    """Of the processes that one process starts; `end` when they have ended."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.why_not, self.memory = folder, why_not(), memory_group()
        self._groups: list[Path] = []
        if not self.why_not:
            for name in ("root", "volumes"):
                (folder / name).mkdir(exist_ok=True)

    def command(self, told: Mapping[str, Any], override: Mapping[str, Any], command: Sequence[str]) -> list[str]:
        """A task's command as it is started: with what confines it in front."""
        if self.why_not:
            return list(command)
        (container,) = told["containerDefinitions"]
        user, _, group = container["user"].partition(":")
        rights = ["--clear-groups", "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all"]
        entered = ["chroot", str(self.folder / "root"), "setpriv", f"--reuid={user}", f"--regid={group}", *rights]
        lines = [
            "set -e",
            *self._limited(told["family"], int(override.get("memory") or told["memory"])),
            *self._root(),
            *self._volumes(container, int(user), int(group)),
            *(["mount -o remount,ro root"] if container["readonlyRootFilesystem"] else []),
            f"exec {shlex.join([*entered, 'env', '--chdir=/tmp', *command])}",
        ]
        assert container["linuxParameters"]["capabilities"] == {"add": [], "drop": ["ALL"]}
        script = f"cd {shlex.quote(str(self.folder))}\nPATH=$PATH:/usr/sbin:/sbin\n" + "\n".join(lines)
        return ["unshare", "--mount", "--propagation", "private", "sh", "-c", script]

    def end(self) -> None:
        """Take away what held the limits of memory."""
        for group in self._groups:
            with suppress(OSError):  # a process of it has not gone yet
                group.rmdir()

    def _limited(self, family: str, mib: int) -> list[str]:
        if self.memory is None:
            return []
        group = Path(tempfile.mkdtemp(prefix=f"{family}-", dir=self.memory))
        self._groups.append(group)
        (group / "memory.limit_in_bytes").write_text(str(mib * 2**20))
        return [f"echo $$ > {shlex.quote(str(group / 'cgroup.procs'))}"]

    def _root(self) -> list[str]:
        """A root that has nothing but what a task reads, read-only."""
        lines = ["mount -t tmpfs -o mode=755 tmpfs root", "mkdir root/tmp root/proc root/dev"]
        for name in _SYSTEM:
            place = Path("/", name)
            if place.is_symlink():
                lines.append(f"ln -s {shlex.quote(os.readlink(place))} root/{name}")
            elif place.is_dir():
                lines += _shown(place, place)
        lines += [f"mount --rbind /{name} root/{name}" for name in ("proc", "dev")]
        for place, name in OF_THE_IMAGE.items():
            if (self.folder / name).exists():
                lines += _shown(self.folder / name, Path(place))
        return lines

    def _volumes(self, container: Mapping[str, Any], user: int, group: int) -> list[str]:
        """What the definition mounts, and over it the project, which may lie below."""
        lines = []
        for mounted in container.get("mountPoints", []):
            volume = Path(tempfile.mkdtemp(prefix=f"{container['name']}-", dir=self.folder / "volumes"))
            os.chown(volume, user, group)
            lines.append(f"mount --bind {shlex.quote(str(volume))} root{mounted['containerPath']}")
        for mounted in container["linuxParameters"].get("tmpfs", []):
            options = ",".join([*mounted["mountOptions"], f"size={mounted['size']}m"])
            lines.append(f"mount -t tmpfs -o {options} tmpfs root{mounted['containerPath']}")
        for place in {ROOT, Path(sys.prefix), Path(sys.base_prefix)}:
            if not place.is_relative_to("/usr"):
                lines += _shown(place, place)
        return lines


def _shown(source: Path, place: Path) -> list[str]:
    there, made = shlex.quote(f"root{place}"), shlex.quote(f"root{place if source.is_dir() else place.parent}")
    made_file = [] if source.is_dir() else [f": > {there}"]
    return [f"mkdir -p {made}", *made_file, f"mount --bind -o ro {shlex.quote(str(source))} {there}"]


def why_not() -> str:
    """Why processes cannot be confined here; empty where they can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "the tests do not run as root on Linux"
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    if missing := [tool for tool in _TOOLS if shutil.which(tool, path=path) is None]:
        return f"{', '.join(missing)} missing"
    tried = subprocess.run(["unshare", "--mount", "true"], capture_output=True, text=True, check=False)
    return tried.stderr.strip()


def memory_group() -> Path | None:
    """Where groups with a limit can be made: below that of this process, with cgroup v1.

    With v2 a group that has processes, as that of this one, cannot have groups with limits below it.
    """
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
        (own,) = [line.split(":")[2] for line in lines if "memory" in line.split(":")[1].split(",")]
        group = Path("/sys/fs/cgroup/memory", own.lstrip("/"))
        Path(tempfile.mkdtemp(dir=group)).rmdir()
    except (OSError, ValueError):
        return None
    return group
