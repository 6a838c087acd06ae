"""How sample_lms.olx reads a course, rule by rule, and what it refuses."""

from __future__ import annotations

import io
import json
import tarfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from opaque_keys.edx.keys import CourseKey

from sample_lms import olx
from sample_lms.modes import AGGREGATORS
from sample_lms.olx import OlxBlock, OlxCourse, OlxError, read_course

COURSE_KEY = CourseKey.from_string("course-v1:Org+Num+Run")
POINTER = '<course url_name="Run" org="Org" course="Num"/>'
PARTITIONS = [
    {
        "id": 7,
        "scheme": "cohort",
        "groups": [{"id": 1, "name": "Red"}, {"id": 2, "name": "Blue"}],
    },
    {"id": 8, "scheme": "random", "groups": [{"id": 3, "name": "Lucky"}]},
]


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return folder


def write_course(folder: Path, content: str, attributes: str = "", **policy: dict[str, object]) -> Path:
    """Write a course with its content in the course file; policy names say block__url_name."""
    entries = {name.replace("__", "/"): entry for name, entry in policy.items()}
    return write(
        folder,
        {
            "course.xml": POINTER,
            "course/Run.xml": f"<course {attributes}>{content}</course>",
            "policies/Run/policy.json": json.dumps(entries),
        },
    )


def read_files(folder: Path, files: dict[str, str]) -> OlxCourse:
    return read_course(write(folder, {"course.xml": POINTER} | files))


def key(block_type: str, name: str) -> str:
    return f"block-v1:Org+Num+Run+type@{block_type}+block@{name}"


def block(block_type: str, name: str, **values: object) -> OlxBlock:
    defaults: dict[str, object] = {
        "display_name": name if block_type in AGGREGATORS else "",
        "children": (),
        "start": None,
        "staff_only": False,
        "optional": False,
        "cohorts": (),
        "max_count": None,
    }
    return OlxBlock(key=key(block_type, name), block_type=block_type, **(defaults | values))  # type: ignore[arg-type]


def outline(course: OlxCourse) -> dict[str, list[str]]:
    """Return the children of every block by name, in order."""

    def name(text: str) -> str:
        return text.rpartition("@")[2]

    return {name(block.key): [name(child) for child in block.children] for block in course.blocks}


def only_chapter(course: OlxCourse) -> OlxBlock:
    _, chapter = course.blocks
    return chapter


def quoted(value: object) -> str:
    """Return JSON as the value of an XML attribute."""
    return json.dumps(value).replace("&", "&amp;").replace('"', "&quot;")


def test_a_course_of_pointers_is_read_depth_first(tmp_path: Path) -> None:
    files = {
        "course/Run.xml": (
            '<course display_name="Demo" mobile_available="true" start="2020-01-01">'
            '<chapter url_name="c1"/><wiki slug="x"/><chapter url_name="c2"/><sequential url_name="no"/></course>'
        ),
        "chapter/c1.xml": '<chapter display_name="One"><sequential url_name="s1"/></chapter>',
        "chapter/c2.xml": "<chapter/>",
        "sequential/s1.xml": '<sequential><vertical url_name="v1"/></sequential>',
        "vertical/v1.xml": '<vertical><html url_name="h1"/><problem url_name="p1"/></vertical>',
        "html/h1.xml": '<html display_name="Text" filename="h1"/>',
        "problem/p1.xml": "<problem><p>How many?</p></problem>",
    }
    assert read_files(tmp_path, files) == OlxCourse(
        course_key=COURSE_KEY,
        display_name="Demo",
        mobile_available=True,
        cohorts=(),
        blocks=(
            block(
                "course",
                "course",
                display_name="Demo",
                start=datetime(2020, 1, 1, tzinfo=UTC),
                children=(key("chapter", "c1"), key("chapter", "c2")),
            ),
            block("chapter", "c1", display_name="One", children=(key("sequential", "s1"),)),
            block("sequential", "s1", children=(key("vertical", "v1"),)),
            block("vertical", "v1", children=(key("html", "h1"), key("problem", "p1"))),
            block("html", "h1", display_name="Text"),
            block("problem", "p1"),
            block("chapter", "c2"),
        ),
    )


def test_a_course_in_one_file_is_read_too(tmp_path: Path) -> None:
    root = (
        '<course url_name="Run" org="Org" course="Num">'
        '<chapter url_name="c" display_name="Inline"><sequential url_name="s">'
        '<vertical url_name="v"><html url_name="h">text</html></vertical></sequential></chapter></course>'
    )
    course = read_course(write(tmp_path, {"course.xml": root, "vertical/v.xml": "<vertical><not_read/></vertical>"}))
    assert outline(course) == {"course": ["c"], "c": ["s"], "s": ["v"], "v": ["h"], "h": []}
    assert course.display_name == "Run"


def test_colons_in_a_name_stand_for_folders(tmp_path: Path) -> None:
    files = {
        "course/Run.xml": '<course><chapter url_name="week:1"/></course>',
        "chapter/week/1.xml": '<chapter display_name="Week 1"/>',
    }
    assert only_chapter(read_files(tmp_path, files)) == block("chapter", "week:1", display_name="Week 1")


def test_a_component_without_a_file_is_inline(tmp_path: Path) -> None:
    course = read_course(write_course(tmp_path, '<chapter url_name="c" x=""><html url_name="h"/></chapter>'))
    assert course.blocks[2:] == (block("html", "h"),)


@pytest.mark.parametrize("block_type", ["course", "chapter", "sequential", "vertical", "library_content"])
def test_a_missing_file_of_a_container_is_named(tmp_path: Path, block_type: str) -> None:
    name = "Run" if block_type == "course" else "gone"
    if block_type != "course":
        pointer = f'<{block_type} url_name="gone"/>'
        write_course(tmp_path, pointer if block_type == "chapter" else f"<chapter>{pointer}</chapter>")
    write(tmp_path, {"course.xml": POINTER})
    with pytest.raises(OlxError, match=rf"^{block_type}/{name}.xml does not exist.$"):
        read_course(tmp_path)


def test_what_is_in_a_component_is_content(tmp_path: Path) -> None:
    content = (
        '<chapter url_name="c"><problem url_name="p"><p>Hm</p><vertical url_name="gone"/></problem>'
        '<video url_name="v"><source src="x"/></video><brand_new url_name="n"><x/></brand_new></chapter>'
    )
    course = read_course(write_course(tmp_path, content))
    assert outline(course) == {"course": ["c"], "c": ["p", "v", "n"], "p": [], "v": [], "n": []}


def test_an_unknown_component_is_an_ordinary_block(tmp_path: Path) -> None:
    content = '<chapter url_name="c"><brand_new url_name="n" display_name="New"/></chapter>'
    assert read_course(write_course(tmp_path, content)).blocks[2:] == (block("brand_new", "n", display_name="New"),)


@pytest.mark.parametrize("container", sorted(AGGREGATORS - {"course"}))
def test_every_container_has_children(tmp_path: Path, container: str) -> None:
    content = f'<chapter url_name="c"><{container} url_name="x"><html url_name="h"/></{container}></chapter>'
    assert outline(read_course(write_course(tmp_path, content))) == {"course": ["c"], "c": ["x"], "x": ["h"], "h": []}


def test_what_a_conditional_shows_are_its_children(tmp_path: Path) -> None:
    content = (
        '<chapter url_name="c"><conditional url_name="x"><show sources="y"><html url_name="a"/></show>'
        '<html url_name="b"/></conditional></chapter>'
    )
    assert outline(read_course(write_course(tmp_path, content)))["x"] == ["a", "b"]


def test_a_block_with_two_parents_is_listed_once(tmp_path: Path) -> None:
    content = (
        '<chapter url_name="c1"><vertical url_name="v"/><vertical url_name="v"/></chapter>'
        '<chapter url_name="c2"><vertical url_name="v"/></chapter>'
    )
    write(tmp_path, {"vertical/v.xml": '<vertical><html url_name="h"/></vertical>'})
    course = read_course(write_course(tmp_path, content))
    assert outline(course) == {"course": ["c1", "c2"], "c1": ["v"], "v": ["h"], "h": [], "c2": ["v"]}


def test_a_block_cannot_be_defined_twice(tmp_path: Path) -> None:
    content = '<chapter url_name="c"><html url_name="h">a</html><html url_name="h">b</html></chapter>'
    with pytest.raises(OlxError, match=r"^course/Run.xml: block .*html\+block@h is defined a second time.$"):
        read_course(write_course(tmp_path, content))


def test_a_block_without_a_name_gets_a_lasting_one(tmp_path: Path) -> None:
    content = "<chapter><html>a</html><html>a</html><html>b</html></chapter>"
    first = read_course(write_course(tmp_path, content))
    again = read_course(write_course(tmp_path, content + '<chapter url_name="later" x=""/>'))
    names = list(outline(first))
    assert [name.rpartition("_")[0] for name in names] == ["", "chapter", "html", "html", "html"]
    assert len(set(names)) == 5
    assert list(outline(again)) == [*names, "later"]


def test_a_library_says_how_many_children_it_shows(tmp_path: Path) -> None:
    content = (
        '<chapter url_name="c"><library_content url_name="two" max_count="2"/><itembank url_name="all" max_count="-1"/>'
        '<itembank url_name="default" x=""/><vertical url_name="none" max_count="2"/></chapter>'
    )
    course = read_course(write_course(tmp_path, content))
    assert [block.max_count for block in course.blocks] == [None, None, 2, -1, 1, None]


@pytest.mark.parametrize("count", ["many", "", "-2", "1.5", "2147483648", "9" * 5000, "true"])
def test_a_library_cannot_show_something_else(tmp_path: Path, count: str) -> None:
    content = f'<chapter><itembank url_name="x" max_count="{count}"/></chapter>'
    with pytest.raises(OlxError, match=r"^course/Run.xml: max_count is '.* which is not a number"):
        read_course(write_course(tmp_path, content))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2030-01-02T03:04:05Z", datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2030-01-02T03:04:05+02:00", datetime(2030, 1, 2, 1, 4, 5, tzinfo=UTC)),
        ("2030-01-02T03:04", datetime(2030, 1, 2, 3, 4, tzinfo=UTC)),
        ("2030-01-02", datetime(2030, 1, 2, tzinfo=UTC)),
        ("&quot;2030-01-02T00:00:00Z&quot;", datetime(2030, 1, 2, tzinfo=UTC)),
        ("null", None),
        ("", None),
    ],
)
def test_a_start_is_a_moment_in_utc(tmp_path: Path, value: str, expected: datetime | None) -> None:
    course = read_course(write_course(tmp_path, f'<chapter url_name="c" start="{value}"/>'))
    assert only_chapter(course) == block("chapter", "c", start=expected)


@pytest.mark.parametrize("value", ["tomorrow", "2030-13-01", "0001-01-01T00:00:00+14:00"])
def test_a_start_that_is_no_date_is_named(tmp_path: Path, value: str) -> None:
    with pytest.raises(OlxError) as caught:
        read_course(write_course(tmp_path, f'<chapter url_name="c" start="{value}"/>'))
    assert str(caught.value) == f"course/Run.xml: start is '{value}', which is not a date."


@pytest.mark.parametrize(
    ("value", "expected"),
    [("true", True), ("True", True), ("&quot;true&quot;", True), ("1", True), ("false", False), ("no", False)],
)
def test_a_flag_is_read_in_every_spelling(tmp_path: Path, value: str, expected: bool) -> None:
    content = f'<chapter url_name="c" visible_to_staff_only="{value}" optional_completion="{value}"/>'
    assert only_chapter(read_course(write_course(tmp_path, content))) == block(
        "chapter", "c", staff_only=expected, optional=expected
    )


@pytest.mark.parametrize("value", ["Week 1", "&quot;Week 1&quot;"])
def test_a_name_is_read_with_and_without_the_quotes_of_json(tmp_path: Path, value: str) -> None:
    course = read_course(write_course(tmp_path, f'<chapter url_name="c" display_name="{value}"/>'))
    assert only_chapter(course).display_name == "Week 1"


@pytest.mark.parametrize("value", ["2", "true", "null", '"', "[1]", "[" * 100_000])
def test_a_name_that_looks_like_json_stays_what_it_is(tmp_path: Path, value: str) -> None:
    attribute = value.replace('"', "&quot;")
    course = read_course(write_course(tmp_path, f'<chapter url_name="c" display_name="{attribute}"/>'))
    assert only_chapter(course).display_name == value


def test_the_policy_wins_over_the_xml(tmp_path: Path) -> None:
    content = (
        '<chapter url_name="c" display_name="Old" visible_to_staff_only="true" start="2020-01-01">'
        '<itembank url_name="i" max_count="1"/></chapter>'
    )
    course = read_course(
        write_course(
            tmp_path,
            content,
            'display_name="Old" mobile_available="false"',
            course__Run={"display_name": "New", "mobile_available": True, "user_partitions": PARTITIONS},
            chapter__c={
                "display_name": "New",
                "visible_to_staff_only": False,
                "optional_completion": "true",
                "start": '"2030-01-01T00:00:00Z"',
                "group_access": {"7": [2]},
            },
            itembank__i={"max_count": 3, "display_name": None},
        )
    )
    assert course == OlxCourse(
        course_key=COURSE_KEY,
        display_name="New",
        mobile_available=True,
        cohorts=("Red", "Blue"),
        blocks=(
            block("course", "course", display_name="New", children=(key("chapter", "c"),)),
            block(
                "chapter",
                "c",
                display_name="New",
                start=datetime(2030, 1, 1, tzinfo=UTC),
                optional=True,
                cohorts=("Blue",),
                children=(key("itembank", "i"),),
            ),
            block("itembank", "i", max_count=3),
        ),
    )


def test_an_error_in_the_policy_names_the_policy(tmp_path: Path) -> None:
    write_course(tmp_path, '<chapter url_name="c" start="2020-01-01"/>', chapter__c={"start": "soon"})
    with pytest.raises(OlxError, match=r"^policies/Run/policy.json: start is 'soon', which is not a date.$"):
        read_course(tmp_path)


@pytest.mark.parametrize("content", ["{", "\ufeff\x00", "[" * 100_000, "[]", '{"course/Run": 1}', "null"])
def test_an_unreadable_policy_is_named(tmp_path: Path, content: str) -> None:
    write_course(tmp_path, "")
    write(tmp_path, {"policies/Run/policy.json": content})
    with pytest.raises(OlxError, match=r"^policies/Run/policy.json is not "):
        read_course(tmp_path)


@pytest.mark.parametrize("name", ["display_name", "start"])
def test_a_list_is_no_text(tmp_path: Path, name: str) -> None:
    write_course(tmp_path, "")
    write(tmp_path, {"policies/Run/policy.json": f'{{"course/Run": {{"{name}": {"[" * 900}{"]" * 900}}}}}'})
    with pytest.raises(OlxError, match=rf"^policies/Run/policy.json: {name} is .*, which is not a text.$"):
        read_course(tmp_path)


def test_text_loses_what_no_database_stores(tmp_path: Path) -> None:
    course = read_course(write_course(tmp_path, "", course__Run={"display_name": "a\0b\ud800c"}))
    assert course.display_name == "abc"


@pytest.mark.parametrize(
    ("access", "expected"),
    [
        ({}, ()),
        (None, ()),
        ({"7": [1]}, ("Red",)),
        ({"7": [2, 1, 2]}, ("Blue", "Red")),
        ({"7": [1, 99]}, ("Red",)),
        ({"7": [99]}, ("99",)),
        ({"7": []}, ()),
        ({"8": [3]}, ()),
        ({"8": [3], "7": [2]}, ("Blue",)),
        ({"5": [1]}, ()),
    ],
)
def test_group_access_names_cohorts(tmp_path: Path, access: object, expected: tuple[str, ...]) -> None:
    content = f'<chapter url_name="c" group_access="{quoted(access)}"/>'
    course = read_course(write_course(tmp_path, content, f'user_partitions="{quoted(PARTITIONS)}"'))
    assert course.cohorts == ("Red", "Blue")
    assert only_chapter(course) == block("chapter", "c", cohorts=expected)


@pytest.mark.parametrize("access", ["everybody", "[1]", "{&quot;7&quot;: 1}", "{&quot;7&quot;: &quot;12&quot;}"])
def test_group_access_that_is_something_else_is_named(tmp_path: Path, access: str) -> None:
    content = f'<chapter url_name="c" group_access="{access}"/>'
    with pytest.raises(
        OlxError, match=r"^course/Run.xml: group_access is .* not a JSON object of lists of group ids.$"
    ):
        read_course(write_course(tmp_path, content, f'user_partitions="{quoted(PARTITIONS)}"'))


@pytest.mark.parametrize(
    "partitions",
    [5, ["x"], {"a": 1}, [{}], [{"id": 1, "scheme": "cohort", "groups": [{"id": 1, "name": "n" * 256}]}]],
)
def test_partitions_that_are_something_else_are_named(tmp_path: Path, partitions: object) -> None:
    with pytest.raises(OlxError, match=r"^course/Run.xml: user_partitions is .*, which is not a list of "):
        read_course(write_course(tmp_path, "", f'user_partitions="{quoted(partitions)}"'))


@pytest.mark.parametrize(
    "root",
    [
        "<course/>",
        '<course url_name="Run" org="Org"/>',
        '<course url_name="Run" org="" course="Num"/>',
        '<course url_name="a b" org="Org" course="Num"/>',
        '<course url_name="Run+branch@draft" org="Org" course="Num"/>',
        '<library url_name="Run" org="Org" course="Num"/>',
    ],
)
def test_a_course_without_a_proper_key_is_refused(tmp_path: Path, root: str) -> None:
    with pytest.raises(OlxError, match=r"^course.xml"):
        read_course(write(tmp_path, {"course.xml": root}))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("<course>\n<chapter>", "is not well-formed XML: no element found: line 2, column 9."),
        ("", "is not well-formed XML: no element found: line 1, column 0."),
        (
            '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]><course>&b;</course>',
            "declares a document type or entities, which is not allowed.",
        ),
        (
            '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><course>&a;</course>',
            "declares a document type or entities, which is not allowed.",
        ),
        (
            '<!DOCTYPE x SYSTEM "http://127.0.0.1/x.dtd"><course/>',
            "declares a document type or entities, which is not allowed.",
        ),
        ('<?xml version="1.0" encoding="klingon"?><course/>', "is not well-formed XML: unknown encoding: klingon."),
    ],
)
def test_bad_xml_is_named(tmp_path: Path, content: str, reason: str) -> None:
    with pytest.raises(OlxError) as caught:
        read_files(tmp_path, {"course/Run.xml": content})
    assert str(caught.value) == f"course/Run.xml {reason}"


def test_bytes_that_are_not_in_the_encoding_are_refused(tmp_path: Path) -> None:
    write_course(tmp_path, "")
    (tmp_path / "course/Run.xml").write_bytes(b'<course display_name="\xff"/>')
    with pytest.raises(OlxError, match=r"^course/Run.xml is not well-formed XML: .*line 1"):
        read_course(tmp_path)


def test_a_file_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(olx, "MAX_FILE_BYTES", 100)
    write_course(tmp_path, "<chapter/>" + " " * 100)
    with pytest.raises(OlxError, match=r"^course/Run.xml is larger than 100 bytes.$"):
        read_course(tmp_path)


def test_a_folder_in_place_of_a_file_is_refused(tmp_path: Path) -> None:
    write_course(tmp_path, '<chapter url_name="c"/>')
    (tmp_path / "chapter/c.xml").mkdir(parents=True)
    with pytest.raises(OlxError, match=r"^chapter/c.xml does not exist.$"):
        read_course(tmp_path)


def test_a_cycle_of_pointers_is_named(tmp_path: Path) -> None:
    files = {
        "course/Run.xml": '<course><chapter url_name="c"/></course>',
        "chapter/c.xml": '<chapter><vertical url_name="v"/></chapter>',
        "vertical/v.xml": '<vertical><wrapper url_name="w"/></vertical>',
        "wrapper/w.xml": '<wrapper><vertical url_name="v"/></wrapper>',
    }
    with pytest.raises(OlxError) as caught:
        read_files(tmp_path, files)
    assert str(caught.value) == f"wrapper/w.xml: block {key('vertical', 'v')} contains itself."


def nested(levels: int) -> str:
    return "".join(f'<wrapper url_name="w{number}" x="">' for number in range(levels)) + "</wrapper>" * levels


def test_blocks_can_be_nested_fifty_deep(tmp_path: Path) -> None:
    course = read_course(write_course(tmp_path, f'<chapter url_name="c">{nested(48)}</chapter>'))
    assert len(course.blocks) == 50


@pytest.mark.parametrize("levels", [49, 5000])
def test_blocks_cannot_be_nested_deeper(tmp_path: Path, levels: int) -> None:
    with pytest.raises(OlxError, match=r"^course/Run.xml: block .*@w48 is nested more than 50 deep.$"):
        read_course(write_course(tmp_path, f'<chapter url_name="c">{nested(levels)}</chapter>'))


def test_content_can_be_nested_as_deep_as_it_likes(tmp_path: Path) -> None:
    content = f"<chapter url_name='c'><html>{'<b>' * 20_000}{'</b>' * 20_000}</html></chapter>"
    assert len(read_course(write_course(tmp_path, content)).blocks) == 3


@pytest.mark.parametrize("name", ["../../secret", "/etc/passwd", "a b", "a+b", "x" * 250, "&#10;"])
def test_a_name_that_makes_no_key_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(OlxError, match=r"^course/Run.xml: "):
        read_course(write_course(tmp_path, f'<chapter url_name="{name}"/>'))


@pytest.mark.parametrize("tag", ["x:html xmlns:x='http://x'", "t" * 65])
def test_a_type_that_makes_no_key_is_refused(tmp_path: Path, tag: str) -> None:
    with pytest.raises(OlxError, match=r"^course/Run.xml: "):
        read_course(write_course(tmp_path, f'<chapter url_name="c"><{tag} url_name="h"/></chapter>'))


def test_a_name_cannot_lead_out_of_the_folder(tmp_path: Path) -> None:
    write(tmp_path, {"secret.xml": '<chapter display_name="secret"/>'})
    write_course(tmp_path / "course_folder", '<chapter url_name="..:..:secret"/>')
    with pytest.raises(OlxError, match=r"^chapter/../../secret.xml lies outside the course folder.$"):
        read_course(tmp_path / "course_folder")


def test_a_link_cannot_lead_out_of_the_folder(tmp_path: Path) -> None:
    write(tmp_path, {"secret.xml": '<chapter display_name="secret"/>'})
    folder = write_course(tmp_path / "course_folder", '<chapter url_name="c"/>')
    (folder / "chapter").mkdir()
    (folder / "chapter/c.xml").symlink_to(tmp_path / "secret.xml")
    with pytest.raises(OlxError, match=r"^chapter/c.xml lies outside the course folder.$"):
        read_course(folder)


def test_a_name_too_long_for_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OlxError, match=r"chapter/é{200}.xml"):
        read_course(write_course(tmp_path, f'<chapter url_name="{"é" * 200}"/>'))


# Folders and archives


def pack(archive: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(archive, "w:gz") as tar:
        for member, content in members:
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return archive


def pack_folder(archive: Path, folder: Path, name: str) -> Path:
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder, arcname=name)
    return archive


def test_the_course_may_be_in_the_only_folder_that_has_one(tmp_path: Path) -> None:
    write(tmp_path, {"notes/read.me": "", "file": ""})
    write_course(tmp_path / "course", '<chapter url_name="c" x=""/>')
    assert outline(read_course(tmp_path)) == {"course": ["c"], "c": []}


def test_a_run_called_course_is_no_second_course(tmp_path: Path) -> None:
    root = '<course url_name="course" org="Org" course="Num"/>'
    course = read_course(write(tmp_path, {"course.xml": root, "course/course.xml": "<course/>"}))
    assert str(course.course_key) == "course-v1:Org+Num+course"


def test_two_courses_in_one_folder_are_refused(tmp_path: Path) -> None:
    write_course(tmp_path / "a", "")
    write_course(tmp_path / "b", "")
    with pytest.raises(OlxError, match=r"contains more than one course: a, b.$"):
        read_course(tmp_path)


def test_a_folder_without_a_course_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OlxError, match=r"contains no course.xml.$"):
        read_course(tmp_path)


def test_a_path_that_leads_nowhere_is_named(tmp_path: Path) -> None:
    with pytest.raises(OlxError, match=r"/gone does not exist.$"):
        read_course(tmp_path / "gone")


def test_a_file_that_is_no_archive_is_named(tmp_path: Path) -> None:
    write(tmp_path, {"course.zip": ""})
    with pytest.raises(OlxError, match=r"course.zip is neither a folder nor a .tar.gz archive.$"):
        read_course(tmp_path / "course.zip")


@pytest.mark.parametrize(("name", "top"), [("x.tar.gz", "course"), ("x.tgz", ".")])
def test_an_archive_reads_like_the_folder(tmp_path: Path, name: str, top: str) -> None:
    folder = write_course(tmp_path / "folder", '<chapter url_name="c" x=""/>')
    assert read_course(pack_folder(tmp_path / name, folder, top)) == read_course(folder)


def test_an_archive_without_a_course_is_named(tmp_path: Path) -> None:
    archive = pack(tmp_path / "x.tgz", (tarfile.TarInfo("file"), b""))
    with pytest.raises(OlxError, match=r"/x.tgz contains no course.xml.$"):
        read_course(archive)


def test_a_corrupt_archive_is_named(tmp_path: Path) -> None:
    whole = pack_folder(tmp_path / "x.tgz", write_course(tmp_path / "folder", ""), "course").read_bytes()
    for content in (b"", b"not an archive", whole[: len(whole) // 2], whole[:40] + b"\0" * 20 + whole[60:]):
        (tmp_path / "x.tgz").write_bytes(content)
        with pytest.raises(OlxError, match=r"^x.tgz cannot be unpacked: "):
            read_course(tmp_path / "x.tgz")


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/evil"])
def test_an_archive_cannot_write_outside(tmp_path: Path, name: str) -> None:
    archive = pack(tmp_path / "x.tgz", (tarfile.TarInfo(name), b"evil"))
    with pytest.raises(OlxError) as caught:
        read_course(archive)
    assert str(caught.value) == f"x.tgz: member '{name}' lies outside the archive."


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_an_archive_holds_files_and_folders_only(tmp_path: Path, kind: bytes) -> None:
    member = tarfile.TarInfo("course.xml")
    member.type, member.linkname = kind, "/etc/passwd"
    with pytest.raises(OlxError, match=r"^x.tgz: member 'course.xml' is neither a file nor a folder.$"):
        read_course(pack(tmp_path / "x.tgz", (member, b"")))


def test_an_archive_cannot_be_too_deep(tmp_path: Path) -> None:
    archive = pack(tmp_path / "x.tgz", (tarfile.TarInfo("a/" * 5000), b""))
    with pytest.raises(OlxError, match=rf"^x.tgz: member '(a/)+a* lies more than {olx.MAX_DEPTH} folders deep.$"):
        read_course(archive)


def test_an_archive_cannot_have_too_many_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(olx, "MAX_ARCHIVE_MEMBERS", 2)
    archive = pack(tmp_path / "x.tgz", *((tarfile.TarInfo(name), b"") for name in "abc"))
    with pytest.raises(OlxError, match=r"^x.tgz: member 'c' is one more than the 2 allowed.$"):
        read_course(archive)


def test_an_archive_cannot_unpack_to_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(olx, "MAX_ARCHIVE_BYTES", 100_000)
    archive = pack(tmp_path / "x.tgz", (tarfile.TarInfo("a"), bytes(60_000)), (tarfile.TarInfo("b"), bytes(60_000)))
    with pytest.raises(OlxError, match=r"^x.tgz: member 'b' makes the archive unpack to more than 100000 bytes.$"):
        read_course(archive)


def test_the_headers_of_an_archive_count_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(olx, "MAX_ARCHIVE_BYTES", 100_000)
    archive = pack(tmp_path / "x.tgz", (tarfile.TarInfo("a" * 200_000), b""))
    with pytest.raises(OlxError, match=r"^x.tgz unpacks to more than 100000 bytes.$"):
        read_course(archive)
