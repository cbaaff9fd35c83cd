"""An activation map as a record."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

from mogabench.files import sha256
from mogabench.machine import device_name, driver_version
from mogabench.records import Data, Kind, Quantity, Record, provenance
from mogabench.records.provenance import packages

if TYPE_CHECKING:
    from mogabench.analysis.gradcam.figure import Panel


def activation_record(panel: Panel) -> Record:
    """The record of a network and an image."""
    found, trained = panel.activation, panel.trained
    rows, columns = found.heat.shape
    values = {
        "class": Quantity(value=found.label, unit="1"),
        "probability": Quantity(value=100 * found.probability, unit="%"),
        "predicted class": Quantity(value=found.predicted, unit="1"),
        "rows": Quantity(value=rows, unit="1"),
        "columns": Quantity(value=columns, unit="1"),
    }
    if not found.is_empty:
        values["area of half the heat"] = Quantity(value=100 * found.half_area, unit="%")
    return Record(
        subject=trained.subject,
        kind=Kind.ACTIVATION_MAP,
        values=values,
        notes=[f"class {found.label} is {panel.class_name}", f"layer {panel.layer}"],
        provenance=provenance(
            device=device_name(trained.device),
            driver=driver_version(trained.device),
            packages=packages() | {"grad-cam": version("grad-cam")},
            batch_size=1,
            weights=trained.weights,
            data=Data(
                name=f"image:{panel.image.name}",
                split="test",
                samples=1,
                digest=sha256(panel.image),
            ),
        ),
    )
