"""PyNaCl builds the libsodium that it brings along, and then runs that library's tests, which are the target's."""

from builder import package_build

package_build.build_package(
    env={"LIBSODIUM_MAKE_ARGS": "TESTS= check_PROGRAMS="},
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
    reason="`make check` is part of its build; a library of the distribution would be too old.",
)
