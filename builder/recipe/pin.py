"""The sha256 of a recipe's source written into its build.py; the rest of the text stays as it is."""

from __future__ import annotations

import ast
from dataclasses import dataclass, replace

from builder.engine import Engine
from builder.errors import ConfigFailure, NetworkFailure
from builder.fetch import Fetcher, public
from builder.files import sha256_bytes, sha256_file, write_bytes
from builder.recipe import file as recipe_file
from builder.recipe.draft import locked
from builder.recipe.recipe import Recipe, load
from builder.source import Archive, DebianSource, GithubDevSource, GithubReleaseSDistSource, GitSource, IndexSdist
from builder.toolchain import apt


@dataclass(frozen=True, kw_only=True)
class Pinned:
    """What pinning did for a recipe: `sha256` is what was written, "" for no change; `why` says from where, or why."""

    recipe: Recipe
    sha256: str = ""
    why: str


def pin(recipe: Recipe, engine: Engine) -> Pinned:
    """Fetches a source that has no sha256 and writes the one it has into the recipe.

    Raises NetworkFailure, ConfigFailure where the text is not as one can write it (the line to write is then told).
    """
    source = recipe.source
    match source:
        case None:
            return Pinned(recipe=recipe, why="the index's sdist, which the lock pins")
        case GitSource():
            return Pinned(recipe=recipe, why=f"a commit is its own pin: {source.commit}")
        case GithubDevSource() | GithubReleaseSDistSource() | Archive() if not source.sha256:
            sha256, where = _of_urls(source.urls, engine.fetcher)
        case DebianSource(sha256=None):
            with engine.store.scratch() as work:
                sha256 = sha256_file(apt.upstream_archive(source.package, source.version, None, work))
            where = str(source)
        case IndexSdist(sha256=None) if recipe.version:
            sha256, where = _of_index(f"{recipe.name}=={recipe.version}", engine)
        case IndexSdist(sha256=None):
            return Pinned(recipe=recipe, why="it holds for every version, whose sdist the lock pins")
        case _:
            return Pinned(recipe=recipe, why=f"pinned already: {getattr(source, 'sha256', None) or source}")
    _write(recipe, sha256)
    return Pinned(recipe=load(recipe.directory), sha256=sha256, why=where)


def with_sha256(text: str, line: int, sha256: str) -> str | None:
    """The text of a build.py with `sha256=` in the source of the call made in `line`; None where there is no place."""
    tree = ast.parse(text)
    call = recipe_file.call_node(tree, line)
    source = _source_call(tree, call) if call else None
    if source is None or source.end_lineno is None or source.end_col_offset is None:
        return None
    written = [word.value for word in source.keywords if word.arg == "sha256"]
    arguments = [*source.args, *(word.value for word in source.keywords)]
    if written:
        start = written[0].lineno, written[0].col_offset
        return _replaced(text, start, _end(written[0]), f'"{sha256}"')
    if not arguments:
        end = source.end_lineno, source.end_col_offset - 1
        return _replaced(text, end, end, f'sha256="{sha256}"')
    last = max(arguments, key=_end)
    between = ", "
    if last.lineno != source.lineno:  # one argument in each line
        first = text.splitlines()[last.lineno - 1]
        between = ",\n" + first[: len(first) - len(first.lstrip())]
    return _replaced(text, _end(last), _end(last), f'{between}sha256="{sha256}"')


def _source_call(tree: ast.Module, call: ast.Call) -> ast.Call | None:
    """The call that makes the source: written as the argument, or given a name before."""
    value: ast.expr | None = next((word.value for word in call.keywords if word.arg == "source"), None)
    value = value or (call.args[0] if call.args else None)
    if isinstance(value, ast.Name):
        named = [
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == [value.id]
        ]
        value = named[0] if len(named) == 1 else None
    return value if isinstance(value, ast.Call) else None


def _end(node: ast.expr) -> tuple[int, int]:
    """Line and column (in bytes, as ast counts) after an expression."""
    return node.end_lineno or 0, node.end_col_offset or 0


def _replaced(text: str, start: tuple[int, int], end: tuple[int, int], new: str) -> str:
    data = text.encode()
    begins = [0, *(at + 1 for at, byte in enumerate(data) if byte == ord("\n"))]
    first, last = (begins[line - 1] + column for line, column in (start, end))
    return (data[:first] + new.encode() + data[last:]).decode()


def _write(recipe: Recipe, sha256: str) -> None:
    """Writes the sha256, and makes sure that this is all that changed in what the recipe says."""
    file = recipe.directory / "build.py"
    before = file.read_bytes()
    text = with_sha256(before.decode(), recipe.line, sha256)
    if text is not None:
        write_bytes(file, text.encode(), mode=file.stat().st_mode & 0o777)
        after = load(recipe.directory)
        same = replace(after, digest="", source=None) == replace(recipe, digest="", source=None)
        if same and getattr(after.source, "sha256", None) == sha256:
            return
        write_bytes(file, before, mode=file.stat().st_mode & 0o777)
    raise ConfigFailure(
        f"{file}:{recipe.line}: its source is not written as a call, so it cannot be pinned",
        next=f'Write it yourself, into the source: sha256="{sha256}"',
    )


def _of_urls(urls: tuple[str, ...], fetcher: Fetcher) -> tuple[str, str]:
    """The sha256 of what the first URL that answers has, and that URL without a password."""
    failures = []
    for url in urls:
        try:
            return sha256_bytes(fetcher.get(url)[0]), public(url)
        except NetworkFailure as failure:
            failures.append(failure)
    if len(failures) == 1:
        raise failures[0]
    raise NetworkFailure(f"none of the {len(urls)} places of the source has it", details=tuple(map(str, failures)))


def _of_index(requirement: str, engine: Engine) -> tuple[str, str]:
    sdist = locked(requirement, engine).sdist
    if sdist is None:
        raise ConfigFailure(f"the index has no sdist of {requirement}")
    return sdist.sha256, sdist.url
