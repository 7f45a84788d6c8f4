"""PyNaCl is written around libsodium, which goes in statically."""

from builder import package_build

package_build.build_package(
    libraries=["libsodium"],
    env={"SODIUM_INSTALL": "system"},
    native=["nacl/_sodium*.so"],
    checks=[
        {
            "kind": "program",
            "name": "pynacl signs",
            "timeout": 60,
            "source": (
                "from nacl.signing import SigningKey\n"
                "key = SigningKey.generate()\n"
                "assert key.verify_key.verify(key.sign(b'plate 1')) == b'plate 1'\n"
            ),
        }
    ],
    reason="Its own libsodium is built with `make check`, which runs programs of the target.",
)
