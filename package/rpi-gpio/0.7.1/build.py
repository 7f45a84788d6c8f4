"""RPi.GPIO 0.7.1 defines functions inside functions, an extension of C that only gcc has."""

from builder import package_build

package_build.build_package(
    patches=["nested-functions.patch"],
    native=["RPi/_GPIO*.so"],
    reason="clang refuses nested functions. The patch makes them static functions that are given what they use.",
)
