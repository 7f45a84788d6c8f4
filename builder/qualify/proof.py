"""Qualifying a bundle: it is installed into a fresh emulated environment, and everything in it is run."""

from __future__ import annotations

import itertools
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Any

import builder
from builder import profile as shipped
from builder.audited import audited
from builder.bundle import Bundle
from builder.checks import child
from builder.errors import BuildFailure, Failure, UsageFailure
from builder.events import Event, Report, silent
from builder.pack.packing import packs, pip_wheel
from builder.profile import Profile
from builder.qualify.checklist import checklist
from builder.qualify.emulated import Emulated, debian_interpreter
from builder.qualify.known import Known, beside
from builder.qualify.release import make_release, unpack_beside
from builder.qualify.result import AUDITED, EMULATED, Options, Qualified, Row
from builder.qualify.twin import make_twin, twin_of
from builder.run import environment
from builder.standing import keep

LOCALE = "C.UTF-8"
RUNNER = (
    sys.executable, "-P", "-c", f"import sys; sys.path.insert(0, {str(Path(builder.__file__).parents[1])!r}); "
    "from builder.checks.runner import main; sys.exit(main())",
)  # fmt: skip
SPARE = 60.0  # seconds beyond a check's own limit


class _Progress:
    """Counts checks that have ended, from any thread."""

    def __init__(self, subject: str, total: int, report: Report) -> None:
        self._subject, self._total, self._report = subject, total, report
        self._done = itertools.count(1)

    def __call__(self, name: str) -> None:
        done = next(self._done)
        self._report(Event(subject=self._subject, stage="qualify", message=name, done=done, total=self._total))


def qualify(bundle: Bundle, emulated: Emulated | None, options: Options, report: Report = silent) -> Qualified:
    """Audits a bundle's wheels, installs them freely of what was there, and runs all that can be run of them.

    Without an interpreter the bundle is audited only and, unless the options forbid it, its twin is made and run.
    Raises UsageFailure for an interpreter that is none for it, and what making packs or the twin raises.
    """
    profile = profile_of(bundle)
    if emulated is not None:
        proved = _proved(bundle, profile, emulated, options, report)
        return _kept(bundle, emulated, proved, options)
    rows = _audits(bundle, profile, options)
    found = _qualified(bundle, profile, options, rows, state=AUDITED, seconds=0.0)
    why = f"no ARM interpreter of Python {profile.python} is at hand"
    if not options.twin:
        return replace(found, why=why)
    try:
        return replace(found, why=why, twin=_twin(bundle, profile, options, report))
    except Failure as failure:
        return replace(found, why="\n".join([f"{why}, and its twin could not be made", *failure.lines()]))


def profile_of(bundle: Bundle) -> Profile:
    """The shipped profile that a bundle is for. Raises UsageFailure for one that was made for something else."""
    profile = shipped.load(bundle.profile)
    if profile.key != bundle.manifest["abi"]:
        raise UsageFailure(
            f"{bundle.environment} was bundled for another {profile.name} than this ot2deploy knows",
            next="Make the bundle again.",
        )
    return profile


def _twin(bundle: Bundle, profile: Profile, options: Options, report: Report) -> Qualified:
    emulated = debian_interpreter(profile, offline=options.engine.offline)
    twin = twin_of(profile, emulated)
    report(Event(subject=profile.name, stage="twin", message=f"making the {twin.title}", level="info"))
    made = make_twin(bundle, twin, options.environment, options.engine, report)
    proved = _proved(made, twin, emulated, options, report)
    return _kept(bundle, emulated, proved, options)


def _kept(bundle: Bundle, emulated: Emulated, proved: Qualified, options: Options) -> Qualified:
    keep(
        bundle,
        options.engine.store,
        title=proved.title,
        interpreter=emulated.title,
        identity=emulated.identity,
        ok=proved.ok,
        whole=not proved.left_out,
    )
    return proved


def _proved(bundle: Bundle, profile: Profile, emulated: Emulated, options: Options, report: Report) -> Qualified:
    if emulated.minor != profile.python:
        raise UsageFailure(f"{emulated.title} cannot run what is for {profile.name}, Python {profile.python}")
    started = monotonic()
    engine = options.engine
    rows = [*_audits(bundle, profile, options)]
    with engine.store.scratch() as directory:
        *trees, pip = packs((*bundle.blobs, pip_wheel(profile, engine, report)), profile, engine, report)
        system_packages = bool(bundle.manifest["system_packages"])
        python = make_release(directory / "release", emulated, trees, system_packages=system_packages)
        checks = checklist(bundle, profile, engine, unpack_beside(directory / "pip", emulated, pip), deep=options.deep)
        progress = _Progress(profile.name, len(checks), report)
        rows += _run(checks, python, bundle.manifest["variables"], options, progress)
    found = _qualified(bundle, profile, options, rows, state=EMULATED, seconds=monotonic() - started)
    run = {check["name"] for check in checks}
    left_out = tuple(check["name"] for check in bundle.manifest["checks"]["deep"] if check["name"] not in run)
    return replace(found, interpreter=emulated.title, left_out=left_out)


def _audits(bundle: Bundle, profile: Profile, options: Options) -> Iterator[Row]:
    for blob in bundle.blobs:
        audit = audited(blob, profile, options.engine)
        yield Row(name=f"audit {blob.filename}", kind="audit", ok=audit.ok, why="; ".join(map(str, audit.errors)))


def _run(
    checks: Sequence[Mapping[str, Any]],
    python: Path,
    variables: Mapping[str, str],
    options: Options,
    progress: _Progress,
) -> list[Row]:
    """Runs checks, some at once, each with its limits; their rows, in the order of the checks."""
    env = {"LANG": LOCALE, "VIRTUAL_ENV": str(python.parents[1]), **variables}
    env["PATH"] = os.pathsep.join([str(python.parent), env.get("PATH") or os.defpath])

    def one(check: Mapping[str, Any]) -> Row:
        limits = {"memory": options.memory, **({"timeout": options.timeout} if options.timeout else {})}
        row = _ran({**check, **limits}, python, env)
        progress(check["name"])
        return row

    pool = ThreadPoolExecutor(options.jobs)
    try:
        return list(pool.map(one, checks))
    except BaseException:  # Ctrl-C reaches this thread alone
        child.stop_all()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _ran(check: Mapping[str, Any], python: Path, env: Mapping[str, str]) -> Row:
    """One check, run by a process of ours that ends it when we are ended, however that is."""
    asked = json.dumps({"checks": [check], "python": str(python), "env": env}).encode() + b"\n"
    limit = float(check["timeout"]) + SPARE
    ended = child.run(RUNNER, env=environment(), cwd=str(python.parents[1]), timeout=limit, leash=asked)
    try:
        (result,) = json.loads(ended.output.splitlines()[-1])["results"]
    except (IndexError, KeyError, ValueError) as error:
        why = f"what runs the checks ended with status {ended.status}"
        raise BuildFailure(why, details=tuple(ended.output.splitlines()[-10:])) from error
    kept = {name: result[name] for name in ("name", "kind", "ok", "seconds", "why")}
    return Row(**kept, output="" if result["ok"] else result["output"])


def _qualified(
    bundle: Bundle, profile: Profile, options: Options, rows: Iterable[Row], *, state: str, seconds: float
) -> Qualified:
    """The result of these rows, with known failures marked."""
    names = (profile.name, profile.twin_of)
    held = [known for known in (*options.known, *_beside(bundle, options)) if known.profile in ("", *names)]
    marked, used = [], set[Known]()
    for row in rows:
        reasons = [known for known in held if not row.ok and known.covers(row.name, names)]
        used.update(reasons)
        marked.append(replace(row, known=reasons[0].reason) if reasons else row)
    return Qualified(
        environment=bundle.environment,
        digest=bundle.digest,
        profile=profile.twin_of or profile.name,
        title=profile.title if profile.twin_of else profile.name,
        state=state,
        wheels=len(bundle.blobs),
        rows=tuple(marked),
        unused=tuple(known.origin for known in held if known not in used) if state == EMULATED else (),
        strict=options.strict,
        seconds=round(seconds, 1),
    )


def _beside(bundle: Bundle, options: Options) -> tuple[Known, ...]:
    """The known failures that stand beside the environment's file and the recipes of the bundle's wheels."""
    engine, own = options.engine, options.environment
    recipes = [
        engine.tools.recipe(row["name"], row["version"], engine.search.packages) for row in bundle.manifest["wheels"]
    ]
    return beside([*([own.path.parent] if own and own.path else []), *(one.directory for one in recipes if one)])
