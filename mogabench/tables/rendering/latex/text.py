"""Plain text as LaTeX, and about how wide it is set."""

from __future__ import annotations

import re
import unicodedata

_SPECIAL = {
    "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': "\'\'",
    "×": r"$\times$", "÷": r"$\div$", "±": r"$\pm$", "≈": r"$\approx$", "≤": r"$\leq$",
    "≥": r"$\geq$", "−": "$-$", "·": r"$\cdot$", "°": r"$^\circ$", "→": r"$\rightarrow$",
    "↓": r"$\downarrow$", "↑": r"$\uparrow$", "Δ": r"$\Delta$", "∆": r"$\Delta$",
    "α": r"$\alpha$", "β": r"$\beta$", "γ": r"$\gamma$", "ϵ": r"$\epsilon$", "ε": r"$\epsilon$",
    "μ": r"$\mu$", "σ": r"$\sigma$", "‡": r"\textsuperscript{\ddag}",
    "†": r"\textsuperscript{\dag}", "§": r"\S{}", "✓": r"$\surd$", "✗": r"$\times$",
    "—": "---", "–": "--", "…": r"\dots{}", "‘": "`", "’": "'", "“": "``", "”": "''",
    "\u00a0": "~", "\u202f": r"\,",
}  # fmt: skip
_LATIN = re.compile(r"[ -~¡-ſ]")
_RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ"
_LOWERED = "₀₁₂₃₄₅₆₇₈₉₊₋ₕₗₘₙₓ"
_RUNS = re.compile(f"([{_RAISED}]+)|([{_LOWERED}]+)")

_EMS = (
    ("0123456789", 0.5),
    (" -.,;:!|'()[]/ijlfrt", 0.33),
    ("MWmw%+−=≈×&Δ@", 0.8),
    ("ABCDEFGHIJKLNOPQRSTUVXYZ", 0.7),
)
"""About the widths of characters; others have half an em."""


def escape(text: str) -> str:
    """Plain text as LaTeX that pdflatex sets with its own fonts.

    A letter that these fonts lack is set as the nearest Latin one, or else as its code point.
    """

    def run(match: re.Match[str]) -> str:
        plain = unicodedata.normalize("NFKC", match.group()).replace("−", "-")
        name = "textsuperscript" if match.group(1) else "textsubscript"
        return rf"\{name}{{{plain}}}".replace("-", "$-$")

    pieces, end = [], 0
    for match in _RUNS.finditer(text):
        pieces += [*map(_character, text[end : match.start()]), run(match)]
        end = match.end()
    return "".join([*pieces, *map(_character, text[end:])])


def escape_prose(text: str) -> str:
    """A footnote; paths in it may break."""
    return escape(text).replace("/", r"/\allowbreak{}").replace(r"\_", r"\_\allowbreak{}")


def escape_head(head: str) -> str:
    """A head, with sub- and superscripts where the plain text has ``_`` and ``^``."""
    parts = re.split(r"(\^[a-z0-9]+|_[A-Za-z0-9]+)", head)
    names = {"^": "textsuperscript", "_": "textsubscript"}
    return "".join(
        rf"\{names[part[0]]}{{{part[1:]}}}" if part[:1] in names else escape(part) for part in parts
    )


def ems(text: str) -> float:
    """About the width of a text in ems."""
    plain = "".join(_character(c) if c not in _SPECIAL and not _RUNS.match(c) else c for c in text)
    return sum(next((width for some, width in _EMS if c in some), 0.52) for c in plain)


def _character(character: str) -> str:
    if character in _SPECIAL:
        return _SPECIAL[character]
    if _LATIN.match(character):
        return character
    plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return plain or f"[U+{ord(character):04X}]"
