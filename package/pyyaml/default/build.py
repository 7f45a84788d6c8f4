"""PyYAML's fast loader is written around libyaml, which goes in statically."""

from builder import package_build

package_build.build_package(
    libraries=["libyaml"],
    native=["yaml/_yaml*.so"],
    reason="Without libyaml the build ends well and leaves the C loader out, under a platform tag all the same.",
)
