from mogabench.ops import provide_mmcv_ops

provide_mmcv_ops()  # before any test here imports mmdet
