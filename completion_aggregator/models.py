"""The tables; docs/concepts/tables.rst tells their story, docs/decisions why they are so.

Services write them, selectors read them. Learners are known by id, courses and blocks by small integers:
a stored row is an eighth of what the same row with text keys takes.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from opaque_keys.edx.django.models import CourseKeyField, UsageKeyField

from completion_aggregator.querysets import CourseAggregateQuerySet, StaleCompletionQuerySet
from completion_aggregator.utils import MAX_KEY_LENGTH


class KeyTextField(models.CharField):  # type: ignore[type-arg]  # not a generic at run time
    """The text of an opaque key; takes keys and texts, gives texts, and compares case-sensitively everywhere.

    Rows are read by the thousand; parsing their keys would cost more than the query.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("max_length", MAX_KEY_LENGTH)
        super().__init__(*args, **kwargs)

    def db_parameters(self, connection: BaseDatabaseWrapper) -> Any:
        parameters = super().db_parameters(connection)
        if connection.vendor == "mysql":
            # Its usual collations take A for a.
            parameters["collation"] = "utf8mb4_bin"
        return parameters


class Course(models.Model):
    """One row per course that was ever aggregated; written when a version is met for the first time."""

    course_key = KeyTextField(_("course key"), unique=True)
    #: The published version that the course's blocks and structure describe.
    version = models.CharField(_("version"), max_length=64)
    #: The version compiled: [[[block id, block key, block type, display name, mode, [positions of children]], ...],
    #: [release dates, ISO 8601]]; blocks in course order.
    structure = models.JSONField(_("structure"), default=list)
    #: When somebody's view of the course changes next; null: never. Then everybody in it becomes stale.
    next_change_at = models.DateTimeField(_("next change"), null=True, blank=True)

    class Meta:
        verbose_name = _("course")
        verbose_name_plural = _("courses")
        # Which courses have a release date that has passed?
        indexes = [models.Index(fields=["next_change_at"], name="agg_course_next_change")]

    def __str__(self) -> str:
        return str(self.course_key)


class CourseBlock(models.Model):
    """One row per block ever seen in a course; kept when the block goes, since aggregates refer to it."""

    course = models.ForeignKey(Course, on_delete=models.CASCADE, related_name="blocks")
    block_key = KeyTextField(_("block key"))
    block_type = models.CharField(_("block type"), max_length=64)
    display_name = models.CharField(_("display name"), max_length=255, blank=True)
    #: Place in the course, depth first, the course block at 0; null: not in the published version.
    position = models.PositiveIntegerField(_("position"), null=True, blank=True)

    class Meta:
        verbose_name = _("block")
        verbose_name_plural = _("blocks")
        constraints = [
            # Which row is this block's? A block keeps its id from version to version.
            models.UniqueConstraint(fields=["course", "block_key"], name="agg_courseblock_key"),
        ]

    def __str__(self) -> str:
        return str(self.block_key)


class CourseAggregate(models.Model):
    """One row per learner and course; a worker locks it while it aggregates that learner in that course."""

    pk = models.CompositePrimaryKey("course_id", "user_id")
    course = models.ForeignKey(Course, on_delete=models.CASCADE, related_name="aggregates", db_index=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="course_aggregates",
        # No check per row: a worker must not wait for, or hold up, whoever writes the user's row.
        db_constraint=False,
        db_index=True,
    )
    earned = models.FloatField(_("earned"), default=0.0)
    possible = models.PositiveIntegerField(_("possible"), default=0)
    percent = models.FloatField(_("percent"), default=0.0)
    optional_earned = models.FloatField(_("optional earned"), default=0.0)
    optional_possible = models.PositiveIntegerField(_("optional possible"), default=0)
    #: When the newest completion behind the row was written: the learner's last activity.
    last_modified = models.DateTimeField(_("last activity"), null=True, blank=True)
    #: When the values were last computed, changed or not; null: never yet, the row only serves as a lock.
    computed_at = models.DateTimeField(_("computed"), null=True, blank=True)
    #: The learner is in a chunk that was sent to the workers: not to be sent again before; null: is in none.
    queued_until = models.DateTimeField(_("queued until"), null=True, blank=True)
    #: When the course was first found complete, since it was last found incomplete.
    completed_at = models.DateTimeField(_("completed"), null=True, blank=True)

    objects = CourseAggregateQuerySet.as_manager()

    class Meta:
        verbose_name = _("course aggregate")
        verbose_name_plural = _("course aggregates")
        indexes = [
            # A class sorted by percent, and how it is distributed.
            models.Index(fields=["course", "percent", "user"], name="agg_courseaggregate_percent"),
            # A class sorted by last activity: who has gone quiet?
            models.Index(fields=["course", "last_modified", "user"], name="agg_courseaggregate_activity"),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} in {self.course_id}: {self.percent:.0%}"


class BlockAggregate(models.Model):
    """One row per learner and aggregator block that the learner sees, the course block included."""

    pk = models.CompositePrimaryKey("user_id", "block_id")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="block_aggregates",
        db_constraint=False,
        db_index=False,
    )
    block = models.ForeignKey(
        CourseBlock, on_delete=models.CASCADE, related_name="aggregates", db_constraint=False, db_index=False
    )
    earned = models.FloatField(_("earned"))
    possible = models.PositiveIntegerField(_("possible"))
    optional_earned = models.FloatField(_("optional earned"))
    optional_possible = models.PositiveIntegerField(_("optional possible"))
    #: When the newest completion behind the row was written.
    last_modified = models.DateTimeField(_("last activity"), null=True, blank=True)
    #: When the row was written.
    modified = models.DateTimeField(_("modified"))

    class Meta:
        verbose_name = _("block aggregate")
        verbose_name_plural = _("block aggregates")
        indexes = [
            # Everybody's values of one block.
            models.Index(fields=["block", "user"], name="agg_blockaggregate_block"),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} in {self.block_id}: {self.earned}/{self.possible}"


class StaleCompletion(models.Model):
    """One row per open marker: a learner's aggregates in a course are older than what they are made from.

    Written in the transaction of the change, deleted by the transaction that has counted it.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="+",
        # The insert is part of a learner's request: it must not take locks elsewhere.
        db_constraint=False,
        db_index=False,
    )
    course_key = KeyTextField(_("course key"))
    #: The completable block that changed; null: anything may have changed.
    block_key = KeyTextField(_("block key"), null=True, blank=True)
    #: Of work for a whole course (a publication, a rebuild): it may wait, and is done within the setting BULK_BUDGET.
    #: The default is the database's, too: while a deployment runs, older code writes rows without it.
    bulk = models.BooleanField(_("bulk"), default=False, db_default=False)
    created = models.DateTimeField(_("created"), default=timezone.now)
    #: How often aggregating it has failed.
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    #: After a failure: not to be tried again before.
    not_before = models.DateTimeField(_("not before"), null=True, blank=True)
    last_error = models.CharField(_("last error"), max_length=255, blank=True)

    objects = StaleCompletionQuerySet.as_manager()

    class Meta:
        verbose_name = _("stale completion")
        verbose_name_plural = _("stale completions")
        indexes = [
            # Is this learner stale, and in which courses?
            models.Index(fields=["user", "course_key"], name="agg_stale_user"),
            # Who is stale in this course, the longest waiting first?
            models.Index(fields=["course_key", "id"], name="agg_stale_age"),
            # Who has done something, among all whom a publication has marked?
            models.Index(fields=["bulk", "course_key", "id"], name="agg_stale_turn"),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} in {self.course_key}: {self.block_key or 'everything'}"


class ReachedThreshold(models.Model):
    """One row per learner, course and threshold that the learner has reached in it: an outbox, and never emptied.

    Written in the transaction of the aggregation, so that the signal `threshold_reached` is neither lost nor sent
    again when the learner falls below the threshold and comes back. Three states: to be sent (`due_at`), sent
    (`sent_at`), and neither: it had been reached before anybody counted, and is not told.
    """

    # No checks per row, as for course aggregates.
    course = models.ForeignKey(Course, on_delete=models.CASCADE, related_name="+", db_constraint=False, db_index=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", db_constraint=False, db_index=False
    )
    threshold = models.FloatField(_("threshold"))
    #: As it was when the threshold was reached.
    percent = models.FloatField(_("percent"))
    reached_at = models.DateTimeField(_("reached"))
    #: Not sent yet: whoever comes after this moment shall try it (again). It is in the future while somebody tries.
    due_at = models.DateTimeField(_("due"), null=True, blank=True)
    #: How often somebody has begun to send it.
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    sent_at = models.DateTimeField(_("sent"), null=True, blank=True)

    class Meta:
        verbose_name = _("reached threshold")
        verbose_name_plural = _("reached thresholds")
        constraints = [
            # Has this learner reached it before? Once is for ever.
            models.UniqueConstraint(fields=["user", "course", "threshold"], name="agg_threshold_once"),
        ]
        indexes = [
            # Which are to be sent now? Those that are sent are null, apart from all others.
            models.Index(fields=["due_at"], name="agg_threshold_due"),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} in {self.course_id}: {self.threshold:.0%}"


class CourseSnapshot(models.Model):
    """One row per course and day (UTC) on which somebody in it was aggregated: the figures at the end of that day.

    Written by the service, which brings the row of today up to date while the day lasts; deleted by the cleanup.
    """

    course = models.ForeignKey(
        Course, on_delete=models.CASCADE, related_name="snapshots", db_constraint=False, db_index=False
    )
    day = models.DateField(_("day"))
    computed_at = models.DateTimeField(_("computed"))
    #: Active enrollments; how many of them have a percent above 0, and how many have 1; and the mean of their percents.
    enrolled = models.PositiveIntegerField(_("enrolled"))
    started = models.PositiveIntegerField(_("started"))
    completed = models.PositiveIntegerField(_("completed"))
    mean = models.FloatField(_("mean"))
    #: What else a `selectors.CourseSummary` says.
    details = models.JSONField(_("details"), default=dict)

    class Meta:
        verbose_name = _("course snapshot")
        verbose_name_plural = _("course snapshots")
        constraints = [
            # The newest snapshot of a course, and the last days of it.
            models.UniqueConstraint(fields=["course", "day"], name="agg_coursesnapshot_day"),
        ]
        # Which are too old to keep?
        indexes = [models.Index(fields=["day"], name="agg_coursesnapshot_age")]

    def __str__(self) -> str:
        return f"{self.course_id} on {self.day}: {self.mean:.0%}"


class LearnerSnapshot(models.Model):
    """One row per learner, course and day (UTC) at whose end the percent was another than before; first of all, than 0.

    Written and deleted as course snapshots are.
    """

    pk = models.CompositePrimaryKey("user_id", "course_id", "day")
    # No checks per row, as for block aggregates: there are as many.
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", db_constraint=False, db_index=False
    )
    course = models.ForeignKey(Course, on_delete=models.CASCADE, related_name="+", db_constraint=False, db_index=False)
    day = models.DateField(_("day"))
    percent = models.FloatField(_("percent"))

    class Meta:
        verbose_name = _("learner snapshot")
        verbose_name_plural = _("learner snapshots")
        # Which are too old to keep?
        indexes = [models.Index(fields=["day"], name="agg_learnersnapshot_age")]

    def __str__(self) -> str:
        return f"{self.user_id} in {self.course_id} on {self.day}: {self.percent:.0%}"


class SnapshotWish(models.Model):
    """One row per course: since when its newest snapshot does not know all that is stored.

    Written after each chunk, so it is no column of the course: its row is locked by each new aggregate in it.
    """

    course = models.OneToOneField(
        Course, on_delete=models.CASCADE, primary_key=True, related_name="+", db_constraint=False
    )
    #: When somebody was aggregated of whom the newest snapshot does not know; null: it knows all.
    wanted_at = models.DateTimeField(_("wanted"), null=True, blank=True)
    #: When somebody began to take the newest snapshot.
    begun_at = models.DateTimeField(_("begun"), null=True, blank=True)

    class Meta:
        verbose_name = _("snapshot wish")
        verbose_name_plural = _("snapshot wishes")

    def __str__(self) -> str:
        return f"{self.course_id}: {self.wanted_at}"


class AggregatedChunk(models.Model):
    """One row per chunk that was aggregated within the last days: how much is done, and how fast.

    Written after each chunk, read by `selectors.get_status`, deleted by the cleanup.
    """

    finished_at = models.DateTimeField(_("finished"), default=timezone.now)
    seconds = models.FloatField(_("seconds"))
    learners = models.PositiveIntegerField(_("learners"))
    written = models.PositiveIntegerField(_("rows written"))
    deleted = models.PositiveIntegerField(_("rows deleted"))
    resolved = models.PositiveIntegerField(_("markers resolved"))
    failed = models.PositiveIntegerField(_("learners failed"))
    skipped = models.PositiveIntegerField(_("learners skipped"))
    #: How long the oldest marker that was counted had waited. Unit: seconds. The default is the database's: workers of
    #: the version before write rows, too, until they are restarted.
    lag = models.FloatField(_("lag"), default=0.0, db_default=0.0)

    class Meta:
        verbose_name = _("aggregated chunk")
        verbose_name_plural = _("aggregated chunks")
        indexes = [
            # What was done lately; what is too old to keep?
            models.Index(fields=["finished_at"], name="agg_chunk_finished"),
        ]

    def __str__(self) -> str:
        return f"{self.finished_at:%Y-%m-%d %H:%M:%S}: {self.learners}"


class Verification(models.Model):
    """One row: what the last comparison of stored values with what they are made from has found; none: never compared.

    Written by `services.verify_sample`, read by the doctor.
    """

    finished_at = models.DateTimeField(_("finished"))
    courses = models.PositiveIntegerField(_("courses"))
    #: Courses that the LMS could not tell.
    failed_courses = models.PositiveIntegerField(_("failed courses"))
    #: Learners compared, once for each of their courses; those who were stale, and so were not; those who differ.
    learners = models.PositiveIntegerField(_("learners"))
    stale = models.PositiveIntegerField(_("stale learners"))
    drifted = models.PositiveIntegerField(_("drifted learners"))
    #: How many differ, by `selectors.Cause`.
    causes = models.JSONField(_("causes"), default=dict)

    class Meta:
        verbose_name = _("verification")
        verbose_name_plural = _("verifications")

    def __str__(self) -> str:
        return f"{self.finished_at:%Y-%m-%d %H:%M:%S}: {self.drifted} of {self.learners}"


class Aggregator(models.Model):
    """The same rows as BlockAggregate under the names of openedx-completion-aggregator 4.5; a database view.

    Read only. It is here so that what others have written against that plugin, by ORM or SQL, keeps working.
    """

    id = models.BigIntegerField(primary_key=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.DO_NOTHING)
    course_key = CourseKeyField(max_length=MAX_KEY_LENGTH)
    aggregation_name = models.CharField(max_length=255)
    block_key = UsageKeyField(max_length=MAX_KEY_LENGTH)
    earned = models.FloatField()
    possible = models.FloatField()
    percent = models.FloatField()
    optional_earned = models.FloatField()
    optional_possible = models.FloatField()
    optional_percent = models.FloatField()
    last_modified = models.DateTimeField(null=True)
    #: The same as modified: a row is not dated twice.
    created = models.DateTimeField()
    modified = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "completion_aggregator_aggregator"
        verbose_name = _("aggregator")
        verbose_name_plural = _("aggregators")

    def __str__(self) -> str:
        return f"{self.user_id}: {self.aggregation_name} {self.block_key} {self.percent:.0%}"


class Takeover(models.Model):
    """One row: how far the rows that openedx-completion-aggregator 4.5 has left are taken over; none: it left nothing.

    Written by the migration, then in the transaction of each batch.
    """

    last_marker_id = models.BigIntegerField(_("last marker"), default=0)
    markers = models.BigIntegerField(_("markers taken over"), default=0)
    #: Open markers that name a user who does not exist.
    markers_of_nobody = models.BigIntegerField(_("markers of vanished users"), default=0)
    last_aggregate_id = models.BigIntegerField(_("last aggregate"), default=0)
    copied = models.BigIntegerField(_("aggregates copied"), default=0)
    #: How many there are to copy; null: not counted yet.
    total = models.BigIntegerField(_("aggregates"), null=True, blank=True)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)

    class Meta:
        verbose_name = _("takeover")
        verbose_name_plural = _("takeovers")

    def __str__(self) -> str:
        return f"{self.copied} of {self.total}"


class OldAggregate(models.Model):
    """One row per learner and aggregator block, as 4.5 has left it. The table is there on sites that ran it alone."""

    id = models.BigAutoField(primary_key=True)
    # No relation: whoever deletes a user would look into the table, there or not.
    user_id = models.BigIntegerField()
    course_key = models.CharField(max_length=255)
    aggregation_name = models.CharField(max_length=255)
    block_key = models.CharField(max_length=255)
    earned = models.FloatField()
    possible = models.FloatField()
    percent = models.FloatField()
    optional_earned = models.FloatField()
    optional_possible = models.FloatField()
    last_modified = models.DateTimeField()
    modified = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "completion_aggregator_aggregator_4_5"
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.user_id}: {self.block_key}"


class OldMarker(models.Model):
    """One row per marker, open or resolved, as 4.5 has left it. The table is there on sites that ran it alone."""

    id = models.BigAutoField(primary_key=True)
    username = models.CharField(max_length=255)
    course_key = models.CharField(max_length=255)
    resolved = models.BooleanField()

    class Meta:
        managed = False
        db_table = "completion_aggregator_stalecompletion_4_5"
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.username} in {self.course_key}"


class BulkBudget(models.Model):
    """The only row says what bulk work may take next: all who give it out ask here, all who have done some tell.

    See docs/decisions/0027-bulk-budget.rst.
    """

    #: When some was given out last; null: never yet.
    granted_at = models.DateTimeField(_("granted"), null=True, blank=True)
    #: By how much the chunks have taken longer than was granted for them; below 0: shorter.
    debt = models.FloatField(_("debt, in seconds"), default=0.0)
    #: What one learner took lately, to tell beforehand what a chunk will take.
    #: Too much at first rather than too little: what was granted is in the broker and cannot be taken back.
    seconds_per_learner = models.FloatField(_("seconds per learner"), default=0.05)

    class Meta:
        verbose_name = _("bulk budget")
        verbose_name_plural = _("bulk budgets")

    def __str__(self) -> str:
        return f"{self.granted_at}: {self.debt:.1f} s"
