"""`ot2deploy wheel show`: all that is known of one wheel."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from ot2deploy.cli import options, units
from ot2deploy.cli.result import Answer, Part, Shown, lines, table

if TYPE_CHECKING:
    from ot2deploy.project import Project

ROLE = "ot2deploy:role"  # the property by which our own bills say it


@click.command("show")
@click.argument("wheel", metavar="WHEEL")
@click.option("--profile", metavar="NAME", help="Also judge it for this ABI: ot2-py310, ot2-py312 ...")
@options.project
@options.output
def command(wheel: str, profile: str | None, project: Project) -> Shown:
    """Show what is known of a wheel: what it says of itself, what its files need, how it came to be, what went into it.

    WHEEL is a file, or the beginning of a sha256 or a name (numpy, numpy==1.26.4) of a wheel in the store. With
    --profile it ends with 1 when the wheel would be refused.
    """
    from builder import profile_host
    from builder.wheel.papers import find_wheel, read_papers
    from ot2deploy.engine import open_for

    store = open_for(project).store
    wanted = profile_host.load(profile) if profile else None
    papers = read_papers(find_wheel(wheel, store, wanted), store, wanted)
    refused = papers.audit is not None and not papers.audit.ok
    data = papers.as_dict()
    return Shown(result=Answer(data=data, exit_code=int(refused)), parts=tuple(_parts(data)))


def _parts(data: dict[str, Any]) -> Iterator[Part]:
    facts = {
        "file": data["path"],
        "sha256": data["sha256"],
        "size": f"{units.size(data['size'])}, unpacked {units.size(data['unpacked'])}",
        "tags": " ".join(data["tags"]),
        "python": data["requires_python"],
        "requires": ", ".join(data["requires"]),
        "how": f"{data['how']}, {data['at']}" if data["how"] else "not in the store: where it comes from is not known",
        **_provenance(data["provenance"] or {}),
    }
    title = f"{data['name']} {data['version']}"
    told = [(name * (at == 0), line) for name, value in facts.items() for at, line in enumerate(value.splitlines())]
    yield table(("what", "is"), told, title=title)
    if data["binaries"]:
        rows = [(one["file"], one["cpu"], one["glibc"] or "", " ".join(one["needed"])) for one in data["binaries"]]
        yield table(("binary", "cpu", "glibc", "needs"), rows)
    if data["components"]:
        yield table(("component", "version", "licence", "role", "listed in"), _components(data["components"]))
    if audit := data["audit"]:
        findings = [f"  {one['severity']}: {one['file']}: {one['message']} ({one['id']})" for one in audit["findings"]]
        yield lines("", f"{'fits' if audit['ok'] else 'does not fit'} {audit['profile']}", *findings)


def _provenance(facts: dict[str, Any]) -> dict[str, str]:
    """The provenance of builds, repairs and downloads in words; each has its own keys."""
    source, recipe, toolchain = facts.get("source") or {}, facts.get("recipe") or {}, facts.get("toolchain") or {}
    made = f"{facts['from']} (sha256 {facts['sha256'][:12]})" if "from" in facts else ""
    return {
        "from": facts.get("url", "") or made,
        "changes": "\n".join(facts.get("changes", ())),
        "source": _source(source) if source else "",
        "recipe": f"{recipe['name']} ({recipe['digest'][:12]})" if recipe else "",
        "back end": facts.get("backend", ""),
        "compiler": " ".join(filter(None, (_name(toolchain), toolchain.get("target"), toolchain.get("cpu")))),
        "rust": toolchain.get("rust") or "",
        "flags": " ".join(f"{name}={value}" for name, value in facts.get("flags", {}).items()),
        "build needs": " ".join(facts.get("requirements", ())),
        "as of": facts.get("as_of") or "",
        "took": units.seconds(facts["seconds"]) if "seconds" in facts else "",
        "log": facts.get("log", ""),
    }


def _source(source: dict[str, Any]) -> str:
    why = f"because {source['why']}" if source.get("why") else ""
    return " ".join(filter(None, [source.get("kind"), source["url"], f"(sha256 {source['sha256']})", why]))


def _name(toolchain: dict[str, Any]) -> str:
    return str((toolchain.get("compiler") or {}).get("name", ""))


def _components(found: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    """A row for each component, however many files list it."""
    rows: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for one in found:
        rows.setdefault((str(one.get("name", "")), str(one.get("version", ""))), []).append(one)
    return [
        (*named, next(filter(None, map(_licence, ones)), ""), next(filter(None, map(_role, ones)), ""), _files(ones))
        for named, ones in sorted(rows.items())
    ]


def _files(ones: list[dict[str, Any]]) -> str:
    return " ".join(dict.fromkeys(one["sbom"] for one in ones))


def _role(one: dict[str, Any]) -> str:
    return next((str(each["value"]) for each in one.get("properties", ()) if each["name"] == ROLE), "")


def _licence(one: dict[str, Any]) -> str:
    told = [each.get("expression") or each.get("license", {}) for each in one.get("licenses", ())]
    return ", ".join(each if isinstance(each, str) else str(each.get("id") or each.get("name")) for each in told)
