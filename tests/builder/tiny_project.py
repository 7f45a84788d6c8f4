"""The smallest projects with an extension module, as sdists, and requests to build them."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

from builder.build import BuildRequest, Source
from builder.files import sha256_file
from builder.profile import load
from builder.recipe import Recipe

AS_OF = "2025-04-20"
PYPROJECT = '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
SETUP = """\
from setuptools import Extension, setup
setup(name="tiny", version="1.0", packages=["tiny"], ext_modules=[Extension("tiny.fast", [{source!r}], optional=True)])
"""
C = """\
#include <Python.h>
_Static_assert(sizeof(long) == SIZEOF_LONG && sizeof(void *) == 4, "the target's headers and the target's types");
static struct PyModuleDef module = { PyModuleDef_HEAD_INIT, "fast", NULL, -1, NULL };
PyMODINIT_FUNC PyInit_fast(void) { return PyModule_Create(&module); }
"""
CPLUSPLUS = """\
#include <Python.h>
#include <stdexcept>
#include <string>
static PyObject *catches(PyObject *, PyObject *) {
    try { throw std::runtime_error("thrown"); }
    catch (const std::exception &error) { return PyUnicode_FromString(error.what()); }
}
static PyMethodDef methods[] = {{"catches", catches, METH_NOARGS, nullptr}, {nullptr, nullptr, 0, nullptr}};
static struct PyModuleDef module = { PyModuleDef_HEAD_INIT, "fast", nullptr, -1, methods };
PyMODINIT_FUNC PyInit_fast(void) { return PyModule_Create(&module); }
"""


def make_sdist(directory: Path, files: dict[str, str]) -> Source:
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "tiny-1.0.tar.gz"
    # The same files, the same bytes: a source's sha256 stands in the wheel.
    with gzip.GzipFile(path, "wb", mtime=0) as packed, tarfile.open(fileobj=packed, mode="w") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(f"tiny-1.0/{name}")
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
    return Source(path=path, sha256=sha256_file(path))


def tiny(directory: Path, code: str = C, name: str = "fast.c") -> Source:
    files = {"pyproject.toml": PYPROJECT, "setup.py": SETUP.format(source=name), "tiny/__init__.py": "", name: code}
    return make_sdist(directory, files)


def request_for(source: Source, profile: str = "ot2-py310", recipe: Recipe | None = None) -> BuildRequest:
    return BuildRequest(name="tiny", version="1.0", source=source, profile=load(profile), recipe=recipe, as_of=AS_OF)
