"""mogabench: every table of the MogaNet paper, printed and measured side by side."""

from importlib.metadata import version

__version__ = version("mogabench")
