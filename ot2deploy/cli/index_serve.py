"""`ot2deploy index serve`."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from ot2deploy import __version__
from ot2deploy.cli import index_options, options
from ot2deploy.cli.index_mirror import mirror
from ot2deploy.cli.result import envelope

if TYPE_CHECKING:
    from builder.index.server.app import App
    from builder.index.tree import Index
    from ot2deploy.project import Project

NO_TLS_NEEDED = ("127.0.0.1", "localhost", "[::1]", "::1")


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the server is to do beside giving the tree. `mirror` is an address, "" the usual one, None for no mirror;
    what it may keep is in bytes, and how long that counts in seconds. An upload may have `max_upload` MB.
    """

    private: bool
    read_only: bool
    max_upload: int
    mirror: str | None
    reserve: tuple[str, ...]
    release: tuple[str, ...]
    mirror_size: int
    mirror_fresh: float
    prefix: str


def _prefix(_ctx: click.Context, _: click.Parameter, value: str) -> str:
    return f"/{value.strip('/')}" if value.strip("/") else ""


@click.command("serve")
@index_options.directory
@click.option(
    "--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="0.0.0.0 for the whole network."
)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8080, show_default=True, metavar="N", help="0 for any free one."
)
@click.option("--private", is_flag=True, help="Readers need a token, too (ot2deploy token create --scope read).")
@click.option("--read-only", is_flag=True, help="Take no uploads.")
@click.option(
    "--max-upload", type=click.IntRange(min=1), default=500, show_default=True, metavar="MB",
    help="How large a wheel that is uploaded may be.",
)  # fmt: skip
@mirror
@click.option(
    "--certfile", "certificate", type=click.Path(path_type=Path, dir_okay=False, exists=True), metavar="FILE",
    help="Serve by TLS, with this certificate.",
)  # fmt: skip
@click.option(
    "--keyfile", "key", type=click.Path(path_type=Path, dir_okay=False, exists=True), metavar="FILE",
    help="The certificate's key, where it is not in the same file.",
)  # fmt: skip
@click.option(
    "--root-path", "prefix", default="", metavar="PATH", callback=_prefix,
    help="What a reverse proxy leaves in front of every path, such as /wheels.",
)  # fmt: skip
@click.option(
    "--grace", type=click.FloatRange(min=0), default=30.0, show_default=True, metavar="SECONDS",
    help="How long downloads and uploads that are under way may take after it was told to stop.",
)  # fmt: skip
@options.project
@options.output
def command(
    project: Project, directory: Path, host: str, port: int, certificate: Path | None, key: Path | None, grace: float,
    **wanted: Any,
) -> int:  # fmt: skip
    """Serve an index to pip, uv and ot2deploy until it is stopped (Ctrl-C, SIGTERM).

    One line for each request goes to standard error. It ends with 0 when it was stopped; a second signal cuts what is
    under way (130). With --json its address is one line of JSON on standard output, and nothing follows it.
    """
    from builder.errors import MissingExtra, UsageFailure

    asked = Wanted(**wanted)
    if asked.mirror is None and (asked.reserve or asked.release):
        raise UsageFailure("--reserve and --release are about a mirror", next="Give --mirror, too.")
    try:
        import starlette  # noqa: F401 - the app needs it, and so do uploads
    except ImportError:
        raise MissingExtra("index", "starlette") from None
    from builder.index.server.serve import Listen, log_to_stderr, serve

    root = index_options.root(project, directory)
    is_new = index_options.branches_in(root) is None
    listen = Listen(host=host, port=port, certificate=certificate, key=key, grace=grace)
    log_to_stderr()
    with _app(project, root, asked) as app:
        return serve(app, listen, lambda url: _tell(app, f"{url}{asked.prefix}/", asked, is_new=is_new))


@contextlib.contextmanager
def _app(project: Project, root: Path, wanted: Wanted) -> Iterator[App]:
    """The application, and what belongs to it while it runs. An index is made where uploads can fill it."""
    from builder.errors import DiskFailure
    from builder.index.server.app import make_app
    from builder.index.tokens import TOKENS, Tokens
    from builder.index.tree import Index
    from ot2deploy.engine import open_for

    state = index_options.state(project)
    index = Index.open(root) if wanted.read_only else Index.create(root)
    with contextlib.ExitStack() as stack:
        uploads = elsewhere = None
        if not wanted.read_only:
            from builder.index.uploads.upload import receiving

            try:
                uploads = stack.enter_context(
                    receiving(index, open_for(project), state, most=wanted.max_upload * 1_000_000)
                )
            except DiskFailure as failure:
                failure.next += " Or serve it without uploads: --read-only"
                raise
        if wanted.mirror is not None:
            from builder.index.mirror.mirror import Limits, open_mirror

            limits = Limits(fresh=wanted.mirror_fresh, size=wanted.mirror_size)
            names = {"reserve": wanted.reserve, "release": wanted.release}
            elsewhere = open_mirror(index, open_for(project), state, wanted.mirror, limits=limits, **names)
            stack.callback(elsewhere.close)
        readers = Tokens(state / TOKENS) if wanted.private else None
        yield make_app(
            index, uploads=uploads, readers=readers, mirror=elsewhere, prefix=wanted.prefix, version=__version__
        )


def _tell(app: App, url: str, wanted: Wanted, *, is_new: bool) -> None:
    """Says where it listens, and how pip installs from there."""
    branches = [str(branch) for branch in app.index.branches()]
    if options.wants_json():
        said = {
            "url": url,
            "index": str(app.index.root),
            "new": is_new,
            "branches": branches,
            "private": wanted.private,
            "uploads": not wanted.read_only,
            "mirror": wanted.mirror is not None,
        }
        document = envelope("index serve", exit_code=0, result=said, error=None)
        print(json.dumps(document, ensure_ascii=False), flush=True)
        return
    if is_new:
        print(f"new index in {app.index.root}", flush=True)
    print(f"Serving {app.index.root} at {url}", flush=True)
    for line in _commands(app.index, url):
        print(line, flush=True)


def _commands(index: Index, url: str) -> list[str]:
    """How pip installs from each branch; from another computer without TLS it wants to hear that the host is meant."""
    host = urlsplit(url).hostname or ""
    trust = "" if url.startswith("https:") or host in NO_TLS_NEEDED else f" --trusted-host {host}"
    branches = index.branches() or ("PROFILE",)
    return [f"  pip install NAME --index-url {url}{branch}/simple/{trust}" for branch in branches]
