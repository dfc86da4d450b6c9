"""From samples to what an ear tells apart: the logarithm of the power in bands of pitch, frame by frame.

NumPy alone: training and serving run this same code. Shapes: S samples, T frames, N samples of a frame, F frequencies,
M mels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np

Scale = Literal["slaney", "htk"]
FLOOR = 1e-8  # of the power: 80 dB below a full scale square; below it recordings hiss
_FRAMES_AT_ONCE = 4096

# Slaney's scale: even steps up to 1000 Hz, then even ratios, 27 steps for a factor of 6.4.
_BREAK_HZ, _STEP_HZ, _RATIO = 1000.0, 200.0 / 3, math.log(6.4) / 27


@dataclass(frozen=True)
class Framing:
    """How samples are cut into frames and frames into bands.

    Attributes:
        rate: samples a second.
        window: N, samples of a frame.
        hop: samples from one frame to the next.
        num_mels: M.
        low_hz: where the lowest band begins.
        high_hz: where the highest band ends.
        scale: of pitch.
    """

    rate: int
    window: int
    hop: int
    num_mels: int
    low_hz: float
    high_hz: float
    scale: Scale

    def num_frames(self, samples: int) -> int:
        """T of so many samples, at least 1: the last frame holds the last sample, zeros stand after it."""
        return 1 + max(0, -(-(samples - self.window) // self.hop))

    def num_samples(self, frames: int) -> int:
        """Samples that so many frames hold."""
        return self.window + (frames - 1) * self.hop


def log_mel(samples: np.ndarray, framing: Framing) -> np.ndarray:
    """The log-mel spectrogram of a sound.

        X_t[f] = Σ_n w[n] x[t·hop + n] e^(−2πi f n / L)        w[n] = 0.5 − 0.5 cos(2π n / N),  L ≥ N a power of two
        y_t[m] = log(max(Σ_f H[m, f] |X_t[f]|² / Σ_n w[n]², 1e-8))

    with H from `mel_filters`. Frames begin at the first sample, with no padding before it.
    Source: Davis and Mermelstein, "Comparison of Parametric Representations for Monosyllabic Word Recognition in
    Continuously Spoken Sentences", 1980 (the filters on the power); Hann's window in its periodic form.

    Args:
        samples: (S,) float, S at least 1.
        framing: frames and bands.

    Returns:
        (T, M) float32.
    """
    count = framing.num_frames(len(samples))
    padded = np.zeros(framing.num_samples(count))
    padded[: len(samples)] = samples[: len(padded)]
    frames_TN = np.lib.stride_tricks.sliding_window_view(padded, framing.window)[:: framing.hop]
    window_N = _window(framing.window)
    size, filters_MF = _fft_size(framing.window), mel_filters(framing)
    found = np.empty((count, framing.num_mels), np.float32)
    for start in range(0, count, _FRAMES_AT_ONCE):
        spectrum = np.fft.rfft(frames_TN[start : start + _FRAMES_AT_ONCE] * window_N, size)
        power_TF = (spectrum.real**2 + spectrum.imag**2) / (window_N**2).sum()
        found[start : start + _FRAMES_AT_ONCE] = np.log(np.maximum(power_TF @ filters_MF.T, FLOOR))
    return found


@cache
def mel_filters(framing: Framing) -> np.ndarray:
    """(M, F) weights of the frequencies in each band: triangles that begin and end at their neighbours' middles.

        slaney   mel(f) = 3 f / 200 below 1000 Hz, else 15 + 27 ln(f / 1000) / ln 6.4; each triangle has the area 1
        htk      mel(f) = 2595 log10(1 + f / 700); each triangle has the height 1

    M + 2 edges lie at even distances of mel from `low_hz` to `high_hz`. Slaney's triangles are scaled by the mean
    distance of two edges, so that powers are of the size that HTK's have.
    Source: Slaney, "Auditory Toolbox", 1998; Young et al., "The HTK Book", 2006 (5.4); librosa 0.11 (`filters.mel`).
    """
    low, high = to_mel(np.array([framing.low_hz, framing.high_hz]), framing.scale).tolist()
    edges = from_mel(np.linspace(low, high, framing.num_mels + 2), framing.scale)
    frequencies = np.fft.rfftfreq(_fft_size(framing.window), 1 / framing.rate)
    rising = (frequencies - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - frequencies) / np.diff(edges)[1:, None]
    filters: np.ndarray = np.clip(np.minimum(rising, falling), 0, None)
    if framing.scale == "slaney":
        widths = (edges[2:] - edges[:-2]) / 2
        filters = filters * (widths.mean() / widths)[:, None]
    return filters


def to_mel(hertz: np.ndarray, scale: Scale) -> np.ndarray:
    """Frequencies as mels, see `mel_filters`."""
    if scale == "htk":
        return np.asarray(2595 * np.log10(1 + hertz / 700))
    above = _BREAK_HZ / _STEP_HZ + np.log(np.maximum(hertz, _BREAK_HZ) / _BREAK_HZ) / _RATIO
    return np.where(hertz < _BREAK_HZ, hertz / _STEP_HZ, above)


def from_mel(mels: np.ndarray, scale: Scale) -> np.ndarray:
    """Mels as frequencies, see `mel_filters`."""
    if scale == "htk":
        return np.asarray(700 * (10 ** (mels / 2595) - 1))
    above = _BREAK_HZ * np.exp(_RATIO * (mels - _BREAK_HZ / _STEP_HZ))
    return np.where(mels < _BREAK_HZ / _STEP_HZ, mels * _STEP_HZ, above)


@cache
def _window(length: int) -> np.ndarray:
    window: np.ndarray = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)
    return window if length > 1 else np.ones(1)


def _fft_size(window: int) -> int:
    return 1 << max(0, window - 1).bit_length()
