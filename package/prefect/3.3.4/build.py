"""Prefect is pure Python; the constraints under which it works on a robot are those of environments/prefect."""

from builder import package_build

package_build.build_package(
    native=[],
    reason="Its version comes from git in a checkout and from PKG-INFO in the sdist; nothing is compiled.",
)
