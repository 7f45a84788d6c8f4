"""Directories for work under way: held while it lives, removed at its end; what dead processes left is swept first."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from builder.files import held, locked


@contextmanager
def held_directory(root: Path, prefix: str) -> Iterator[Path]:
    """A new directory in `root` whose name begins with `prefix`; others that nobody holds are removed first."""
    with ExitStack() as holding:
        with locked(root / "sweep.lock"):  # nobody sweeps between making and holding
            _sweep(root, prefix)
            work = Path(tempfile.mkdtemp(prefix=prefix, dir=root)).resolve()
            holding.enter_context(held(work))
        try:
            yield work
        finally:
            shutil.rmtree(work, ignore_errors=True)


def _sweep(root: Path, prefix: str) -> None:
    for left in root.glob(f"{prefix}*"):
        with suppress(FileNotFoundError), held(left) as free:  # one that ends now removes its own
            if free:
                shutil.rmtree(left, ignore_errors=True)
