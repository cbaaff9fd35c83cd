"""Reading images for the transforms of mmdet and mmseg."""

from __future__ import annotations

from typing import Any

import cv2
from mmcv.transforms import LoadImageFromFile

from mogabench.errors import UserError


class LoadImage(LoadImageFromFile):
    """mmcv's transform; an image that cannot be read is told in one line."""

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Adds the image ``(height, width, 3)``, BGR, and its size.

        Raises:
            UserError: It cannot be read.
        """
        try:
            loaded: dict[str, Any] = super().transform(results)
        except (OSError, AssertionError, cv2.error) as error:
            raise UserError(f"cannot read the image {results['img_path']}") from error
        return loaded
