from builder import package_build

package_build.build_package(
    source=package_build.github_source(org="pandas-dev", repo="pandas", tag="v1.5.0"),
    setup_py_commands=["build_ext", "bdist_wheel"],
    build_dependencies=["numpy", "Cython"],
    constraints=["setuptools<70", "Cython>=0.29.32,<3", "numpy==1.26.4"],
    requires=["numpy<2"],
    headers_of=["numpy"],
    cflags=["-O2"],
    native=["pandas/_libs/*.so"],
    reason="""
    The call is that of Opentrons' recipe. What is said on top: pandas 1.5.0 is older than Cython 3 and than a
    setuptools without its old commands, and it compiles against numpy's C headers, which must be the robot's.
    What was compiled so does not load beside numpy 2, which came later and which its metadata does not rule out.
    """,
)
