"""What a recipe cannot have as it is written, or should say; pure."""

from __future__ import annotations

from collections.abc import Iterator

from packaging.utils import canonicalize_version

from builder.recipe.file import unknown_profile
from builder.recipe.recipe import Recipe
from builder.source import GithubDevSource, GithubReleaseSDistSource, GitSource, IndexSdist, LocalSource


def advice(recipe: Recipe) -> tuple[str, ...]:
    """Lines of advice, the most important first: what is done otherwise than written comes before what is lacking."""
    return tuple(_advice(recipe))


def _advice(recipe: Recipe) -> Iterator[str]:
    if recipe.refusal:
        return
    source = recipe.source
    if source and not isinstance(source, GitSource | LocalSource | IndexSdist) and not source.sha256:
        yield (
            "its source has no sha256, so the index's sdist is built instead; "
            f"to build this one: ot2deploy recipe pin {recipe.name}"
        )
    if recipe.setup_py_commands:
        yield (
            "the commands are run if the source has a setup.py; else its own back end is (PEP 517), as it is "
            "without setup_py_commands"
        )
    if recipe.open_dependencies and not recipe.as_of:
        names = ", ".join(recipe.open_dependencies)
        yield f"no limit for {names}: versions of the day of the release are taken; as_of or constraints say otherwise"
    yield from filter(None, map(unknown_profile, recipe.profiles))
    if isinstance(source, GithubDevSource | GithubReleaseSDistSource) and _is_other_version(source.tag, recipe.version):
        yield f"its source's tag is {source.tag}, its directory says {recipe.version}"
    for name in recipe.others:
        yield f"the file also builds {name}, which is found only in a directory of its own: {name}/VERSION/build.py"
    if not recipe.reason and (recipe.cflags or recipe.ldflags or recipe.env or recipe.patches):
        yield "it gives no reason: without one, nobody knows when it may go"


def _is_other_version(tag: str, version: str | None) -> bool:
    """Whether a tag that ends with a version (v1.5.0, release-1.5) ends with another one than the directory's."""
    digits = tag[next((at for at, letter in enumerate(tag) if letter.isdigit()), len(tag)) :]
    return bool(version and digits) and canonicalize_version(digits) != canonicalize_version(version or "")
