"""What is said of packages that not everyone needs."""

import sys

import pytest

from mogabench.analysis.gradcam.cam import import_package
from mogabench.errors import UserError, unknown
from mogabench.runtimes.runtime import import_runtime


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("raise ImportError('libfew.so.2: cannot open\\nand more')", "libfew.so.2: cannot open"),
        ("import no_such_part", "No module named 'no_such_part'"),
    ],
)
def test_a_package_that_does_not_import_is_not_said_to_be_missing(
    source, reason, tmp_path, monkeypatch
):
    monkeypatch.syspath_prepend(tmp_path)
    for module in ("openvino", "pytorch_grad_cam"):
        (tmp_path / f"{module}.py").write_text(source)
        monkeypatch.delitem(sys.modules, module, raising=False)
    says = f"is installed but cannot be imported: {reason}"
    with pytest.raises(UserError) as caught:
        import_runtime("openvino")
    assert str(caught.value) == f"openvino {says}"
    with pytest.raises(UserError) as caught:
        import_package()
    assert str(caught.value) == f"grad-cam {says}"


def test_a_name_that_cannot_be_printed_stays_on_one_line():
    assert str(unknown("table", "\n", ["1"])) == r"unknown table '\n' (valid: 1)"
    assert str(unknown("table", "ä b", ["1"])) == "unknown table 'ä b' (valid: 1)"
