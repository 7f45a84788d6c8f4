"""What is run for a bundle: every extension module's import, the checks of recipes and environment, pip's own check."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from builder.audit.auditor import INIT, MODULE, binary_format
from builder.bundle import Bundle
from builder.engine import Engine
from builder.environment import TIMEOUTS, import_check
from builder.profile import Profile
from builder.wheel import WheelFile

PIP_CHECK = """\
import sys
sys.path.insert(0, {site!r})
from pip._internal.cli.main import main
sys.exit(main(["check", "--disable-pip-version-check"]))
"""
INSTALLED = re.compile(r"[^/]+\.data/(purelib|platlib)/")  # where pip puts these members is above all packages


def checklist(bundle: Bundle, profile: Profile, engine: Engine, pip: Path, *, deep: bool) -> tuple[dict[str, Any], ...]:
    """The checks as a manifest has them, each name once; the deep ones, which take longest, first.

    `pip` is a directory that holds pip: a release has none.
    """
    checks = bundle.manifest["checks"]
    modules = {module for blob in bundle.blobs for module in extension_modules(WheelFile.open(blob.path))}
    source = PIP_CHECK.format(site=str(pip))
    rows = [
        *(checks["deep"] if deep else ()),
        *checks["quick"],
        *_of_recipes(bundle, profile, engine),
        *(import_check(module).as_dict() for module in sorted(modules)),
        {"kind": "program", "name": "pip check", "timeout": TIMEOUTS["program"], "source": source},
    ]
    named: dict[str, dict[str, Any]] = {}
    for row in rows:
        named.setdefault(row["name"], row)
    return tuple(named.values())


def extension_modules(wheel: WheelFile) -> Iterator[str]:
    """The dotted names under which a wheel's extension modules are imported.

    A shared object is one when it exports PyInit_<name> (PEP 489), as libraries beside them do not.
    """
    for member, data in wheel.contents():
        if not member.name.endswith(MODULE) or data is None or binary_format(data) is None:
            continue
        *packages, filename = INSTALLED.sub("", member.name).split("/")
        stem = filename.partition(".")[0]
        if INIT + stem.encode() in data:
            yield ".".join([*packages, stem])


def _of_recipes(bundle: Bundle, profile: Profile, engine: Engine) -> Iterable[dict[str, Any]]:
    for row in bundle.manifest["wheels"]:
        recipe = engine.tools.recipe(row["name"], row["version"], engine.search.packages)
        if recipe:
            yield from (check.as_dict() for check in recipe.for_profile(profile).checks)
