"""What each target begins with: made of a course of the sample LMS, and of keys and questions as clients have them."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from pathlib import Path

COURSES = Path(__file__).resolve().parent.parent.parent / "sample_lms/courses"


def olx() -> Iterator[bytes]:
    """Files of courses, one after the other; see target.split."""
    whole = (COURSES / "between_tides/course/2026.xml").read_bytes()
    policy = b'{"course/R": {"display_name": "C", "start": "2026-01-01T00:00:00Z", "user_partitions": []}}'
    yield b"\n\0".join((b'<course org="O" course="C" url_name="R"/>', whole, policy))
    yield b"\n\0".join(
        (b'<course org="O" course="C" url_name="R"><chapter url_name="a"/></course>', b"<chapter/>", b"{}")
    )
    blocks = b'<library_content max_count="2"><html group_access="{&quot;1&quot;: [2]}"/></library_content>'
    yield b"\n\0".join(
        (b'<course org="O" course="C" url_name="R"><chapter>' + blocks + b"</chapter></course>", b"", b"")
    )


def archive() -> Iterator[bytes]:
    for names in (("course.xml",), ("c/course.xml", "c/course/R.xml", "c/policies/R/policy.json")):
        data = io.BytesIO()
        with tarfile.open(fileobj=data, mode="w") as file:
            for name in names:
                info = tarfile.TarInfo(name)
                content = b'<course org="O" course="C" url_name="R"/>'
                info.size = len(content)
                file.addfile(info, io.BytesIO(content))
        # Not compressed: the target does so, or a fuzzer would never get past the checksum.
        yield data.getvalue()
    yield gzip.compress(b"")


def keys() -> Iterator[bytes]:
    yield from (
        *(b"course-v1:Org+Course+Run", b"Org/Course/Run", b"library-v1:Org+Lib", b"lib:Org:lib"),
        *(b"block-v1:Org+Course+Run+type@html+block@h1", b"i4x://Org/Course/html/h1", b"lb:Org:lib:html:h1"),
        *(b"course-v1:Org+Course+Run+branch@b+version@519665f6223ebd6980884f2b", b"ccx-v1:Org+Course+Run+ccx@1"),
        *(
            b"aside-usage-v2:block-v1$:Org+Course+Run+type@html+block@h1::aside",
            b"course-v1:a b+\xc3\xa9+\xf0\x9f\xa6\x89",
        ),
    )


def query() -> Iterator[bytes]:
    yield b"requested_fields=chapter,mean&include_optional=true&user_ids=1,2.3&cohorts=1&percent_min=0.5&page_size=10"
    yield b"search=%C3%A9&status=completed&inactive_days=7&roles=beta,staff&exclude_roles=&ordering=-percent"
    yield b"percent_max=1e-3&user_ids=&cohorts=+1&search=%00&root_block=i4x://Org/Course/html/h1&include_optional=2"


def body() -> Iterator[bytes]:
    for each in (
        {"username": "me", "requested_fields": ["chapter"], "user_ids": [1, 2], "include_optional": True},
        {"users": ["me"], "user_ids": [2**70], "course_keys": ["course-v1:Org+Course+Run"], "percent_min": 1e400},
        {"username": None, "search": "\ud800\0", "root_block": {"a": [[[]]]}},
    ):
        yield json.dumps(each).encode()


def cursor() -> Iterator[bytes]:
    for place in (["next", "user_id", None, 5], ["previous", "-percent", 0.5, 7], ["next", "username", "ada", 1]):
        yield urlsafe_b64encode(json.dumps(place).encode())
    yield urlsafe_b64encode(json.dumps(["next", "last_activity", "2026-01-01T00:00:00+00:00", 1]).encode())


SEEDS: dict[str, Callable[[], Iterator[bytes]]] = {
    each.__name__: each for each in (olx, archive, keys, query, body, cursor)
}
