"""The request `collect`: removes releases that nobody goes back to, and what only they were made of."""

from __future__ import annotations

import os

from ot2deploy.agent import fields, journal, release, retention, running, statefile, used
from ot2deploy.agent import layout as layouts
from ot2deploy.agent.purge import AGENT
from ot2deploy.agent.refusal import bad_request, free_bytes
from ot2deploy.agent.remove import remove_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ot2deploy.agent.fields import Request
    from ot2deploy.agent.layout import Layout
    from ot2deploy.agent.running import Program


def collect(layout: Layout, archive: str, request: Request, run: str, who: str) -> dict[str, Any]:
    """Keeps `keep` releases of each environment (of one, where `environment` names it) as `retention.kept` has it.

    With `strays` also blobs that no release is made of, other agents than this one, and temporary files that no program
    of ours can be using. With `dry_run` nothing is removed. `bytes` is what was or would be freed.
    """
    keep, dry_run = fields.number(request, "keep"), fields.flag(request, "dry_run")
    if keep < retention.FEWEST:
        raise bad_request("fewer than %d releases are never kept" % retention.FEWEST)
    strays = fields.flag(request, "strays")
    chosen = [fields.environment(request)] if request.get("environment") else release.listed(layout.envs)
    programs, lines = running.programs(layout), journal.read(layout.journal)
    stay, going = [], []
    for environment in chosen:
        why = _kept(layout, environment, lines, programs, keep)
        for digest in release.listed(layout.releases(environment)):
            if digest in why:
                stay.append({"environment": environment, "digest": digest, "why": why[digest]})
            elif layouts.is_complete(layout.release(environment, digest)):
                going.append((environment, digest))
    blobs = used.unused(layout, going, strays)
    agents = _agents(layout, archive) if strays else []
    temporary = _temporary(layout, programs) if strays else []
    rows: list[dict[str, Any]] = [
        {"environment": one[0], "digest": one[1], "bytes": used.size(layout.release(*one))} for one in going
    ]
    others = [*blobs, *agents, *temporary]
    size = sum(row["bytes"] for row in rows) + sum(map(used.size, others))
    if not dry_run and (rows or others):
        _note(layout, run, who, rows, len(blobs), size)
        for path in others:  # before what says that nobody needs them: cut off here, they are found again
            remove_path(path)
        for one in going:
            release.remove(layout.release(*one))
    return {
        "releases": rows, "kept": stay, "blobs": len(blobs), "agents": len(agents), "bytes": size,
        "free": free_bytes(layout.base), "programs": running.as_values(programs),
    }  # fmt: skip


def _kept(
    layout: Layout, environment: str, lines: list[journal.Line], programs: list[Program], keep: int
) -> dict[str, str]:
    current = layouts.current_digest(layout, environment)
    complete, staged, made = {}, [], {}
    for digest in release.listed(layout.releases(environment)):
        path = layout.release(environment, digest)
        if not fields.DIGEST.fullmatch(digest) or not (layouts.is_complete(path) or digest == current):
            continue
        complete[digest] = layouts.interpreter_works(path)
        if os.path.exists(os.path.join(path, layouts.COMPLETE)):
            made[digest] = os.stat(os.path.join(path, layouts.COMPLETE)).st_mtime
        verified = os.path.join(path, layouts.VERIFIED)
        if (statefile.read(verified) or {}).get("checks"):
            staged.append((os.stat(verified).st_mtime, digest))  # their order only: a robot's clock may be wrong
    switched = retention.switched(lines, environment)
    # Who pushed other releases since, and switched to them, does not want the staged one any more.
    later = sorted(made[digest] for digest in switched if digest in made)[-retention.FEWEST :]
    if len(later) == retention.FEWEST:
        staged = [(at, digest) for at, digest in staged if digest in switched or at >= later[0]]
    return retention.kept(
        complete, current,
        succession=journal.succession(lines, environment, current),
        switched=switched,
        staged=[digest for _, digest in sorted(staged)],
        running=running.releases(programs, environment, current),
        keep=keep,
    )  # fmt: skip


def _agents(layout: Layout, archive: str) -> list[str]:
    """Agents of other versions of ot2deploy which no process runs: a session reads its modules out of its archive."""
    directory = os.path.join(layout.base, "agent")
    names = [name for name in release.listed(directory) if AGENT.fullmatch(name) and name.endswith(".pyz")]
    busy = running.mentioned(names)
    own = os.path.basename(archive)
    return [os.path.join(directory, name) for name in names if name != own and name not in busy]


def _temporary(layout: Layout, programs: list[Program]) -> list[str]:
    """What programs left in their TMPDIR, where none of them runs."""
    if programs:
        return []
    return [os.path.join(layout.programs_tmp, name) for name in release.listed(layout.programs_tmp)]


def _note(layout: Layout, run: str, who: str, rows: list[dict[str, Any]], blobs: int, size: int) -> None:
    """Says in the journal what goes, before it goes."""
    names = ", ".join("%s %s" % (row["environment"], row["digest"][:12]) for row in rows) or "no release"
    files = "%d file%s that no release is made of" % (blobs, "" if blobs == 1 else "s")
    said = "%s; %s; %d MB" % (names, files, size // 1000000)
    journal.append(layout.journal, {"run": run, "who": who, "op": "clean", "result": "ok", "detail": said})
