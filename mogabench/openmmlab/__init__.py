"""Any timm network as a backbone of mmdet and mmsegmentation, also in configurations of your own.

Importing this package registers `TimmBackbone` with mmengine, from where both toolkits take it::

    custom_imports = dict(imports=["mogabench.openmmlab"], allow_failed_imports=False)
    model = dict(
        backbone=dict(
            _delete_=True,
            type="TimmBackbone",
            name="moganet_tiny",
            init_cfg=dict(type="Pretrained", checkpoint="moganet_tiny.pth"),
        ),
        neck=dict(in_channels=[32, 64, 128, 256]),
    )

Where mmcv's compiled operators are not installed, torchvision's take their place.
"""

from mogabench.ops import provide_mmcv_ops

provide_mmcv_ops()  # before any module here imports mmdet or mmseg

from mogabench.openmmlab.backbone import TimmBackbone  # noqa: E402

__all__ = ["TimmBackbone"]
