"""The files of the analyses' figures below the results."""

import pytest
from PIL import Image, PngImagePlugin

from mogabench.analysis.figures import FOLDER, written_figures
from mogabench.errors import UserError


def test_pictures_that_no_analysis_wrote_end_no_report(tmp_path):
    folder = tmp_path / FOLDER
    folder.mkdir()
    picture, text = Image.new("L", (1, 1)), PngImagePlugin.PngInfo()
    text.add_text("Title", "A figure")
    picture.save(folder / "figure.png", pnginfo=text)
    picture.save(folder / "screenshot.png")
    assert written_figures(tmp_path) == [("A figure", f"{FOLDER}/figure")]
    (folder / "torn.png").write_bytes(b"")
    with pytest.raises(UserError, match=r"cannot read the figure .*torn\.png"):
        written_figures(tmp_path)
