"""Other sources' figures in columns of their own."""

import pytest
from typer.testing import CliRunner

from mogabench.cli import app
from mogabench.errors import UserError
from mogabench.paper import Meta, get_paper
from mogabench.records import open_store
from mogabench.tables.beside import read_source, stand_beside
from mogabench.tables.join import join

# Lines of results-imagenet.csv and benchmark-infer-amp-nchw-pt291-cu130-5090.csv of timm's
# repository at aa4b585; the second file leaves counts blank where it has none.
ACCURACIES = """\
model,img_size,top1,top1_err,top5,top5_err,param_count,crop_pct,interpolation
convnext_tiny.fb_in22k_ft_in1k,224,82.900,17.100,96.622,3.378,28.59,0.875,bicubic
convnext_tiny.fb_in1k,224,82.066,17.934,95.854,4.146,28.59,0.875,bicubic
convnext_tiny.fb_in1k,288,82.698,17.302,96.144,3.856,28.59,1.000,bicubic
"""
SPEEDS = """\
model,infer_img_size,infer_samples_per_sec,infer_step_time,infer_batch_size,param_count,infer_gmacs
convnext_tiny,224,"4,433.72",230.9,1024,28.59,
"""


@pytest.fixture
def table(tmp_path):
    """ConvNeXt's first table without records."""
    return join(get_paper("convnext").table("1"), open_store(tmp_path / "results"))


def write(path, text):
    path.write_text(text)
    return path


def test_figures_stand_below_their_source_and_by_their_weights(table, tmp_path):
    sources = [
        read_source("timm", write(tmp_path / "a.csv", ACCURACIES)),
        read_source("5090", write(tmp_path / "b.csv", SPEEDS)),
    ]
    [found] = stand_beside([table], sources)
    shown = {cell.column.head: cell for cell in found.rows[0].cells}
    assert shown["timm: Top-1 (%)"].printed == "82.066 fb_in1k"
    assert shown["5090: img/s"].printed == "4,433.72" and "5090: GMACs" not in shown
    for row, cell in (("fb_in1k", "82.066 fb_in1k"), ("fb_in1k_384", "")):
        meta = Meta("classification", "classifier", f"convnext_tiny.{row}", (224, 224))
        assert sources[0].text(meta, "top1") == cell
    # Nothing of it is a figure that is compared, counted or plotted.
    assert [c.printed for row in found.rows[1:] for c in row.cells[-2:] if c.printed] == []
    assert all(shown[head].status is shown[head].paper is None for head in list(shown)[-2:])
    assert found.rows[0].cells[:-2] == table.rows[0].cells


@pytest.mark.parametrize(
    ("pretraining", "cell"),
    [
        ("none", "82.8 mae_in1k_ft_in1k, 76.7 fcmae_ft_in1k, 80.1 a1_in1k, and 4 more"),
        ("in1k", "82.8 mae_in1k_ft_in1k, 76.7 fcmae_ft_in1k, 80.1 a1_in1k, and 4 more"),
        ("in21k", "82.3 augreg_in21k_ft_in1k, 83.0 fcmae_ft_in22k_in1k, 80.0 ms_in22k_ft_in1k"),
        ("", "83.8 swag_lc_in1k, 84.9 bd_ssld_6m_in1k, 82.3 augreg_in21k_ft_in1k, and 11 more"),
    ],
)
def test_weights_of_the_rows_pretraining_are_shown_and_at_most_three(tmp_path, pretraining, cell):
    weights = {
        "swag_lc_in1k": "83.8", "bd_ssld_6m_in1k": "84.9",
        "augreg_in21k_ft_in1k": "82.3", "fb_swsl_ig1b_ft_in1k": "81.2",
        "fcmae_ft_in22k_in1k": "83.0", "mae_in1k_ft_in1k": "82.8", "fcmae_ft_in1k": "76.7",
        "a1_in1k": "80.1",
        "ms_in22k_ft_in1k": "80.0", "ra_in1k": "79.8", "sw_in12k_ft_in1k": "79.5",
        "c1_in1k": "79.4", "no_figure_in1k": "", "bt_in1k": "77", "tv_in1k": "76.1",
    }  # fmt: skip
    lines = [f"resnet50.{tag},224,{top1}\n" for tag, top1 in weights.items()]
    source = read_source(
        "timm", write(tmp_path / "a.csv", "model,img_size,top1\n" + "".join(lines))
    )
    meta = Meta("classification", "classifier", "resnet50", (224, 224), pretraining)
    assert source.text(meta, "top1") == cell


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "its first line must name model"),
        ("model,top1\nresnet50,80\n", "its first line must name model"),
        ("model,img_size,top1\nresnet50,224,good\n", "line 2, top1: 'good' is not a number"),
        ("model,img_size,top1\nresnet50,big,80\n", "line 2, img_size: 'big' is not a size"),
        (
            "model,img_size,top1\nresnet50,224,1\nresnet50,224,2\n",
            "line 3: resnet50 at 224 appears",
        ),
        ('model,img_size,top1\n"resnet50,224,1\n', "unexpected end of data"),
    ],
)
def test_a_malformed_file_is_one_message(tmp_path, text, message):
    with pytest.raises(UserError, match="a.csv.*" + message.replace("'", ".")):
        read_source("timm", write(tmp_path / "a.csv", text))


def test_a_source_without_these_networks_is_refused(table, tmp_path):
    file = write(tmp_path / "a.csv", "model,img_size,top1\nresnet50,224,80\n")
    with pytest.raises(UserError, match="it has 1 classifiers, such as resnet50 at 224x224"):
        stand_beside([table], [read_source("timm", file)])


def test_the_command_shows_them_to_readers_only(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "a.csv", ACCURACIES)
    run = CliRunner().invoke
    shown = ["table", "--paper", "convnext", "1", "--beside", "timm=a.csv", "-q"]
    done = run(app, [*shown, "--columns", "timm", "--format", "markdown"])
    assert "| timm: Top-1 (%) |" in done.stdout and "82.066 fb_in1k |" in done.stdout
    for arguments in ([*shown, "--format", "json"], [*shown[:4], "--beside", "a.csv"]):
        refused = run(app, arguments)
        assert isinstance(refused.exception, UserError) and not refused.stdout
