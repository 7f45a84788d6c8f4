"""A workflow file for a host of continuous integration: text with a lab's profiles written in. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources

HOSTS = {"github": "github.yaml"}  # host -> the file in data/
PLACES = {"github": ".github/workflows/packages.yml"}  # host -> where it looks for such files


def workflow(host: str, requirement: str, profiles: Sequence[str], *, test: bool = True) -> str:
    """The file for a host in HOSTS: `requirement` is what pip installs, `test` whether wheels are run, too."""
    text = resources.files("builder.index.publish").joinpath("data", HOSTS[host]).read_text(encoding="utf-8")
    options = [*(f"--profile {name}" for name in profiles), *(["--test"] if test else [])]
    return text.replace("@REQUIREMENT@", requirement).replace("@OPTIONS@", " ".join(options))
