"""The requests `switch`, `rollback` and `withdraw`: one rename decides which release is current."""

from __future__ import annotations

import os

from ot2deploy.agent import fields, journal, shared, statefile
from ot2deploy.agent import layout as layouts
from ot2deploy.agent.refusal import Refusal
from ot2deploy.agent.verify import not_installed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ot2deploy.agent.fields import Request
    from ot2deploy.agent.layout import Layout


def switch(layout: Layout, request: Request, run: str, who: str) -> dict[str, Any]:
    """Makes a complete and verified release the current one; `changed` is false when it is already.

    `undecided` says that its live checks are still to say whether it stays: they have not passed since it became
    current.
    """
    environment, digest = fields.environment(request), fields.digest(request)
    release = layout.release(environment, digest)
    if not _usable(layout, environment, digest):
        raise not_installed(layout, environment, digest)
    verified = statefile.read(os.path.join(release, layouts.VERIFIED)) or {}
    if not verified.get("checks"):
        raise Refusal(
            "not-verified", "release %s of %s has not passed its checks on this robot" % (digest[:12], environment),
            why="Only a verified release becomes current.", next="Push what %s was made from." % environment,
        )  # fmt: skip
    current = layouts.current_digest(layout, environment)
    if environment == shared.NAME:
        shared.prepare(layout, digest)
    if current == digest:
        stack = journal.succession(journal.read(layout.journal), environment, current)
        before = stack[-2] if len(stack) > 1 else None
        return {"changed": False, "previous": before, "undecided": verified.get("undecided") is True}
    checks = (statefile.read(os.path.join(release, layouts.MANIFEST)) or {}).get("checks") or {}
    undecided = bool(checks.get("live"))
    if undecided:  # known before the switch: a run that is cut off after it is gone on with by another one
        statefile.write(os.path.join(release, layouts.VERIFIED), dict(verified, live=None, undecided=True))
    _point(layout, environment, digest)
    _note(layout, run, who, "switch", environment, digest, current)
    if environment == shared.NAME:
        shared.converge(layout)
    return {"changed": True, "previous": current, "undecided": undecided}


def rollback(layout: Layout, request: Request, run: str, who: str) -> dict[str, Any]:
    """Goes back to the release that was current before, or to the one named by `to`.

    Needs nothing but what is on the robot. A release that is incomplete, or whose Python is gone, is never gone back
    to. Refuses with `no-previous` when none is left.
    """
    environment = fields.environment(request)
    current = layouts.current_digest(layout, environment)
    if request.get("to") is not None:
        target = fields.digest(request, "to")
        if not _usable(layout, environment, target):
            raise not_installed(layout, environment, target)
    else:
        target = _previous(layout, environment, current)
    if target != current:
        if environment == shared.NAME:
            shared.prepare(layout, target)
        _point(layout, environment, target)
        _note(layout, run, who, "rollback", environment, target, current)
        if environment == shared.NAME:
            shared.converge(layout)
    return {"current": target, "previous": current}


def withdraw(layout: Layout, request: Request, run: str, who: str) -> dict[str, Any]:
    """Takes the current link away, for a first release that failed after its switch: before it there was none."""
    environment = fields.environment(request)
    current = layouts.current_digest(layout, environment)
    if current is not None:
        statefile.remove(layout.current(environment))
        statefile.sync_directory(layout.environment(environment))
        _note(layout, run, who, "withdraw", environment, current, None)
        if environment == shared.NAME:
            shared.converge(layout)
    return {"current": None, "previous": current}


def _previous(layout: Layout, environment: str, current: str | None) -> str:
    stack = journal.succession(journal.read(layout.journal), environment, current)
    for digest in reversed(stack[:-1] if current else stack):
        if digest != current and _usable(layout, environment, digest):
            return digest
    others = _others(layout, environment, current)
    if others:  # after a rollback: what it left is no earlier one
        raise Refusal(
            "no-previous", "there is no earlier release of %s to go back to" % environment,
            why="Other releases on this robot: %s." % ", ".join(name[:12] for name in others),
            next="Name the one you want: ot2deploy rollback %s --to %s" % (environment, others[0][:12]),
        )  # fmt: skip
    raise Refusal(
        "no-previous", "there is no earlier release of %s to go back to" % environment,
        why="No other complete release is on this robot.",
        next="Change what %s was made from to the version you want, and push it." % environment,
    )  # fmt: skip


def _others(layout: Layout, environment: str, current: str | None) -> list[str]:
    """The releases that `rollback --to` would take, without the current one."""
    directory = layout.releases(environment)
    names = os.listdir(directory) if os.path.isdir(directory) else []
    return sorted(name for name in names if name != current and _usable(layout, environment, name))


def _usable(layout: Layout, environment: str, digest: str) -> bool:
    release = layout.release(environment, digest)
    return layouts.is_complete(release) and layouts.interpreter_works(release)


def _point(layout: Layout, environment: str, digest: str) -> None:
    """Renames a new link over `current`. Before and after there is one, and it names a complete release."""
    link, temporary = layout.current(environment), layout.next_current(environment)
    statefile.sync_directory(layout.release(environment, digest))
    statefile.sync_directory(layout.releases(environment))
    statefile.remove(temporary)
    os.symlink(os.path.join("releases", digest), temporary)
    os.replace(temporary, link)
    statefile.sync_directory(os.path.dirname(link))


def _note(layout: Layout, run: str, who: str, op: str, environment: str, digest: str, previous: str | None) -> None:
    line = {"run": run, "who": who, "op": op, "environment": environment, "digest": digest, "previous": previous}
    journal.append(layout.journal, dict(line, result="ok", detail=""))
