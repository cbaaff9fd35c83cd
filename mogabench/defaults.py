"""What is meant where the user names nothing."""

DEFAULT_TASK = "classification"
"""The task of a network alone, in commands and functions that take one of any task."""
