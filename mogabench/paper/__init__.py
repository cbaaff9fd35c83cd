"""The paper as data: every table as a CSV file, what its heads mean, and its known misprints.

One file is one table, named ``table_<ID>_<title_with_underscores>.csv``; adding a table is adding a
file. The first columns say what a row is about, with the names and in the order of the fields of
`Meta`: ``input_size`` as ``256x192``; ``settings``, ``options`` and ``baseline`` as JSON. The rest
is the printed table. Where the printed label is wrong, ``backbone`` is the network that the printed
figures belong to, and ``recipe`` is empty for other authors' own training. Who counted the printed
operations, and so by which convention, is in ``counting.yaml``, never in a row; what is wrong with
a printed figure, and how that follows from measurements, in ``errata.yaml``.

Cells are as printed, digit for digit, misprints included, with typesetting turned into plain text:

- Marks follow the name (``DeiT-T†``); a subscript or superscript of a name comes after a space
  (``HorNet-T 7×7``, ``SReT-T Distill``); no spaces around ``×`` or before ``²``.
- In heads a sub- or superscript keeps its sign (``AP^b_50``); heads in levels become
  ``Group: Column``. Table A6's heads are two levels, after a stage and within it.
- Citations beside a name (Table A15) are left out.
- A cell that spans rows or columns is repeated. Table 5's ``Method`` cells, misplaced in the text
  of the paper that this was taken from, are put back.
- Tables A1, A2 and A3 are turned: a row here is a column there.
- Table A4 names no network; its rows are taken to be Table A5's first, whose 77.2 they share.
- Of Table 1 only the caption survives in that text; its file holds what Sections 4.2 and 4.3 say.
"""

from mogabench.paper.ablations import Ablation, Variant, ablations, get_ablation, get_variant
from mogabench.paper.counting import CONVENTIONS, CountingSource, counting_source, counting_sources
from mogabench.paper.errata import (
    Derivation,
    Erratum,
    Term,
    errata,
    erratum,
    has_tolerance,
    remarks,
)
from mogabench.paper.figures import figure_networks, timed_backbones
from mogabench.paper.meta import META, Meta
from mogabench.paper.numbers import decimals, printed_value
from mogabench.paper.table import (
    PaperTable,
    Row,
    cell_meta,
    cell_subject,
    load_table,
    places_of,
    subject_of,
    table_ids,
)
from mogabench.paper.vocabulary import Column

__all__ = [
    "CONVENTIONS",
    "META",
    "Ablation",
    "Column",
    "CountingSource",
    "Derivation",
    "Erratum",
    "Meta",
    "PaperTable",
    "Row",
    "Term",
    "Variant",
    "ablations",
    "cell_meta",
    "cell_subject",
    "counting_source",
    "counting_sources",
    "decimals",
    "errata",
    "erratum",
    "figure_networks",
    "get_ablation",
    "get_variant",
    "has_tolerance",
    "load_table",
    "places_of",
    "printed_value",
    "remarks",
    "subject_of",
    "table_ids",
    "timed_backbones",
]
