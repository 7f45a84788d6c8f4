"""MarkupSafe leaves its extension out, without a word, when it does not compile."""

from builder import package_build

package_build.build_package(
    native=["markupsafe/_speedups*.so"],
    reason="On a compile error the build ends well with a pure wheel.",
)
