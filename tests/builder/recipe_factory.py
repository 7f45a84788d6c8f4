"""Recipes as they stand elsewhere, for tests that load them."""

# The very text of Opentrons' own recipe for pandas 1.5.0.
PANDAS = """\
from builder import package_build

package_build.build_package(
    source=package_build.github_source(
        org='pandas-dev',
        repo='pandas',
        tag='v1.5.0'
    ),
    setup_py_commands=[
        'build_ext',
        'bdist_wheel'
    ],
    build_dependencies=[
        'numpy',
        'Cython'
    ]
)
"""
