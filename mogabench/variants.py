"""The six sizes of MogaNet and the ways to write them (Table A1)."""

from __future__ import annotations

from mogabench.errors import unknown

VARIANTS = {
    "xt": "moganet_xtiny",
    "t": "moganet_tiny",
    "s": "moganet_small",
    "b": "moganet_base",
    "l": "moganet_large",
    "xl": "moganet_xlarge",
}
"""timm name by short name, smallest first."""


def backbone_of(variant: str) -> str:
    """The timm name of a variant written short (``b``), long (``base``) or whole.

    Raises:
        UserError: It is none of the six.
    """
    spelled = variant.lower().replace("moganet", "").strip("-_ ").replace("-", "").replace("_", "")
    for short, backbone in VARIANTS.items():
        if spelled in (short, backbone.removeprefix("moganet_")):
            return backbone
    long_names = [name.removeprefix("moganet_") for name in VARIANTS.values()]
    raise unknown("variant", variant, [*VARIANTS, *long_names])


def variant_of(backbone: str) -> str | None:
    """The short name of a MogaNet backbone, or None for any other network."""
    return next((short for short, name in VARIANTS.items() if name == backbone), None)
