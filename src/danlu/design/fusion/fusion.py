"""What every fusion has: joining encoded columns, of which some rows may lack one. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import Ge, Lt

from danlu import catalog


@dataclass(frozen=True, kw_only=True)
class Fusion:
    """The options that all fusions share.

    Attributes:
        modality_dropout: share of the rows in training whose picture, sound, text or series counts as missing, drawn
            for each such column by itself, so that the network answers without it too. Above 0, rows may lack any of
            these columns, in training and when predicting.
    """

    modality_dropout: Annotated[float, Ge(0), Lt(1)] = 0.0

    def column_options(self, type: str) -> Mapping[str, Any]:
        """The options that a column of this type must have for it: those by which rows may lack the column."""
        found: Mapping[str, Any] = getattr(catalog.find("columns", type), "optional_by", {})
        return found if self.modality_dropout else {}
