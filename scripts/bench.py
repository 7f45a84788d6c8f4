"""Speed and memory, as ratios against a reference measured in the same run on the same machine.

Every figure is a command as a user types it, or the same work done by bare tools. Nothing here is a test: a machine
under load makes other numbers, but hardly other ratios.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from bench_builds import Builds
from bench_fleet import MANY, FleetFigures
from bench_index import Serving
from bench_robots import Robots
from benching import replace_section, section

PARTS = ("robots", "builds", "index", "fleet")


def main() -> None:
    """Measures, prints, writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="what to measure; without it, everything")
    parser.add_argument("--kind", default="arm", choices=("arm", "amd64", "embedded"), help="the robot's kind")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-write", action="store_true", help="leave docs/benchmarks.md as it is")
    asked = parser.parse_args()
    for part in asked.parts or PARTS:
        directory = Path(tempfile.mkdtemp(prefix="ot2deploy-bench-"))
        try:
            if part == "robots":
                robots = Robots(asked.kind, asked.rounds, directory)
                robots.measure()
                text = section("The main job", f"one simulated robot ({asked.kind})", robots.figures)
            elif part == "index":
                serving = Serving(directory)
                serving.measure()
                text = section(
                    "The index", "1,004 wheels served; client: http.client on one connection", serving.figures
                )
            elif part == "fleet":
                fleet = FleetFigures(directory)
                fleet.measure()
                text = section("The fleet", f"{MANY} embedded robots on this machine", fleet.figures)
            else:
                builds = Builds(directory)
                builds.measure()
                text = section("The build engine", "wheels for debian-12-armhf", builds.figures)
        finally:
            shutil.rmtree(directory, ignore_errors=True)
        print("\n" + text)
        if not asked.no_write:
            replace_section(text)


if __name__ == "__main__":
    main()
