"""Sounds from files, bytes and samples, of every kind that people have."""

from __future__ import annotations

import base64
import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import soundfile

from danlu.base.errors import DataError
from danlu.columns.audio import Audio
from danlu.columns.column import FittedColumn, fit_column
from danlu.columns.spectrogram import Framing, from_mel, log_mel, mel_filters, to_mel

RATE = 8000
TIMES = np.arange(1200) / RATE
TONE = 0.5 * np.sin(2 * np.pi * 1000 * TIMES)
PLAIN = Framing(RATE, 200, 80, 40, 20.0, 4000.0, "slaney")


def packed(samples: np.ndarray = TONE, rate: int = RATE, format: str = "WAV", subtype: str | None = None) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=format, subtype=subtype)
    return file.getvalue()


def fitted(values: list[Any], **options: Any) -> FittedColumn:
    return fit_column("call", "audio", options, pl.Series("call", values))


def frames(column: FittedColumn, values: list[Any]) -> np.ndarray:
    return column.encode(pl.Series("call", values))["frames"]


SUBTYPES = ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"]


@pytest.mark.parametrize(
    ("format", "subtype"), [*(("WAV", one) for one in SUBTYPES), ("FLAC", None), ("OGG", None), ("MP3", None)]
)
def test_every_format_says_the_same(format: str, subtype: str | None) -> None:
    column = fitted([packed()], scale="none")
    here = frames(column, [packed(format=format, subtype=subtype)])[0]
    there = frames(column, [packed()])[0]
    loudest = there[:, :-1].argmax(axis=1)
    assert (np.abs(here[2:10, :-1].argmax(axis=1) - loudest[2:10]) <= 1).all()
    np.testing.assert_allclose(here[2:10, :-1].max(axis=1), there[2:10, :-1].max(axis=1), atol=0.1)


def test_channels_are_mixed_and_other_rates_brought_to_one() -> None:
    column = fitted([packed()], scale="none")
    stereo = np.stack([2 * TONE, np.zeros_like(TONE)], axis=1)[:, :]
    wanted = frames(column, [packed()])
    np.testing.assert_allclose(frames(column, [packed(stereo, subtype="FLOAT")]), wanted, atol=0.1)
    fast = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(1200 * 6) / 48_000)
    there = frames(column, [packed(fast, 48_000)])
    assert there[0, :, -1].sum() == wanted[0, :, -1].sum()
    np.testing.assert_allclose(there[0, 2:-2].max(axis=1), wanted[0, 2:-2].max(axis=1), atol=0.1)


def test_a_path_a_member_an_address_and_bytes_are_the_same_sound(tmp_path: Path) -> None:
    data = packed()
    (tmp_path / "a.wav").write_bytes(data)
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr("in/a.wav", data)
    column = fitted([data])
    address = "data:audio/wav;base64," + base64.b64encode(data).decode()
    found = frames(column, [str(tmp_path / "a.wav"), str(tmp_path / "all.zip/in/a.wav"), address])
    for one in found:
        np.testing.assert_array_equal(one, frames(column, [data])[0])


def test_samples_need_a_rate_and_are_then_as_their_file() -> None:
    with pytest.raises(DataError, match="nothing says how many there are in a second") as caught:
        fitted([TONE.tolist(), TONE.tolist()])
    assert caught.value.hint == "set data.columns.call.given_rate"
    of_file = fitted([packed(subtype="DOUBLE")])
    of_samples = fitted([TONE.tolist()], given_rate=RATE)
    np.testing.assert_array_equal(frames(of_samples, [TONE.tolist()]), frames(of_file, [packed(subtype="DOUBLE")]))


def test_bands_have_mean_0_and_deviation_1_over_the_training_sounds() -> None:
    random = np.random.default_rng(0)
    sounds = [packed(random.normal(size=size) * 0.1) for size in (900, 4000, 2500)]
    column = fitted(sounds, length_s=1.0)
    encoded = frames(column, sounds)
    known = encoded[encoded[..., -1] == 1][:, :-1]
    np.testing.assert_allclose(known.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(known.std(axis=0), 1, atol=1e-3)
    assert not encoded[encoded[..., -1] == 0].any()


def test_a_waveform_is_scaled_by_itself_and_cut_at_its_start_or_around_its_middle() -> None:
    column = fitted([packed()], features="waveform", length_s=0.05)
    found = frames(column, [packed(), packed(TONE[:100] * 0.1)])
    assert found.shape == (2, 400, 2)
    np.testing.assert_allclose(found[0, :, 0].std(), 1, atol=1e-3)
    assert found[1, :, 1].sum() == 100
    np.testing.assert_allclose(found[1, :100, 0].std(), 1, atol=1e-2)
    ramp = np.linspace(0, 0.9, 1200)
    middle = fitted([packed(ramp)], features="waveform", length_s=0.05, crop="middle", scale="none")
    assert frames(middle, [packed(ramp)])[0, 200, 0] == pytest.approx(0.45, abs=0.01)


def test_the_length_holds_most_training_sounds_and_rate_is_the_usual_one() -> None:
    lengths = [1000] * 60 + [30_000]
    column = fitted([packed(np.resize(TONE, size)) for size in lengths] + [packed(np.resize(TONE, 1500), 44_100)] * 3)
    state = column.state
    assert isinstance(state, Audio.state_type)
    assert state.rate == RATE
    assert state.length == PLAIN.num_frames(1000)
    assert state.num_cut == 1
    assert fitted([packed(TONE, 44_100)]).state.rate == 16_000


BROKEN = {
    "it has no samples": packed(np.zeros(0)),
    "it is silent": packed(np.zeros(400)),
    "some samples are missing or not finite": packed(np.array([0.1, np.nan, 0.2]), subtype="FLOAT"),
    "there is no such file": "nowhere.wav",
    "Format not recognised": b"no sound at all",
}


def test_what_cannot_be_read_says_why() -> None:
    reasons = Audio().unreadable(pl.Series([None, "nowhere.wav", None]))
    assert reasons == [(1, "there is no such file")]
    given = [one for one in BROKEN.values() if isinstance(one, bytes)]
    found = Audio().unreadable(pl.Series([packed(), *given]))
    assert [reason for _, reason in found] == [reason for reason, one in BROKEN.items() if isinstance(one, bytes)]
    with pytest.raises(DataError, match=r"nowhere\.wav cannot be read: there is no such file"):
        frames(fitted([packed()]), ["nowhere.wav"])


def test_a_file_that_was_cut_off_is_broken_or_shorter_and_never_a_crash() -> None:
    data = packed(np.resize(TONE, 9000), format="FLAC")
    column = fitted([data])
    random = np.random.default_rng(3)
    for size in random.integers(1, len(data), 20):
        damaged = bytearray(data[:size])
        damaged[random.integers(0, size)] ^= 0xFF
        if Audio().unreadable(pl.Series([bytes(damaged)])):
            with pytest.raises(DataError, match="cannot be read"):
                frames(column, [bytes(damaged)])
        else:
            assert np.isfinite(frames(column, [bytes(damaged)])).all()


def test_a_rate_that_would_fill_the_memory_is_refused() -> None:
    """Two megabytes that say one sample a second would become 128 gigabytes."""
    whole = packed(np.ones(2_000_000), RATE, subtype="PCM_U8")
    slow = whole[:24] + (1).to_bytes(4, "little") + whole[28:]
    with pytest.raises(DataError, match="2,000,000 samples at 1 a second; at 8,000 it would have"):
        frames(fitted([packed()]), [slow])


def test_samples_of_any_size_are_scaled_to_numbers() -> None:
    column = fitted([packed()], features="waveform")
    assert np.isfinite(frames(column, [packed(np.array([3e38, 3e38, -1e38, 2e38]), subtype="FLOAT")])).all()


def test_bands_too_narrow_for_the_frames_are_refused() -> None:
    with pytest.raises(DataError, match=r"\d+ of 200 bands are narrower than frames of 25 ms can tell"):
        fitted([packed()], num_mels=200)


def test_the_spectrogram_is_its_formula() -> None:
    found = log_mel(TONE[:1000], PLAIN)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(200) / 200)
    steps = np.arange(200)
    for place in (0, 3, len(found) - 1):
        part = np.zeros(200)
        some = TONE[:1000][place * 80 : place * 80 + 200]
        part[: len(some)] = some
        waves = np.exp(-2j * np.pi * np.outer(np.arange(129), steps) / 256)
        power = np.abs(waves @ (part * window)) ** 2 / (window**2).sum()
        wanted = np.log(np.maximum(mel_filters(PLAIN) @ power, 1e-8))
        np.testing.assert_allclose(found[place], wanted, atol=1e-4)
    assert len(found) == 1 + -(-800 // 80)


@pytest.mark.parametrize("scale", ["slaney", "htk"])
def test_mels_and_back(scale: Any) -> None:
    hertz = np.array([0.0, 440.0, 999.0, 1001.0, 8000.0])
    np.testing.assert_allclose(from_mel(to_mel(hertz, scale), scale), hertz, atol=1e-6)
    assert to_mel(np.array([1000.0]), "slaney")[0] == pytest.approx(15)
    assert to_mel(np.array([1000.0]), "htk")[0] == pytest.approx(999.99, abs=0.01)


def test_filters_are_triangles_of_area_1_up_to_one_factor() -> None:
    areas = mel_filters(Framing(16_000, 4000, 80, 40, 300.0, 8000.0, "slaney")).sum(axis=1)
    np.testing.assert_allclose(areas / areas.mean(), 1, atol=0.02)
    heights = mel_filters(Framing(16_000, 4000, 80, 40, 300.0, 8000.0, "htk")).max(axis=1)
    np.testing.assert_allclose(heights, 1, atol=0.05)
