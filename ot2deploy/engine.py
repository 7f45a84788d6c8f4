"""The build engine as ot2deploy uses it: opened for a project, asked for bundles and packs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from builder.bundle import Bundle
from builder.environment import Environment
from builder.errors import UsageFailure
from builder.events import Report
from builder.index_entries import of_variable
from builder.pipeline import Engine, make_bundle, open_engine
from builder.profile import Profile
from builder.store import Blob
from builder.targets import Search, resolve
from ot2deploy.agent.manifest import SHARED
from ot2deploy.bundles import Bundles, Once, RobotBundles
from ot2deploy.project import Project
from ot2deploy.project_file import load

ORIGINS = {
    "environment": "environment {path}",
    "recipe": "recipe, {wanted}",
    "requirement": "requirement {wanted}",
    "path": "local {wanted}",
    "wheel": "wheel {wanted}",
    "url": "URL of {name}",
}


def open_for(project: Project, **options: Any) -> Engine:
    """The engine with the project's directories searched first and its locks kept beside its state.

    `options` are those of `open_engine`; without a toolchain it is the one that OT2DEPLOY_TOOLCHAIN names.
    """
    if "toolchain" not in options and (named := os.environ.get("OT2DEPLOY_TOOLCHAIN")):
        options["toolchain"] = named
    return open_engine(project.lock_dir, search=search_of(project), **options)


def search_of(project: Project) -> Search:
    """Where a project's targets and their wheels are looked for. Raises ConfigFailure, UsageFailure."""
    return Search(
        environments=project.environments,
        packages=project.packages,
        indexes=load(project.settings).indexes,
        first=of_variable(os.environ),
    )


def environment_bundles(project: Project, target: str, *, offline: bool, repair: bool, report: Report) -> Bundles:
    """Bundles made from a target. Raises UsageFailure when the target means nothing; builds only when asked for one."""
    engine = open_for(project, offline=offline, repair=repair)
    environment = resolve(target, engine.search)
    if environment.name == SHARED:
        raise UsageFailure(
            f"{SHARED} is the name of what is shared with protocols, and of no environment of one's own",
            next="Give it another name; --shared installs anything for protocols and Jupyter.",
        )
    return Once(environment.name, origin(environment), partial(_make, environment, engine, report))


def shared_bundles(
    project: Project,
    target: str,
    *,
    without: Sequence[str],
    sign: Path | None,
    offline: bool,
    repair: bool,
    report: Report,
) -> RobotBundles:
    """Bundles of what robots share with protocols: with a target ("" for none) in it, and without some projects;
    signed with the SSH key `sign`, if one is given.

    Raises UsageFailure when the target means nothing, or holds what only a program of one's own can have.
    """
    from ot2deploy.rollout.shared import SharedBundles, change_of

    engine = open_for(project, offline=offline, repair=repair)
    adds = resolve(target, engine.search) if target else None
    said = "what is shared with protocols"
    if adds is not None:
        said = f"{origin(adds)}, shared with protocols"
    return SharedBundles(engine=engine, change=change_of(adds, without), origin=said, sign=sign, report=report)


def origin(environment: Environment) -> str:
    """What a target turned out to be, in words for the plan."""
    path = environment.path or ""
    return ORIGINS[environment.source].format(path=path, wanted=", ".join(environment.wanted), name=environment.name)


def packs(bundle: Bundle, profile: Profile, *, project: Project, offline: bool, report: Report) -> tuple[Blob, ...]:
    """The bundle's wheels as trees made by the robots' pip on this machine, for the tree method.

    Raises BuildFailure where no interpreter of the profile's minor is at hand.
    """
    from builder.pack import packing

    return packing.packs(bundle.blobs, profile, open_for(project, offline=offline), report)


def _make(environment: Environment, engine: Engine, report: Report, profile: Profile) -> Bundle:
    return make_bundle(environment, profile, engine, report)
