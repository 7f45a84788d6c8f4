"""What we say when a robot cannot be reached, refuses our key, or shows another host key."""

from __future__ import annotations

from pathlib import Path

from ot2deploy.errors import AnotherRobot, AuthRefused, HostKeyChanged, HostKeyUnknown, Unreachable
from ot2deploy.inventory import Robot

PPK = b"PuTTY-User-Key-File"


def fingerprint(line: str) -> str:
    """The SHA256 fingerprint of a public key line, as ssh prints it."""
    import base64
    import hashlib

    digest = hashlib.sha256(base64.b64decode(line.split()[1])).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def unreachable(robot: Robot, where: str, reason: str) -> Unreachable:
    """Nothing answers."""
    return Unreachable(
        f"no SSH answer from {where}: {reason}",
        subject=robot.name,
        why="The robot is off, starting, on another network, or its address changed.",
        next=f"Try: ping {robot.address}   and look the address up in the Opentrons App (Networking).{_or_find(robot)}",
    )


def unknown_host_key(robot: Robot, line: str) -> HostKeyUnknown:
    """No key is pinned; nothing was sent."""
    return HostKeyUnknown(
        f"its host key is not in the inventory yet ({fingerprint(line)})",
        subject=robot.name,
        line=line,
        why="Host keys are pinned, so that nobody can pose as this robot. Nothing was sent.",
        next=f"Run: {_trust(robot)}",
    )


def changed_host_key(robot: Robot, shown: str, pinned: str) -> HostKeyChanged:
    """Another key than the pinned one; nothing was sent."""
    return HostKeyChanged(
        "its host key is not the pinned one",
        subject=robot.name,
        details=(f"pinned: {fingerprint(pinned)}", f"shown:  {fingerprint(shown)}"),
        why="Another robot has this address now, the robot was factory-reset, or somebody sits in between. "
        "System updates keep the key. Nothing was sent.",
        next=f"If it was reset, plug it in by USB and run: {_enroll(robot)}\n"
        f"If you know another reason: {_trust(robot)} --replace{_or_find(robot)}",
    )


def another_robot(robot: Robot, serial: str) -> AnotherRobot:
    """Another robot answers at the address; nothing was changed on it."""
    return AnotherRobot(
        f"the robot at {robot.address} has serial {serial}, not {robot.serial}",
        subject=robot.name,
        why="Robots changed their addresses, or the inventory names the wrong serial. Nothing was changed on it.",
        next=f"{find(robot)}   or correct `serial` in the inventory.",
    )


def unreadable_pin(robot: Robot) -> HostKeyUnknown:
    """The pinned key is no key; nothing was sent."""
    return HostKeyUnknown(
        "its host_key in the inventory is no public key",
        subject=robot.name,
        line="",
        why="It was copied only in part, or changed. Nothing was sent.",
        next=f"Run: {_trust(robot)} --replace",
    )


def find(robot: Robot) -> str:
    """What to run where a robot may have another address now."""
    return f"Run: ot2deploy robot find {robot.name}{robot.file_option}"


def _or_find(robot: Robot) -> str:
    return f"\nIf its address changed: {find(robot).removeprefix('Run: ')}" if robot.serial else ""


def _trust(robot: Robot) -> str:
    """The command that pins the key a robot shows, in the inventory it stands in."""
    return f"ot2deploy robot trust {robot.name}{robot.file_option}"


def _enroll(robot: Robot) -> str:
    """The command that puts our key on a robot of the inventory again."""
    return f"ot2deploy robot enroll {robot.name}{robot.file_option}"


def jump_key(robot: Robot, hop: str, *, changed: bool) -> HostKeyUnknown | HostKeyChanged:
    """The host key of a jump host that is no robot of the inventory is not, or not so, in ~/.ssh/known_hosts."""
    if changed:
        return HostKeyChanged(
            f"the host key of the jump host {hop} is not the one in ~/.ssh/known_hosts",
            subject=robot.name,
            why="Nothing was sent.",
            next=f"If you know why it changed: ssh-keygen -R {hop}   and log in with ssh once.",
        )
    return HostKeyUnknown(
        f"the host key of the jump host {hop} is not in ~/.ssh/known_hosts",
        subject=robot.name,
        line="",
        why="Nothing was sent.",
        next=f"Log in once and check its fingerprint: ssh {hop}",
    )


def refused(robot: Robot, user: str, reason: str, identity: Path | None) -> AuthRefused:
    """The robot does not accept our key."""
    tried = f" (tried {identity})" if identity else ""
    return AuthRefused(
        f"key refused for {user}{tried}: device reset?",
        subject=robot.name,
        why="The robot does not know this key. A device reset in the Opentrons App removes all SSH keys. "
        f"SSH said: {reason}.",
        next=f"Plug it in by USB and run: {_enroll(robot)}   (or name the right key as identity_file)",
    )


def no_key(robot: Robot) -> AuthRefused:
    """We have no key to show."""
    return AuthRefused(
        "there is no SSH key to log in with",
        subject=robot.name,
        why="No identity_file is set, no ssh agent runs, and ~/.ssh has no key without a passphrase.",
        next=f"Plug it in by USB and run: {_enroll(robot)}   or, for a key with a passphrase: ssh-add",
    )


def locked_key(robot: Robot) -> AuthRefused:
    """The key has a passphrase and no agent holds it."""
    identity = robot.identity_file
    return AuthRefused(
        f"the key {identity or 'in ~/.ssh'} has a passphrase and no ssh agent holds it",
        subject=robot.name,
        next=f"Run: ssh-add {identity or ''}".rstrip(),
    )


def unusable_key(robot: Robot, identity: Path, reason: str) -> AuthRefused:
    """The identity file cannot be read as a private key."""
    try:
        with identity.open("rb") as file:
            start = file.read(64)
    except OSError:
        start = b""
    if start.startswith(PPK):
        return AuthRefused(
            f"{identity} is a PuTTY key",
            subject=robot.name,
            why="OpenSSH's format is needed.",
            next=f"Run: puttygen {identity} -O private-openssh -o {identity.with_suffix('')}",
        )
    hint = "Name a private key as identity_file, or leave it out to use your ssh agent and ~/.ssh."
    if identity.suffix == ".pub":
        hint = f"Use the private half: {identity.with_suffix('')}"
    return AuthRefused(f"cannot use the key {identity}: {reason}", subject=robot.name, next=hint)
