"""zstandard brings zstd's sources along, and needs nothing else."""

from builder import package_build

package_build.build_package(
    native=["zstandard/backend_c*.so"],
    reason="Without its compiled back end it would fall back to cffi, which it asks for nowhere but on PyPy.",
)
