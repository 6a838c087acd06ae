"""import_olx from the file to the tables: what a publication replaces and what it leaves alone."""

from __future__ import annotations

import json
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.db.models import Model
from opaque_keys.edx.keys import CourseKey

from sample_lms.models import Block, BlockLink, Cohort, CohortMembership, Course, Enrollment
from sample_lms.olx import read_course
from sample_lms.publishing import course_published, publish

DEMO_COURSE = Path(__file__).resolve().parents[4] / "shared/data/openedx-demo-course"
COURSE_KEY = CourseKey.from_string("course-v1:Org+Num+Run")
PARTITIONS = json.dumps([{"id": 7, "scheme": "cohort", "groups": [{"id": 1, "name": "Red"}]}])

pytestmark = pytest.mark.django_db


def write_course(folder: Path, *chapters: str, cohorts: bool = False) -> Path:
    partitions = f"user_partitions='{PARTITIONS}'" if cohorts else ""
    folder.mkdir(exist_ok=True)
    start = f'<course url_name="Run" org="Org" course="Num" display_name="Demo" {partitions}>'
    (folder / "course.xml").write_text(f"{start}{''.join(chapters)}</course>", encoding="utf-8")
    return folder


def chapter(name: str, *verticals: str) -> str:
    units = (f'<vertical url_name="{unit}"><html url_name="in-{unit}"/></vertical>' for unit in verticals)
    return f'<chapter url_name="{name}" display_name="{name}">{"".join(units)}</chapter>'


def import_olx(path: Path, *options: str) -> str:
    output = StringIO()
    call_command("import_olx", str(path), *options, stdout=output)
    return output.getvalue()


def outline() -> dict[str, list[str]]:
    """Return the names of the children of every block in the database, in order."""

    def name(block: Block) -> str:
        return block.block_key.rpartition("@")[2]

    blocks = Block.objects.order_by("position")
    return {name(block): [name(link.child) for link in block.child_links.order_by("position")] for block in blocks}


def rows(*models: type[Model]) -> list[list[dict[str, Any]]]:
    return [list(model._default_manager.order_by("pk").values()) for model in models]


def test_a_new_version_replaces_the_blocks_and_nothing_else(tmp_path: Path) -> None:
    learner = get_user_model().objects.create_user("learner")
    import_olx(write_course(tmp_path, chapter("c1", "stays", "moves", "goes"), chapter("c2"), cohorts=True))
    Enrollment.objects.create(user=learner, course_id=COURSE_KEY)
    CohortMembership.objects.create(user=learner, course_id=COURSE_KEY, cohort=Cohort.objects.get())
    before = rows(Enrollment, Cohort, CohortMembership)
    version = Course.objects.get().version
    assert outline() == {
        "course": ["c1", "c2"],
        "c1": ["stays", "moves", "goes"],
        "stays": ["in-stays"],
        "in-stays": [],
        "moves": ["in-moves"],
        "in-moves": [],
        "goes": ["in-goes"],
        "in-goes": [],
        "c2": [],
    }

    import_olx(write_course(tmp_path, chapter("c1", "new", "stays"), chapter("c2", "moves"), cohorts=True))

    assert outline() == {
        "course": ["c1", "c2"],
        "c1": ["new", "stays"],
        "new": ["in-new"],
        "in-new": [],
        "stays": ["in-stays"],
        "in-stays": [],
        "c2": ["moves"],
        "moves": ["in-moves"],
        "in-moves": [],
    }
    assert Course.objects.get().version != version
    assert rows(Enrollment, Cohort, CohortMembership) == before


def test_every_value_of_a_block_is_stored(tmp_path: Path) -> None:
    attributes = (
        'display_name="Bank" start="2030-01-01T00:00:00Z" visible_to_staff_only="true" optional_completion="true" '
        'max_count="3" group_access=\'{"7": [1]}\''
    )
    olx = read_course(
        write_course(tmp_path, f'<chapter url_name="c"><itembank url_name="i" {attributes}/></chapter>', cohorts=True)
    )
    publish(olx)
    fields = ("block_key", "block_type", "display_name", "start", "staff_only", "optional", "cohorts", "max_count")
    stored = list(Block.objects.order_by("position").values(*fields))
    assert stored == [
        {
            "block_key": block.key,
            "block_type": block.block_type,
            "display_name": block.display_name,
            "start": block.start,
            "staff_only": block.staff_only,
            "optional": block.optional,
            "cohorts": list(block.cohorts),
            "max_count": block.max_count,
        }
        for block in olx.blocks
    ]


def test_a_failed_import_changes_nothing(tmp_path: Path) -> None:
    import_olx(write_course(tmp_path, chapter("c1", "v1")))
    before = rows(Course, Block, BlockLink, Cohort)
    write_course(tmp_path, chapter("c1", "v2"), '<chapter url_name="gone"/>', cohorts=True)
    with pytest.raises(CommandError, match=r"^chapter/gone.xml does not exist.$"):
        import_olx(tmp_path)
    assert rows(Course, Block, BlockLink, Cohort) == before


def test_a_failure_while_publishing_changes_nothing(tmp_path: Path) -> None:
    def refuse(**_: object) -> None:
        raise RuntimeError("refused")

    import_olx(write_course(tmp_path, chapter("c1", "v1")))
    before = rows(Course, Block, BlockLink, Cohort)
    course_published.connect(refuse)
    try:
        with pytest.raises(RuntimeError, match=r"^refused$"):
            import_olx(write_course(tmp_path, chapter("c1", "v2"), cohorts=True))
    finally:
        course_published.disconnect(refuse)
    assert rows(Course, Block, BlockLink, Cohort) == before


def test_a_publication_is_announced_when_it_is_complete(tmp_path: Path) -> None:
    heard: list[tuple[object, object, int]] = []

    def hear(sender: object, course_key: object, **_: object) -> None:
        heard.append((sender, course_key, Block.objects.count()))

    course_published.connect(hear)
    try:
        import_olx(write_course(tmp_path, chapter("c1", "v1")))
    finally:
        course_published.disconnect(hear)
    assert heard == [(Course, COURSE_KEY, 4)]


def test_another_course_keeps_its_blocks(tmp_path: Path) -> None:
    other = read_course(write_course(tmp_path, chapter("c1", "v1")))
    publish(replace(other, course_key=CourseKey.from_string("course-v1:Org+Num+Other")))
    before = rows(Course, Block, BlockLink)
    import_olx(tmp_path)
    import_olx(write_course(tmp_path))
    Course.objects.get(course_key=COURSE_KEY).delete()
    assert rows(Course, Block, BlockLink) == before


def test_a_course_once_cohorted_stays_so(tmp_path: Path) -> None:
    states = []
    for cohorts in (False, True, False):
        import_olx(write_course(tmp_path, cohorts=cohorts))
        states.append((Course.objects.get().cohorted, list(Cohort.objects.values_list("name", flat=True))))
    assert states == [(False, []), (True, ["Red"]), (True, ["Red"])]


def test_long_names_are_cut(tmp_path: Path) -> None:
    write_course(tmp_path, f'<chapter url_name="c" display_name="{"é" * 300}"/>')
    import_olx(tmp_path)
    assert Block.objects.get(block_type="chapter").display_name == "é" * 255


def test_people_read_one_line(tmp_path: Path) -> None:
    output = import_olx(write_course(tmp_path, chapter("c1", "v1", "v2"), chapter("c2")))
    version = Course.objects.get().version
    assert output == f"Published course-v1:Org+Num+Run (version {version}): 2 chapters, 2 verticals, 2 htmls\n"


def test_programs_read_one_json_object(tmp_path: Path) -> None:
    output = import_olx(write_course(tmp_path, chapter("c1", "v1")), "--json")
    version = Course.objects.get().version
    assert output == (
        f'{{"course_key": "course-v1:Org+Num+Run", "version": "{version}", '
        '"blocks": {"chapter": 1, "course": 1, "html": 1, "vertical": 1}}\n'
    )


@pytest.mark.skipif(not DEMO_COURSE.exists(), reason=f"{DEMO_COURSE} is absent")
def test_the_demo_course_of_open_edx_is_imported() -> None:
    result = json.loads(import_olx(DEMO_COURSE, "--json"))
    course = Course.objects.get()
    assert result == {
        "course_key": "course-v1:OpenedX+DemoX+DemoCourse",
        "version": course.version,
        "blocks": {
            "annotatable": 1,
            "chapter": 6,
            "course": 1,
            "discussion": 1,
            "done": 1,
            "drag-and-drop-v2": 1,
            "edx_sga": 1,
            "html": 266,
            "library_content": 1,
            "lti": 2,
            "openassessment": 2,
            "poll": 1,
            "problem": 29,
            "sequential": 17,
            "staffgradedxblock": 1,
            "survey": 1,
            "vertical": 58,
            "video": 11,
        },
    }
    assert course.cohorted
    assert list(Cohort.objects.order_by("name").values_list("name", flat=True)) == [
        "Content Group A",
        "Content Group B",
        "Test",
    ]
    assert list(Block.objects.filter(max_count__isnull=False).values_list("block_type", "max_count")) == [
        ("library_content", 2)
    ]
    assert BlockLink.objects.count() == 400
