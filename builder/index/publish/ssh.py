"""Publishing over SSH, by the user's own ssh and, where both sides have it, rsync."""

from __future__ import annotations

import io
import re
import shlex
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

from builder.errors import BuildFailure, ToolFailure, last_lines
from builder.events import Event, Report
from builder.index.publish import rsync
from builder.index.publish.directory import portions
from builder.index.publish.publication import Listed, Publication
from builder.run import Finished, run

LOOK, SEND = 3600.0, 6 * 3600.0  # seconds
PORTION = 64 << 20  # bytes of one tar; a larger wheel is one of its own
SSH_FAILED = 255
NO_SHA256 = 71
OPTIONS = ("-T", "-oBatchMode=yes", "-oConnectTimeout=15", "-oServerAliveInterval=15", "-oServerAliveCountMax=4")
LINE = re.compile(r"(?P<sha256>[0-9a-f]{64}|-) [ *](?P<path>.+)")

# POSIX sh, for whatever shells and tools servers have; $1 is the directory.
SUM = f"""
if command -v sha256sum >/dev/null 2>&1; then sum=sha256sum
elif command -v shasum >/dev/null 2>&1; then sum="shasum -a 256"
else echo "neither sha256sum nor shasum is there" >&2; exit {NO_SHA256}; fi
"""
# Says whether rsync is there, the lists of projects, and the sha256 of every file below the names after $1.
LOOK_SCRIPT = f"""
{SUM}
if command -v rsync >/dev/null 2>&1; then echo rsync; fi
[ -d "$1" ] || exit 0
cd -- "$1" || exit 1
shift
for list in */simple/index.html */*/simple/index.html; do
    if [ -f "$list" ]; then printf -- '-  %s\\n' "$list"; fi
done
for top; do
    if [ -e "$top" ]; then find "$top" -type f ! -name '.*' -exec $sum {{}} + || exit 1; fi
done
"""
MAKE_SCRIPT = 'umask 022; mkdir -p -- "$1"'
# Unpacks a tar beside the files, proves it, and renames each file into its place, in the order of `sums`.
SEND_SCRIPT = f"""
set -e
umask 022
{SUM}
mkdir -p -- "$1"
cd -- "$1"
find . -maxdepth 1 -name '.ot2deploy-publish.*' -mtime +0 -exec rm -rf {{}} +
part=.ot2deploy-publish.$$
mkdir "$part"
trap 'rm -rf "$part"' EXIT
trap 'exit 129' HUP INT TERM
tar -xf - -C "$part"
(cd "$part" && $sum -c sums >/dev/null)
while read -r sha256 path; do
    case $path in */*) mkdir -p -- "${{path%/*}}" ;; esac
    mv -f -- "$part/$path" "$path"
done < "$part/sums"
"""
# Removes the files that stdin names, and directories that are empty then.
REMOVE_SCRIPT = """
cd -- "$1" || exit 1
while read -r path; do
    rm -f -- "$path" || exit 1
    while case $path in */*) true ;; *) false ;; esac; do
        path=${path%/*}
        rmdir -- "$path" 2>/dev/null || break
    done
done
"""


class SshFailure(BuildFailure):
    """A computer that was to be reached by SSH could not be, or refused something."""

    code = "publish-ssh"


@dataclass(frozen=True, kw_only=True)
class Host:
    """A directory of another computer. `host` is what ssh takes: a name, an alias, USER@HOST; `port` 0: ssh's own."""

    host: str
    directory: str
    port: int = 0

    @property
    def name(self) -> str:
        """As people write it."""
        port = f":{self.port}" if self.port else ""
        return f"ssh://{self.host}{port}/{self.directory.lstrip('/')}" if port else f"{self.host}:{self.directory}"

    @property
    def for_rsync(self) -> str:
        """As rsync wants it, which takes the first colon for the end of the name."""
        user, at, name = self.host.rpartition("@")
        return f"{user}{at}[{name}]:{self.directory}" if ":" in name else f"{self.host}:{self.directory}"


class Ssh:
    """A directory of another computer, made where it is not there. The user's ssh configuration counts."""

    proof = "sha256"

    def __init__(self, host: Host) -> None:
        self.host, self.name = host, host.name
        self._rsync = False

    def there(self, publication: Publication) -> dict[str, str]:
        """See Place. Raises SshFailure."""
        text = self._run(LOOK_SCRIPT, *publication.tops, timeout=LOOK).stdout
        self._rsync = text.startswith("rsync\n")
        return read_sums(text)

    def send(self, publication: Publication, files: Sequence[Listed], report: Report) -> None:
        """See Place. Raises SshFailure, ToolFailure."""
        total, done = sum(file.size for file in files), 0
        by_rsync = self._rsync and rsync.usable()
        if by_rsync:
            self._run(MAKE_SCRIPT, timeout=LOOK)
        for some in portions(files) if by_rsync else portions(files, PORTION):
            report(Event(subject=self.name, stage="send", done=done, total=total, unit="B"))
            if by_rsync:
                rsync.send(publication.root, self.host.for_rsync, some, shell=self._ssh())
            else:
                self._run(SEND_SCRIPT, input=tar_of(publication, some), timeout=SEND)
            done += sum(file.size for file in some)
        report(Event(subject=self.name, stage="send", done=done, total=total, unit="B"))

    def remove(self, paths: Sequence[str]) -> None:
        """See Place. Raises SshFailure."""
        self._run(REMOVE_SCRIPT, input="".join(f"{path}\n" for path in paths).encode(), timeout=LOOK)

    def _ssh(self) -> tuple[str, ...]:
        return ("ssh", *OPTIONS, *((f"-p{self.host.port}",) if self.host.port else ()))

    def _run(self, script: str, *words: str, timeout: float, input: bytes | None = None) -> Finished:
        command = shlex.join(["sh", "-c", script, "sh", self.host.directory, *words])
        called = f"ssh {self.host.host}"
        done = run(
            [*self._ssh(), self.host.host, command],
            timeout=timeout, input=input, check=False, subject=self.name, called=called,
        )  # fmt: skip
        if done.status != 0:
            _failed(self.host, done)
        return done


def read_sums(text: str) -> dict[str, str]:
    """What sha256sum printed, by path; "" for "-". Lines of other kinds, as for odd names, are passed over."""
    found: dict[str, str] = {}
    for match in filter(None, map(LINE.fullmatch, text.splitlines())):
        sha256 = match["sha256"].strip("-")
        found[match["path"]] = sha256 or found.get(match["path"], "")
    return found


def tar_of(publication: Publication, files: Sequence[Listed]) -> bytes:
    """Files as a tar, and `sums`, what sha256sum -c checks, in front of them."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        sums = "".join(f"{file.sha256}  {file.path}\n" for file in files).encode()
        tar.addfile(_member("sums", len(sums)), io.BytesIO(sums))
        for file in files:
            with (publication.root / file.path).open("rb") as source:
                tar.addfile(_member(file.path, file.size), source)
    return out.getvalue()


def _member(name: str, size: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o644
    return info


ADVICE: Mapping[str, str] = {
    "Permission denied (": "Put your key into its ~/.ssh/authorized_keys, and load it here (ssh-add) or name it in "
    "~/.ssh/config: nobody is asked for a password.",
    "Host key verification failed": "Connect once by hand, compare the key that it shows, and accept it: ssh {host}",
    "Could not resolve hostname": "Look at the name, or write an entry for it into ~/.ssh/config.",
}


def _failed(host: Host, done: Finished) -> NoReturn:
    said = last_lines(done.stderr or done.stdout)
    if done.status == SSH_FAILED:
        advice = next((text for words, text in ADVICE.items() if words in done.stderr), "")
        raise SshFailure(
            f"{host.host} cannot be reached by ssh",
            details=said,
            next=advice.format(host=host.host)
            or f"Try: ssh {host.host} true   Then run the same command again; it goes on.",
        )
    if done.status == NO_SHA256:
        raise SshFailure(f"{host.host} has neither sha256sum nor shasum", next="Install coreutils there.")
    raise ToolFailure(
        f"{host.name}: a command there ended with status {done.status}",
        argv=done.argv,
        status=done.status,
        output=done.stderr or done.stdout,
        next="Run the same command again when it is mended; what is there already is not sent again.",
    )
