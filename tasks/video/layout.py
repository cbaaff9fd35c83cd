"""The axes of arrays of sequences."""

from __future__ import annotations

from typing import Literal

Layout = Literal["NTCHW", "NTHWC", "NTHW", "TNCHW", "TNHWC", "TNHW", "TCHW", "THWC", "THW"]
"""In their order: sequences, time, channels, height, width."""
