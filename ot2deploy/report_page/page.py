"""The page of a run: its head, the fleet as a matrix, the timeline, failures, and the figures of each robot."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from importlib import resources
from xml.etree.ElementTree import Element

from ot2deploy import __version__, runs
from ot2deploy.cli import units
from ot2deploy.report_page.elements import element, written
from ot2deploy.report_page.run import ORDER, Check, RobotRun, Run
from ot2deploy.report_page.timeline import stages, timeline
from ot2deploy.runs.last_known import LastKnown

GENERATOR = "ot2deploy report"  # by which a page is known as ours
FIGURES = ("Profile", "Method", "Sent", "Bytes", "Reused", "Checks")
STATES = {
    runs.GOING_ON: "It is still going on: this is how far it was when the page was made.",
    runs.INTERRUPTED: "Somebody stopped it before it had ended.",
    runs.CUT_OFF: "Its record has no end: ot2deploy was killed, or its computer went off.",
}
SHORT = 12  # digits of a release's digest that people compare


def page(run: Run, known: LastKnown, made: str) -> bytes:
    """The whole document, UTF-8, that needs nothing else. `known` is what robots have beside what the run is about."""
    style = resources.files("ot2deploy.report_page").joinpath("page.css").read_text(encoding="utf-8")
    title = f"{run.command} {run.target or run.environment}".strip()
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_policy(style)),
        element("meta", name="generator", content=GENERATOR),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="referrer", content="no-referrer"),
        element("title", f"{title}: {_verdict(run)}"),
        _style(style),
    )
    parts = [*_matrix(run, known), *_timeline(run), *_failures(run), *_figures(run)]
    body = element(
        "body",
        element("main", *_top(run, title), _contents(parts), *parts),
        element("footer", element("p", f"Made by ot2deploy {__version__}, {_moment(made)}, from the run's record.")),
    )  # fmt: skip
    return written(element("html", head, body, lang="en"))


def _policy(style: str) -> str:
    """Nothing is loaded and nothing runs: no script, no picture, no frame, and of styles only ours."""
    known = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{known}'; base-uri 'none'; form-action 'none'"


def _style(text: str) -> Element:
    made = Element("style")  # its text is not escaped, so it is nobody's but ours
    made.text = text
    return made


def _verdict(run: Run) -> str:
    bad = sum(robot.tone == "bad" for robot in run.robots)
    good = sum(robot.tone == "good" for robot in run.robots)
    total = units.count(len(run.robots), "robot")
    if good == len(run.robots):
        return f"{total} as wanted"
    return f"{good} of {total} as wanted" + (f", {bad} failed" if bad else "")


def _top(run: Run, title: str) -> Iterator[Element]:
    yield element("h1", title[:1].upper() + title[1:])
    yield element("p", _verdict(run) + ".")
    counts = Counter((robot.outcome, robot.tone) for robot in run.robots)
    items = sorted(counts.items(), key=lambda item: (_order(item[0][0]), item[0]))
    if items:
        words = (element("span", f"{count} {outcome}", class_=f"word {tone}") for (outcome, tone), count in items)
        yield element("ul", *(element("li", word) for word in words), class_="counts")
    for told in _stops(run):
        yield element("p", told)
    facts = (
        ("Environment", run.environment), ("By", run.who), ("Began", _moment(run.began)), ("Ended", _moment(run.ended)),
        ("Took", _took(run)), ("Run", run.run),
    )  # fmt: skip
    shown = [part for name, value in facts if value for part in (element("dt", name), element("dd", value))]
    yield element("dl", *shown, class_="facts")


def _contents(parts: Sequence[Element]) -> Element | None:
    """Links to the sections; a page about a hundred robots is long."""
    heads = [part for part in parts if part.tag == "h2"]
    links = (element("li", element("a", head.text, href=f"#{head.get('id')}")) for head in heads)
    return element("nav", element("ul", *links), aria_label="On this page") if heads else None


def _stops(run: Run) -> Iterator[str]:
    if run.state in STATES:
        yield STATES[run.state]
    if run.stopped:
        yield f"It stopped before all robots had their turn: {run.stopped}."


def _order(outcome: str) -> int:
    return ORDER.index(outcome) if outcome in ORDER else len(ORDER)


def _matrix(run: Run, known: LastKnown) -> Iterator[Element]:
    """Robots by environments: what the run left of its own, what was last known of the others."""
    other: dict[tuple[str, str], Sequence[str]] = {
        (one.robot, one.environment): sorted(one.releases) for one in known.robots
    }
    names = list(dict.fromkeys([*(robot.robot for robot in run.robots), *sorted(one.robot for one in known.robots)]))
    columns = sorted({environment for _, environment in other} - {run.environment})
    columns = [*filter(None, [run.environment]), *columns]
    if not names or not columns:
        return
    of_run = {robot.robot: robot for robot in run.robots}
    rows = []
    for name in names:
        cells = []
        for column in columns:
            robot = of_run.get(name) if column == run.environment else None
            cells.append(_result(robot) if robot else _known(other.get((name, column), ())))
        rows.append(element("tr", element("th", name, scope="row"), *cells))
    heads = (element("th", column, scope="col") for column in columns)
    yield element("h2", "The fleet", id="fleet")
    yield _wide(
        "The fleet",
        element(
            "table",
            element("caption", "Which release of which environment each robot has", class_="unseen"),
            element("thead", element("tr", element("th", "Robot", scope="col"), *heads)),
            element("tbody", *rows),
            class_="matrix",
        ),
    )
    if len(columns) > 1 or len(names) > len(run.robots):
        text = "Last known: what this computer's records say of what the run was not about."
        yield element("p", text, class_="dim")


def _result(robot: RobotRun) -> Element:
    now = " or ".join(release[:SHORT] for release in robot.has)
    still = "still " if robot.tone != "good" and robot.wanted else ""
    said = element("span", still, element("code", now)) if now else element("span", "no release", class_="dim")
    why = robot.note or (robot.trouble.what if robot.trouble else "")
    note = element("span", why, class_="note") if why else None
    return element(
        "td", element("span", robot.outcome, class_=f"word {robot.tone}"), element("span", said, class_="release"), note
    )


def _known(releases: Sequence[str]) -> Element:
    if not releases:
        return element("td", element("span", "none known", class_="dim"))
    now = " or ".join(release[:SHORT] for release in releases)
    return element(
        "td",
        element("span", "last known", class_="word known"),
        element("span", element("code", now), class_="release"),
    )


def _timeline(run: Run) -> Iterator[Element]:
    drawn = timeline(run)
    if drawn is not None:
        yield element("h2", "Timeline", id="timeline")
        yield drawn


def _failures(run: Run) -> Iterator[Element]:
    troubled = [robot for robot in run.robots if robot.trouble or any(not check.ok for check in robot.checks)]
    if not troubled:
        return
    yield element("h2", "Failures", id="failures")
    for robot in troubled:
        yield element("section", *_trouble(robot), class_=f"failure {robot.tone}", aria_label=f"{robot.robot} failed")


def _trouble(robot: RobotRun) -> Iterator[Element]:
    trouble = robot.trouble
    yield element("h3", f"{robot.robot}: {trouble.what if trouble else robot.outcome}")
    if trouble and trouble.why:
        yield element("p", trouble.why)
    # The output of checks follows whole; of a check that failed, the details are a part of that.
    if trouble and trouble.details and all(check.ok for check in robot.checks):
        details = "\n".join(line.removeprefix("| ") for line in trouble.details)
        yield _output(f"Details of {robot.robot}", details)
    if trouble and trouble.next:
        yield element("p", element("strong", "Next: "), trouble.next)
    for check in robot.checks:
        if not check.ok:
            yield from _check(robot, check)


def _check(robot: RobotRun, check: Check) -> Iterator[Element]:
    yield element("p", element("strong", f"Check {check.name}: "), check.why or "failed")
    if check.output.strip():
        yield _output(f"Output of {check.name} on {robot.robot}", check.output)


def _output(label: str, text: str) -> Element:
    # A box that scrolls must be reachable by the keyboard.
    return element("pre", text.rstrip(), tabindex="0", role="region", aria_label=label)


def _figures(run: Run) -> Iterator[Element]:
    """What was sent and checked, the seconds of each stage, and why; columns in which nothing stands are left out."""
    passed = [stage for stage in stages(run) if any(stage in robot.seconds for robot in run.robots)]
    columns = (*FIGURES, *passed, "Because")
    rows = {robot.robot: (*_row(robot), *_seconds(robot, passed), robot.because) for robot in run.robots}
    used = [at for at in range(len(columns)) if any(row[at] for row in rows.values())]
    if not used:
        return
    kinds = ["number" if 2 <= at < len(columns) - 1 else "text" for at in range(len(columns))]
    heads = (element("th", columns[at], scope="col", class_=kinds[at]) for at in used)
    lines = (
        element("tr", element("th", name, scope="row"), *(element("td", row[at], class_=kinds[at]) for at in used))
        for name, row in rows.items()
    )
    caption = element("caption", "What was done to each robot, and for how long", class_="unseen")
    head = element("thead", element("tr", element("th", "Robot", scope="col"), *heads))
    yield element("h2", "Figures", id="figures")
    yield _wide("Figures", element("table", caption, head, element("tbody", *lines), class_="figures"))


def _seconds(robot: RobotRun, stages: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"{robot.seconds[stage]:.1f} s" if stage in robot.seconds else "" for stage in stages)


def _row(robot: RobotRun) -> tuple[str, ...]:
    passed = f"{sum(check.ok for check in robot.checks)} of {len(robot.checks)}" if robot.checks else ""
    if not robot.method:
        return robot.profile, "", "", "", "", passed
    return robot.profile, robot.method, str(robot.sent), units.size(robot.bytes_sent), str(robot.reused), passed


def _wide(label: str, table: Element) -> Element:
    """A table that may be wider than the window: it scrolls by itself, also by the keyboard."""
    return element("div", table, class_="wide", tabindex="0", role="region", aria_label=label)


def _moment(at: str) -> str:
    """A record's time as people write it."""
    try:
        return f"{datetime.fromisoformat(at):%Y-%m-%d %H:%M:%S} UTC"
    except ValueError:
        return at


def _took(run: Run) -> str:
    try:
        passed = datetime.fromisoformat(run.ended) - datetime.fromisoformat(run.began)
        return units.seconds(max(0.0, passed.total_seconds()))
    except (ValueError, TypeError):
        return ""
