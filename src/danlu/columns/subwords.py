"""Tokenizers of the library `tokenizers`: own ones, trained on the training rows, and those that come in a file.

A tokenizer is held as the library's own JSON: nothing in it is code, and other programs open it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from danlu.base.devices import need

if TYPE_CHECKING:
    from tokenizers import Tokenizer

# The first codes of every tokenizer of ours, in this order.
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_PADDING = ("[PAD]", "<pad>", "<PAD>", "<|pad|>")
_BEGIN = "▁"  # of a word
_APART = r"[\p{Han}\p{Hiragana}\p{Katakana}]"
_ROWS = 2048  # encoded at once


def train_subwords(
    texts: Iterable[str],
    form: Literal["bpe", "wordpiece"],
    *,
    max_values: int,
    min_count: int,
    normalize: bool,
    lower: bool,
    ends: bool,
) -> str:
    """A tokenizer of pieces of words, as JSON; the same for the same texts.

    Pairs of pieces that occur most often become one piece, until there are so many. Words are cut at blanks and marks,
    and around each Chinese or Japanese character.
    Source: Sennrich et al., "Neural Machine Translation of Rare Words with Subword Units", 2016 (BPE); Devlin et al.,
    BERT, 2019 (WordPiece, and the five special tokens).

    Args:
        texts: the training rows'.
        form: `bpe` cuts a word by the merges in their order, `wordpiece` takes the longest piece from its beginning.
        max_values: pieces at most, but for single characters.
        min_count: pairs that occur less often are not joined.
        normalize: whether texts are brought to NFKC first.
        lower: whether capital letters are made small.
        ends: whether a text stands between [CLS] and [SEP].
    """
    need("tokenizers", "text")
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

    steps: list[Any] = [normalizers.NFKC()] * normalize + [normalizers.Lowercase()] * lower
    normalizer = normalizers.Sequence(steps)
    cutting: list[Any] = [pre_tokenizers.Split(Regex(_APART), "isolated"), pre_tokenizers.BertPreTokenizer()]
    cutter = pre_tokenizers.Sequence(cutting)
    words = [[word for word, _ in cutter.pre_tokenize_str(normalizer.normalize_str(text))] for text in texts]
    vocabulary, merges = _merged(words, max_values, min_count)
    if form == "bpe":
        tokenizer = Tokenizer(models.BPE(vocabulary, merges, unk_token=SPECIAL[1]))
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*cutting, pre_tokenizers.Metaspace(_BEGIN)])
        tokenizer.decoder = decoders.Metaspace(_BEGIN)
    else:
        tokenizer = Tokenizer(models.WordPiece(_pieces(vocabulary), unk_token=SPECIAL[1]))
        tokenizer.pre_tokenizer = cutter
        tokenizer.decoder = decoders.WordPiece()
    tokenizer.normalizer = normalizer
    tokenizer.add_special_tokens(list(SPECIAL))
    if ends:
        _put_ends(tokenizer)
    text: str = tokenizer.to_str()
    return text


def _merged(
    words: Sequence[Sequence[str]], max_values: int, min_count: int
) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Pieces with their codes, and the pairs that were joined, in their order.

    The alphabet is given, and a word's beginning is a letter of its own: of letters that are equally frequent, and of
    those marked as the middle of a word, the library would number others first in every run.
    """
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    counts = Counter(letter for row in words for word in row for letter in word)
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:max_values]
    letters = [_BEGIN, *(letter for letter, _ in ranked if letter != _BEGIN)]
    tokenizer = Tokenizer(models.BPE(unk_token=SPECIAL[1]))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    trainer = trainers.BpeTrainer(
        vocab_size=max(max_values, len(SPECIAL) + len(letters)),
        min_frequency=min_count,
        special_tokens=list(SPECIAL),
        initial_alphabet=letters,
        limit_alphabet=len(letters),
        show_progress=False,
    )
    tokenizer.train_from_iterator((" ".join(_BEGIN + word for word in row) for row in words), trainer)
    model = json.loads(tokenizer.to_str())["model"]
    return model["vocab"], [(first, second) for first, second in model["merges"]]


def _pieces(vocabulary: dict[str, int]) -> dict[str, int]:
    """The pieces as WordPiece writes them: those that do not begin a word after ##; each letter in both ways."""
    ordered = sorted(vocabulary, key=vocabulary.__getitem__)[len(SPECIAL) :]
    letters = [one for one in ordered if len(one) == 1 and one != _BEGIN]
    joined = [one for one in ordered if len(one) > 1]
    written = [one[1:] if one[0] == _BEGIN else f"##{one}" for one in joined]
    every = dict.fromkeys([*SPECIAL, *letters, *(f"##{one}" for one in letters), *written])
    return {one: code for code, one in enumerate(every)}


def _put_ends(tokenizer: Tokenizer) -> None:
    from tokenizers import processors

    first, last = SPECIAL[2], SPECIAL[3]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{first} $A {last}",
        pair=f"{first} $A {last} $B:1 {last}:1",
        special_tokens=[(first, SPECIAL.index(first)), (last, SPECIAL.index(last))],
    )


class Subwords:
    """A tokenizer that was read from JSON.

    Attributes:
        size: ids that there are.
        padding: the id of padding, -1 where there is none.
    """

    def __init__(self, text: str, length: int | None, *, own: bool) -> None:
        """Read a tokenizer.

        Args:
            text: JSON.
            length: ids of a text at most, its special tokens among them; None cuts nothing.
            own: whether it is one of ours: `[CLS]` in a text is then no special token.

        Raises:
            ValueError: it is none.
        """
        need("tokenizers", "text")
        from tokenizers import Tokenizer

        try:
            self.tokenizer = Tokenizer.from_str(text)
            told = json.loads(text)
        except Exception as error:  # the library raises bare ones
            raise ValueError(str(error)) from error
        self.tokenizer.no_padding()
        self.tokenizer.no_truncation()
        if length is not None:
            self.tokenizer.enable_truncation(max_length=length)
        self.tokenizer.encode_special_tokens = own
        self.size = int(max(self.tokenizer.get_vocab(with_added_tokens=True).values(), default=-1)) + 1
        named = (self.tokenizer.token_to_id(name) for name in _PADDING)
        found = next((one for one in named if one is not None), -1)
        self.padding = int((told.get("padding") or {}).get("pad_id", found))

    def ids(self, texts: Sequence[str]) -> Iterator[list[int]]:
        """The ids of every text, with its special tokens."""
        for start in range(0, len(texts), _ROWS):
            for one in self.tokenizer.encode_batch_fast(list(texts[start : start + _ROWS])):
                yield one.ids

    def text(self, ids: list[int]) -> str:
        """What ids stand for, without special tokens."""
        found: str = self.tokenizer.decode(ids)
        return found


@lru_cache(maxsize=8)
def read_subwords(text: str, length: int | None, *, own: bool) -> Subwords:
    """A tokenizer of JSON, read once."""
    return Subwords(text, length, own=own)
