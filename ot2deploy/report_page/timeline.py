"""The timeline of a run: a row of bars for each robot, one bar for each stage, as SVG that fits any width."""

from __future__ import annotations

from dataclasses import dataclass
from xml.etree.ElementTree import Element

from ot2deploy.cli import units
from ot2deploy.report_page.elements import element
from ot2deploy.report_page.run import RobotRun, Run
from ot2deploy.rollout.clock import STAGES

STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 43200, 86400)
TICKS = 5  # at most so many on the axis, so that their texts have room on a telephone
HEIGHT = 22
LEAST = 0.3  # percent of the width that a bar has at least: what took a moment is to be seen, too


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Moments as percentages of the width. `began` is in seconds since the epoch, `length` in seconds."""

    began: float
    length: float

    def at(self, moment: float) -> float:
        """Where a moment lies, 0 to 100."""
        return 100 * min(1.0, max(0.0, (moment - self.began) / self.length))

    @property
    def ticks(self) -> tuple[float, ...]:
        """Round numbers of seconds from 0, at most `TICKS` of them."""
        step = next((step for step in STEPS if self.length / step < TICKS), self.length / (TICKS - 1))
        return tuple(step * number for number in range(int(self.length / step) + 1))


def timeline(run: Run) -> Element | None:
    """The section's table; None where the run recorded no times of stages."""
    spans = [span for robot in run.robots for span in robot.spans]
    if not spans:
        return None
    began = min(span.began for span in spans)
    scale = Scale(began=began, length=max(0.1, max(span.ended for span in spans) - began))
    waves = _waves(run, scale)
    return element(
        "div",
        _legend(run, bool(waves)),
        element(
            "table",
            element("caption", "When each stage of each robot began and how long it took", class_="unseen"),
            element(
                "thead",
                element(
                    "tr",
                    element("th", "Robot", scope="col"), element("th", _axis(scale, waves), scope="col", class_="bars"),
                    element("th", "Outcome", scope="col"),
                ),
            ),
            element("tbody", *(_row(robot, scale, waves) for robot in run.robots)),
            class_="timeline",
        ),
    )  # fmt: skip


def stages(run: Run) -> tuple[str, ...]:
    """The stages that any robot went through, in their usual order."""
    seen = {span.stage for robot in run.robots for span in robot.spans} | {s for r in run.robots for s in r.seconds}
    return (*(stage for stage in STAGES if stage in seen), *sorted(seen - set(STAGES)))


def _waves(run: Run, scale: Scale) -> tuple[tuple[str, float], ...]:
    """Name and place of each wave: where the first of its robots was switched."""
    found = []
    for number, names in enumerate(run.waves, 1):
        began = [s.began for r in run.robots if r.robot in names for s in r.spans if s.stage == "switch"]
        if began:
            found.append((f"wave {number}", scale.at(min(began))))
    return tuple(found)


def _row(robot: RobotRun, scale: Scale, waves: tuple[tuple[str, float], ...]) -> Element:
    bars = [
        _bar(span.stage, scale.at(span.began), scale.at(span.ended), span.ended - span.began) for span in robot.spans
    ]
    said = ", ".join(f"{span.stage} {units.seconds(span.ended - span.began)}" for span in robot.spans)
    marks = [_mark(place) for _, place in waves]
    drawn = element(
        "svg", *bars, *marks, role="img", aria_label=f"{robot.robot}: {said or 'no stage'}", width="100%",
        height=str(HEIGHT),
    )  # fmt: skip
    return element(
        "tr",
        element("th", robot.robot, scope="row"),
        element("td", drawn, class_="bars"),
        element("td", element("span", robot.outcome, class_=f"word {robot.tone}")),
    )


def _bar(stage: str, began: float, ended: float, seconds: float) -> Element:
    width = max(LEAST, ended - began)
    began = min(began, 100 - width)
    return element(
        "rect", element("title", f"{stage}: {units.seconds(seconds)}"), x=f"{began:.3f}%", y="3", width=f"{width:.3f}%",
        height=str(HEIGHT - 6), class_=f"bar {_kind(stage)}",
    )  # fmt: skip


def _mark(place: float) -> Element:
    return element("line", x1=f"{place:.3f}%", x2=f"{place:.3f}%", y1="0", y2=str(HEIGHT), class_="wave")


def _axis(scale: Scale, waves: tuple[tuple[str, float], ...]) -> Element:
    drawn: list[Element] = []
    for seconds in scale.ticks:
        place = scale.at(scale.began + seconds)
        anchor = "start" if place < 6 else "end" if place > 94 else "middle"
        drawn.append(element("line", x1=f"{place:.3f}%", x2=f"{place:.3f}%", y1="16", y2="22", class_="tick"))
        drawn.append(element("text", _tick(seconds), x=f"{place:.3f}%", y="12", text_anchor=anchor))
    named = "".join(f"; {name} at {units.seconds(scale.length * place / 100)}" for name, place in waves)
    label = f"time from 0 to {units.seconds(scale.length)}{named}"
    return element("svg", *drawn, role="img", aria_label=label, width="100%", height=str(HEIGHT), class_="axis")


def _tick(seconds: float) -> str:
    if seconds >= 7200:
        return f"{seconds / 3600:g} h"
    return f"{seconds / 60:g} min" if seconds >= 120 else f"{seconds:g} s"


def _legend(run: Run, waves: bool) -> Element:
    seen = {span.stage for robot in run.robots for span in robot.spans}
    items = [
        element("li", element("svg", element("rect", width="12", height="12", class_=f"bar {_kind(stage)}"),
                              width="12", height="12", aria_hidden="true"), f" {stage}")
        for stage in stages(run) if stage in seen
    ]  # fmt: skip
    if waves:
        line = element("line", x1="6", x2="6", y1="0", y2="12", class_="wave")
        items.append(
            element(
                "li", element("svg", line, width="12", height="12", aria_hidden="true"), " next robots are switched"
            )
        )
    return element("ul", *items, class_="legend")


def _kind(stage: str) -> str:
    """The class that a stage's colour hangs on."""
    return f"stage-{stage}" if stage in STAGES else "stage-other"
