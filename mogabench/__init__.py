"""mogabench: every table of the MogaNet paper, printed and measured side by side."""

__version__ = "0.1.0"
