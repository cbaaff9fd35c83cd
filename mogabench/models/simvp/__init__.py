"""SimVP (Gao et al., CVPR 2022) with the translators of OpenSTL: Tables 7 (right), A14."""

from mogabench.models.simvp.network import SimVP
from mogabench.models.simvp.registration import register_translator

__all__ = ["SimVP", "register_translator"]
