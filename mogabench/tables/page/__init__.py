"""The page: tables, what became of their cells, and linked plots, in one HTML file.

The file needs no network and nothing beside it. All of it is there without JavaScript, which adds
sorting, filtering, what is known of a cell, and the links between plots and rows.
"""

from mogabench.tables.page.page import render_page

__all__ = ["render_page"]
