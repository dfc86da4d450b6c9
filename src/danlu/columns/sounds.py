"""Reading one sound: from a path, a `data:` address or bytes, its channels mixed into one, at its own or another rate.

A path may lead into a zip archive: `sounds.zip/dogs/1.wav`. What libsndfile knows is read, in 8 to 32 bits, floating
point or logarithmic (µ-law, A-law): WAV, FLAC, Ogg Vorbis and Opus, MP3, AIFF, AU and others.
"""

from __future__ import annotations

import io
import os
from types import ModuleType
from typing import Any

import numpy as np

from danlu.base.devices import need
from danlu.columns.decoded import keep, recall
from danlu.columns.pictures import UnreadableError, unpacked

SUFFIXES = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au", ".w64", ".caf")
_MAGIC = (b"RIFF", b"fLaC", b"OggS", b"ID3", b"FORM", b".snd", b"\xff\xfb", b"\xff\xf3", b"\xff\xf2")
# Of all channels, 37 minutes of stereo at 44,100 Hz: a small file can unpack to more than the memory holds.
MAX_SAMPLES = 200_000_000
_SILENT = 1e-6  # below the last of 16 bits
SILENCE = "it is silent"


def soundfile() -> ModuleType:
    """The module soundfile. Raises MissingExtraError."""
    return need("soundfile", "audio")


def begins_as_sound(data: bytes) -> bool:
    """Whether bytes begin as a file of sound does; a RIFF may be a picture too (WebP)."""
    return data.startswith(_MAGIC) and data[8:12] not in (b"WEBP", b"AVI ")


def count_samples(source: str | bytes) -> int:
    """Samples of all channels together, by a sound's header alone. Raises UnreadableError."""
    with _opened(source) as sound:
        return int(sound.frames * sound.channels)


def read_header(source: str | bytes) -> tuple[float, int]:
    """Seconds and samples a second, by a sound's header alone. Raises UnreadableError."""
    kept = recall(source)
    if kept is not None:
        return len(kept[0]) / int(kept[1]), int(kept[1])
    with _opened(source) as sound:
        return sound.frames / sound.samplerate, sound.samplerate


def read_sound(source: str | bytes) -> tuple[np.ndarray, int]:
    """Read one sound.

    Args:
        source: a path, a `data:` address or a file's bytes.

    Returns:
        (S,) float32 samples, the mean of all channels, mostly from −1 to 1; and how many there are in a second.

    Raises:
        UnreadableError: with the reason; also where there is no sample, or one that is no finite number.
    """
    kept = recall(source)
    if kept is not None:
        return kept[0], int(kept[1])
    with _opened(source) as sound:
        try:
            channels_SC = sound.read(dtype="float32", always_2d=True)
        except (RuntimeError, ValueError, MemoryError) as error:
            raise UnreadableError(_reason(error)) from error
        rate, expected = sound.samplerate, sound.frames
    if len(channels_SC) < expected and 0 < expected < MAX_SAMPLES:
        raise UnreadableError(f"it ends after {len(channels_SC):,} of {expected:,} samples")
    samples = np.ascontiguousarray(channels_SC.mean(axis=1, dtype=np.float32))
    check_samples(samples)
    keep(source, samples, str(rate))
    return samples, rate


def check_samples(samples: np.ndarray) -> None:
    """Raise UnreadableError where there is no sample, or one that is no finite number."""
    if not len(samples):
        raise UnreadableError("it has no samples")
    if not np.isfinite(samples).all():
        raise UnreadableError("some samples are missing or not finite")


def is_silent(samples: np.ndarray) -> bool:
    """Whether all samples are the same, but for less than 16 bits can tell."""
    return float(samples.max() - samples.min()) < _SILENT


def resampled(samples: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    """(S,) float32 samples at another rate.

    Source: the SoX resampler library, its quality HQ (band-limited, linear phase).

    Raises:
        UnreadableError: at the wanted rate there would be more of them than are read of any sound.
    """
    if rate == wanted:
        return samples
    count = len(samples) * wanted // rate
    if count > MAX_SAMPLES:
        message = f"it has {len(samples):,} samples at {rate:,} a second; at {wanted:,} it would have {count:,}"
        raise UnreadableError(f"{message}, more than {MAX_SAMPLES:,}")
    found: np.ndarray = need("soxr", "audio").resample(samples, rate, wanted, quality="HQ")
    return found if len(found) else np.zeros(1, np.float32)


def _opened(source: str | bytes) -> Any:
    """The open file, of a bearable size. Raises UnreadableError."""
    module = soundfile()
    try:
        sound = module.SoundFile(_file(source))
    except (RuntimeError, OSError, ValueError, TypeError) as error:  # soundfile's own are RuntimeErrors
        raise UnreadableError(_reason(error)) from error
    # Of compressed streams that do not say it, the number of frames is the largest there is.
    if MAX_SAMPLES < sound.frames * sound.channels < 1 << 62:
        sound.close()
        raise UnreadableError(f"it has {sound.frames:,} samples; at most {MAX_SAMPLES:,} of all channels are read")
    return sound


def _file(source: str | bytes) -> Any:
    """What soundfile opens. Raises UnreadableError, ValueError."""
    source = unpacked(source)
    if isinstance(source, bytes):
        return io.BytesIO(source)
    if not os.path.isfile(source):
        raise UnreadableError("there is no such file")
    return source


def _reason(error: BaseException) -> str:
    """What libsndfile says, without the address of the object in memory."""
    text = str(error)
    return text.rpartition(": ")[2].rstrip(".") if "Error opening" in text else text or type(error).__name__
