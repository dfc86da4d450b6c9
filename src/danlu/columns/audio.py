"""A sound: speech, noises, music, from a path, a file's bytes or samples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import polars as pl
from annotated_types import Ge, Gt, Le

from danlu.columns.column import Arrays, Field, State
from danlu.columns.fault import no_values, wrong_dtype, wrong_option
from danlu.columns.pictures import UnreadableError
from danlu.columns.sounds import SILENCE, check_samples, is_silent, read_header, read_sound, resampled
from danlu.columns.spectrogram import Framing, log_mel, mel_filters
from danlu.columns.steps import as_lists, depth
from danlu.columns.unreadable import read_rows, reasons

_SAMPLE = 2000  # training sounds that rate, length, mean and deviation are learned from
_HIGHEST_RATE = 16_000  # of those that are chosen: speech and most of what else there is to be told apart lies below
_COVERED = 0.98  # share of the training sounds that the chosen length holds whole
_LONGEST_S = 20.0
_FEWEST_S = 1e-3

Source = str | bytes | np.ndarray | list[list[float]]


@dataclass(frozen=True)
class AudioState(State):
    """What an audio column learned on the training split.

    Attributes:
        rate: samples a second, to which all sounds are brought.
        length: frames of every encoded row, or samples where the waveform itself is encoded.
        mean: of each band, or of the samples; 0 where it is not scaled so.
        std: of each band, or of the samples, > 0; 1 where it is not scaled so.
        num_cut: training sounds of those looked at that are longer.
    """

    rate: int
    length: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    num_cut: int = 0


@dataclass(frozen=True, kw_only=True)
class Audio:
    """A sound, from a path, a file's bytes or its samples; channels are mixed into one.

    What is encoded is its log-mel spectrogram, frame by frame: how much power there is in each band of pitch. Lists of
    frames, each a list of numbers, are taken for spectrograms (or waveforms) that are made already.

    Attributes:
        features: `log_mel` bands, or the `waveform` itself, as some pre-trained networks take it.
        rate: samples a second, to which all sounds are brought; `auto` takes what most training files have, at most
            16,000.
        given_rate: samples a second of sounds that come as lists of samples; files say it themselves.
        length_s: seconds that the network is given; `auto` takes as many as hold 98 of 100 training sounds, at most 20.
            Longer sounds are cut, shorter ones padded at the end.
        crop: what is kept of a longer sound: its `start` or its `middle`.
        num_mels: bands.
        window_ms: milliseconds of a frame.
        hop_ms: milliseconds from one frame to the next.
        low_hz: where the lowest band begins.
        high_hz: where the highest band ends; none takes half the rate.
        mel_scale: how bands grow with pitch, by `slaney` or `htk`.
        scale: each band to mean 0 and deviation 1 over the training sounds (`standard`), each sound by its own mean and
            deviation (`row`), or `none`; `auto` is standard for bands and row for waveforms.
        missing: a row without a sound is left out of training and scoring (`drop`), and all padding when predicting; or
            the network learns what stands for a sound that is not there (`learned`), and rows may lack the column.
    """

    state_type: ClassVar[type[State]] = AudioState
    encoder: ClassVar[str] = "spectrogram_cnn"
    late_options: ClassVar[tuple[str, ...]] = ("scale",)
    optional_by: ClassVar[Mapping[str, str]] = {"missing": "learned"}
    features: Literal["log_mel", "waveform"] = "log_mel"
    rate: Literal["auto"] | Annotated[int, Ge(1000), Le(192_000)] = "auto"
    given_rate: Annotated[int, Ge(1), Le(768_000)] | None = None
    length_s: Literal["auto"] | Annotated[float, Gt(0), Le(3600)] = "auto"
    crop: Literal["start", "middle"] = "start"
    num_mels: Annotated[int, Ge(1), Le(512)] = 40
    window_ms: Annotated[float, Gt(0), Le(1000)] = 25.0
    hop_ms: Annotated[float, Gt(0), Le(1000)] = 10.0
    low_hz: Annotated[float, Ge(0)] = 20.0
    high_hz: Annotated[float, Gt(0)] | None = None
    mel_scale: Literal["slaney", "htk"] = "slaney"
    scale: Literal["auto", "standard", "row", "none"] = "auto"
    missing: Literal["drop", "learned"] = "drop"

    def parse(self, values: pl.Series) -> pl.Series:
        """Values as paths (strings), files' bytes (binary), lists of samples or of frames; no file is read.

        Raises:
            DataError: of another type, or samples whose rate nothing says.
        """
        dtype = values.dtype
        if dtype in (pl.Null, pl.Categorical, pl.Enum):
            return values.cast(pl.String)
        if dtype in (pl.String, pl.Binary):
            return values
        if isinstance(dtype, pl.Struct) and "bytes" in {field.name for field in dtype.fields}:
            return values.struct.field("bytes").alias(values.name)  # sounds in Parquet, as data sets hold them
        levels, inner = depth(dtype)
        if levels == 1 and inner.is_numeric():
            if self.given_rate is None:
                message = "the sounds come as samples, and nothing says how many there are in a second"
                raise wrong_option(values, message, f"set data.columns.{values.name}.given_rate")
            return as_lists(values).cast(pl.List(pl.Float32))
        if levels == 2 and inner.is_numeric():
            return as_lists(values).cast(pl.List(pl.List(pl.Float32)))
        raise wrong_dtype(values, "paths, files' bytes or lists of samples")

    def fit(self, values: pl.Series) -> AudioState:
        """Learn rate and length, and the mean and deviation of each band, from some of the sounds.

        Raises:
            DataError: every value is missing, a sound cannot be read, or bands are too narrow for the frames.
        """
        present = values.is_not_null().arg_true().to_numpy()
        if not len(present):
            raise no_values(values)
        rows = present[np.unique(np.linspace(0, len(present) - 1, min(_SAMPLE, len(present))).astype(np.int64))]
        seconds, rates = self._headers(values, rows)
        rate = self.rate if isinstance(self.rate, int) else min(_HIGHEST_RATE, _usual(rates))
        if self.features == "log_mel":
            self._check_bands(values, rate)
        chosen = min(_LONGEST_S, float(np.quantile(seconds, _COVERED, method="higher")))
        wanted = chosen if isinstance(self.length_s, str) else self.length_s
        samples = max(1, round(wanted * rate))
        length = self._framing(rate).num_frames(samples) if self.features == "log_mel" else samples
        first = AudioState(rate, length, (), (), int((seconds > wanted + _FEWEST_S).sum()))
        mean, std = self._figures(values, rows, first)
        return AudioState(rate, length, mean, std, first.num_cut)

    def _headers(self, values: pl.Series, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(R,) seconds and (R,) samples a second of some rows."""
        levels, _ = depth(values.dtype)
        if not levels:
            found = list(self._read(values, rows, read_header))
            return np.array([seconds for seconds, _ in found]), np.array([rate for _, rate in found])
        counts = values.gather(rows).list.len().to_numpy().astype(np.int64)
        if levels == 1:
            rate = self.given_rate or 1
            return counts / rate, np.full(len(rows), rate)
        rate = self.rate if isinstance(self.rate, int) else _HIGHEST_RATE
        if self.features == "log_mel":
            framing = self._framing(rate)
            counts = framing.window + (counts - 1) * framing.hop
        return counts / rate, np.full(len(rows), rate)

    def _figures(
        self, values: pl.Series, rows: np.ndarray, state: AudioState
    ) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and deviation of each band over all frames of some rows; 0 and 1 where they are not scaled so."""
        num_bands = self.num_mels if self.features == "log_mel" else 1
        if self._scaling != "standard":
            return (0.0,) * num_bands, (1.0,) * num_bands
        counts, sums, squares = [], [], []
        for bands_TM in self._read(values, rows, partial(self._bands, state=state)):
            wide = bands_TM.astype(np.float64)
            counts.append(len(wide))
            sums.append(wide.sum(axis=0))
            squares.append((wide**2).sum(axis=0))
        # Sorted first, so that the order of the rows does not matter to the last bit.
        total = sum(counts)
        mean = np.sort(sums, axis=0).sum(axis=0) / total
        variance = np.maximum(np.sort(squares, axis=0).sum(axis=0) / total - mean**2, 0)
        std = np.sqrt(variance)
        std = np.where(std < 1e-4, 1.0, std)
        return tuple(mean.tolist()), tuple(std.tolist())

    @property
    def _scaling(self) -> str:
        if self.scale != "auto":
            return self.scale
        return "standard" if self.features == "log_mel" else "row"

    def _framing(self, rate: int) -> Framing:
        window, hop = (max(1, round(length * rate / 1000)) for length in (self.window_ms, self.hop_ms))
        high = min(self.high_hz or rate / 2, rate / 2)
        return Framing(rate, window, hop, self.num_mels, self.low_hz, high, self.mel_scale)

    def _check_bands(self, values: pl.Series, rate: int) -> None:
        framing = self._framing(rate)
        if framing.low_hz >= framing.high_hz:
            message = f"low_hz is {self.low_hz:g}, and bands end at {framing.high_hz:g} Hz"
            raise wrong_option(values, message, "set low_hz lower")
        empty = int((mel_filters(framing).sum(axis=1) == 0).sum())
        if empty:
            message = f"{empty} of {self.num_mels} bands are narrower than frames of {self.window_ms:g} ms can tell"
            raise wrong_option(values, message, "set num_mels lower, or window_ms or low_hz higher")

    def fields(self, state: AudioState) -> tuple[Field, ...]:
        """The "frames": (length, bands), and one channel more that tells padding."""
        shape = (state.length, len(state.mean) + 1)
        return (Field("frames", "series", shape, masked=True, optional=self.missing == "learned"),)

    def encode(self, values: pl.Series, state: AudioState) -> Arrays:
        """Sounds as frames of one number, scaled.

        Args:
            values: (N,) paths, bytes or samples, or nulls.
            state: what `fit` learned on the training split only.

        Returns:
            "frames": (N, T, M + 1) float32, padding 0, the last channel 1 for frames that are there and 0 for padding;
            M is 1 for a waveform. A row without a sound is all padding.

        Raises:
            DataError: a sound cannot be read; names the row, the file and the reason.
        """
        present = values.is_not_null().arg_true().to_numpy()
        num_bands = len(state.mean)
        frames = np.zeros((len(values), state.length, num_bands + 1), np.float32)
        for row, bands in zip(present, self._read(values, present, partial(self._bands, state=state)), strict=True):
            if self._scaling == "row":
                wide = bands.astype(np.float64)
                bands = (wide - wide.mean(axis=0)) / np.sqrt(wide.var(axis=0) + 1e-7)
            elif self._scaling == "standard":
                bands = (bands - np.array(state.mean, np.float32)) / np.array(state.std, np.float32)
            frames[row, : len(bands), :num_bands] = bands
            frames[row, : len(bands), num_bands] = 1
        return {"frames": frames}

    def _read(self, values: pl.Series, rows: np.ndarray, function: Any) -> Iterator[Any]:
        """A function of some rows' sources or samples, none of them null; raises DataError for what is unreadable."""
        return read_rows(function, values, rows, _sources(values.gather(rows)), "sound")

    def _bands(self, source: Source, *, state: AudioState) -> np.ndarray:
        """(T, M) float32 of one sound, not scaled, of at most the state's length. Raises UnreadableError."""
        if isinstance(source, list):
            return self._cropped(self._frames(source), state.length)
        samples, rate = self._samples(source)
        samples = resampled(samples, rate, state.rate)
        if self.features == "waveform":
            return self._cropped(samples[:, None], state.length)
        framing = self._framing(state.rate)
        most = framing.num_samples(state.length)
        return log_mel(self._cropped(samples, most), framing)[: state.length]

    def _cropped(self, samples: np.ndarray, most: int) -> np.ndarray:
        start = max(0, len(samples) - most) // 2 if self.crop == "middle" else 0
        return samples[start : start + most]

    def _frames(self, source: list[list[float]]) -> np.ndarray:
        """(T, M) float32 of frames that are made already. Raises UnreadableError."""
        width = self.num_mels if self.features == "log_mel" else 1
        if any(frame is None or len(frame) != width for frame in source):
            raise UnreadableError(f"its frames are not all of {'1 number' if width == 1 else f'{width} numbers'}")
        frames = np.array(source, np.float32)
        check_samples(frames)
        return frames

    def _samples(self, source: str | bytes | np.ndarray) -> tuple[np.ndarray, int]:
        """(S,) float32 samples, and how many there are in a second. Raises UnreadableError."""
        if not isinstance(source, np.ndarray):
            return read_sound(source)
        samples = np.ascontiguousarray(source, np.float32)
        check_samples(samples)
        return samples, self.given_rate or 1

    def decode(self, arrays: Arrays, state: AudioState) -> pl.Series:
        """(N,) lists of frames, each a list of bands in their own unit, or of one sample; null for none."""
        encoded = np.asarray(arrays["frames"], np.float64)
        plain = encoded[:, :, :-1] * state.std + state.mean
        found = encoded[:, :, -1].sum(axis=1).astype(int)
        rows = [row[:count].tolist() or None for row, count in zip(plain, found, strict=True)]
        return pl.Series(rows, dtype=pl.List(pl.List(pl.Float64)))

    def drops(self, values: pl.Series) -> np.ndarray:
        """(N,) bool, True where there is no sound and `missing` is `drop`."""
        return values.is_null().to_numpy() if self.missing == "drop" else np.zeros(len(values), bool)

    def unreadable(self, values: pl.Series) -> list[tuple[int, str]]:
        """Rows whose sound cannot be read or is silent, each with the reason; every sound is unpacked in full.

        Args:
            values: (N,) raw values; nulls are not looked at.
        """
        values = self.parse(values)
        return reasons(self._fault, values, _sources(values.drop_nulls()))

    def _fault(self, source: Source) -> str:
        if isinstance(source, list):
            self._frames(source)
            return ""
        return SILENCE if is_silent(self._samples(source)[0]) else ""


def _usual(rates: np.ndarray) -> int:
    """What most have; of two that are as many the larger."""
    found, counts = np.unique(rates, return_counts=True)
    return int(found[len(counts) - 1 - int(counts[::-1].argmax())])


def _sources(values: pl.Series) -> list[Source]:
    """Paths or bytes, samples as arrays, or lists of frames; none of them is null."""
    return [one.to_numpy() for one in values] if depth(values.dtype)[0] == 1 else values.to_list()
