"""Operators: a stand-in on torchvision for the compiled half of mmcv.

The wheels of mmcv that install without a compiler (``mmcv-lite``) lack the extension
``mmcv._ext``, so ``import mmcv.ops`` fails, and with it all of mmdet and mmseg. Whoever imports
one of these calls `provide_mmcv_ops` first.
"""

from mogabench.ops.stand_in import provide_mmcv_ops

__all__ = ["provide_mmcv_ops"]
