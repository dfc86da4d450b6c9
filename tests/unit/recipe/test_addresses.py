"""Addresses of data elsewhere, and what of them may be written down."""

from __future__ import annotations

from pathlib import Path

import pytest

from danlu.base.errors import RecipeError
from danlu.recipe.addresses import holds_password, is_remote, lacks_secrets, without_secrets
from danlu.recipe.naming import default_name
from danlu.recipe.reading import read_recipe, recipe_from
from danlu.recipe.writing import resolved_yaml


@pytest.mark.parametrize(
    ("text", "remote"),
    [
        ("s3://bucket/rows.csv", True),
        ("https://example.org/rows.csv", True),
        ("simplecache::s3://bucket/rows.csv", True),
        ("postgresql://host/shop", False),
        ("sqlite:///shop.db", False),
        ("sample:iris", False),
        ("C:/rows.csv", False),
        ("rows.csv", False),
    ],
)
def test_what_lies_elsewhere(text: str, remote: bool) -> None:
    assert is_remote(text) is remote


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://u:geheim@host/a.csv", "https://host/a.csv"),
        ("https://geheim@host/a.csv", "https://host/a.csv"),
        ("sftp://u:ge/heim@host/a.csv", "sftp://u@host/a.csv"),
        ("s3://key:geheim@bucket/a.csv", "s3://key@bucket/a.csv"),
        ("ftp://u:123@host/a.csv", "ftp://u@host/a.csv"),
        ("zip://a.csv::https://u:geheim@host/a.zip", "zip://a.csv::https://host/a.zip"),
    ],
)
def test_a_password_is_seen_and_never_shown(text: str, shown: str) -> None:
    assert holds_password(text)
    assert without_secrets(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "https://host:8080/a@b.csv",
        "sftp://user@host:22/a.csv",
        "hf://datasets/user/repo@main/a.csv",
        "abfs://container@account/a.csv",
        "https://host/a.csv?year=2024&page=3",
    ],
)
def test_what_is_no_password_is_left_alone(text: str) -> None:
    assert not holds_password(text)
    assert without_secrets(text) == text
    assert not lacks_secrets(text)


@pytest.mark.parametrize(
    "secret",
    [
        "X-Amz-Signature=abc",
        "X-Goog-Credential=abc",
        "sig=abc",
        "access_token=abc",
        "apikey=abc",
        "q=dGhpc2lzYXZlcnlsb25nc2VjcmV0MTIz",
    ],
)
def test_a_signature_is_left_out(secret: str) -> None:
    name, _, value = secret.partition("=")
    shown = without_secrets(f"https://host/a.csv?year=2024&{secret}")
    assert shown == f"https://host/a.csv?year=2024&{name}=…"
    assert value not in shown
    assert lacks_secrets(shown)


def test_the_resolved_recipe_and_the_run_s_name_hold_no_signature(tmp_path: Path) -> None:
    address = "https://host/data/rows.csv.gz?X-Amz-Signature=0123456789abcdef"
    recipe = recipe_from({"data": {"source": address, "join": [{"source": address, "key": "k"}]}, "target": "y"})
    assert recipe.name == "rows"
    for text in (resolved_yaml(recipe), resolved_yaml(recipe, tmp_path)):
        assert "0123456789abcdef" not in text
        assert text.count("https://host/data/rows.csv.gz?X-Amz-Signature=…") == 2
    written = tmp_path / "resolved.yaml"
    written.write_text(resolved_yaml(recipe), encoding="utf-8")
    with pytest.raises(RecipeError, match="written without its signature"):
        read_recipe(written)


@pytest.mark.parametrize("address", ["https://u:geheim@host/a.csv", "s3://k:geheim@bucket/a.csv", "https://geheim@h/a"])
def test_a_recipe_with_a_password_is_refused_without_showing_it(address: str) -> None:
    with pytest.raises(RecipeError, match="holds a password") as caught:
        recipe_from({"data": address, "target": "y"})
    assert "geheim" not in str(caught.value)


def test_an_address_gives_a_name() -> None:
    assert default_name("s3://bucket/2024/*.csv") == "2024"
    assert default_name("https://host/census.csv.gz?page=1") == "census"
