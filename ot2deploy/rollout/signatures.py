"""Whether a bundle is signed as a robot's inventory demands; asked before anything is sent."""

from __future__ import annotations

import shlex
import threading
from dataclasses import replace
from pathlib import Path

from builder.bundle import Bundle
from builder.errors import Failure
from builder.signing import NotSigned, SignatureFailure, Signer, allowed, sign
from ot2deploy.bundles import Bundles, Once
from ot2deploy.errors import SignatureRefused
from ot2deploy.inventory import Robot

Asked = tuple[str, tuple[str, ...], bytes]

_guard = threading.Lock()
_answers: dict[Asked, Signer | SignatureFailure] = {}  # a hundred robots ask the same question


def demand(robot: Robot, bundle: Bundle, command: str) -> Signer | None:
    """Who signed a bundle, of those whom the robot's inventory allows; None where it names no one.

    Raises SignatureRefused, which names the command that signs, when the inventory demands a signature and none counts.
    """
    if robot.signers is None:
        return None
    try:
        known = robot.signers.read_bytes()
    except OSError as error:
        if not robot.signed:
            return None
        raise SignatureRefused(
            f"{robot.signers} cannot be read: {error.strerror}",
            why="The inventory demands signed bundles, and names this file as the list of those who may sign.",
            next=f"See where it is named: ot2deploy robot show {robot.name} --explain{robot.file_option}",
            subject=robot.name,
        ) from error
    answer = _ask(bundle, known)
    if isinstance(answer, Signer):
        return answer
    if robot.signed:
        raise _refused(robot, answer, command)
    return None


def signed_with(bundles: Bundles, key: Path) -> Bundles:
    """The same bundles, signed by us with a key that needs no asking; `for_profile` may raise SignatureFailure."""

    return Once(bundles.environment, bundles.origin, lambda profile: signed(bundles.for_profile(profile), key))


def signed(bundle: Bundle, key: Path) -> Bundle:
    """A bundle with our signature beside those that it has. Raises SignatureFailure."""
    made = sign(bundle.manifest, key, asking=False)  # progress is being drawn, and many robots wait
    return replace(bundle, signatures=(*bundle.signatures, made))


def _ask(bundle: Bundle, known: bytes) -> Signer | SignatureFailure:
    from builder.bundle.archive import manifest_bytes
    from builder.files import sha256_bytes

    asked = (sha256_bytes(manifest_bytes(bundle.manifest)), bundle.signatures, known)
    with _guard:
        if asked not in _answers:
            try:
                _answers[asked] = allowed(bundle.manifest, bundle.signatures, known)
            except SignatureFailure as failure:
                _answers[asked] = failure
        return _answers[asked]


def _refused(robot: Robot, failure: Failure, command: str) -> SignatureRefused:
    unsigned = isinstance(failure, NotSigned)
    return SignatureRefused(
        failure.what,
        why=f"The inventory demands a signature of somebody in {robot.signers}. Nothing was sent.",
        next=failure.next
        or f"Have one of them sign it: {command}"
        + ("" if unsigned else f"\nWho may sign: {shlex.quote(str(robot.signers))}"),
        subject=robot.name,
        details=failure.details,
    )
