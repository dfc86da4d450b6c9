"""What a recipe will come to."""

from danlu.design.assemble import design
from danlu.forecast import weights_mb
from tests.small import frame, recipe, schema


def test_a_bundle_has_fixed_weights_too() -> None:
    network = design(recipe(), schema(frame(), inputs=("x", "city")))
    numbers = sum(weight.numel() for weight in network.parameters())
    size = weights_mb(network)
    assert size >= 2 * 4 * numbers / 1e6
    network.encoders.requires_grad_(False)
    assert weights_mb(network) == size
