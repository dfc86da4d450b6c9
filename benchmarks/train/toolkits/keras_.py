"""Keras 3 on the backend that `--variant` names (tensorflow, jax or torch)."""

from __future__ import annotations

import os
from importlib.metadata import version

from measured import measured

asked = measured()
os.environ["KERAS_BACKEND"] = asked.variant
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
if asked.threads == 1:
    flags = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flags}".strip()

import keras
import numpy as np
from cases import NUM_HEADS, NUM_TOKENS, Case
from keras import layers

if asked.threads and asked.variant == "tensorflow":
    import tensorflow

    tensorflow.config.threading.set_intra_op_parallelism_threads(asked.threads)
    tensorflow.config.threading.set_inter_op_parallelism_threads(asked.threads)
if asked.threads and asked.variant == "torch":
    import torch

    torch.set_num_threads(asked.threads)


class Timer(keras.callbacks.Callback):
    """Tells when epochs begin and end."""

    def on_epoch_begin(self, epoch, logs=None):
        asked.begin()

    def on_epoch_end(self, epoch, logs=None):
        asked.end()


def network(case: Case) -> keras.Model:
    """The case's network as Keras writes it: rows in, logits out."""
    inputs = layers.Input((*case.shape, 1) if case.network == "cnn" else case.shape)
    x = {"dense": dense, "cnn": pictures, "lstm": series, "transformer": tokens}[case.network](case, inputs)
    return keras.Model(inputs, layers.Dense(case.num_classes)(x))


def dense(case, x):
    """Dense layers with ReLU."""
    for width in case.widths:
        x = layers.Dense(width, activation="relu")(x)
    return x


def pictures(case, x):
    """Convolution, ReLU and pooling, twice, then a dense layer."""
    for channels in case.widths[:2]:
        x = layers.MaxPooling2D()(layers.Conv2D(channels, 3, padding="same", activation="relu")(x))
    return layers.Dense(case.widths[2], activation="relu")(layers.Flatten()(x))


def series(case, x):
    """LSTM layers and the last state."""
    for index, width in enumerate(case.widths):
        x = layers.LSTM(width, return_sequences=index + 1 < len(case.widths))(x)
    return x


class Places(layers.Layer):
    """Adds a learned vector for each place."""

    def build(self, shape):
        self.places = self.add_weight(shape=shape[1:], initializer=keras.initializers.RandomNormal(stddev=0.02))

    def call(self, x):
        return x + self.places


def tokens(case, x):
    """Blocks of attention and a dense layer, normalised first; the mean over tokens."""
    width = case.widths[0]
    x = Places()(layers.Embedding(NUM_TOKENS, width, keras.initializers.RandomNormal(stddev=0.02))(x))
    for _ in case.widths:
        before = layers.LayerNormalization(epsilon=1e-5)(x)
        x = x + layers.MultiHeadAttention(NUM_HEADS, width // NUM_HEADS)(before, before)
        between = layers.LayerNormalization(epsilon=1e-5)(x)
        x = x + layers.Dense(width)(layers.Dense(4 * width, activation="gelu")(between))
    return layers.GlobalAveragePooling1D()(layers.LayerNormalization(epsilon=1e-5)(x))


keras.utils.set_random_seed(asked.seed)
model = network(asked.case)
model.compile(keras.optimizers.Adam(1e-3, epsilon=1e-8), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
with asked.fitting():
    model.fit(
        asked.inputs("train"),
        asked.classes("train"),
        batch_size=asked.case.batch_size,
        epochs=asked.epochs,
        shuffle=True,
        verbose=0,
        callbacks=[Timer()],
    )
package = {"tensorflow": "tensorflow-cpu", "jax": "jax", "torch": "torch"}[asked.variant]
both = f"{keras.__version__}, {asked.variant} {version(package)}"
answers = np.asarray(model.predict(asked.inputs("test"), verbose=0)).argmax(1)
asked.tell(f"Keras on {asked.variant}", both, answers)
