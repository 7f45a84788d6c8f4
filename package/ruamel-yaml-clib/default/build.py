"""ruamel.yaml.clib is the C half of ruamel.yaml, and of no use without the other."""

from builder import package_build

package_build.build_package(
    native=["_ruamel_yaml*.so"],
    reason="Nothing is special about its build: what is known of its import stands beside this file.",
)
