"""numpy builds by itself; one of its modules keeps the name of a source file."""

from builder import package_build

package_build.build_package(
    native=["numpy/*core/_multiarray_umath*.so", "numpy/random/bit_generator*.so"],
    build_paths=["numpy/random/bit_generator*.so"],
    checks=[
        {
            "kind": "program",
            "name": "numpy computes",
            "timeout": 300,
            "source": (
                "import numpy as np\n"
                "a = np.random.default_rng(1).random((20, 20))\n"
                "assert np.allclose(np.linalg.inv(a) @ a, np.eye(20))\n"
                "assert np.allclose(np.fft.ifft(np.fft.fft(a)), a)\n"
                "assert np.longdouble(1).nbytes == 8 and np.intp(0).nbytes == 4\n"
                "assert np.sort(a, axis=None)[0] == a.min()\n"
            ),
        }
    ],
    reason="Cython is called with the absolute name of bit_generator.pyx, and the module keeps it as a text.",
)
