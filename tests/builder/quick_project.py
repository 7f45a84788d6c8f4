"""Source distributions that resolve and build with neither network nor compiler: metadata in them, back end inside."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

PYPROJECT = """[project]
name = "{name}"
version = "{version}"
dependencies = {requires}

[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""
BACKEND = """
import base64
import hashlib
import zipfile
from pathlib import Path

def row(path, text):
    digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
    return f"{{path}},sha256={{digest}},{{len(text.encode())}}\\n"

def build_wheel(out, settings=None, metadata=None):
    print("compiling {name}", flush=True)
{before}
    name = "{module}-{version}-py3-none-any.whl"
    info = "{module}-{version}.dist-info"
    files = {{
        "{module}.py": "VALUE = 1\\n",
        f"{{info}}/METADATA": Path("PKG-INFO").read_text(),
        f"{{info}}/WHEEL": "Wheel-Version: 1.0\\nGenerator: quick\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    }}
    record = "".join(row(*file) for file in files.items()) + f"{{info}}/RECORD,,\\n"
    with zipfile.ZipFile(Path(out) / name, "w") as wheel:
        for path, text in {{**files, f"{{info}}/RECORD": record}}.items():
            wheel.writestr(path, text)
    return name
"""


def quick_sdist(where: Path, name: str, version: str = "1.0", *, before: str = "pass", requires: str = "[]") -> Path:
    """The sdist of a pure project; `before` is what its back end does first (statements)."""
    files = quick_files(name, version, before=before, requires=requires)
    where.mkdir(parents=True, exist_ok=True)
    path = where / f"{name.replace('-', '_')}-{version}.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for member, text in files.items():
            info = tarfile.TarInfo(f"{path.name.removesuffix('.tar.gz')}/{member}")
            info.size = len(text.encode())
            archive.addfile(info, io.BytesIO(text.encode()))
    return path


def quick_files(name: str, version: str, *, before: str = "pass", requires: str = "[]") -> dict[str, str]:
    """The files of such a project and their texts."""
    module = name.replace("-", "_")
    indented = "\n".join(f"    {line}" for line in before.splitlines())
    needed = "".join(f"Requires-Dist: {one}\n" for one in eval(requires))
    return {
        "PKG-INFO": f"Metadata-Version: 2.2\nName: {name}\nVersion: {version}\n{needed}",
        "pyproject.toml": PYPROJECT.format(name=name, version=version, requires=requires),
        "backend.py": BACKEND.format(name=name, module=module, version=version, before=indented),
    }
