"""The engine: trains and evaluates what a task prepares, on mmengine's Runner.

Nothing here names a task. ``task.py`` is the contract that tasks fulfil, ``run.py`` does a job.
"""
