"""The points at which something is killed: recorded from a run of each operation, then run one by one and judged."""

from __future__ import annotations

import itertools
import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from chaos_place import ENVIRONMENT, Ended, Place

from ot2deploy.agent import journal

# Every word of a path that is another one in the next run.
CHANGING = re.compile(
    r"[0-9a-f]{64}|(?<=[-.])[0-9a-z_]{8}(?=/|$|\.tmp)|(?<=[A-Z])[0-9a-z_]{8}\.tmp|\d{8}T\d{6}Z-[0-9a-f]{4}"
)


@dataclass(frozen=True, kw_only=True)
class Operation:
    """A command, the state it begins in, and what may be importable after it was cut off anywhere (None: nothing)."""

    words: tuple[str, ...]
    start: str
    may_be: frozenset[int | None]


@dataclass(frozen=True, kw_only=True)
class Effect:
    """One recorded effect."""

    role: str
    number: int
    kind: str
    where: str

    @property
    def what(self) -> tuple[str, str, str]:
        """What it is in every run: without names that are another each time."""
        return self.role, self.kind, CHANGING.sub("*", self.where)


@dataclass(frozen=True, kw_only=True)
class Point:
    """An effect of an operation, before or after which `how` is killed: the process, its agent, or the whole robot."""

    operation: str
    effect: Effect
    when: str
    how: str

    @property
    def name(self) -> str:
        """A name that stays, as long as the effects stay."""
        return f"{self.operation}/{self.effect.role}/{self.effect.number}/{self.when}/{self.how}"

    @property
    def kind(self) -> str:
        """The class it is counted in."""
        victim = {"host": "ot2deploy", "agent": "the agent"}.get(self.effect.role, f"the agent's {self.effect.role}")
        if self.how == "robot":
            victim = "the robot"
        elif self.how == "agent":
            victim = f"the agent, while {self.effect.role} works"
        return f"{victim} is killed"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """How it went: what was wrong, seconds of everything, seconds until the robot was free, the cut command's exit."""

    wrong: tuple[str, ...]
    seconds: float
    waited: float = 0.0
    status: int = 0


def operations(place: Place) -> dict[str, Operation]:
    """Everything whose effects are numbered."""
    bundle = str(place.bundle(2))
    pushed: frozenset[int | None] = frozenset({1, 2})
    gone: frozenset[int | None] = frozenset({2, None})
    return {
        "push, tree": Operation(words=("push", bundle, "--install-method", "tree"), start="first", may_be=pushed),
        "push, pip": Operation(words=("push", bundle, "--install-method", "pip"), start="first", may_be=pushed),
        "first push": Operation(words=("push", bundle, "--install-method", "tree"), start="nothing", may_be=gone),
        "rollback": Operation(words=("rollback", ENVIRONMENT), start="second", may_be=pushed),
        "remove": Operation(words=("remove", ENVIRONMENT), start="second", may_be=gone),
        "purge": Operation(words=("robot", "purge", "r1", "--yes"), start="second", may_be=gone),
    }


def effects_of(place: Place, operation: str) -> list[Effect]:
    """The effects of an operation that nobody disturbs."""
    what = operations(place)[operation]
    place.set_back(what.start)
    (place.chaos / "record").touch()
    done = place.command(*what.words, record=True)
    assert done.status == 0, done.words
    found = []
    for file in (place.chaos / "effects", place.directory / "host" / "chaos" / "effects"):
        for line in file.read_text().splitlines() if file.exists() else ():
            role, number, kind, where, happened = json.loads(line)
            if not happened:  # a directory that was there, a file that was not: nothing changed
                continue
            where = where.replace(f"{place.base}/", "").replace(f"{place.directory}/", "")
            found.append(Effect(role=role, number=number, kind=kind, where=where))
    return found


def all_points(place: Place) -> list[Point]:
    """The points of every operation. What a first push does as any other push does it, is not done twice."""
    points: list[Point] = []
    known: set[tuple[str, str, str]] = set()
    for operation in operations(place):
        effects = effects_of(place, operation)
        fresh = [effect for effect in effects if operation != "first push" or effect.what not in known]
        known |= {effect.what for effect in effects}
        points += points_of(operation, fresh)
    return points


def points_of(operation: str, effects: Sequence[Effect]) -> Iterator[Point]:
    """The points of an operation: before and after each effect; of equal ones in a row the first, middle and last."""
    for role in ("agent", "pip", "compile", "host"):
        similar = _in_a_tree if operation in ("remove", "purge") else _the_same
        chosen = list(_thinned([effect for effect in effects if effect.role == role], similar))
        for place, effect in enumerate(chosen):
            for when in ("before", "after"):
                how = "process" if role in ("agent", "host") or when == "after" else "agent"
                yield Point(operation=operation, effect=effect, when=when, how=how)
            if role == "agent" and (effect.kind in ("replace", "answer", "start") or place % 6 == 0):
                yield Point(operation=operation, effect=effect, when="after", how="robot")


def _the_same(effect: Effect) -> object:
    return effect.what


def _in_a_tree(effect: Effect) -> object:
    """The files of a release go one after the other, and it is no matter which of them is gone."""
    release = re.search(r"releases/[0-9a-f]{64}/", effect.where)
    return release.group() if release else effect.what


def _thinned(effects: Sequence[Effect], similar: Callable[[Effect], object]) -> Iterator[Effect]:
    for _, group in itertools.groupby(effects, key=similar):
        same = list(group)
        yield from same if len(same) <= 3 else (same[0], same[len(same) // 2], same[-1])


def spread(points: Sequence[Point], count: int) -> list[Point]:
    """Some of the points, always the same ones, evenly over the whole list."""
    return [points[int((number + 0.5) * len(points) / count)] for number in range(count)]


def run_point(place: Place, point: Point) -> Verdict:
    """Brings the fault about, and judges what is left and what the next push makes of it."""
    begun = time.monotonic()
    what = operations(place)[point.operation]
    place.set_back(what.start)
    trap = {"role": point.effect.role, "number": point.effect.number, "when": point.when, "how": point.how}
    if point.effect.role == "host":
        cut = place.start(*what.words, armed=trap).wait()
        fired = cut.status == -9
    else:
        place.arm(**trap)
        cut = place.start(*what.words).wait(meanwhile=place.restart_when_dead)
        fired = not place.armed
    place.restart_when_dead()
    if not fired:
        return Verdict(wrong=(f"the point was not reached: {cut.words}",), seconds=time.monotonic() - begun)
    host = "other" if point.effect.number % 2 else "host"
    method = what.words[2:] if what.words[0] == "push" and point.effect.number % 4 < 2 else ()
    wrong, waited = judge(place, what.may_be, *method, host=host)
    if cut.status == 0 and point.effect.role == "host":
        wrong.append("a killed command ended with 0")
    return Verdict(wrong=tuple(wrong), seconds=time.monotonic() - begun, waited=waited, status=cut.status)


def judge(place: Place, may_be: frozenset[int | None], *more: str, host: str = "host") -> tuple[list[str], float]:
    """What is wrong after a fault, and how long the robot stayed locked.

    Looked at: what is current imports, nothing changed outside the base directory, the next plain push ends with 0 and
    a verified release, the journal fits, nothing is left over.
    """
    wrong: list[str] = []
    try:
        if None not in may_be:  # something is current at any instant, also while the agent still runs
            wrong += _importable(place, may_be)
        waited = place.wait_until_free()
        wrong += _importable(place, may_be)
        wrong += _outside(place)
        again = place.push(2, *more, host=host)
    except AssertionError as error:
        return [*wrong, str(error)], 0.0
    if again.status != 0:
        return [*wrong, f"the next push: {again.words}"], waited
    return [*wrong, *_converged(place, again)], waited


def _importable(place: Place, may_be: frozenset[int | None]) -> list[str]:
    value = place.imported()
    return [] if value in may_be else [f"current imports {value}, which is none of {set(may_be)}"]


def _outside(place: Place) -> list[str]:
    now = place.tree()
    changed = sorted(path for path in {*now, *place.outside} if now.get(path) != place.outside.get(path))
    return [f"changed outside the base directory: {', '.join(changed[:5])}"] if changed else []


def _converged(place: Place, again: Ended) -> list[str]:
    (row,) = again.document["result"]["robots"]
    digest, wrong = row["plan"]["digest"], []
    if place.current() != digest or place.imported() != 2:
        wrong.append(f"after the next push {place.current()} is current, not {digest}")
    verified = place.base / "envs" / ENVIRONMENT / "releases" / digest / "verified.json"
    if not verified.exists() or not json.loads(verified.read_text())["checks"]:
        wrong.append("what is current is not verified")
    wrong += _outside(place)
    wrong += _history(place, digest)
    left = leftovers(place.base)
    return [*wrong, f"left over: {', '.join(left[:5])}"] if left else wrong


def _history(place: Place, digest: str) -> list[str]:
    text = (place.base / "journal").read_text() if (place.base / "journal").exists() else ""
    try:
        lines = [json.loads(line) for line in text.splitlines()]
    except ValueError:
        return [f"the journal has a line that is none: {text!r}"]
    stack = journal.succession(lines, ENVIRONMENT, place.current())
    if stack[-1:] != [digest] or len(set(stack)) != len(stack):
        return [f"the journal's succession is {stack}"]
    done = [line for line in lines if line["op"] in ("switch", "rollback", "remove") and line["result"] == "ok"]
    if not done or done[-1]["digest"] != digest:
        return [f"the journal does not end with what is current: {done[-1:]}"]
    return []


def leftovers(base: Path) -> list[str]:
    """What no finished command leaves: parts of files, new links, temporary files, releases that are not complete."""
    left = [path for path in base.rglob("*") if path.name.endswith((".part", ".new"))]
    left += [path for path in (base / "tmp").glob("*") if path.name != "programs"]
    left += [path for path in base.glob("envs/*/releases/*") if not (path / "complete").exists()]
    left += [path for path in base.glob("envs/*") if not (path / "current").exists()]
    return sorted(str(path.relative_to(base)) for path in left)
