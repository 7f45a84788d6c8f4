"""rapidfuzz turns pure, without a word, where it finds no CMake."""

from builder import package_build

package_build.build_package(
    build_dependencies=["cmake>=3.15", "ninja"],
    env={"RAPIDFUZZ_BUILD_EXTENSION": "1"},
    native=["rapidfuzz/*.so"],
    reason="It does not ask for CMake among its build requirements, and on any failure goes on without machine code.",
)
