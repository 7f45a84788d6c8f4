"""This computer's own keys: which of them a robot's HTTP API takes, why not the others, and making a new one."""

from __future__ import annotations

import getpass
import platform
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from builder import files
from builder.errors import Failure, UsageFailure
from builder.run import run
from ot2deploy.transport import keys
from ot2deploy.transport.keys import KeyFile

TAKEN_OVER_HTTP = ("ssh-rsa", "ecdsa-sha2-")  # update-server refuses every other kind
HOME = Path("~/.ssh")
OWN = "ot2deploy_ecdsa"  # the name of keys that we make, in ~/.ssh


@dataclass(frozen=True, kw_only=True)
class Identity:
    """A key that we can log in with: its public half as "type base64", and its file; None where the agent holds it."""

    line: str
    file: Path | None

    @property
    def can_be_posted(self) -> bool:
        """Whether robots take it over HTTP."""
        return self.line.startswith(TAKEN_OVER_HTTP)

    def __str__(self) -> str:
        return (
            f"{self.line.split()[0]} key {near(self.file)}" if self.file else f"{self.line.split()[0]} key of the agent"
        )


@dataclass(frozen=True, kw_only=True)
class Ring:
    """The keys at hand: those that robots take, those that need a passphrase first, and why others cannot be used.

    Files come before the agent's keys, for they also serve commands that run where there is no agent.
    """

    usable: tuple[Identity, ...]
    locked: tuple[KeyFile, ...]
    notes: tuple[str, ...]


def ring(directory: Path | None = None) -> Ring:
    """Looks into the agent and into ~/.ssh; nobody is asked for anything."""
    directory = directory or HOME.expanduser()
    found = [one for path in files_of(directory) if (one := keys.look(path))]
    agent = agent_lines()
    return Ring(
        usable=(
            *(
                Identity(line=one.line, file=one.path)
                for one in found
                if one.state == "usable" and one.line.startswith(TAKEN_OVER_HTTP)
            ),
            *(Identity(line=line, file=None) for line in agent if line.startswith(TAKEN_OVER_HTTP)),
        ),
        locked=tuple(
            one
            for one in found
            if one.state == "locked" and one.line not in agent and (one.line + " ").startswith((*TAKEN_OVER_HTTP, " "))
        ),
        notes=tuple(note for one in found if (note := explain(one))),
    )


def explain(key: KeyFile) -> str:
    """Why robots do not take a key, and what to do with it; "" where they do."""
    name = near(key.path)
    if key.state == "putty":
        return (
            f"{name} is a PuTTY key, which ot2deploy cannot read. In PuTTYgen: Conversions, Export OpenSSH key; or: "
            f"puttygen {name} -O private-openssh -o {near(key.path.with_suffix(''))}"
        )
    if key.line and not key.line.startswith(TAKEN_OVER_HTTP):
        return (
            f"{name} is a {key.kind} key: robots take only RSA and ECDSA keys over HTTP. With another key in place, it "
            f"can be added over SSH: ot2deploy robot enroll --key {name}.pub"
        )
    return ""


def given(path: Path) -> Identity | KeyFile:
    """The key that a person or the inventory names; its file where it is locked. Raises UsageFailure."""
    path = path.expanduser()
    try:
        with path.open("rb"):
            found = keys.look(path)
    except OSError as error:
        raise UsageFailure(f"the key {path} cannot be read: {error.strerror}") from error
    if found is None or found.state in ("putty", "unreadable"):
        public = path.suffix == ".pub"
        raise UsageFailure(
            f"{path} is no private key that ot2deploy can read",
            why=explain(found) if found else "",
            next=f"Name the private half: {path.with_suffix('')}" if public else "Name one that OpenSSH reads.",
        )
    return found if found.state == "locked" else Identity(line=found.line, file=path)


def make(directory: Path | None = None) -> Identity:
    """Makes a new ECDSA key without a passphrase in ~/.ssh, in OpenSSH's format. Raises Failure."""
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

    directory = directory or HOME.expanduser()
    path = _free(directory)
    key = ec.generate_private_key(ec.SECP256R1())
    line = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        files.write_bytes(path, key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()), mode=0o600)
        files.write_bytes(path.with_name(f"{path.name}.pub"), f"{line} {comment()}\n".encode())
    except OSError as error:
        raise Failure(f"no new key could be written into {directory}: {error.strerror}") from error
    return Identity(line=line, file=path)


def comment() -> str:
    """What stands behind our public keys, so that people know whose they are."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "somebody"
    return f"{user}@{platform.node() or 'computer'}"


def agent_lines() -> tuple[str, ...]:
    """The public halves of the keys that the ssh agent holds, as "type base64"; none where there is no agent."""
    try:
        listed = run(["ssh-add", "-L"], timeout=10, check=False)
    except Failure:
        return ()
    words = [line.split() for line in listed.stdout.splitlines()] if listed.status == 0 else []
    return tuple(" ".join(line[:2]) for line in words if len(line) > 1)


def near(path: Path | None) -> str:
    """A path as a person types it and as it fits every computer: below ~ where it can be."""
    if path is None:
        return ""
    home = Path.home()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)


def files_of(directory: Path) -> Iterable[Path]:
    """The files of a directory that may be private keys, those that we made and the usual ones first."""
    try:
        there = [path for path in directory.iterdir() if path.suffix != ".pub" and path.is_file()]
    except OSError:
        return ()
    return sorted(there, key=lambda path: (not path.name.startswith(OWN), not path.name.startswith("id_"), path.name))


def _free(directory: Path) -> Path:
    names = (OWN, *(f"{OWN}_{number}" for number in range(2, 100)))
    return next(directory / name for name in names if not (directory / name).exists())
