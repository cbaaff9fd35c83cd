import importlib
import sys
from pathlib import Path

import mmcv
import pytest
import torch

from mogabench.errors import UserError
from mogabench.ops import provide_mmcv_ops


def test_mmcv_mmdet_and_mmseg_import() -> None:
    for package in ("mmcv.ops", "mmdet.models", "mmseg.models"):
        importlib.import_module(package)


def test_an_operator_that_is_not_there_is_named_when_it_is_called() -> None:
    from mmcv.ops import CARAFEPack

    layer = CARAFEPack(4, scale_factor=2)
    with pytest.raises(UserError, match="carafe_forward needs the compiled mmcv"):
        layer(torch.rand(1, 4, 8, 8))


def test_a_compiled_extension_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "_ext.py").write_text("compiled = True")
    monkeypatch.setattr(mmcv, "__path__", [*mmcv.__path__, str(tmp_path)])
    monkeypatch.delitem(sys.modules, "mmcv._ext", raising=False)
    try:
        assert importlib.import_module("mmcv._ext").compiled
    finally:
        sys.modules.pop("mmcv._ext", None)


def test_providing_twice_adds_one_finder() -> None:
    before = list(sys.meta_path)
    provide_mmcv_ops()
    assert sys.meta_path == before
