"""pandas compiles against numpy's C headers, which must be the robot's."""

from builder import package_build

package_build.build_package(
    headers_of=["numpy"],
    native=["pandas/_libs/*.so"],
    reason="The host's numpy says that a C long has 8 bytes; on the robot it has 4.",
)
