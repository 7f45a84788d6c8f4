"""Where everything stands on a robot. Every path is made here, from parts that fields.py has checked."""

from __future__ import annotations

import os

from ot2deploy.agent import fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ot2deploy.agent.fields import Request

BASE = "/var/ot2deploy"
COMPLETE = "complete"
MANIFEST = "manifest.json"
VERIFIED = "verified.json"


class Layout:
    """The paths below one base directory. `root` is put in front of it; only simulated robots have one."""

    def __init__(self, base: str = BASE, root: str = "") -> None:
        self.root = root
        self.base = root + base
        self.lock = os.path.join(self.base, "lock")
        self.journal = os.path.join(self.base, "journal")
        self.facts = os.path.join(self.base, "facts.json")
        self.envs = os.path.join(self.base, "envs")
        self.shared = os.path.join(self.base, "shared.json")
        self.tmp = os.path.join(self.base, "tmp")
        # What programs of a release use as TMPDIR: they outlive a push, whose sweep clears the rest of tmp.
        self.programs_tmp = os.path.join(self.tmp, "programs")

    def blob(self, kind: str, sha256: str, filename: str) -> str:
        """A whole blob."""
        return os.path.join(self.base, kind, sha256, filename)

    def part(self, kind: str, sha256: str) -> str:
        """A blob of which only a first part has arrived."""
        return os.path.join(self.base, kind, sha256 + ".part")

    def environment(self, environment: str) -> str:
        """An environment's directory."""
        return os.path.join(self.envs, environment)

    def releases(self, environment: str) -> str:
        """The directory of an environment's releases."""
        return os.path.join(self.environment(environment), "releases")

    def release(self, environment: str, digest: str) -> str:
        """A release's directory."""
        return os.path.join(self.releases(environment), digest)

    def current(self, environment: str) -> str:
        """The link that names an environment's current release."""
        return os.path.join(self.environment(environment), "current")

    def next_current(self, environment: str) -> str:
        """The link that is about to become `current`."""
        return self.current(environment) + ".new"


def of_request(request: Request) -> Layout:
    """The layout that a request's `base` and `root` name."""
    return Layout(fields.directory(request, "base", BASE), fields.directory(request, "root", ""))


def current_digest(layout: Layout, environment: str) -> str | None:
    """The digest that `current` names, or None when there is no such link or it is not one of ours."""
    try:
        target = os.readlink(layout.current(environment))
    except OSError:
        return None
    directory, digest = os.path.split(target)
    return digest if directory == "releases" and fields.DIGEST.fullmatch(digest) else None


def installed(layout: Layout) -> list[str]:
    """The names of the environments that have a current release, sorted."""
    names = os.listdir(layout.envs) if os.path.isdir(layout.envs) else []
    return sorted(name for name in names if current_digest(layout, name))


def is_complete(release: str) -> bool:
    """Whether a release was installed to its end."""
    return os.path.isfile(os.path.join(release, COMPLETE))


def interpreter(release: str) -> str:
    """A release's interpreter."""
    return os.path.join(release, "bin", "python3")


def interpreter_works(release: str) -> bool:
    """Whether the system's interpreter that a release was made for is still there."""
    return os.access(interpreter(release), os.X_OK)
