"""What detection and segmentation share: any timm network as a backbone of mmdet and mmseg."""

from mogabench.ops import provide_mmcv_ops

provide_mmcv_ops()  # before any module here imports mmdet or mmseg
