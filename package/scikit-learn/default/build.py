"""scikit-learn needs scipy."""

from builder import package_build

package_build.refuse_package(
    reason="It is of no use without scipy, which cannot be had for robots.",
    instead="numpy: train on your computer, send the coefficients, and evaluate them with numpy on the robot.",
)
