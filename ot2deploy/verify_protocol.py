"""Asks robots whether protocols can import an environment: each analyses a small protocol that does so."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ot2deploy import advice
from ot2deploy.checking import Checked
from ot2deploy.errors import Busy, CheckFailed, NotInstalled
from ot2deploy.fleet import Outcome
from ot2deploy.inventory import Robot
from ot2deploy.robots import activity, api
from ot2deploy.robots.manifest import read_manifest
from ot2deploy.robots.probe import read_state
from ot2deploy.robots.protocols import analyse
from ot2deploy.runs.record import RunRecord
from ot2deploy.runs.result import RunResult
from ot2deploy.transport import Session, command
from ot2deploy.visit import Fleet

MARK = "ot2deploy "
# What the robot runs. `run` imports, not the file's top: so the rest is told, too, when one of them fails.
PROTOCOL = '''"""Made by ot2deploy verify --protocol (@nonce@); it moves nothing and may be deleted."""

metadata = {"protocolName": "ot2deploy verify", "apiLevel": "2.14"}


def run(protocol):
    import importlib
    import json
    import os

    for name in @modules@:
        found = {"module": name}
        try:
            module = importlib.import_module(name)
            places = [getattr(module, "__file__", None)] + list(getattr(module, "__path__", []))
            found["file"] = next((os.path.realpath(place) for place in places if place), "")
            found["version"] = str(getattr(module, "__version__", ""))
        except BaseException as error:
            found["error"] = "%s: %s" % (type(error).__name__, error)
        protocol.comment("@mark@" + json.dumps(found))
'''


@dataclass(frozen=True, kw_only=True)
class Target:
    """What a robot's protocols should get: the modules that were asked for, and the release that they lie in.

    `versions` are those of the release's wheels, by module name where that is the project's, too.
    """

    environment: str
    digest: str
    release: str
    modules: tuple[str, ...]
    versions: Mapping[str, str]


def verify_by_protocol(fleet: Fleet, environment: str) -> RunResult:
    """Has each robot analyse a protocol that imports the environment's modules; they must come from its release."""
    record = RunRecord(fleet.project.state_dir, "verify", environment=environment, protocol=True)

    def check(session: Session, robot: Robot) -> Checked:
        target = _target(session, robot, environment, fleet)
        return Checked(environment=environment, digest=target.digest, results=tuple(_results(robot, target)))

    outcomes = tuple(_judged(outcome) for outcome in fleet.visit(check))
    return RunResult.recorded(environment, record, outcomes)


def protocol(modules: Iterable[str]) -> str:
    """The source of the protocol. It is another one each time: robots keep the analyses of files that they know."""
    words = {"nonce": secrets.token_hex(8), "modules": repr(list(modules)), "mark": MARK}
    source = PROTOCOL
    for name, word in words.items():
        source = source.replace(f"@{name}@", word)
    return source


def judge(target: Target, comments: Iterable[str], errors: Iterable[str]) -> Iterator[dict[str, Any]]:
    """A result for each module, of what the protocol said; pure. What it did not speak of has failed."""
    said = {found["module"]: found for found in _said(comments)}
    for module in target.modules:
        found = said.get(module, {})
        file = str(found.get("file", ""))
        why = str(found.get("error", "")) or ("" if found else "; ".join(errors) or "the protocol said nothing of it")
        if not why and not file.startswith(target.release + "/"):
            why = _elsewhere(target, file)
        yield {
            "name": f"import {module}", "kind": "protocol", "ok": not why, "seconds": 0.0, "file": file,
            "version": str(found.get("version") or "") or (target.versions.get(module, "") if not why else ""),
            "output": "", "why": why,
        }  # fmt: skip


def _said(comments: Iterable[str]) -> Iterator[Mapping[str, Any]]:
    for comment in comments:
        if comment.startswith(MARK):
            try:
                found = json.loads(comment[len(MARK) :])
            except (ValueError, RecursionError):
                continue
            if isinstance(found, dict) and isinstance(found.get("module"), str):
                yield found


def _elsewhere(target: Target, file: str) -> str:
    releases = target.release.rpartition("/")[0]
    if file.startswith(releases + "/"):
        older = file[len(releases) + 1 :].partition("/")[0][:12]
        return f"protocols still get it from release {older}: the robot server keeps what it has imported"
    return f"protocols get it from {file or 'the interpreter itself'}, which comes before what was pushed"


def _target(session: Session, robot: Robot, environment: str, fleet: Fleet) -> Target:
    state = read_state(session, robot, environment)
    known = state.environments.get(environment)
    if known is None or known.current is None:
        raise advice.not_installed(environment, session, robot, fleet.project)
    manifest = read_manifest(session, robot, environment, known.current)
    if not manifest.get("shared"):
        raise NotInstalled(
            f"protocols cannot import {environment}: it is isolated, for programs of its own",
            subject=robot.name,
            why="Protocols run in the robot server's own interpreter, which sees shared packages alone.",
            next=f"Push what it was made from with --shared; protocols use it then: "
            f"ot2deploy verify shared --protocol {advice.options(robot)}",
        )
    api.same(robot, state.serial)
    if (doing := activity.ask(robot, session)).is_busy:
        raise Busy(
            f"it is not asked to analyse a protocol now: {doing.what}",
            subject=robot.name,
            why="An analysis takes memory and processor from what it is doing.",
            next="Run the same again when it is idle.",
        )
    checks = [check for part in ("live", "quick") for check in manifest["checks"].get(part) or ()]
    modules = dict.fromkeys(check["module"] for check in checks if check["kind"] == "import")
    if not modules:
        raise NotInstalled(
            f"{environment} has no import check, so nothing says what protocols should import",
            subject=robot.name,
            next="Add one (checks: quick: - import: NAME) to its environment.yaml, and push it again.",
        )
    releases = f"{robot.base_path}/envs/{environment}/releases"
    return Target(
        environment=environment,
        digest=known.current,
        release=f"{_real(session, releases)}/{known.current}",
        modules=tuple(modules),
        versions={wheel["name"].replace("-", "_"): wheel["version"] for wheel in manifest["wheels"]},
    )


def _real(session: Session, path: str) -> str:
    """A path on a robot with its links resolved: /data and others are links there."""
    return session.run(command("readlink", "-f", path)).text.strip() or path


def _results(robot: Robot, target: Target) -> Iterator[dict[str, Any]]:
    found = analyse(robot, protocol(target.modules))
    yield from judge(target, found.comments, found.errors)


def _judged(outcome: Outcome[Checked]) -> Outcome[dict[str, Any]]:
    """The outcome in which a module that protocols do not get is a failure."""
    found = outcome.value
    if found is None:
        return Outcome(robot=outcome.robot, failure=outcome.failure)
    value = {"release": found.digest, "checks": list(found.results)}
    return Outcome(robot=outcome.robot, value=value, failure=_failure(outcome.robot, found))


def _failure(robot: Robot, found: Checked) -> CheckFailed | None:
    return found.failure(
        robot.name,
        "The robot's own analysis of a protocol said so.",
        next="What was imported before a push is used until the robot restarts (in the Opentrons App, or with push's "
        f"--restart-server). Which layer has what: ot2deploy robot packages {robot.name}{robot.file_option}",
    )
