"""The bill of materials that goes into a wheel (PEP 770): CycloneDX by its own library, same parts, same bytes."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from builder.errors import MissingExtra
from builder.wheel.file import WheelFile
from builder.wheel.writer import Entry

if TYPE_CHECKING:
    from cyclonedx.model.component import Component

FILENAME = "ot2deploy.cdx.json"  # named by who wrote it, as auditwheel's is: a project's own keep their names
DIRECTORY = "sboms"
NAMESPACE = uuid.UUID("8d0b2f6e-6c57-5f0e-9d3c-0f2d7c1f8a55")  # for serial numbers derived from contents


@dataclass(frozen=True, kw_only=True)
class Part:
    """Something that a wheel was made of; `role`: source, original, static library, crate or runtime.

    `sha256` is the hash of the file it came as, `licence` an SPDX expression; both may be unknown ("").
    """

    role: str
    name: str
    version: str
    purl: str
    sha256: str = ""
    licence: str = ""


def sbom(
    wheel: WheelFile, parts: Iterable[Part], *, tools: Mapping[str, str] | None = None, changes: Iterable[str] = ()
) -> Entry:
    """The member to add to a wheel: its parts, the tools (name -> version) that made it, the changes to an original.

    CycloneDX 1.6 as JSON, without a time and with a serial number derived from all the rest. Raises MissingExtra.
    """
    try:
        from cyclonedx.model.bom import Bom, BomMetaData
        from cyclonedx.model.component import Component, ComponentType
        from cyclonedx.model.tool import ToolRepository
        from cyclonedx.output.json import JsonV1Dot6
    except ImportError:
        raise MissingExtra("build", "cyclonedx-python-lib") from None
    made_by = [  # without our own version: a release that builds as the one before it must give the same wheels
        Component(name=name, version=number, type=ComponentType.APPLICATION, bom_ref=f"tool:{name}")
        for name, number in {"ot2deploy": None, **(tools or {})}.items()
    ]
    components = [_component(part) for part in {part.purl: part for part in parts}.values()]
    root = _root(wheel, tuple(changes))
    bom = Bom(components=components, metadata=BomMetaData(component=root, tools=ToolRepository(components=made_by)))
    bom.register_dependency(root, components)
    document: dict[str, Any] = json.loads(JsonV1Dot6(bom).output_as_string())
    del document["serialNumber"], document["metadata"]["timestamp"]
    text = json.dumps(document, sort_keys=True)
    document["serialNumber"] = f"urn:uuid:{uuid.uuid5(NAMESPACE, text)}"
    data = json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False).encode() + b"\n"
    return Entry(name=f"{wheel.dist_info}/{DIRECTORY}/{FILENAME}", data=data)


def pypi_url(name: str, number: str, filename: str = "") -> str:
    """The package URL (purl) of a version of a project on the package index, or of one of its files."""
    return f"pkg:pypi/{name}@{number}" + (f"?file_name={filename}" if filename else "")


def components(wheel: WheelFile) -> tuple[dict[str, Any], ...]:
    """The components in every CycloneDX JSON file of a wheel, each with `sbom`, that file's name."""
    found: list[dict[str, Any]] = []
    for member in wheel.members:
        if not (member.name.startswith(f"{wheel.dist_info}/{DIRECTORY}/") and member.name.endswith(".json")):
            continue
        try:
            listed = json.loads(wheel.read(member.name)).get("components", [])
            found += [{**one, "sbom": member.name.rpartition("/")[2]} for one in listed]
        except (ValueError, AttributeError, TypeError):
            continue
    return tuple(found)


def _root(wheel: WheelFile, changes: tuple[str, ...]) -> Component:
    from cyclonedx.model import Property
    from cyclonedx.model.component import Component, ComponentType
    from packageurl import PackageURL

    return Component(
        name=wheel.name,
        version=wheel.version,
        type=ComponentType.LIBRARY,
        bom_ref="wheel",
        purl=PackageURL.from_string(pypi_url(wheel.name, wheel.version)),
        properties=[Property(name=f"ot2deploy:change:{at:03}", value=text) for at, text in enumerate(changes, 1)],
    )


def _component(part: Part) -> Component:
    from cyclonedx.contrib.license.factories import LicenseFactory
    from cyclonedx.model import HashAlgorithm, HashType, Property
    from cyclonedx.model.component import Component, ComponentType
    from packageurl import PackageURL

    licence = part.licence.replace("/", " OR ")  # crates of before SPDX expressions
    return Component(
        name=part.name,
        version=part.version or None,
        type=ComponentType.LIBRARY,
        bom_ref=part.purl,
        purl=PackageURL.from_string(part.purl),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=part.sha256)] if part.sha256 else [],
        licenses=[LicenseFactory().make_from_string(licence)] if licence else [],
        properties=[Property(name="ot2deploy:role", value=part.role)],
    )
