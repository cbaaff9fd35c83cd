"""What a paper shows throughputs of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mogabench.paper import cell_subject, paper_figures
from mogabench.tables.measurable import is_buildable
from mogabench.tasks import make_subject

if TYPE_CHECKING:
    from mogabench.engine.task import Task
    from mogabench.paper import Paper
    from mogabench.subject import Subject


def timed_subjects(paper: Paper, task: Task[Any, Any]) -> list[Subject]:
    """The networks of a task that a figure of a paper times or, without one, its tables.

    Those that are not here are left out.
    """
    for figure in paper_figures(paper).values():
        if figure.task == task.name:
            return [make_subject(task, name) for name in figure.networks]
    subjects = (
        cell_subject(row, column)
        for table in paper.tables()
        for column in table.columns
        for row in table.rows
        if column.metric == "fps"
    )
    of_task = dict.fromkeys(one for one in subjects if one and one.task == task.name)
    return [subject for subject in of_task if is_buildable(subject)]
