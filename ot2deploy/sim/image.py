"""The robot image, made from Debian packages alone and named by the digest of its recipe."""

from __future__ import annotations

import io
import shlex
import shutil
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path

from builder import files, places, uv
from builder.docker import image_archive
from builder.docker.engine import IMAGE_LABEL, LABEL, Engine
from builder.docker.image_archive import Platform
from builder.errors import DockerFailure, ToolFailure
from builder.events import Event, Report
from builder.run import environment, run
from builder.toolchain import apt
from ot2deploy.sim import host, tree
from ot2deploy.sim.failures import ImageFailure

DATA = Path(__file__).parent
INPUTS = ("applets.txt", "masked-units.txt", "packages.txt", "programs.txt", "python.txt", "tree.py", "robot")
SUITE = "bookworm"
REVISION = 1  # raise it when the same inputs shall make another image
DEBIAN = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "armhf"}
PLATFORMS = {
    "amd64": Platform(architecture="amd64"),
    "arm64": Platform(architecture="arm64"),
    "armhf": Platform(architecture="arm", variant="v7"),
}
COMMAND = ("/usr/lib/ot2sim/init",)
VARIABLES = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
MERGED_USR = "/usr/share/mmdebstrap/hooks/merged-usr"
STEP = 900.0  # seconds that one step may take
INDEX_SETTINGS = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_TRUSTED_HOST", "PIP_CONFIG_FILE")

Say = Callable[..., None]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What a robot image is made of; equal recipes have equal digests. `architecture` is Debian's word for it."""

    architecture: str

    @cached_property
    def digest(self) -> str:
        """sha256 over every input."""
        paths = [path for name in INPUTS for path in [DATA / name, *(DATA / name).rglob("*")] if path.is_file()]
        inputs = {path.relative_to(DATA).as_posix(): files.sha256_file(path) for path in sorted(paths)}
        return files.digest_of([REVISION, SUITE, self.architecture, self.bootstrap("TREE"), COMMAND, inputs])

    @property
    def tag(self) -> str:
        """The image's name."""
        return f"ot2deploy-sim-{self.architecture}:{self.digest[:12]}"

    @property
    def platform(self) -> Platform:
        """The machine it is for, in Docker's words."""
        return PLATFORMS[self.architecture]

    def bootstrap(self, target: str, archive: str = "") -> tuple[str, ...]:
        """The mmdebstrap call that unpacks the system's packages into a directory; it executes nothing of them.

        `archive` is the package archive; without it mmdebstrap uses the suite's own. Only the main archive is used:
        a mirror's security index for another architecture was found out of step with its Release file.
        """
        packages = [name for (name,) in tree.rows(DATA / "packages.txt")]
        return (
            "mmdebstrap", "--quiet", "--variant=extract", f"--architectures={self.architecture}",
            f"--hook-dir={MERGED_USR}", f"--include={','.join(packages)}", "--aptopt=Apt::Install-Recommends \"false\"",
            f"--extract-hook={_unpack_programs()}", SUITE, target, *filter(None, [archive]),
        )  # fmt: skip


def _unpack_programs() -> str:
    """The hook (shell) that unpacks the packages of programs.txt beside the system, where tree.py takes from them."""
    packages = " ".join(sorted({package for package, _ in tree.rows(DATA / "programs.txt")}))
    return (
        f'set -e; mkdir -m 777 "$1/{tree.SPARE}"; cd "$1/{tree.SPARE}"; '
        f'APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" apt-get -qq download {packages}; '
        'for deb in *.deb; do dpkg-deb -x "$deb" "${deb%%_*}"; rm "$deb"; done'
    )


@dataclass(frozen=True, kw_only=True)
class Image:
    """A robot image that Docker has. `seconds` is what making it took, 0 when it was there."""

    tag: str
    platform: str
    made: bool
    seconds: float


def ensure(recipe: Recipe, engine: Engine, report: Report) -> Image:
    """The recipe's image: found, or made. Raises ImageFailure, ToolFailure, DockerFailure."""
    begun = time.monotonic()
    made = False
    if not engine.has_image(recipe.tag):
        with files.locked(lock_path()):
            if not engine.has_image(recipe.tag):
                _make(recipe, engine, report)
                made = True
    return Image(
        tag=recipe.tag,
        platform=str(recipe.platform),
        made=made,
        seconds=round(time.monotonic() - begun, 1) if made else 0.0,
    )


def lock_path() -> Path:
    """The file whose lock the one process holds that makes an image."""
    return places.cache_root() / "sim" / "image.lock"


def _make(recipe: Recipe, engine: Engine, report: Report) -> None:
    def say(message: str, level: str = "progress") -> None:
        report(Event(subject=f"{recipe.architecture} image", stage="image", message=message, level=level))

    with tempfile.TemporaryDirectory(prefix="ot2sim-") as name:
        work = Path(name)
        say("getting pip and setuptools as robots have them")
        python = _python_packages(work)
        layer = work / "layer.tar"
        if host.is_root() and host.is_debian():
            host.install(host.FOR_IMAGE, report)
            _layer_on_host(recipe, work, python, layer, say)
        else:
            _layer_in_container(recipe, engine, python, layer, say)
        say("loading it into Docker")
        archive = work / "image.tar"
        labels = {IMAGE_LABEL: recipe.digest}
        image_archive.write(
            archive, layer, recipe.platform, tag=recipe.tag, command=COMMAND, labels=labels, environment=VARIABLES
        )
        engine.load_image(archive)
    say(f"made {recipe.tag}", "done")


def _layer_on_host(recipe: Recipe, work: Path, python: Path, layer: Path, say: Say) -> None:
    root = work / "tree"
    root.mkdir()
    say(f"unpacking Debian {SUITE} for {recipe.architecture}")
    try:
        run(recipe.bootstrap(str(root), apt.archive(SUITE)), timeout=STEP, log=work / "mmdebstrap.log")
    except ToolFailure as error:
        why = "The Debian archive cannot be reached, or serves something else than it promises."
        raise ImageFailure(f"cannot unpack Debian {SUITE}", why=why, details=error.details) from error
    say("making a robot of it")
    tree.make_robot(root, DATA, python)
    say("byte-compiling its Python")
    run(_compiler(root), timeout=STEP, check=False, log=work / "compile.log")
    tree.write_layer(root, layer)


def _layer_in_container(recipe: Recipe, engine: Engine, python: Path, layer: Path, say: Say) -> None:
    """The same steps in a Debian container: for hosts without mmdebstrap that reach a container registry."""
    machine = DEBIAN.get(engine.service().machine, "amd64")
    say("getting debian:12 to work in")
    try:
        engine.pull("debian:12", str(PLATFORMS[machine]))
    except DockerFailure as error:
        raise ImageFailure(
            "the robot image cannot be made here",
            why=f"It needs root on Debian or Ubuntu, or a container registry that has debian:12 ({error.what}).",
            next="Run as root on Debian or Ubuntu, or use: ot2deploy sim up --kind embedded",
        ) from error
    compile_all = " ".join(_compileall("python3", Path("/tree")))
    with engine.workshop("debian:12", str(PLATFORMS[machine]), {LABEL: "image"}) as workshop:
        workshop.put(_packed({"data": [DATA / name for name in INPUTS], "python": list(python.iterdir())}), "/opt")
        say(f"unpacking Debian {SUITE} for {recipe.architecture} in a container")
        workshop.execute("apt-get -qq update; apt-get -qq install -y --no-install-recommends mmdebstrap python3")
        archive = f"$({shlex.join(apt.asking_archive(SUITE))} | head -n 1)"
        workshop.execute(f"mkdir /tree; {shlex.join(recipe.bootstrap('/tree'))} {archive}")
        say("making a robot of it")
        workshop.execute(f"python3 /opt/data/tree.py robot /tree /opt/data /opt/python; {compile_all} || :")
        workshop.execute("python3 /opt/data/tree.py layer /tree /layer.tar")
        workshop.take("/layer.tar", layer)


def _packed(groups: dict[str, list[Path]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for group, paths in groups.items():
            for path in paths:
                archive.add(path, f"{group}/{path.name}")
    return buffer.getvalue()


def _python_packages(work: Path) -> Path:
    """A directory with the packages of python.txt installed, checked against their hashes."""
    target = work / "python"
    try:
        if find_spec("pip"):
            quiet = ["-q", "--disable-pip-version-check", "--no-compile", "--no-deps", "--require-hashes"]
            argv: list[str | Path] = [
                sys.executable,
                "-P",
                "-m",
                "pip",
                "install",
                *quiet,
                "--target",
                target,
                "-r",
                DATA / "python.txt",
            ]
            run(argv, timeout=STEP, env=environment(passed=INDEX_SETTINGS), subject="robot image")
        else:
            _install_with_uv(work / "venv", target)
    except ToolFailure as error:
        raise ImageFailure("cannot get the robot's pip and setuptools", details=error.details) from error
    for cache in list(target.rglob("__pycache__")):
        shutil.rmtree(cache)
    return target


def _install_with_uv(venv: Path, target: Path) -> None:
    """For environments that uv made, which have no pip of their own."""
    program = uv.find()
    program.venv(venv, python=Path(sys.executable))
    program.install(venv / "bin" / "python", [" ".join(row) for row in tree.rows(DATA / "python.txt")])
    site = next(venv.glob("lib/python3*/site-packages"))
    shutil.copytree(site, target, ignore=shutil.ignore_patterns("_virtualenv*"))


def _compiler(root: Path) -> tuple[str, ...]:
    """The call that byte-compiles the tree: with a Python 3.11 of the host, else with its own one (slow for ARM)."""
    candidates = [Path(sys.executable)] if sys.version_info[:2] == (3, 11) else []
    found = shutil.which("python3.11")
    candidates += [Path(found)] if found else []
    if candidates:
        return _compileall(str(candidates[0]), root)
    return ("chroot", str(root), *_compileall("/usr/bin/python3", Path("/")))


def _compileall(python: str, root: Path) -> tuple[str, ...]:
    # unchecked-hash: a read-only root cannot mend a .pyc that it takes for stale, and would compile pip at each call.
    options = ("-I", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", "-s", str(root), "-p", "/")
    return (python, *options, str(root / "usr/lib/python3.11"))


def remove_all(engine: Engine) -> tuple[str, ...]:
    """Removes every robot image that no robot of any project uses; returns their names."""
    if engine.containers():
        return ()
    gone = engine.images()
    for tag in gone:
        engine.remove_image(tag)
    return gone


def probe(image: Image, engine: Engine, variables: dict[str, str]) -> str:
    """What `uname -m` says in the image: the proof that this host runs it. Raises DockerFailure."""
    return engine.run(image.tag, ["/bin/sh", "-c", "uname -m"], platform=image.platform, environment=variables).strip()
