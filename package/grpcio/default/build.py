"""grpcio: its wheels that call themselves linux_armv7l need a newer system than they say."""

from builder import package_build

package_build.refuse_package(
    reason="""
    No published wheel loads with glibc 2.25 (1.42 to 1.85 were read: they need glibc 2.29 to 2.34 and GLIBCXX 3.4.29),
    and building it was not tried. Robots with software 9 get the published wheel.
    """,
    instead="grpclib, which speaks gRPC in pure Python (with protobuf's messages).",
)
