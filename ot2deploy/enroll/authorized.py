"""The SSH keys that a robot lets in: its authorized_keys, read, and changed whole or not at all."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder.errors import UsageFailure
from builder.files import sha256_bytes
from ot2deploy.enroll.identity import near
from ot2deploy.errors import CommandFailure
from ot2deploy.inventory import Robot
from ot2deploy.transport import Session, script, wording
from ot2deploy.transport.keys import PUTTY

HOME = "/var/home"  # root's, where dropbear looks; it survives system updates
READ = 'f=@home@/.ssh/authorized_keys; [ ! -f "$f" ] || cat "$f"'
# The first line of the input: the sha256 of the file that we read, and of the one that follows. Somebody else may have
# changed it since, and a connection that breaks off must not leave half of it.
WRITE = r"""
umask 077; d=@home@/.ssh; f=$d/authorized_keys; t=$f.ot2deploy
mkdir -p "$d" && [ ! -d "$f" ] && exec 9<"$d" || exit 1
! command -v flock >/dev/null 2>&1 || flock 9
read -r was next || exit 1
now=$({ [ ! -f "$f" ] || cat "$f"; } | sha256sum)
[ "${now%% *}" = "$was" ] || { cat >/dev/null; exit 9; }
cat >"$t" || { rm -f "$t"; exit 1; }
now=$(sha256sum <"$t")
[ "${now%% *}" = "$next" ] || { rm -f "$t"; exit 8; }
{ sync "$t" 2>/dev/null || sync; } && mv "$t" "$f"
"""
CHANGED_MEANWHILE = 9
TRIES = 5
KIND = re.compile(r"(sk-)?(ssh|ecdsa)-[a-z0-9@.-]+")
MOST = 1 << 16  # bytes of a .pub file


@dataclass(frozen=True, kw_only=True)
class PublicKey:
    """A public key: its type, the key itself in base64, and whose it is."""

    kind: str
    blob: str
    comment: str

    @property
    def line(self) -> str:
        """The key as "type base64", by which keys are compared."""
        return f"{self.kind} {self.blob}"

    @property
    def fingerprint(self) -> str:
        """As ssh prints it: SHA256:..."""
        return wording.fingerprint(self.line)

    def as_dict(self) -> dict[str, Any]:
        """The key as JSON."""
        return {"kind": self.kind, "comment": self.comment, "fingerprint": self.fingerprint}


def parse(line: str) -> PublicKey | None:
    """The key in a line of authorized_keys, whatever options stand before it; None where there is none."""
    words = line.split()
    if not words or words[0].startswith("#"):
        return None
    at = next((at for at, word in enumerate(words[:-1]) if KIND.fullmatch(word)), None)
    if at is None:
        return None
    try:
        base64.b64decode(words[at + 1], validate=True)
    except binascii.Error:
        return None
    return PublicKey(kind=words[at], blob=words[at + 1], comment=" ".join(words[at + 2 :]))


def read_public(path: Path) -> tuple[PublicKey, ...]:
    """The keys of a .pub file. Raises UsageFailure for a private one, of which nothing is told, and for PuTTY's."""
    try:
        with path.expanduser().open("rb") as file:
            data = file.read(MOST)
    except OSError as error:
        near_by = sorted(Path("~/.ssh").expanduser().glob("*.pub"))
        raise UsageFailure(
            f"the key {path} cannot be read: {error.strerror}",
            next=f"Public keys of this computer: {', '.join(map(near, near_by))}"
            if near_by
            else "Make a key: ssh-keygen -t ecdsa   and name its .pub file.",
        ) from error
    name = near(path.expanduser().absolute())
    if data.startswith(PUTTY):
        raise UsageFailure(
            f"{path} is a PuTTY key",
            why="Robots need the public half in OpenSSH's format.",
            next=f"In PuTTYgen copy the text below `Public key for pasting` into a file, or run: "
            f"puttygen {name} -O public-openssh -o {near(path.expanduser().absolute().with_suffix('.pub'))}",
        )
    beside = path.expanduser().with_name(f"{path.name}.pub")
    if b"PRIVATE KEY" in data:
        raise UsageFailure(
            f"{path} is a private key, which stays on the computer that it is of",
            next=("" if beside.exists() else f"Write its public half: ssh-keygen -y -f {name} > {name}.pub\n")
            + f"Run: ot2deploy robot enroll --key {name}.pub",
        )
    if data.startswith(b"---- BEGIN SSH2 PUBLIC KEY"):
        raise UsageFailure(
            f"{path} is a public key in another format than OpenSSH's", next=f"Run: ssh-keygen -i -f {name} > other.pub"
        )
    lines = [line for line in data.decode(errors="replace").splitlines() if line.strip() and not line.startswith("#")]
    found = [parse(line) for line in lines]
    known = tuple(key for key in found if key is not None)
    if not known or len(known) != len(found):
        raise UsageFailure(f"{path} is no public key", next="Name a .pub file, as ssh-keygen writes it.")
    return known


def read(session: Session, robot: Robot) -> tuple[PublicKey, ...]:
    """The keys that a robot lets in. Raises CommandFailure, ConnectionLost."""
    return _keys(_text(session, robot))


def add(session: Session, robot: Robot, keys: tuple[PublicKey, ...]) -> tuple[PublicKey, ...]:
    """Lets keys in; returns those that were new. Twice is fine. Raises CommandFailure, ConnectionLost."""
    new: list[PublicKey] = []

    def changed(text: str) -> str:
        there = {key.line for key in _keys(text)}
        new[:] = [key for key in keys if key.line not in there]
        ended = text if not text or text.endswith("\n") else f"{text}\n"
        return ended + "".join(f"{key.line} {key.comment}".rstrip() + "\n" for key in new)

    change(session, robot, changed)
    return tuple(new)


def change(session: Session, robot: Robot, changed: Callable[[str], str]) -> bool:
    """Replaces a robot's authorized_keys by what `changed` makes of its text; it is asked again when somebody else was
    faster. Returns whether it is another text. Raises CommandFailure, ConnectionLost, and what `changed` raises.
    """
    for _ in range(TRIES):
        old = _text(session, robot)
        new = changed(old)
        if new == old:
            return False
        digests = f"{sha256_bytes(_bytes(old))} {sha256_bytes(_bytes(new))}\n"
        done = session.run(_command(WRITE, robot), input=digests.encode() + _bytes(new))
        if done.status == 0:
            return True
        if done.status != CHANGED_MEANWHILE:
            break
    raise CommandFailure(
        "its authorized_keys could not be written; they are as they were",
        subject=robot.name,
        details=tuple(done.error.splitlines()[-5:]),
        why="/var may be full or read-only, or somebody else changes them over and over.",
    )


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogateescape")


def _keys(text: str) -> tuple[PublicKey, ...]:
    return tuple(key for line in text.splitlines() if (key := parse(line)))


def _text(session: Session, robot: Robot) -> str:
    done = session.run(_command(READ, robot))
    if done.status != 0:
        raise CommandFailure(
            "its authorized_keys cannot be read", subject=robot.name, details=tuple(done.error.splitlines()[-5:])
        )
    return done.stdout.decode(errors="surrogateescape")


def _command(text: str, robot: Robot) -> str:
    return script(text, home=robot.system_path(HOME))
