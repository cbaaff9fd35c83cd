"""The reader of images for networks and pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from mogabench.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def read_image(file: Path) -> NDArray[np.uint8]:
    """The image ``(height, width, 3)`` in RGB, upright as its EXIF data say.

    Raises:
        UserError: It cannot be read.
    """
    try:
        image = cv2.imdecode(np.frombuffer(file.read_bytes(), np.uint8), cv2.IMREAD_COLOR_RGB)
    except (OSError, cv2.error):
        image = None
    if image is None:
        raise UserError(f"cannot read the image {file}")
    return np.asarray(image, np.uint8)
