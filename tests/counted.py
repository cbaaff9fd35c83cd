"""The values that every record of a count has."""

from mogabench.records import Quantity

_NAMES = (
    *("parameters", "trainable_parameters", "operations_paper"),
    *("activations", "peak_activation_memory"),
)


def counted(**values: float) -> dict[str, Quantity]:
    """What is given, and 1 of the others."""
    return {
        name: Quantity(value=value, unit="1")
        for name, value in (dict.fromkeys(_NAMES, 1.0) | values).items()
    }
