"""Reads a course from OLX, the XML format that Open edX Studio exports: a folder or a .tar.gz of one.

Only reads files; knows no database and no Django models. Imported by sample_lms.publishing and the commands.
What it reads may come from anybody, so everything that is wrong with it ends in an OlxError.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import reprlib
import tarfile
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import ParseError, fromstring
from opaque_keys import InvalidKeyError
from opaque_keys.edx.keys import CourseKey, UsageKey
from opaque_keys.edx.locator import BlockUsageLocator, CourseLocator

from sample_lms.modes import AGGREGATORS, LIBRARIES

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

ARCHIVES = (".tar.gz", ".tgz")
MAX_ARCHIVE_BYTES = 500_000_000
MAX_ARCHIVE_MEMBERS = 100_000
MAX_FILE_BYTES = 50_000_000
MAX_DEPTH = 50
MAX_BLOCKS = 100_000
# What the columns of the sample LMS hold.
MAX_KEY_LENGTH = 255
MAX_TYPE_LENGTH = 64
MAX_COUNT = 2**31 - 1

NOT_BLOCKS = frozenset({"textbook", "wiki"})
POINTER = frozenset({"url_name"})
COURSE_POINTER = frozenset({"url_name", "org", "course"})


class OlxError(Exception):
    """One sentence that names the file and what is wrong with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OlxBlock:
    key: str
    block_type: str
    display_name: str
    #: Keys, in order.
    children: tuple[str, ...]
    start: datetime | None
    staff_only: bool
    optional: bool
    #: Names of the cohorts that may see it; empty: everybody.
    cohorts: tuple[str, ...]
    #: How many children a library shows; -1: all; None: not a library.
    max_count: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OlxCourse:
    course_key: CourseKey
    display_name: str
    mobile_available: bool
    cohorts: tuple[str, ...]
    #: Depth first, the course block first; each once, even with several parents.
    blocks: tuple[OlxBlock, ...]


def read_course(path: Path) -> OlxCourse:
    try:
        if path.is_dir():
            return _read_folder(_course_folder(path, path))
        if not path.exists():
            raise OlxError(f"{path} does not exist.")
        if not (path.is_file() and path.name.endswith(ARCHIVES)):
            raise OlxError(f"{path} is neither a folder nor a .tar.gz archive.")
        with tempfile.TemporaryDirectory(prefix="olx-") as folder:
            _unpack(path, folder)
            return _read_folder(_course_folder(Path(folder), path))
    except OSError as error:
        raise OlxError(f"{path} cannot be read: {error}.") from error


# Archives


class _Capped:
    """A stream that ends in an error after MAX_ARCHIVE_BYTES: tar headers, too, can be as long as they like."""

    def __init__(self, stream: gzip.GzipFile, name: str) -> None:
        self.stream, self.name, self.left = stream, name, MAX_ARCHIVE_BYTES

    def read(self, size: int) -> bytes:
        data = self.stream.read(size)
        self.left -= len(data)
        if self.left < 0:
            raise OlxError(f"{self.name} unpacks to more than {MAX_ARCHIVE_BYTES} bytes.")
        return data


def _unpack(path: Path, folder: str) -> None:
    try:
        with gzip.open(path) as stream:
            capped: Any = _Capped(stream, path.name)
            with tarfile.open(fileobj=capped, mode="r|") as archive:
                for number, member in enumerate(archive, start=1):
                    _check_member(path.name, member, number, capped.left)
                    archive.extract(member, folder, filter="data")
    except (tarfile.TarError, EOFError, OSError, ValueError, zlib.error) as error:
        raise OlxError(f"{path.name} cannot be unpacked: {error}.") from error


def _check_member(archive: str, member: tarfile.TarInfo, number: int, bytes_left: int) -> None:
    parts = PurePosixPath(member.name).parts
    where = f"{archive}: member {member.name!r:.200}"
    if member.name.startswith("/") or ".." in parts:
        raise OlxError(f"{where} lies outside the archive.")
    if not (member.isfile() or member.isdir()):
        raise OlxError(f"{where} is neither a file nor a folder.")
    if len(parts) > MAX_DEPTH:
        raise OlxError(f"{where} lies more than {MAX_DEPTH} folders deep.")
    if number > MAX_ARCHIVE_MEMBERS:
        raise OlxError(f"{where} is one more than the {MAX_ARCHIVE_MEMBERS} allowed.")
    if member.size > bytes_left:
        raise OlxError(f"{where} makes the archive unpack to more than {MAX_ARCHIVE_BYTES} bytes.")


# Files


def _course_folder(root: Path, path: Path) -> Path:
    """Return the folder with course.xml, links resolved: root, which holds what path names, or the only one in it."""
    # A run may be called "course": then course/course.xml exists too, so the given folder comes first.
    found = [folder for folder in (root, *sorted(root.iterdir())) if (folder / "course.xml").is_file()]
    if not found:
        raise OlxError(f"{path} contains no course.xml.")
    if found[0] != root and len(found) > 1:
        raise OlxError(f"{path} contains more than one course: {', '.join(folder.name for folder in found)}.")
    return found[0].resolve()


def _locate(folder: Path, file: str) -> Path:
    path = Path(os.path.realpath(folder / file))
    if not path.is_relative_to(folder):
        raise OlxError(f"{file} lies outside the course folder.")
    return path


def _read_bytes(folder: Path, file: str) -> bytes:
    path = _locate(folder, file)
    if not path.is_file():
        raise OlxError(f"{file} does not exist.")
    if path.stat().st_size > MAX_FILE_BYTES:
        raise OlxError(f"{file} is larger than {MAX_FILE_BYTES} bytes.")
    return path.read_bytes()


def _read_xml(folder: Path, file: str) -> Element:
    data = _read_bytes(folder, file)
    try:
        element: Element = fromstring(data, forbid_dtd=True)
    except DefusedXmlException as error:
        raise OlxError(f"{file} declares a document type or entities, which is not allowed.") from error
    except (ParseError, LookupError, ValueError) as error:  # the last two: encodings
        raise OlxError(f"{file} is not well-formed XML: {error}.") from error
    return element


def _read_policy(folder: Path, file: str) -> dict[str, dict[str, object]]:
    if not _locate(folder, file).exists():
        return {}
    try:
        policy = json.loads(_read_bytes(folder, file))
    except (ValueError, RecursionError) as error:
        raise OlxError(f"{file} is not valid JSON: {error}.") from error
    if not isinstance(policy, dict) or not all(isinstance(entry, dict) for entry in policy.values()):
        raise OlxError(f"{file} is not a JSON object of objects.")
    return policy


# Attributes


def _clean(text: str) -> str:
    """Drop what JSON can spell and no database stores."""
    return text.encode("utf-8", "ignore").decode().replace("\0", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Attributes:
    """What the files say about a block; the policy file has the last word, as in Open edX."""

    xml: Mapping[str, str]
    xml_file: str
    policy: Mapping[str, object]
    policy_file: str

    def raw(self, name: str) -> object:
        return self.policy[name] if name in self.policy else self.xml.get(name)

    def value(self, name: str) -> object:
        """Return the attribute decoded: Open edX writes JSON into attributes, also texts in JSON's quotes."""
        raw = self.raw(name)
        if not isinstance(raw, str):
            return raw
        try:
            return json.loads(raw)
        except (ValueError, RecursionError):
            return raw

    def error(self, name: str, expected: str) -> OlxError:
        file = self.policy_file if name in self.policy else self.xml_file
        return OlxError(f"{file}: {name} is {reprlib.repr(self.raw(name))}, which is not {expected}.")

    def text(self, name: str, default: str) -> str:
        raw, value = self.raw(name), self.value(name)
        if raw is None:
            return default
        if isinstance(raw, list | dict):
            raise self.error(name, "a text")
        return _clean(value if isinstance(value, str) else str(raw))

    def flag(self, name: str) -> bool:
        value = self.value(name)
        return value.lower() == "true" if isinstance(value, str) else bool(value)

    def moment(self, name: str) -> datetime | None:
        if self.value(name) in (None, ""):
            return None
        try:
            moment = datetime.fromisoformat(self.text(name, ""))
            return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        except (ValueError, OverflowError) as error:
            raise self.error(name, "a date") from error

    def count(self, name: str, default: int) -> int:
        if self.value(name) is None:
            return default
        try:
            count = int(self.text(name, ""))
        except ValueError as error:
            raise self.error(name, "a number") from error
        if not -1 <= count <= MAX_COUNT:
            raise self.error(name, "a number of children")
        return count


#: By the id of the partition, the names of its groups by id.
Partitions = dict[str, dict[str, str]]


def _cohort_partitions(attributes: _Attributes) -> Partitions:
    try:
        partitions: Any = attributes.value("user_partitions") or []
        found = {
            str(partition["id"]): {str(group["id"]): _clean(group["name"]) for group in partition["groups"]}
            for partition in partitions
            if partition["scheme"] == "cohort"
        }
    except (AttributeError, KeyError, RecursionError, TypeError) as error:
        raise attributes.error("user_partitions", "a list of partitions and their groups") from error
    if any(len(name) > MAX_KEY_LENGTH for groups in found.values() for name in groups.values()):
        raise attributes.error("user_partitions", f"a list of groups with names of up to {MAX_KEY_LENGTH} characters")
    return found


def _cohorts(attributes: _Attributes, partitions: Partitions) -> tuple[str, ...]:
    access: Any = attributes.value("group_access") or {}
    names: list[str] = []
    try:
        for partition, group_ids in access.items():
            if not isinstance(group_ids, list | None):
                raise TypeError
            if group_ids and partition in partitions:
                groups = partitions[partition]
                known = [groups[str(group)] for group in group_ids if str(group) in groups]
                # Groups that are gone still hide the block: an id is no name, so that nobody matches.
                names += known or [_clean(str(group)) for group in group_ids]
    except (AttributeError, RecursionError, TypeError) as error:
        raise attributes.error("group_access", "a JSON object of lists of group ids") from error
    return tuple(dict.fromkeys(names))


# Blocks


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """A block, and the XML element that stands for it: its definition or a pointer to the file with it."""

    key: str
    block_type: str
    url_name: str
    xml: Element
    file: str


def _read_folder(folder: Path) -> OlxCourse:
    root = _read_xml(folder, "course.xml")
    org, course, run = root.get("org"), root.get("course"), root.get("url_name")
    if root.tag != "course" or not (org and course and run):
        raise OlxError("course.xml is not a <course> with org, course and url_name.")
    try:
        course_key = CourseLocator(org, course, run)
    except InvalidKeyError as error:
        raise OlxError(f"course.xml: {org!r}, {course!r} and {run!r} make no course key.") from error
    return _Reader(folder, course_key, run).course(root)


def _is_pointer(element: Element, attributes: frozenset[str] = POINTER) -> bool:
    return set(element.keys()) == attributes and not len(element) and not (element.text or "").strip()


def _child_elements(parent: _Found) -> Iterator[Element]:
    if parent.block_type not in AGGREGATORS:
        return  # what is in a problem or a text is content
    for element in parent.xml:
        if parent.block_type == "conditional" and element.tag == "show":
            yield from element
        elif (parent.block_type != "course" or element.tag == "chapter") and element.tag not in NOT_BLOCKS:
            yield element


def _derived_name(element: Element, parent_key: str, index: int) -> str:
    """Name a block that has no name: the same in every export, as long as it is the same block in the same place."""
    content = [(part.tag, sorted(part.items()), part.text, part.tail) for part in element.iter()]
    digest = hashlib.sha1(repr((parent_key, index, content)).encode(), usedforsecurity=False).hexdigest()
    return f"{element.tag}_{digest[:12]}"


class _Reader:
    def __init__(self, folder: Path, course_key: CourseKey, run: str) -> None:
        self.folder = folder
        self.course_key = course_key
        self.run = run
        self.policy_file = f"policies/{run}/policy.json"
        self.policy = _read_policy(folder, self.policy_file)
        self.partitions: Partitions = {}
        self.blocks: dict[str, OlxBlock] = {}

    def course(self, root: Element) -> OlxCourse:
        # Open edX calls the course block "course", whatever the run; its files carry the name of the run.
        key = self._key("course", "course", "course.xml")
        found = _Found(key=key, block_type="course", url_name=self.run, xml=root, file="course.xml")
        if _is_pointer(root, COURSE_POINTER):
            found = self._follow(found)
        attributes = self._attributes(found)
        self.partitions = _cohort_partitions(attributes)
        self._add(found, ancestors=())
        return OlxCourse(
            course_key=self.course_key,
            display_name=self.blocks[key].display_name,
            mobile_available=attributes.flag("mobile_available"),
            cohorts=tuple(dict.fromkeys(name for groups in self.partitions.values() for name in groups.values())),
            blocks=tuple(self.blocks.values()),
        )

    def _key(self, block_type: str, name: str, file: str) -> str:
        try:
            key = str(BlockUsageLocator(self.course_key, block_type, name))
            UsageKey.from_string(key)  # checks the type too
        except InvalidKeyError as error:
            raise OlxError(f"{file}: {block_type!r:.100} and {name!r:.300} make no block key.") from error
        if len(key) > MAX_KEY_LENGTH or len(block_type) > MAX_TYPE_LENGTH:
            raise OlxError(f"{file}: the key or the type of block {key:.300} is too long.")
        return key

    def _follow(self, pointer: _Found) -> _Found:
        """Return the definition in the file that a pointer means; a component without a file is its own."""
        file = f"{pointer.block_type}/{pointer.url_name.replace(':', '/')}.xml"
        if pointer.block_type not in AGGREGATORS and not _locate(self.folder, file).exists():
            return pointer
        return replace(pointer, xml=_read_xml(self.folder, file), file=file)

    def _attributes(self, found: _Found) -> _Attributes:
        policy = self.policy.get(f"{found.block_type}/{found.url_name}", {})
        return _Attributes(xml=found.xml.attrib, xml_file=found.file, policy=policy, policy_file=self.policy_file)

    def _children(self, parent: _Found) -> list[_Found]:
        children = []
        for index, element in enumerate(_child_elements(parent)):
            name = element.get("url_name") or _derived_name(element, parent.key, index)
            key = self._key(element.tag, name, parent.file)
            child = _Found(key=key, block_type=element.tag, url_name=name, xml=element, file=parent.file)
            children.append(child)
        return children

    def _visit(self, found: _Found, ancestors: tuple[str, ...]) -> None:
        if found.key in ancestors:
            raise OlxError(f"{found.file}: block {found.key} contains itself.")
        if len(ancestors) >= MAX_DEPTH:
            raise OlxError(f"{found.file}: block {found.key} is nested more than {MAX_DEPTH} deep.")
        pointer = _is_pointer(found.xml)
        if found.key not in self.blocks:
            self._add(self._follow(found) if pointer else found, ancestors)
        elif not pointer:
            raise OlxError(f"{found.file}: block {found.key} is defined a second time.")

    def _add(self, found: _Found, ancestors: tuple[str, ...]) -> None:
        if len(self.blocks) == MAX_BLOCKS:
            raise OlxError(f"{found.file}: block {found.key} is one more than the {MAX_BLOCKS} allowed.")
        attributes, children = self._attributes(found), self._children(found)
        self.blocks[found.key] = OlxBlock(
            key=found.key,
            block_type=found.block_type,
            display_name=attributes.text("display_name", found.url_name if found.block_type in AGGREGATORS else ""),
            children=tuple(dict.fromkeys(child.key for child in children)),
            start=attributes.moment("start"),
            staff_only=attributes.flag("visible_to_staff_only"),
            optional=attributes.flag("optional_completion"),
            cohorts=_cohorts(attributes, self.partitions),
            max_count=attributes.count("max_count", default=1) if found.block_type in LIBRARIES else None,
        )
        for child in children:
            self._visit(child, (*ancestors, found.key))
