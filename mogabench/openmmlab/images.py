"""Reading images for the transforms of mmdet and mmseg."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform

from mogabench.data.images import read_image


class LoadImage(BaseTransform):
    """Reads the image of a sample, as mmcv's transform does."""

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Adds the image ``(height, width, 3)``, BGR, and its size.

        Raises:
            UserError: It cannot be read.
        """
        image = np.ascontiguousarray(read_image(Path(results["img_path"]))[..., ::-1])
        size = image.shape[:2]
        return results | {"img": image, "img_shape": size, "ori_shape": size}
