"""opencv-python-headless: OpenCV is built by CMake from sources that it downloads in part."""

from builder import package_build

package_build.refuse_package(
    reason="OpenCV's build downloads parts of itself while it runs, and no index has a wheel for 32-bit ARM.",
    instead="pillow, with numpy for what it does not do; or send the images to your computer.",
)
