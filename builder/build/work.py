"""A build's own directory: held while the build lives, removed at its end; what dead builds left is swept first."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from builder.files import held, locked
from builder.places import cache_root


@contextmanager
def work_directory(*, keep: bool = False) -> Iterator[Path]:
    """A new directory in the cache; with `keep`, it stays at the end, as kept-*."""
    root = cache_root() / "work"
    with ExitStack() as holding:
        with locked(root / "sweep.lock"):  # nobody sweeps between making and holding
            _sweep(root)
            work = Path(tempfile.mkdtemp(prefix="build-", dir=root)).resolve()
            holding.enter_context(held(work))
        try:
            yield work
        finally:
            if keep:
                work.rename(work.with_name(work.name.replace("build-", "kept-", 1)))
            else:
                shutil.rmtree(work, ignore_errors=True)


def _sweep(root: Path) -> None:
    """Removes the directories that no living build holds."""
    for left in root.glob("build-*"):
        with held(left) as free:
            if free:
                shutil.rmtree(left, ignore_errors=True)
