"""What a paper shows timings of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mogabench.paper import TIMED, cell_subject, paper_figures
from mogabench.tables.measurable import is_buildable
from mogabench.tasks import make_subject

if TYPE_CHECKING:
    from mogabench.engine.task import Task
    from mogabench.paper import Paper
    from mogabench.subject import Subject


def timed_subjects(paper: Paper, task: Task[Any, Any]) -> list[Subject]:
    """The networks of a task that the figures of a paper time, and then those that its tables do.

    Those that are not here are left out.
    """
    of_figures = [
        make_subject(task, name)
        for figure in paper_figures(paper).values()
        for name in figure.networks
        if figure.task == task.name
    ]
    of_tables = [
        subject
        for table in paper.tables()
        for column in table.columns
        for row in table.rows
        if column.metric in TIMED
        and (subject := cell_subject(row, column))
        and subject.task == task.name
        and is_buildable(subject)
    ]
    return list(dict.fromkeys([*of_figures, *of_tables]))
