"""Where a push takes its bundles from: a bundle file, the build engine, what robots share, or an earlier run."""

from __future__ import annotations

import functools
import shlex
from dataclasses import replace
from pathlib import Path

from builder.errors import UsageFailure
from ot2deploy.bundles import Alike, Bundles, RobotBundles, from_file, is_bundle_file
from ot2deploy.rollout.kept import kept_bundles
from ot2deploy.rollout.request import PushRequest
from ot2deploy.rollout.signatures import signed_with


def robot_bundles(request: PushRequest) -> RobotBundles:
    """The target as a source of bundles for robots: where protocols share them, each robot's own."""
    if not request.shared:
        return Alike(open_bundles(request))
    if is_bundle_file(request.target):
        raise UsageFailure(
            "a bundle file cannot be shared with protocols",
            why="What is shared on a robot is chosen together, around the packages that it has of its own.",
            next="Name what the bundle was made of.",
        )
    from ot2deploy.engine import shared_bundles

    return shared_bundles(
        request.fleet.project, request.target, without=request.without, sign=request.sign, offline=request.offline,
        repair=request.repair, report=request.fleet.report,
    )  # fmt: skip


def signing_command(request: PushRequest) -> str:
    """The command with which what is pushed gets a signature; KEY stands for an SSH key."""
    target = shlex.quote(request.target) if request.target else ""
    if is_bundle_file(request.target):
        return f"ot2deploy bundle sign {target} --key KEY"
    option = request.fleet.robots[0].file_option
    return " ".join(filter(None, ("ot2deploy push", target, "--shared" * request.shared, "--sign KEY"))) + option


def open_bundles(request: PushRequest) -> Bundles:
    """The target as a source of bundles: a bundle file as it is, anything else through the build engine; of a run that
    is gone on with, what it had."""
    if request.resumes:
        return kept_bundles(request.resumes, functools.cache(lambda: open_bundles(replace(request, resumes=None))))
    bundles = _bundles(request)
    return signed_with(bundles, request.sign) if request.sign else bundles


def _bundles(request: PushRequest) -> Bundles:
    if is_bundle_file(request.target):
        return from_file(Path(request.target))
    from ot2deploy.engine import environment_bundles

    where = request.fleet
    return environment_bundles(
        where.project, request.target, offline=request.offline, repair=request.repair, report=where.report
    )
