"""gevent's build changes the working directory while it compiles."""

from builder import package_build

package_build.build_package(
    env={"DIST_EXTRA_CONFIG": "/dev/null"},
    native=["gevent/libev/*.so", "gevent/resolver/cares*.so", "gevent/_gevent_c_greenlet_primitives*.so"],
    reason="""
    c-ares is configured in a directory of its own, where extensions compiled beside it do not find their files:
    they are compiled one after the other.
    """,
)
