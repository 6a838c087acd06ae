"""A course may come from anybody: what is made to do harm ends in one sentence, and nothing of it is imported."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from sample_lms import olx
from sample_lms.models import Block, Course

pytestmark = pytest.mark.django_db
COURSE = b'<course org="Org" course="Num" url_name="Run"/>'


def folder(path: Path, **files: bytes) -> Path:
    """Write course.xml and the file that it points to."""
    (path / "course").mkdir()
    (path / "course.xml").write_bytes(files.get("root", COURSE))
    (path / "course/Run.xml").write_bytes(files.get("course", b"<course/>"))
    return path


def laughs(path: Path) -> Path:
    entities = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12))
    return folder(path, course=f'<!DOCTYPE x [<!ENTITY a0 "ha">{entities}]><course a="&a11;"/>'.encode())


def quadratic(path: Path) -> Path:
    return folder(path, course=b'<!DOCTYPE x [<!ENTITY a "%s">]><course a="%s"/>' % (b"a" * 10_000, b"&a;" * 10_000))


def external(path: Path) -> Path:
    return folder(path, root=b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><course org="&a;"/>')


def parameters(path: Path) -> Path:
    return folder(path, root=b'<!DOCTYPE x [<!ENTITY %% a SYSTEM "http://127.0.0.1:9/"> %%a;]>%s' % COURSE)


def deep(path: Path) -> Path:
    return folder(
        path, course=b"<course><chapter>" + b"<wrapper>" * 5_000 + b"</wrapper>" * 5_000 + b"</chapter></course>"
    )


def cycle(path: Path) -> Path:
    folder(path, course=b'<course><chapter url_name="c"/></course>')
    (path / "chapter").mkdir()
    (path / "chapter/c.xml").write_bytes(b'<chapter><chapter url_name="c"/></chapter>')
    return path


def late(path: Path) -> Path:
    """What is wrong comes after much that is right."""
    return folder(path, course=b"<course>" + b"<chapter/>" * 100 + b'<chapter start="never"/></course>')


def bomb(path: Path) -> Path:
    """Unpacks to 600 MB."""
    archive = path / "bomb.tar.gz"
    with gzip.open(archive, "wb", compresslevel=1) as file:
        info = tarfile.TarInfo("course.xml")
        info.size = 600_000_000
        file.write(info.tobuf())
    return archive


def packed(path: Path, name: str, kind: bytes = tarfile.REGTYPE) -> Path:
    archive = path / "x.tar.gz"
    with tarfile.open(archive, "w:gz") as file:
        for each, of_type in ((name, kind), ("course.xml", tarfile.REGTYPE), ("course/Run.xml", tarfile.REGTYPE)):
            info = tarfile.TarInfo(each)
            info.type, info.linkname, info.size = of_type, "/etc/passwd", len(COURSE)
            file.addfile(info, io.BytesIO(COURSE))
    return archive


def climbing(path: Path) -> Path:
    return packed(path, "../../climbed.xml")


def link(path: Path) -> Path:
    return packed(path, "static", tarfile.SYMTYPE)


ATTACKS = (laughs, quadratic, external, parameters, deep, cycle, late, bomb, climbing, link)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_nothing_of_it_is_imported(tmp_path: Path, attack: Callable[[Path], Path]) -> None:
    path = attack(tmp_path)

    with pytest.raises(CommandError) as caught:
        call_command("import_olx", str(path))

    assert caught.value.returncode == 1
    assert len(str(caught.value).splitlines()) == 1
    assert "root:" not in str(caught.value)
    assert (Course.objects.count(), Block.objects.count()) == (0, 0)
    assert not list(tmp_path.parent.rglob("climbed.xml"))


def test_a_course_may_have_so_many_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(olx, "MAX_BLOCKS", 4)
    call_command(
        "import_olx", str(folder(tmp_path, course=b"<course>" + b"<chapter/>" * 3 + b"</course>")), verbosity=0
    )
    assert Block.objects.count() == 4
    (tmp_path / "course/Run.xml").write_bytes(b"<course>" + b"<chapter/>" * 4 + b"</course>")

    with pytest.raises(CommandError, match=r"is one more than the 4 allowed\.$"):
        call_command("import_olx", str(tmp_path))
    assert Block.objects.count() == 4
