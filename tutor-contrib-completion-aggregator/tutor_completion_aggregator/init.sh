echo "completion-aggregator: tables"
./manage.py lms migrate completion_aggregator
echo "completion-aggregator: aggregates of openedx-completion-aggregator 4.5, where there are any"
./manage.py lms migrate_aggregates
echo "completion-aggregator: learners who were here before"
./manage.py lms mark_never_aggregated
