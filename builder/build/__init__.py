"""Wheels for a profile from source: PEP 517 back ends run on the host with the target's compiler, headers and answers.

build_wheel(request, uv=uv, out=directory, report=report, options=BuildOptions()) -> Built
"""

from builder.build.durations import expected_seconds
from builder.build.pipeline import BuildOptions, build_wheel
from builder.build.request import BuildRequest, Built, Source, Uv

__all__ = ["BuildOptions", "BuildRequest", "Built", "Source", "Uv", "build_wheel", "expected_seconds"]
