"""Every deliberate difference from openedx-completion-aggregator 4.5.0.

The page docs/reference/differences.rst is made from `DIFFERENCES`, and the differential test holds answers against it:
what no entry covers is a mistake, and so is an entry that covers nothing any more.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from tests.differential.compare import ABSENT, Divergence
from tests.differential.questions import Question
from tests.differential.world import BEFORE, CHANGED

Covers = Callable[[Question, Divergence], bool]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One row of the page."""

    #: A URL, or what else it is about; reStructuredText, like all the texts.
    feature: str
    before: str
    here: str
    why: str
    #: Whether it explains this divergence of the answers to this question; None: no request shows it.
    covers: Covers | None = None


def _is(*statuses: tuple[int, int]) -> Covers:
    """Cover these pairs of statuses: the peer's and ours."""
    return lambda question, found: found.path == "status" and (found.peer, found.ours) in statuses


def _at(pattern: str) -> Covers:
    """Cover a place of the answer."""
    return lambda question, found: re.search(pattern, found.path) is not None


def _asked(path: str, **parameters: str) -> Covers:
    """Cover all about questions for a path with parameters, each given as a regular expression."""

    def covers(question: Question, found: Divergence) -> bool:
        asked = question.parameters
        return re.search(path, question.path) is not None and all(
            name in asked and re.fullmatch(pattern, str(asked[name])) for name, pattern in parameters.items()
        )

    return covers


def _all(*conditions: Covers) -> Covers:
    return lambda question, found: all(covers(question, found) for covers in conditions)


def _any(*conditions: Covers) -> Covers:
    return lambda question, found: any(covers(question, found) for covers in conditions)


def _is_post(question: Question, found: Divergence) -> bool:
    return question.method == "POST"


def _is_anonymous(question: Question, found: Divergence) -> bool:
    return question.who is None


def _is_of_course_staff(question: Question, found: Divergence) -> bool:
    """gina works in the main course, ada and hugo do in the old one."""
    course = {"gina": "Diff+Main+1", "ada": "Diff/Old/1", "hugo": "Diff/Old/1"}.get(question.who or "")
    return course is not None and course in question.path


def _has_left(question: Question, found: Divergence) -> bool:
    """A block that left its course."""
    gone = {str(CHANGED.usage_key(name)) for name in BEFORE.shape.keys() - CHANGED.shape.keys()}
    return found.ours == ABSENT and found.path.rsplit("/", 1)[1] in gone


ODD_KEY = r"/(nonsense|course-v1:Diff\+Main|Diff/Old|é)/"
BLOCK_TYPES = r"[ ,]*(chapter|sequential|vertical|course).*"

IN_REQUESTS = [
    Difference(
        feature="Answers about everybody",
        before="Learners by ``username`` alone",
        here="``user_id``, too; filters, an ``ordering`` and more ``requested_fields``, see :doc:`rest`",
        why="Names change; whoever joins these answers with other data needs no second look-up",
        covers=_all(_at(r"/results/[^/]+/user_id$"), lambda question, found: found.peer == ABSENT),
    ),
    Difference(
        feature="All errors",
        before="``detail`` in English words of its own; none with the 400 and 404 of a v0 completion",
        here="Other sentences, marked for translation; always a ``detail``",
        why="Says what to do",
        covers=lambda question, found: (
            found.path == "body/detail" or (found.path == "body" and found.peer == "" and "detail" in found.ours)
        ),
    ),
    Difference(
        feature="v0: a course key that is none",
        before="500",
        here="404",
        why="Bad input is no fault of the server",
        covers=_all(_asked(f"/v0/course{ODD_KEY}"), _is((500, 404))),
    ),
    Difference(
        feature="The key of a library, where a course key is expected",
        before="200, with nothing",
        here="404",
        why="It is not a course",
        covers=_all(_asked("library-v1:"), _is((200, 404))),
    ),
    Difference(
        feature="A course key in other letter case",
        before="On MySQL, the course with the other key",
        here="Another course, on every database",
        why="Keys are case-sensitive in Open edX; answers do not depend on the database",
        covers=_asked(r"course-v1:diff\+main\+1"),
    ),
    Difference(
        feature="A body that is no JSON object, or holds values of wrong types",
        before="500",
        here="400",
        why="Bad input is no fault of the server",
        covers=_all(_is_post, _is((500, 400))),
    ),
    Difference(
        feature="Several mistakes at once",
        before="Permission is looked at first, or parameters are, as it comes",
        here="A parameter that cannot be read is answered by 400, whoever asks; then comes permission",
        why="One order for all",
        covers=_all(_is_post, _is((403, 400), (404, 400), (400, 403))),
    ),
    Difference(
        feature="``requested_fields`` as a text in a body",
        before="400: read letter by letter",
        here="Comma separated, as in a query",
        why="Accepting more harms nobody",
        covers=_all(_is_post, _asked("/v1/course/", requested_fields="chapter"), _is((400, 200))),
    ),
    Difference(
        feature="Blanks in ``requested_fields``",
        before="400",
        here="Ignored",
        why="Accepting more harms nobody",
        covers=_all(_asked("/course/", requested_fields=" chapter , vertical "), _is((400, 200))),
    ),
    Difference(
        feature="``requested_fields=course``",
        before="500",
        here="A list with the course block",
        why="It is one of the block types",
        covers=_all(_asked("/course/", requested_fields="course"), _is((500, 200))),
    ),
    Difference(
        feature="``include_optional``, ``mobile_only``",
        before="Anything but ``true`` means no",
        here="``1`` means yes; what is neither yes nor no: 400",
        why="A misspelt value is found",
        covers=_any(
            _all(_asked("/course/", include_optional="1"), _at("/optional_completion$")),
            _all(_any(_asked("", include_optional="junk"), _asked("", mobile_only="junk")), _is((200, 400))),
        ),
    ),
    Difference(
        feature="``user_ids`` that are no integers",
        before='500; in a body, ``"12"`` names the users 1 and 2',
        here="400",
        why="Bad input is no fault of the server; a text is no list",
        covers=_any(
            _all(_asked("/v1/course/", user_ids=".*abc"), _is((500, 400))),
            _all(_is_post, _asked("/v1/course/", user_ids="12"), _is((200, 400))),
        ),
    ),
    Difference(
        feature="``user_ids: []`` in a body",
        before="Everybody",
        here="Nobody",
        why="A client whose selection is empty must not get the whole course",
        covers=_all(_is_post, _asked("/v1/course/", user_ids=r"\[\]")),
    ),
    Difference(
        feature="``root_block``",
        before="Has no effect unless the learner is stale, then course values of 0 of null; unknown blocks are ignored",
        here="``completion`` and lists are always about that block; unknown blocks: 404",
        why="The answer depends on the question alone",
        covers=_all(_asked("/v1/course/", root_block=".+"), _any(_at("^body/results/"), _is((200, 404)))),
    ),
    Difference(
        feature="Blocks that left the course",
        before="Their sums stay, and show as long as the learner is fresh",
        here="They never show, and their rows are deleted",
        why="The page would not add up",
        covers=_any(_has_left, _all(_asked("progress_bar/.*Changed.*/c2/"), _at("/bar$"))),
    ),
    Difference(
        feature="One learner who was never aggregated",
        before="``possible`` is null as long as the learner has done nothing",
        here="Computed for the answer",
        why="What there is to do is known; null stays in answers about everybody",
        covers=lambda question, found: found.path.endswith("/completion/possible") and found.peer is None,
    ),
    Difference(
        feature="``mean``",
        before="Who has left or holds a role stays in the sum, which can be above 1; kept for half an hour",
        here="The same learners above and below the line: enrolled and without a role; dropped when something changes",
        why="It is a mean",
        covers=_at("/mean$"),
    ),
    Difference(
        feature="v1 detail, v0 detail: course staff",
        before="403, unless they are global staff",
        here="Staff of this course",
        why="Course teams need the page of their course",
        covers=_all(_asked("/course/."), _is_of_course_staff, _is((403, 200), (403, 404))),
    ),
    Difference(
        feature="v0: ``username=``, empty",
        before="403",
        here="As if it were absent: oneself",
        why="As everywhere",
        covers=_all(_asked("/v0/course/", username=""), _is((403, 200), (403, 404))),
    ),
    Difference(
        feature="v0 completion: the block",
        before="Any block, of whatever course",
        here="A block of the course in the path; others: 404",
        why="The enrollment that was looked at would be in another course",
        covers=_all(_asked("/v0/course/.*/blocks/"), _is_post, _is((200, 404))),
    ),
    Difference(
        feature="v1 stats: who may ask",
        before="Whoever is logged in, with ``cohorts``, too",
        here="Staff, course staff, and the learners of the course; those not with ``cohorts``",
        why="How a course goes is not for everybody; the mean of a cohort of one tells on a person",
        covers=_all(_asked("/v1/stats/"), _is((200, 403))),
    ),
    Difference(
        feature="v1 stats: ``cohorts``",
        before="Everybody but the members; several: 500; any other number: 200, no number: 500",
        here="The members; several ids; no cohort of this course: 400; no effect where the course is not cohorted",
        why="It says what it does",
        covers=_all(
            _asked("/v1/stats/", cohorts=".*"), _any(_at("/mean_completion/"), _is((500, 200), (500, 400), (200, 400)))
        ),
    ),
    Difference(
        feature="v1 stats: ``exclude_roles``",
        before="Leaves out whoever holds the role in any course",
        here="Whoever holds it in this course or in its whole organisation",
        why="A teacher of one course is a learner of another",
        covers=_all(_asked("/v1/stats/", exclude_roles=".+"), _at("/mean_completion/")),
    ),
    Difference(
        feature="v1 stats: ``filters``",
        before="Not there",
        here="Tells which filters were applied",
        why="A course that is not cohorted can be told apart",
        covers=_all(_asked("/v1/stats/"), _at("/filters$")),
    ),
    Difference(
        feature="v1 stats: ``requested_fields``",
        before="``mean`` and block types: 500",
        here="``mean`` is answered; block types: 400",
        why="Bad input is no fault of the server",
        covers=_any(
            _all(_asked("/v1/stats/", requested_fields="mean"), _is((500, 200))),
            _all(_asked("/v1/stats/", requested_fields=BLOCK_TYPES), _is((500, 400))),
        ),
    ),
    Difference(
        feature="``progress_bar/``: old course keys",
        before="The last part of ``Org/Course/Run`` is taken for a chapter: an empty bar",
        here="The bar of the course",
        why="Old courses have progress, too",
        covers=_all(_asked("/progress_bar/Diff/Old/1/"), _at("/bar$")),
    ),
    Difference(
        feature="``progress_bar/``: the key of a block in the place of the chapter's id",
        before="An empty bar",
        here="The bar of that block",
        why="Accepting more harms nobody",
        covers=_all(_asked("/progress_bar/.*/block-v1:"), _at("/bar$")),
    ),
    Difference(
        feature="``progress_bar/``: not logged in",
        before="A redirect to the login page",
        here="An empty bar with a link to the login page, for the whole window",
        why="Login pages refuse to be framed: the frame would be blank",
        covers=_all(_asked("/progress_bar/"), _is_anonymous, _is((302, 200))),
    ),
    Difference(
        feature="``progress_bar/``: a course key that is none",
        before="An empty bar",
        here="404; an empty bar for a course or a chapter that nobody knows",
        why="A mistake in the address is found",
        covers=_all(_asked("/progress_bar/"), _is((200, 404))),
    ),
]

BESIDES = [
    Difference(
        feature="v1: a page",
        before="As large as one asks",
        here="At most 10,000 results",
        why="A question must not take the server down",
    ),
    Difference(
        feature="v1 detail: ``cursor``; ``username=me``",
        before="Not there",
        here="Walks through a whole course; stands for oneself",
        why="See :ref:`rest-cursor`",
    ),
    Difference(
        feature="A slash at the end of a path of the API",
        before="Needed",
        here="May be left out",
        why="A redirect loses the body of a ``POST``",
    ),
    Difference(
        feature="Values that go down",
        before="A completion that is lowered or deleted changes nothing",
        here="The sums follow",
        why="The LMS resets learners; parents and children disagreed",
    ),
    Difference(
        feature="A completion that comes while its learner is aggregated",
        before="May be counted as done without being counted; a slow worker may overwrite newer values",
        here="Counted, whatever the number of workers; see :doc:`/decisions/0006-locking`",
        why="No lost update",
    ),
    Difference(
        feature="A block with two parents",
        before="Counted twice",
        here="Counted once",
        why="It is done once",
    ),
    Difference(
        feature="A release date that passes",
        before="Nobody becomes stale",
        here="Everybody in the course does",
        why="There is more to do than before",
    ),
    Difference(
        feature="A publication",
        before="A marker for each learner, each time; active learners may keep the old structure for long",
        here="One statement, one open marker for each learner; structures are known by their version",
        why="A course is published often; see :doc:`/decisions/0007-structure-by-version`",
    ),
    Difference(
        feature="A learner who cannot be aggregated",
        before="Fails again in every run, or is dropped as done",
        here="Is tried again later and later, shows in ``aggregator_status``, and stops nobody else",
        why="See :doc:`/decisions/0005-markers`",
    ),
    Difference(
        feature="``COMPLETION_AGGREGATOR_ASYNC_AGGREGATION``",
        before="False unless it is set: all that is stale on the site is aggregated within the learner's request",
        here="True unless it is set; False: the learner's own completion is aggregated after the request's transaction",
        why="Requests that wait, and deadlocks",
    ),
    Difference(
        feature="Settings for locks, cache time-outs and collected structures",
        before="There are six",
        here="No effect; the check ``completion_aggregator.I001`` names them. See :doc:`settings`",
        why="Rows are locked for one transaction; structures are kept by version and shared",
    ),
    Difference(
        feature="Tracking events",
        before="Sent again for what a forced aggregation has not changed; no optional values; no context",
        here="Only for values that changed, after the commit; ``optional_*`` too; user, course and organisation as "
        "context. See :doc:`/howto/events`",
        why="An event says that something happened",
    ),
    Difference(
        feature="Two ``run_aggregator_service`` at once",
        before="The second one does nothing; after an error, nobody does for 30 minutes",
        here="They share the work",
        why="No lock that outlives its owner",
    ),
    Difference(
        feature="``migrate_progress``",
        before="Copies from the tables of the progress app that 4.5 replaced",
        here="Gone",
        why="``reaggregate_course --all`` computes everything from the completions",
    ),
    Difference(
        feature="``run_aggregator_test``",
        before="Makes courses and learners for a test of speed",
        here="Gone",
        why="``make bench`` measures, side by side with 4.5.0",
    ),
    Difference(
        feature="Table ``completion_aggregator_aggregator``, model ``Aggregator``",
        before="A table; ``objects.submit_completion`` and ``objects.bulk_create_or_update`` write it",
        here="A view with the same columns, read only; ``services.aggregate`` writes what it shows",
        why="An eighth of the size; see :doc:`/concepts/tables` and :doc:`/decisions/0003-integer-keys-and-a-view`",
    ),
    Difference(
        feature="Columns ``id``, ``created`` of it",
        before="A number that each new row takes; when a row was first written",
        here="Made from user and block, 64 bits wide; the same as ``modified``",
        why="32-bit ids run out: every upsert burnt one",
    ),
    Difference(
        feature="Table ``completion_aggregator_stalecompletion``",
        before="``username``, ``resolved``, ``force``",
        here="``user_id``; rows are deleted when they are counted",
        why="A renamed user loses no marker; an empty table says that all is counted",
    ),
    Difference(
        feature="Python modules ``core``, ``batch``, ``signals``, ``cachegroup``",
        before="There, though not documented",
        here="Gone (``signals`` holds two new signals, :doc:`/howto/events`); ``completion_aggregator.selectors`` and "
        "``.services`` are the Python API, see :doc:`python`",
        why="Names that others may rely on are said to be so",
    ),
    Difference(
        feature="Databases",
        before="MySQL; upserts lose optional completion on SQLite, migrations fail on PostgreSQL",
        here="MariaDB, MySQL, PostgreSQL and SQLite, with the same results",
        why="Open edX runs on PostgreSQL, too",
    ),
]

DIFFERENCES = [*IN_REQUESTS, *BESIDES]
