"""cffi calls C functions through libffi, which OT-2 robots do not have in a usable version: it goes in statically."""

from builder import package_build

package_build.build_package(
    libraries=["libffi"],
    native=["_cffi_backend*.so"],
    reason="Without libffi's header the extension does not compile; a shared libffi is not on every robot.",
)
