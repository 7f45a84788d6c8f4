"""A build's own directory: held while the build lives, removed at its end; what dead builds left is swept first."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from builder.files import held, locked
from builder.places import cache_root


@contextmanager
def work_directory() -> Iterator[Path]:
    """A new directory in the cache."""
    root = cache_root() / "work"
    with ExitStack() as holding:
        with locked(root / "sweep.lock"):  # nobody sweeps between making and holding
            _sweep(root)
            work = Path(tempfile.mkdtemp(prefix="build-", dir=root)).resolve()
            holding.enter_context(held(work))
        try:
            yield work
        finally:
            shutil.rmtree(work, ignore_errors=True)


def _sweep(root: Path) -> None:
    """Removes the directories that no living build holds."""
    for left in root.glob("build-*"):
        with suppress(FileNotFoundError), held(left) as free:  # a build that ends now removes its own
            if free:
                shutil.rmtree(left, ignore_errors=True)
