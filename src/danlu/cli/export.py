"""`danlu export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from danlu.cli.options import BundleArgument


def export(
    bundle: BundleArgument,
    column: Annotated[str, typer.Argument(metavar="COLUMN", help="The input column whose encoder is written.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FOLDER", help="The folder to write.")],
) -> None:
    """Write a column's encoder as a folder that transformers opens.

    It gives the same outputs there. Encoders transformer, vit (not with pooling mean), resnet (with the large stem) and
    pretrained can be written so. The folder is a checkpoint that the encoder pretrained takes.
    """
    from danlu.base.errors import DanluError
    from danlu.bundle.bundle import load
    from danlu.bundle.format import NETWORK, WEIGHTS, parse_json

    opened = load(bundle)
    if NETWORK not in opened.contents or not (opened.folder / WEIGHTS).is_file():
        raise DanluError(f"{bundle} holds no network to train on with", hint="name a bundle that danlu deploy made")
    from safetensors.torch import load_file

    from danlu.design.assemble import assemble
    from danlu.export.hugging_face import save_hugging_face
    from danlu.train.weights.flat import load_weights

    network = assemble(parse_json(NETWORK, opened.contents[NETWORK]), opened.schema)
    load_weights(network, load_file(opened.folder / WEIGHTS))
    for file in save_hugging_face(network.eval(), column, output):
        print(file)
