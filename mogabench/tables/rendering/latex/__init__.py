"""Tables in LaTeX, for ``booktabs`` alone: floats that fit the text of an article."""

from mogabench.tables.rendering.latex.floats import render_latex

__all__ = ["render_latex"]
