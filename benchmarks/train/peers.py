"""The toolkits: which script trains with each, in which environment, and which networks it takes."""

from __future__ import annotations

from dataclasses import dataclass

ALL = ("dense", "cnn", "lstm", "transformer")
TABLES = ("dense",)


@dataclass(frozen=True)
class Toolkit:
    """One toolkit, or one way to use it.

    Attributes:
        title: its name for a reader.
        script: in `toolkits/`.
        environment: the folder of its virtual environment; "" is the one that runs the benchmark.
        packages: what the environment holds, as pip names it; torch comes at Danlu's own release.
        variant: what the script is to do, where it can do several things.
        networks: the families of networks that it can train.
        without: requirements that are left out: they do not run beside this torch, and nothing here needs them.
    """

    title: str
    script: str
    environment: str = ""
    packages: tuple[str, ...] = ()
    variant: str = ""
    networks: tuple[str, ...] = ALL
    without: tuple[str, ...] = ()


TOOLKITS = {
    "bare": Toolkit("bare eager loop", "bare.py"),
    "danlu": Toolkit("Danlu", "danlu_.py"),
    "danlu-plain": Toolkit("Danlu, `train.engine: plain`", "danlu_.py", variant="plain"),
    "scikit-learn": Toolkit("scikit-learn", "scikit_learn.py", networks=TABLES),
    "keras-jax": Toolkit("Keras 3 on JAX", "keras_.py", "keras_jax", ("keras", "jax"), "jax"),
    "keras-tensorflow": Toolkit(
        "Keras 3 on TensorFlow", "keras_.py", "keras_tensorflow", ("keras", "tensorflow-cpu"), "tensorflow"
    ),
    "keras-torch": Toolkit("Keras 3 on torch", "keras_.py", "keras_torch", ("keras", "torch"), "torch"),
    "lightning": Toolkit("Lightning", "lightning_.py", "lightning", ("lightning", "torch")),
    "trainer": Toolkit("Hugging Face Trainer", "trainer.py", "trainer", ("transformers", "accelerate", "torch")),
    "fastai": Toolkit("fastai", "fastai_.py", "fastai", ("fastai", "torch"), without=("torchvision", "spacy")),
    "skorch": Toolkit("skorch", "skorch_.py", "skorch", ("skorch", "torch")),
    "autogluon": Toolkit(
        "AutoGluon NN_TORCH", "autogluon_.py", "autogluon", ("autogluon.tabular", "torch"), networks=TABLES
    ),
}
