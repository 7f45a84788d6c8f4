"""Builds for tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder import uv as uvs
from builder.build import BuildOptions, BuildRequest, Built, build_wheel


@pytest.fixture
def build(shared_cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):  # type: ignore[no-untyped-def]
    """Builds a request with the test run's shared caches."""
    monkeypatch.setenv("UV_CACHE_DIR", str(shared_cache / "uv"))

    def run(request: BuildRequest, options: BuildOptions = BuildOptions(timeout=600)) -> Built:  # noqa: B008
        return build_wheel(request, uv=uvs.find(), out=tmp_path / "wheels", options=options)

    return run
