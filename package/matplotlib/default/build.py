"""matplotlib draws text with FreeType and triangulates with Qhull, both of which go in statically."""

from builder import package_build

package_build.build_package(
    libraries=["freetype", "qhull"],
    config_settings={"setup-args": "-Dsystem-freetype=true -Dsystem-qhull=true"},
    native=["matplotlib/ft2font.*.so", "matplotlib/_qhull.*.so", "matplotlib/backends/_backend_agg.*.so"],
    checks=[
        {
            "kind": "program",
            "name": "matplotlib draws",
            "timeout": 300,
            "source": (
                "import io, matplotlib\n"
                "matplotlib.use('agg')\n"
                "from matplotlib import pyplot\n"
                "figure, axes = pyplot.subplots()\n"
                "axes.plot([1, 2, 3], [4, 5, 4])\n"
                "axes.tricontourf([0, 1, 0, 1], [0, 0, 1, 1], [1, 2, 3, 4])\n"
                "axes.set_title('plate 1')\n"
                "file = io.BytesIO()\n"
                "figure.savefig(file)\n"
                "assert file.getvalue().startswith(b'\\x89PNG')\n"
            ),
        }
    ],
    reason="""
    Left alone, its build downloads the sources of FreeType and Qhull while it runs, and nobody can say beforehand what
    it will get. Here both are libraries whose versions are known, and they become part of the wheel.
    """,
)
