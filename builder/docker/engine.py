"""The one module that speaks to Docker."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from builder.errors import DockerFailure, MissingExtra

if TYPE_CHECKING:
    import docker

# Everything of a lab carries this label; its value is the project's id.
LABEL = "ot2deploy.sim"
IMAGE_LABEL = "ot2deploy.sim.image"
CONFLICT = 409
KILLED = -9
TIMEOUT = 120  # seconds, for one answer of the Docker service


@dataclass(frozen=True, kw_only=True)
class Mount:
    """A named volume of ours at a path in the container."""

    volume: str
    path: str


@dataclass(frozen=True, kw_only=True)
class Container:
    """What a container is made of. `ports` maps ports in the container to ports on 127.0.0.1."""

    name: str
    hostname: str
    image: str
    platform: str
    command: tuple[str, ...]
    network: str
    labels: Mapping[str, str]
    environment: Mapping[str, str]
    ports: Mapping[int, int]
    mounts: tuple[Mount, ...]
    tmpfs: Mapping[str, str]
    memory: str
    capabilities: tuple[str, ...]
    stop_signal: str = "SIGTERM"
    security: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Bind:
    """A directory of the host at a path in a container."""

    host: Path
    inside: str
    writable: bool = False


@dataclass(frozen=True, kw_only=True)
class Closed:
    """What a container without network is made of. `user` is "uid:gid", or empty for the image's own; `cores` are the
    numbers of those that it may use, empty for all."""

    image: str
    binds: tuple[Bind, ...]
    labels: Mapping[str, str]
    user: str = ""
    cores: str = ""


@dataclass(frozen=True, kw_only=True)
class Service:
    """What the Docker service says of itself: its machine (`x86_64`), operating system and version."""

    machine: str
    system: str
    version: str


class Engine:
    """The Docker service. Every method raises DockerFailure when it refuses or is gone."""

    def __init__(self, client: docker.DockerClient) -> None:
        self._client = client

    def service(self) -> Service:
        """The service's own facts."""
        with _translated("docker info"):
            info = self._client.info()
        return Service(machine=info["Architecture"], system=info["OperatingSystem"], version=info["ServerVersion"])

    def has_image(self, tag: str) -> bool:
        """Whether an image of that name is there."""
        with _translated(tag):
            return bool(self._client.api.images(name=tag, quiet=True))

    def images(self) -> tuple[str, ...]:
        """The names of all robot images."""
        with _translated("images"):
            found = self._client.images.list(filters={"label": IMAGE_LABEL})
        return tuple(sorted(tag for image in found for tag in image.tags))

    def load_image(self, archive: Path) -> None:
        """Takes in an archive as `docker save` writes it."""
        with _translated("loading the robot image"), archive.open("rb") as file:
            self._client.images.load(file)

    def remove_image(self, tag: str) -> None:
        """Removes an image; one that is gone is fine."""
        with _translated(tag), _missing_is_fine():
            self._client.images.remove(tag, noprune=False)

    def pull(self, image: str, platform: str) -> None:
        """Gets an image from its registry."""
        with _translated(image):
            self._client.images.pull(image, platform=platform)

    def start(self, wanted: Container) -> None:
        """Makes and starts a container; in vain, none is left."""
        host = self._client.api.create_host_config(
            port_bindings={inside: ("127.0.0.1", outside) for inside, outside in wanted.ports.items()},
            binds={mount.volume: {"bind": mount.path, "mode": "rw"} for mount in wanted.mounts},
            tmpfs=dict(wanted.tmpfs),
            mem_limit=wanted.memory,
            memswap_limit=wanted.memory,
            cap_add=list(wanted.capabilities),
            read_only=True,
            restart_policy={"Name": "unless-stopped"},
            network_mode=wanted.network,
            **wanted.security,
        )
        with _translated(wanted.name):
            self._client.api.create_container(
                wanted.image,
                command=list(wanted.command),
                name=wanted.name,
                hostname=wanted.hostname,
                environment=dict(wanted.environment),
                labels=dict(wanted.labels),
                ports=list(wanted.ports),
                stop_signal=wanted.stop_signal,
                host_config=host,
                platform=wanted.platform,
            )
            try:
                self._client.api.start(wanted.name)
            except BaseException:
                self._client.api.remove_container(wanted.name, force=True)
                raise

    def run(self, image: str, command: Sequence[str], *, platform: str, environment: Mapping[str, str]) -> str:
        """What a short-lived container prints; it is removed afterwards."""
        with _translated(image):
            output = self._client.containers.run(
                image,
                list(command),
                environment=dict(environment),
                platform=platform,
                remove=True,
                network_mode="none",
                labels={LABEL: "probe"},
            )
        return bytes(output).decode(errors="replace")

    @contextlib.contextmanager
    def workshop(self, image: str, platform: str, labels: Mapping[str, str]) -> Iterator[Workshop]:
        """A container that does nothing by itself, to work in; removed at the end."""
        with _translated(image):
            container = self._client.containers.run(
                image, ["sleep", "infinity"], detach=True, init=True, platform=platform, labels=dict(labels)
            )
        try:
            yield Workshop(container)
        finally:
            with _translated(image):
                container.remove(force=True)

    @contextlib.contextmanager
    def closed(self, wanted: Closed) -> Iterator[Room]:
        """A container without network to work in. It lives as long as its input, which we hold: if we are killed, it
        ends."""
        api = self._client.api
        host = api.create_host_config(
            binds=[f"{bind.host}:{bind.inside}:{'rw' if bind.writable else 'ro'}" for bind in wanted.binds],
            network_mode="none",
            init=True,
            auto_remove=True,
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
            cpuset_cpus=wanted.cores or None,
        )
        with _translated(wanted.image):
            name = api.create_container(
                wanted.image,
                ["cat"],
                stdin_open=True,
                user=wanted.user or None,
                labels=dict(wanted.labels),
                host_config=host,
            )["Id"]
        room = Room(api, name)
        try:
            with _translated(wanted.image):
                held = api.attach_socket(name, params={"stdin": 1, "stream": 1})
                api.start(name)
            with contextlib.closing(held):
                yield room
        finally:
            room.end()

    def identity(self, image: str) -> str:
        """An image's id, sha256:..."""
        with _translated(image):
            return str(self._client.images.get(image).id)

    def execute(self, name: str, command: Sequence[str]) -> tuple[int, str]:
        """Exit status and output (both streams) of a command in a running container."""
        with _translated(name):
            status, output = self._client.containers.get(name).exec_run(list(command))
        return status or 0, _text(output)

    def restart(self, name: str) -> None:
        """Ends a container like pulling its plug, and starts it again; its volumes stay."""
        with _translated(name):
            self._client.api.restart(name, timeout=0)

    def stop(self, name: str) -> None:
        """Ends a container like pulling its plug; `restart` starts it again."""
        with _translated(name):
            self._client.api.stop(name, timeout=0)

    def state(self, name: str) -> str:
        """A container's state in Docker's word (`running`, `exited`, `paused` ...), or `missing`."""
        with _translated(name):
            found = self._client.api.containers(all=True, filters={"name": f"^/{name}$"})
        return found[0]["State"] if found else "missing"

    def log(self, name: str) -> tuple[str, ...]:
        """The last lines that a container printed."""
        with _translated(name):
            return tuple(self._client.api.logs(name, tail=15).decode(errors="replace").splitlines())

    def containers(self, project: str = "") -> tuple[str, ...]:
        """Names of our containers, running or not; of one project, or of all."""
        with _translated("containers"):
            found = self._client.api.containers(all=True, filters=_ours(project))
        return tuple(sorted(item["Names"][0].lstrip("/") for item in found))

    def add_network(self, name: str, project: str) -> None:
        """Makes a bridge network; one of that name that is there is used."""
        with _translated(name):
            if not self._client.networks.list(names=[name]):
                self._client.networks.create(name, driver="bridge", labels={LABEL: project})

    def add_volume(self, name: str, project: str) -> None:
        """Makes a volume; one of that name that is there is used."""
        with _translated(name):
            self._client.volumes.create(name, labels={LABEL: project})

    def remove_container(self, name: str) -> None:
        """Ends and removes a container; one that is gone is fine."""
        with _translated(name), _missing_is_fine():
            self._client.api.remove_container(name, force=True)

    def remove_rest(self, project: str) -> None:
        """Removes a project's networks and volumes; its containers must be gone."""
        with _translated("networks and volumes"):
            for volume in self._client.volumes.list(filters=_ours(project)):
                with _missing_is_fine():
                    volume.remove(force=True)
            for network in self._client.networks.list(filters=_ours(project)):
                with _missing_is_fine():
                    network.remove()

    def leftovers(self, project: str) -> tuple[str, ...]:
        """Everything that carries a project's label, as `kind name`."""
        with _translated("leftovers"):
            volumes = [f"volume {item.name}" for item in self._client.volumes.list(filters=_ours(project))]
            networks = [f"network {item.name}" for item in self._client.networks.list(filters=_ours(project))]
        return (*(f"container {name}" for name in self.containers(project)), *volumes, *networks)


class Room:
    """A running container without network: programs are run in it, one after the other."""

    def __init__(self, api: Any, name: str) -> None:
        self._api, self._name, self._ended = api, name, False

    def run(
        self, argv: Sequence[str], *, cwd: str, environment: Mapping[str, str], log: IO[bytes], timeout: float
    ) -> int | None:
        """Runs a program, its streams in `log`: its exit status, None when it took longer than `timeout` (s), KILLED
        when the container was ended meanwhile. In both cases the container is gone."""
        import docker.errors

        over = threading.Event()

        def expire() -> None:
            over.set()
            self.end()

        timer, status = threading.Timer(timeout, expire), None
        timer.daemon = True
        with _translated(argv[0]), contextlib.suppress(docker.errors.NotFound):
            made = self._api.exec_create(self._name, list(argv), workdir=cwd, environment=dict(environment))
            timer.start()
            try:
                for chunk in self._api.exec_start(made["Id"], stream=True):
                    log.write(chunk)
                status = self._api.exec_inspect(made["Id"])["ExitCode"]
            finally:
                timer.cancel()
        if over.is_set():
            return None
        return KILLED if self._ended or status is None else int(status)

    def end(self) -> None:
        """Ends the container with all that runs in it; one that is gone is fine."""
        import docker.errors

        self._ended = True
        with _translated("container"), _missing_is_fine():
            try:
                self._api.remove_container(self._name, force=True)
            except docker.errors.APIError as error:
                if error.status_code != CONFLICT:  # it is being removed already
                    raise


class Workshop:
    """A running container, for work with its own tools."""

    def __init__(self, container: Any) -> None:
        self._container = container

    def execute(self, script: str) -> None:
        """Runs a shell script; raises DockerFailure with the end of its output when it fails."""
        with _translated("workshop"):
            status, output = self._container.exec_run(["sh", "-euc", script])
        if status != 0:
            lines = _text(output).splitlines()
            raise DockerFailure(f"a step in the container ended with status {status}", details=tuple(lines[-15:]))

    def put(self, archive: bytes, directory: str) -> None:
        """Unpacks a tar into a directory."""
        with _translated("workshop"):
            self._container.put_archive(directory, archive)

    def take(self, path: str, target: Path) -> None:
        """Copies one file out."""
        import tarfile
        import tempfile

        with _translated("workshop"), tempfile.TemporaryFile(dir=target.parent) as spool:
            for chunk in self._container.get_archive(path)[0]:
                spool.write(chunk)
            spool.seek(0)
            with tarfile.open(fileobj=spool) as archive:
                member = archive.next()
                source = archive.extractfile(member) if member else None
                if source is None:
                    raise DockerFailure(f"{path} is no file in the container")
                with target.open("wb") as out:
                    while chunk := source.read(1 << 20):
                        out.write(chunk)


def connect() -> Engine:
    """The Docker service that the environment names. Raises MissingExtra (the SDK), DockerFailure (the service)."""
    try:
        import docker
    except ImportError as error:
        raise MissingExtra("sim", "docker") from error
    with _translated("docker"):
        # A new client for each caller, and room for a robot per thread: the SDK's pool holds 10 connections by default.
        client = docker.from_env(timeout=TIMEOUT, max_pool_size=32)
        client.ping()
    return Engine(client)


def _text(output: Any) -> str:
    return bytes(output or b"").decode(errors="replace")


def _ours(project: str) -> dict[str, str]:
    return {"label": f"{LABEL}={project}" if project else LABEL}


@contextlib.contextmanager
def _translated(subject: str) -> Iterator[None]:
    import docker.errors
    import requests

    try:
        yield
    except docker.errors.ContainerError as error:
        text = (error.stderr or b"").decode(errors="replace") if isinstance(error.stderr, bytes) else str(error.stderr)
        raise DockerFailure(
            f"{subject}: the container ended with status {error.exit_status}", details=(text,)
        ) from error
    except docker.errors.APIError as error:
        raise DockerFailure(f"{subject}: Docker refused: {error.explanation or error}") from error
    except (docker.errors.DockerException, requests.RequestException) as error:
        raise DockerFailure(
            f"cannot use Docker: {_reason(error)}",
            why="The Docker service does not run here, or this user may not use it.",
            next="Start it, and be in the group docker. Without it: ot2deploy sim up --kind embedded; --toolchain zig",
        ) from error


@contextlib.contextmanager
def _missing_is_fine() -> Iterator[None]:
    import docker.errors

    with contextlib.suppress(docker.errors.NotFound):
        yield


def _reason(error: Exception) -> str:
    text = str(error)
    for word in ("Permission denied", "No such file or directory", "Connection refused"):
        if word in text:
            return word.lower()
    return text.splitlines()[0][:200] if text else type(error).__name__
