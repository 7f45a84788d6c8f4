"""pyzmq since 26 downloads libzmq while it is built."""

from builder import package_build

package_build.refuse_package(
    reason="Its build downloads libzmq and libsodium while it runs, and no index has a wheel for 32-bit ARM.",
    instead="pyzmq==25.1.2, whose sdist brings libzmq along.",
)
