"""Reading images for the transforms of mmdet and mmseg."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from mmcv.transforms import BaseTransform

from mogabench.data.images import read_image

if TYPE_CHECKING:
    from numpy.typing import NDArray


def of_image(image: NDArray[np.uint8]) -> dict[str, Any]:
    """What the transforms know of an image once it is read.

    Args:
        image: ``(height, width, 3)``, RGB.
    """
    size = image.shape[:2]
    return {"img": np.ascontiguousarray(image[..., ::-1]), "img_shape": size, "ori_shape": size}


class LoadImage(BaseTransform):
    """Reads the image of a sample, as mmcv's transform does."""

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Adds the image ``(height, width, 3)``, BGR, and its size.

        Raises:
            ImageError: It cannot be read.
        """
        image = read_image(Path(results["img_path"]), self.stated_size(results))
        return results | of_image(image)

    def stated_size(self, results: dict[str, Any]) -> tuple[int, int] | None:
        """``(height, width)`` that the sample's annotations are for; None where nothing says so.

        Args:
            results: What is known of the sample.
        """
        return None
