"""Which weights the authors released, and of which networks they released none."""

import pytest

from mogabench.checkpoints import resolve_weights
from mogabench.errors import UserError
from mogabench.releases import is_released, listed_weights, official_weights
from mogabench.subject import Subject

GELU = (("gate_act", "gelu"),)


def classifier(backbone, side):
    return Subject(
        task="classification", method="classifier", backbone=backbone, input_size=(side, side)
    )


def detector(method, backbone, **options):
    return Subject(
        task="detection",
        method=method,
        backbone=backbone,
        input_size=(800, 1280),
        options=tuple(options.items()),
    )


def test_names_of_all_released_files():
    names = {
        official_weights(classifier(backbone, size)).name
        for backbone, size in [
            ("moganet_xtiny", 224),
            ("moganet_xtiny", 256),
            ("moganet_tiny", 224),
            ("moganet_tiny", 256),
            ("moganet_small", 224),
            ("moganet_base", 224),
            ("moganet_large", 224),
            ("moganet_xlarge", 224),
        ]
    }
    assert names == {
        "moganet_xtiny_sz224_8xbs128_ep300.pth.tar",
        "moganet_xtiny_sz256_8xbs128_ep300.pth.tar",
        "moganet_tiny_sz224_8xbs128_ep300.pth.tar",
        "moganet_tiny_sz256_8xbs128_ep300.pth.tar",
        "moganet_small_sz224_8xbs128_ep300.pth.tar",
        "moganet_base_sz224_8xbs128_ep300.pth.tar",
        "moganet_large_sz224_8xbs64_ep300.pth.tar",
        "moganet_xlarge_sz224_8xbs64_ep300.pth.tar",
    }
    assert official_weights(classifier("moganet_tiny", 256)).urls == (
        "https://github.com/Westlake-AI/MogaNet/releases/download/moganet-in1k-weights/"
        "moganet_tiny_sz256_8xbs128_ep300.pth.tar",
    )


def test_every_translator_of_table_a14_was_released_after_200_and_2000_epochs():
    files = {
        (item.backbone, item.release.recipe): item.release.urls
        for item in listed_weights()
        if item.task == "video"
    }
    # Those of the table, gSTA and TAU.
    assert len({name for name, _ in files}) == 13 and len(files) == 26
    assert files["moganet", "mmnist_2000e"] == (
        "https://github.com/chengtan9907/OpenSTL/releases/download/mmnist-weights/"
        "mmnist_simvp_s_moganet_one_ep2000.pth",
    )


def test_the_refined_tiny_was_released_and_networks_with_other_norms_were_not():
    tiny = classifier("moganet_tiny", 256)
    assert official_weights(tiny, "in1k_refined").name == (
        "moga_tiny_deit3_sz256_lr2e_3_8xb128_fp16_ep300.pth"
    )
    assert is_released(tiny, "in1k_refined") and is_released(tiny, "in1k_300e_256")
    other = tiny.model_copy(update={"options": (("norm_after", "ln"),)})
    assert not is_released(other, "in1k_300e_256")


@pytest.mark.parametrize(
    ("subject", "recipe", "name"),
    [
        (detector("retinanet", "moganet_large"), None, "retinanet_moganet_large_fpn_1x_coco.pth"),
        (detector("mask_rcnn", "moganet_small"), None, "mask_rcnn_moganet_small_fpn_1x_coco.pth"),
        (
            detector("mask_rcnn", "moganet_small"),
            "mask_rcnn_ms3x",
            "mask_rcnn_moganet_s_fpn_mstrain_480-800_3x_coco.pth",
        ),
        (
            detector("cascade_mask_rcnn", "moganet_small"),
            None,
            "cascade_mask_rcnn_moganet_s_fpn_giou_4conv1f_ms_3x_coco.pth",
        ),
        (
            detector("cascade_mask_rcnn", "moganet_small", head="plain"),
            None,
            "cascade_mask_rcnn_moganet_s_fpn_ms_3x_coco.pth",
        ),
    ],
)
def test_a_detector_s_release_is_found_by_method_recipe_and_head(subject, recipe, name):
    release = official_weights(subject, recipe)
    assert release.urls[0].endswith(f"/download/moganet-det-weights/{name}")


def test_what_was_not_released():
    with pytest.raises(
        UserError, match="moganet_small was released at 224x224 pixels, not at 256x256"
    ):
        resolve_weights("official", classifier("moganet_small", 256))
    for train, subject in (
        (False, classifier("moganet_tiny", 224).model_copy(update={"options": GELU})),
        (True, detector("retinanet", "moganet_tiny", **dict(GELU))),  # begins with the classifier
    ):
        with pytest.raises(UserError, match="other options: leave out --option gate_act=gelu, or"):
            resolve_weights("official", subject, train=train)
    with pytest.raises(UserError, match="unknown backbone with official weights 'resnet50'"):
        resolve_weights("official", classifier("resnet50", 224))
    with pytest.raises(UserError, match=r"there is no file 'mine\.pth'"):
        resolve_weights("mine.pth", classifier("moganet_tiny", 224))
