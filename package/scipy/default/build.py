"""scipy is Fortran, and LAPACK besides; neither can be cross-compiled here."""

from builder import package_build

package_build.refuse_package(
    reason="""
    Its sources are partly Fortran, for which there is no cross compiler here, and no index has a wheel for 32-bit ARM.
    """,
    instead="""
    numpy: numpy.linalg, numpy.fft, numpy.polyfit, numpy.interp; or compute on your computer and send the result.
    """,
)
