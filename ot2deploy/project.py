"""The project directory: where inventory, environments, recipes, locks and state of a command are."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from builder import places
from builder.errors import UsageFailure
from builder.files import sha256_bytes

INVENTORY = "inventory.yaml"
SETTINGS = "ot2deploy.yaml"
ENVIRONMENTS = "environments"
PACKAGES = ("package", "packages")
STATE = ".ot2deploy"


@dataclass(frozen=True, kw_only=True)
class Project:
    """A directory a command works for.

    `environments` and `packages` are the directories to search, the user's own first and the shipped ones last.
    `is_project` is False where no parent directory looks like a project; state then lives in the user's state
    directory, keyed by the path.
    """

    root: Path
    is_project: bool
    environments: tuple[Path, ...]
    packages: tuple[Path, ...]
    state_dir: Path
    lock_dir: Path
    inventory: Path
    settings: Path

    @classmethod
    def find(cls, start: Path | None = None) -> Project:
        """The project of `start` (default: the working directory): the nearest directory upwards that has an
        ot2deploy.yaml, inventory.yaml, environments/ or package(s)/. Raises UsageFailure where `start` is no directory.
        """
        start = (start or Path.cwd()).absolute()
        if not start.is_dir():
            raise UsageFailure(f"{start} is not a directory")
        root = next((path for path in (start, *start.parents) if _is_project(path)), None)
        state = _outside_state(start) if root is None else root / STATE
        root = root or start
        own_packages = tuple(root / name for name in PACKAGES if (root / name).is_dir())
        own_environments = tuple(path for path in (root / ENVIRONMENTS,) if path.is_dir())
        return cls(
            root=root,
            is_project=state.parent == root,
            environments=_with_shipped(own_environments, ENVIRONMENTS),
            packages=_with_shipped(own_packages, PACKAGES[0]),
            state_dir=state,
            lock_dir=state / "locks",
            inventory=root / INVENTORY,
            settings=root / SETTINGS,
        )


def _is_project(path: Path) -> bool:
    files = (path / name for name in (SETTINGS, INVENTORY))
    directories = (path / name for name in (ENVIRONMENTS, *PACKAGES))
    return any(file.is_file() for file in files) or any(directory.is_dir() for directory in directories)


def _with_shipped(own: tuple[Path, ...], name: str) -> tuple[Path, ...]:
    shipped = places.shipped(name)
    return own if shipped in own else (*own, shipped)


def _outside_state(start: Path) -> Path:
    base = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    return base / "ot2deploy" / sha256_bytes(str(start).encode())[:16]
