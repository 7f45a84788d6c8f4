"""Published wheels for tests that need real ones: fetched by sha256 from the package index, once for all runs."""

from __future__ import annotations

from pathlib import Path

from pypi_simple import PyPISimple

from builder.fetch import Fetcher
from builder.files import locked


def published(cache: Path, project: str, filename: str, sha256: str) -> Path:
    """A wheel of the index as a file below `cache`."""
    path = cache / "published" / sha256 / filename
    with locked(cache / "published" / f"{sha256}.lock"):
        if not path.exists():
            with PyPISimple() as index:
                page = index.get_project_page(project)
            (url,) = [package.url for package in page.packages if package.filename == filename]
            Fetcher().download(url.partition("#")[0], path, sha256=sha256)
    return path
