"""The points at which something is killed: recorded from a run of each operation, then run one by one and judged."""

from __future__ import annotations

import itertools
import json
import re
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from chaos_host import Command, Ended
from chaos_place import ENVIRONMENT, SHARED, Place
from chaos_shell import watched_shell

from ot2deploy.agent import journal

# Every word of a path that is another one in the next run.
CHANGING = re.compile(
    r"[0-9a-f]{64}|(?<=[-.])[0-9a-z_]{8}(?=/|$|\.tmp)|(?<=[A-Z])[0-9a-z_]{8}\.tmp|\d{8}T\d{6}Z-[0-9a-f]{4}"
)


# What stands beside a file while that is written: a cut may leave it, the same command again takes it away.
UNFINISHED = (".part", ".ot2deploy")


class Broken(Protocol):
    """A robot that had a fault, and a host beside it."""

    outside: dict[str, str]

    def done(self, command: Command, *, host: str) -> Ended: ...
    def current(self, environment: str) -> str | None: ...
    def imported(self, environment: str) -> int | None: ...
    def tree(self) -> dict[str, str]: ...
    def text(self, path: str) -> str: ...
    def names(self) -> list[str]: ...
    def releases(self) -> list[str]: ...
    def wait_until_free(self) -> float: ...


@dataclass(frozen=True, kw_only=True)
class Operation:
    """A command, the state it begins in, and what may be importable after it was cut off anywhere (None: nothing).

    `again` is what has to end well then, the last of it a push; none is a plain push of release 2. With `fresh` only
    those of its effects are points that no operation before it has.
    """

    command: Command
    start: str
    may_be: frozenset[int | None]
    environment: str = ENVIRONMENT
    again: tuple[Command, ...] = ()
    fresh: bool = False


@dataclass(frozen=True, kw_only=True)
class Left:
    """What an undisturbed run leaves: the robot outside the base directory before it, after it and after `again`, and
    the releases in the end, where `again` begins with the same command (a push does not end a removal)."""

    before: dict[str, str]
    after: dict[str, str]
    end: dict[str, str]
    releases: list[str] | None


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
    left: Left = field(repr=False, compare=False)

    @property
    def name(self) -> str:
        """A name that stays, as long as the effects stay."""
        return f"{self.operation}/{self.effect.role}/{self.effect.number}/{self.when}/{self.how}"

    @property
    def kind(self) -> str:
        """The class it is counted in."""
        victim = {"host": "ot2deploy", "agent": "the agent", "shell": "the robot's shell"}.get(
            self.effect.role, f"the agent's {self.effect.role}"
        )
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
    bundle, share = str(place.bundle(2)), Command(words=("push", str(place.wheel(2)), "--shared"))
    pushed: frozenset[int | None] = frozenset({1, 2})
    gone: frozenset[int | None] = frozenset({2, None})
    stays: frozenset[int | None] = frozenset({2})
    plain = Command(words=("push", bundle))
    tree, pip = (Command(words=(*plain.words, "--install-method", method)) for method in ("tree", "pip"))
    kernel = Command(words=(*plain.words, "--kernel"))
    failing = Command(words=("push", str(place.bundle(3))), status=4)
    clean = Command(words=("robot", "clean", "r1", "--keep", "2"))
    enroll = Command(words=("robot", "enroll", "--key", str(place.key)))
    purge = Command(words=("robot", "purge", "r1", "--yes"))
    return {
        "push, tree": Operation(command=tree, start="first", may_be=pushed),
        "push, pip": Operation(command=pip, start="first", may_be=pushed),
        "first push": Operation(command=tree, start="nothing", may_be=gone, fresh=True),
        "rollback": Operation(command=Command(words=("rollback", ENVIRONMENT)), start="second", may_be=pushed),
        "remove": Operation(command=Command(words=("remove", ENVIRONMENT)), start="second", may_be=gone),
        "purge": Operation(command=purge, start="second", may_be=gone),
        "push of what fails its live check": Operation(
            command=failing, start="one taken back", may_be=frozenset({2, 3}), again=(failing, plain)
        ),
        "kernel": Operation(command=kernel, start="second", may_be=stays, again=(kernel,)),
        "shared push": Operation(
            command=share, start="shared first again", may_be=pushed, environment=SHARED, again=(share,)
        ),
        "first shared push": Operation(
            command=share, start="nothing", may_be=gone, environment=SHARED, again=(share,), fresh=True
        ),
        "remove of what is shared": Operation(
            command=Command(words=("remove", SHARED)), start="shared second", may_be=gone, environment=SHARED,
            again=(share,),
        ),
        "purge of everything": Operation(
            command=purge, start="everything", may_be=gone, environment=SHARED, again=(purge, share), fresh=True
        ),
        "clean": Operation(command=clean, start="three releases", may_be=stays, again=(clean, plain)),
        "enroll --key": Operation(command=enroll, start="second", may_be=stays, again=(enroll, plain)),
    }  # fmt: skip


def record(place: Place, operation: str) -> tuple[list[Effect], Left]:
    """The effects of an operation that nobody disturbs, and what it leaves."""
    what = operations(place)[operation]
    place.set_back(what.start)
    before = place.tree()
    (place.chaos / "record").touch()
    with watched_shell(place):
        place.done(what.command, record=True)
    found = []
    for file in (place.chaos / "effects", place.directory / "host" / "chaos" / "effects"):
        for line in file.read_text().splitlines() if file.exists() else ():
            role, number, kind, where, happened = json.loads(line)
            if not happened:  # a directory that was there, a file that was not: nothing changed
                continue
            where = where.replace(f"{place.base}/", "").replace(f"{place.directory}/", "")
            found.append(Effect(role=role, number=number, kind=kind, where=where))
    (place.chaos / "record").unlink()
    after = place.tree()
    for command in what.again or (Command(words=("push", str(place.bundle(2)))),):
        place.done(command)
    releases = place.releases() if what.again[:1] == (what.command,) else None
    return found, Left(before=before, after=after, end=place.tree(), releases=releases)


def effects_of(place: Place, operation: str) -> list[Effect]:
    """The effects of an operation that nobody disturbs."""
    return record(place, operation)[0]


def all_points(place: Place) -> list[Point]:
    """The points of every operation. What a first push does as any other push does it, is not done twice."""
    points: list[Point] = []
    known: set[tuple[str, str, str]] = set()
    for operation, what in operations(place).items():
        effects, left = record(place, operation)
        fresh = [effect for effect in effects if not what.fresh or effect.what not in known]
        known |= {effect.what for effect in effects}
        points += points_of(operation, fresh, left)
    return points


def points_of(operation: str, effects: Sequence[Effect], left: Left) -> Iterator[Point]:
    """The points of an operation: before and after each effect; of equal ones in a row the first, middle and last."""
    for role in ("agent", "pip", "compile", "shell", "host"):
        similar = _in_a_tree if operation.startswith(("remove", "purge", "clean")) else _the_same
        chosen = list(_thinned([effect for effect in effects if effect.role == role], similar))
        for place, effect in enumerate(chosen):
            for when in ("before", "after"):
                how = "process" if role in ("agent", "shell", "host") or when == "after" else "agent"
                yield Point(operation=operation, effect=effect, when=when, how=how, left=left)
            if role == "agent" and (effect.kind in ("replace", "answer", "start") or place % 6 == 0):
                yield Point(operation=operation, effect=effect, when="after", how="robot", left=left)


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
    words = what.command.words
    place.set_back(what.start)
    trap = {"role": point.effect.role, "number": point.effect.number, "when": point.when, "how": point.how}
    if point.effect.role == "host":
        cut = place.start(*words, armed=trap).wait()
        fired = cut.status == -9
    else:
        place.arm(**trap)
        with watched_shell(place):
            cut = place.start(*words).wait(meanwhile=place.restart_when_dead)
        fired = not place.armed
    place.restart_when_dead()
    if not fired:
        return Verdict(wrong=(f"the point was not reached: {cut.words}",), seconds=time.monotonic() - begun)
    host = "other" if point.effect.number % 2 else "host"
    method = words[2:] if words[-1] in ("tree", "pip") and point.effect.number % 4 < 2 else ()
    again = what.again or (Command(words=("push", str(place.bundle(2)), *method)),)
    wrong, waited = judge(place, what.may_be, again, host=host, environment=what.environment, left=point.left)
    if cut.status == 0 and point.effect.role == "host":
        wrong.append("a killed command ended with 0")
    return Verdict(wrong=tuple(wrong), seconds=time.monotonic() - begun, waited=waited, status=cut.status)


def judge(
    place: Broken,
    may_be: frozenset[int | None],
    again: Sequence[Command],
    *,
    host: str = "host",
    environment: str = ENVIRONMENT,
    left: Left | None = None,
) -> tuple[list[str], float]:
    """What is wrong after a fault, and how long the robot stayed locked.

    Looked at: what is current imports, nothing changed outside the base directory but what was to (`left`), the
    commands `again` end as they should, the last one, a push, with a verified release, the journal fits, nothing is
    left over.
    """
    wrong: list[str] = []
    try:
        if None not in may_be:  # something is current at any instant, also while the agent still runs
            wrong += _importable(place, may_be, environment)
        waited = place.wait_until_free()
        wrong += _importable(place, may_be, environment)
        wrong += _outside(place, (left.before, left.after) if left else (place.outside,), UNFINISHED if left else ())
        for command in again:
            done = place.done(command, host=host)
    except AssertionError as error:
        return [*wrong, str(error)], 0.0
    wrong += _outside(place, (left.end if left else place.outside,))
    if left and left.releases is not None and place.releases() != left.releases:
        wrong.append(f"the releases are {place.releases()}, not {left.releases}")
    return [*wrong, *_converged(place, done, environment)], waited


def _importable(place: Broken, may_be: frozenset[int | None], environment: str) -> list[str]:
    value = place.imported(environment)
    return [] if value in may_be else [f"current imports {value}, which is none of {set(may_be)}"]


def _outside(place: Broken, allowed: Sequence[dict[str, str]], unfinished: tuple[str, ...] = ()) -> list[str]:
    """Whether each path outside the base directory is as in one of the trees."""
    now = place.tree()
    changed = sorted(
        path
        for path in set(now).union(*allowed)
        if now.get(path) not in {tree.get(path) for tree in allowed} and not (unfinished and path.endswith(unfinished))
    )
    return [f"changed outside the base directory: {', '.join(changed[:5])}"] if changed else []


def _converged(place: Broken, again: Ended, environment: str) -> list[str]:
    (row,) = again.document["result"]["robots"]
    digest, wrong = row["plan"]["digest"], []
    if place.current(environment) != digest or place.imported(environment) != 2:
        wrong.append(f"after the next push {place.current(environment)} is current, not {digest}")
    verified = place.text(f"envs/{environment}/releases/{digest}/verified.json")
    if not verified or not json.loads(verified)["checks"]:
        wrong.append("what is current is not verified")
    wrong += _history(place, digest, environment)
    left = leftovers(place.names())
    return [*wrong, f"left over: {', '.join(left[:5])}"] if left else wrong


def _history(place: Broken, digest: str, environment: str) -> list[str]:
    text = place.text("journal")
    try:
        lines = [json.loads(line) for line in text.splitlines()]
    except ValueError:
        return [f"the journal has a line that is none: {text!r}"]
    stack = journal.succession(lines, environment, place.current(environment))
    if stack[-1:] != [digest] or len(set(stack)) != len(stack):
        return [f"the journal's succession is {stack}"]
    done = [line for line in lines if line["op"] in ("switch", "rollback", "remove") and line["result"] == "ok"]
    if not done or done[-1]["digest"] != digest:
        return [f"the journal does not end with what is current: {done[-1:]}"]
    return []


def leftovers(names: Collection[str]) -> list[str]:
    """What no finished command leaves, of all paths below the base directory: parts of files, new links, temporary
    files, releases that are not complete, environments of which none is current."""
    left = [name for name in names if name.endswith((".part", ".new"))]
    left += [name for name in names if re.fullmatch("tmp/[^/]*", name) and name != "tmp/programs"]
    releases = [name for name in names if re.fullmatch("envs/[^/]*/releases/[^/]*", name)]
    left += [name for name in releases if f"{name}/complete" not in names]
    left += [name for name in names if re.fullmatch("envs/[^/]*", name) and f"{name}/current" not in names]
    return sorted(left)
