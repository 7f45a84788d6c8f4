"""ijson's fast parser is written around yajl, which goes in statically."""

from builder import package_build

package_build.build_package(
    libraries=["yajl"],
    native=["ijson/backends/_yajl2*.so"],
    reason="Without yajl the build ends well and leaves the C parser out.",
)
