"""Which releases of an environment stay on a robot: pure, from what is there, the journal and what runs."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from ot2deploy.agent.journal import Line

KEEP = 3  # releases of each environment
FEWEST = 2  # the current one and the one to go back to


def kept(
    releases: Mapping[str, bool],
    current: str | None,
    succession: Sequence[str],
    switched: Sequence[str],
    staged: Sequence[str],
    running: Collection[str],
    keep: int,
) -> dict[str, str]:
    """The releases that stay, each with why, out of complete ones and whether each could be gone back to.

    `succession` are those that were current (`journal.succession`), `switched` all that the journal names, `staged`
    those verified and never current; all of them oldest first. The current one, the one that a rollback goes to, those
    that programs run from and the last staged one stay; then the latest ones, until `keep` are left.
    """
    why: dict[str, str] = {}

    def stay(digest: str | None, reason: str) -> None:
        if digest is not None and digest in releases:
            why.setdefault(digest, reason)

    stay(current, "current")
    before = [digest for digest in succession if digest != current and releases.get(digest)]
    stay(before[-1] if before else None, "previous")
    for digest in sorted(running):
        stay(digest, "a program runs from it")
    waiting = [digest for digest in staged if digest not in switched]
    stay(waiting[-1] if waiting else None, "not switched to yet")
    works = [digest for digest in (*waiting, *switched) if releases.get(digest)]
    rest = sorted(digest for digest in releases if digest not in works)
    for digest in (*reversed(works), *rest):
        if len(why) >= keep:
            break
        stay(digest, "among the last %d" % keep)
    return why


def switched(lines: Sequence[Line], environment: str) -> list[str]:
    """The releases that an environment was switched to or away from, the latest last, each once."""
    order: list[str] = []
    for line in lines:
        if line.get("environment") != environment or line.get("op") not in ("switch", "rollback"):
            continue
        for digest in (line.get("previous"), line.get("digest")):
            if isinstance(digest, str):
                if digest in order:
                    order.remove(digest)
                order.append(digest)
    return order
