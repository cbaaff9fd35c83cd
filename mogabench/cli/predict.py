"""``mogabench predict``: what trained weights say of images of the user's own."""

from __future__ import annotations

from collections import Counter
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mogabench.cli.options import (
    BackboneOption,
    FormatOption,
    ImportOption,
    MethodOption,
    OptionsOption,
    StatedSizeOption,
    StatedTaskOption,
    VariantOption,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence, Set

    from mogabench.engine.prediction import Item, Prediction, Predictor

_FOLDER = Path("predictions")
_LIST = "predictions.json"


def predict(
    images: Annotated[
        list[str],
        typer.Argument(
            metavar="IMAGE|FOLDER|VIDEO|-", help="Inputs; '-' reads an image from standard input."
        ),
    ],
    weights: Annotated[
        str, typer.Option(metavar="FILE|official", help="Weights of a whole network.")
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help="Folder for pictures and predictions.json; default: predictions.",
        ),
    ] = None,
    task: StatedTaskOption = None,
    variant: VariantOption = None,
    backbone: BackboneOption = None,
    method: MethodOption = None,
    size: StatedSizeOption = None,
    options: OptionsOption = None,
    class_map: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Names of the classes, one a line, for weights that do not state them.",
        ),
    ] = None,
    boxes: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="For poses: boxes of persons in COCO's results format, as 'predict' writes them "
            "with a detector; each states the file_name of its image, or the id that the file is "
            "named by. Default: a person fills each image.",
        ),
    ] = None,
    out_frames: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="For videos: frames to predict; default: as many as the input has."
        ),
    ] = None,
    layout: Annotated[
        str | None,
        typer.Option(metavar="AXES", help="For videos: the axes of an array, such as NTCHW."),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    packages: ImportOption = None,
    output_format: FormatOption = "text",
) -> None:
    """Predict from images or videos of yours with trained weights.

    The weights decide what is predicted: classes, boxes and masks, class maps, key points, meshes
    or future frames. They are drawn into pictures and listed in JSON (COCO's results where there is
    such a format). Weights that mogabench trained state their network; for others name it. Hands
    and faces also need MANO or FLAME in body_models/.

    With '-' or --format json the JSON goes to standard output, and files are written only with
    --output.
    """
    from mogabench import api
    from mogabench.catalogue import import_packages
    from mogabench.cli.subjects import named_network
    from mogabench.console import LOG, print_json, print_line
    from mogabench.engine.environment import check_writable
    from mogabench.engine.prediction import PIPE
    from mogabench.files import expanded
    from mogabench.sizes import read_size
    from mogabench.subject import parse_option

    import_packages(packages)
    own = {
        "class_map": class_map,
        "boxes": boxes,
        "out_frames": out_frames,
        "layout": layout,
    }
    predictor = api.load(
        weights,
        task=task,
        network=named_network(variant, backbone),
        method=method,
        input_size=None if size is None else read_size(size),
        options=dict(map(parse_option, options or ())),
        device=device,
        **{name: value for name, value in own.items() if value is not None},
    )
    items: Sequence[Item] = predictor.find(images)
    for note in predictor.notes:
        LOG.info(note)
    is_quiet = output_format == "json" or PIPE in images
    folder = output if is_quiet else output or _FOLDER
    inputs = {expanded(place).resolve() for place in images if place != PIPE}
    if folder is not None:
        folder = expanded(folder)
        items = _check_output(folder, inputs, items)
        check_writable(folder)
        inputs |= {item.file.resolve() for item in items if item.file is not None}
    found: list[dict[str, Any]] = []
    stems: Sequence[str] = ()
    for place, prediction in _predictions(predictor, items):
        if not is_quiet:
            print_line(f"{prediction.item.name}: {prediction.describe()}")
        if folder is not None:
            files = prediction.files()
            stems = stems or _stems([item.name for item in items], files)
            _write(folder, {stems[place] + ending: files[ending] for ending in files}, inputs)
        found += prediction.to_json()
    if is_quiet:
        print_json(found)
    if folder is not None:
        where = _write_list(folder, found)
        if not is_quiet:
            print_line(where)


def _predictions(predictor: Predictor, items: Sequence[Item]) -> Iterator[tuple[int, Prediction]]:
    """Each prediction with its item's place; images that cannot be read are left out and named."""
    from mogabench.console import LOG
    from mogabench.data.images import ImageError
    from mogabench.errors import UserError

    read = 0
    for place, item in enumerate(items):
        try:
            prediction = predictor.predict_item(item)
        except ImageError as error:
            if len(items) == 1:
                raise
            LOG.warning("left out: %s", error)
            continue
        read += 1
        yield place, prediction
    if not read:
        raise UserError(f"none of the {len(items)} {predictor.takes}s could be read")


def _stems(names: Sequence[str], endings: Collection[str]) -> Sequence[str]:
    """What the files of each item are called by: its name, without its ending where that will do.

    Args:
        names: The items', no two of which are equal.
        endings: What the names of each item's files end in.

    Raises:
        UserError: Two files would have one name even so.
    """
    from mogabench.errors import UserError

    for stems in ([str(PurePosixPath(name).with_suffix("")) for name in names], names):
        files = Counter(stem + ending for stem in stems for ending in endings)
        if files.total() == len(files):
            return stems
    raise UserError(f"two items would write {files.most_common(1)[0][0]}: rename one of them")


def _check_output(folder: Path, inputs: Set[Path], items: Sequence[Item]) -> Sequence[Item]:
    """The items without what an earlier run wrote, where the output lies in a folder of inputs.

    Raises:
        UserError: The output is a folder of inputs itself, or nothing is left.
    """
    from mogabench.console import LOG
    from mogabench.errors import UserError

    output = folder.resolve()
    if output in inputs:
        raise UserError(f"--output {folder} is where the inputs are; choose another folder")
    if inputs.isdisjoint(output.parents):
        return items
    files = [None if item.file is None else item.file.resolve() for item in items]
    kept = [
        item
        for item, file in zip(items, files, strict=True)
        if file is None or output not in (file, *file.parents)
    ]
    if not kept:
        raise UserError(f"there are no inputs but those in --output {folder}")
    if len(kept) < len(items):
        LOG.info("left out the %d inputs in %s, the output", len(items) - len(kept), folder)
    return kept


def _write(folder: Path, files: Mapping[str, bytes], inputs: Collection[Path]) -> None:
    from mogabench.errors import UserError
    from mogabench.files import write_whole

    for name, content in files.items():
        file = folder / name
        if file.resolve() in inputs:
            raise UserError(f"--output {folder}: {file} is one of the inputs; choose another one")
        write_whole(file, content)


def _write_list(folder: Path, found: list[dict[str, Any]]) -> str:
    """Writes the list, and says what is where."""
    from mogabench.engine.prediction import as_json_text
    from mogabench.files import write_whole

    write_whole(folder / _LIST, as_json_text(found))
    return f"wrote {folder / _LIST} and pictures beside it"
