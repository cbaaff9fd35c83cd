"""Sphinx: ``sphinx-build -W docs docs/_build``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import mogabench

project = "mogabench"
author = "the mogabench developers"
version = release = mogabench.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinxcontrib.typer",
    "sphinx_copybutton",
    "misprints",
]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "mogabench"

autodoc_typehints = "description"
autodoc_member_order = "bysource"
napoleon_google_docstring = True
default_role = "code"  # docstrings name things in single backticks
myst_heading_anchors = 3
