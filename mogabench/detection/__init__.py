"""Object detection and instance segmentation with mmdet."""

from mogabench.ops import provide_mmcv_ops

provide_mmcv_ops()  # before any module here imports mmdet
