"""cryptography is Rust around OpenSSL, which goes in statically: robots have 1.1.1 or 3, wheels cannot know which."""

from builder import package_build

package_build.build_package(
    libraries=["openssl"],
    native=["cryptography/hazmat/bindings/_rust*.so"],
    reason="""
    Only built when a published wheel cannot be used or repaired. Security updates of OpenSSL come by building again:
    raise the revision.
    """,
)
