"""Papers as data: a folder each, with every table, what its heads mean, and its known misprints.

`mogabench.paper.paper` says which files a folder has; those of the project are in
``mogabench/papers``. One CSV file is one table; adding a table is adding a file. Its first columns
say what a row is about: they have the names of the fields of `Meta`, and those that are empty in
every row may be left out. ``input_size`` is written ``256x192``; ``settings``, ``options`` and
``baseline`` are JSON. The rest is the printed table. Where the printed label is wrong, ``backbone``
is the network that the printed figures belong to, and ``recipe`` is empty for other authors' own
training. Who counted the printed operations, and so by which convention, is in ``counting.yaml``,
never in a row; what is wrong with a printed figure, and how that follows from measurements, in
``errata.yaml``.

Cells are as printed, digit for digit, misprints included, with typesetting turned into plain text:

- Marks follow the name (``DeiT-T†``); a subscript or superscript of a name comes after a space
  (``HorNet-T 7×7``, ``SReT-T Distill``); no spaces around ``×`` or before ``²``.
- In heads a sub- or superscript keeps its sign (``AP^b_50``); heads in levels become
  ``Group: Column``.
- Citations beside a name are left out. A cell that spans rows or columns is repeated.
- A number may carry its unit: ``28M``, ``4.5G``, ``82.1%``.
"""

from mogabench.paper.ablations import Ablation, Variant, ablations, get_ablation, get_variant
from mogabench.paper.counting import CONVENTIONS, CountingSource
from mogabench.paper.errata import Derivation, Erratum, Term
from mogabench.paper.figures import PaperFigure, paper_figures
from mogabench.paper.meta import META, Meta
from mogabench.paper.numbers import SCALE, decimals, printed_value, read_number
from mogabench.paper.paper import ABOUT, DEFAULT, TABLE_NAME, Paper
from mogabench.paper.papers import get_paper, paper_names
from mogabench.paper.table import (
    PaperTable,
    Row,
    cell_meta,
    cell_subject,
    places_of,
    subject_of,
)
from mogabench.paper.vocabulary import TIMED, UNITS, Column

__all__ = [
    "ABOUT",
    "CONVENTIONS",
    "DEFAULT",
    "META",
    "SCALE",
    "TABLE_NAME",
    "TIMED",
    "UNITS",
    "Ablation",
    "Column",
    "CountingSource",
    "Derivation",
    "Erratum",
    "Meta",
    "Paper",
    "PaperFigure",
    "PaperTable",
    "Row",
    "Term",
    "Variant",
    "ablations",
    "cell_meta",
    "cell_subject",
    "decimals",
    "get_ablation",
    "get_paper",
    "get_variant",
    "paper_figures",
    "paper_names",
    "places_of",
    "printed_value",
    "read_number",
    "subject_of",
]
