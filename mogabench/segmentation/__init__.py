"""Semantic segmentation with mmseg."""

from mogabench.ops import provide_mmcv_ops

provide_mmcv_ops()  # before any module here imports mmseg
