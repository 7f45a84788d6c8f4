"""h5py needs the HDF5 library."""

from builder import package_build

package_build.refuse_package(
    reason="It needs the HDF5 library, which robots do not have, and no index has a wheel for 32-bit ARM.",
    instead="pyfive, with fsspec beside it, reads HDF5 files in pure Python; write numpy's .npz files, and convert "
    "them on your computer.",
)
