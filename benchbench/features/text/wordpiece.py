"""BERT's uncased tokenizer: text to the numbers of pieces of words (Devlin et al. 2019; WordPiece, Wu et al. 2016).

A text is cleaned (control characters go, every kind of space becomes one), Chinese characters and punctuation become
words of their own, accents and capitals go, and each word is taken apart greedily: the longest piece of the vocabulary
that it begins with, then the longest that goes on from there. Held to the package `tokenizers` by a test.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence

UNKNOWN, START, END = "[UNK]", "[CLS]", "[SEP]"
LONGEST_WORD = 100  # characters; a longer word is unknown
_CONTROL = ("Cc", "Cf", "Co", "Cs")  # what nobody has assigned yet is kept
_CHINESE = (
    (0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F),
    (0x2B920, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F),
)  # fmt: skip


class WordPiece:
    """Texts to numbers into a vocabulary.

    Args:
        vocabulary: The pieces in the order of their numbers; one that goes on a word begins with "##".
    """

    def __init__(self, vocabulary: Sequence[str]) -> None:
        self._numbers = {piece: number for number, piece in enumerate(vocabulary)}

    def __call__(self, text: str, most: int) -> list[int]:
        """Take a text apart.

        Args:
            text: Any.
            most: How many numbers there may be; what is behind them is cut off.

        Returns:
            The numbers of its pieces, between those of the marks of a start and an end.
        """
        pieces = [piece for word in words(text) for piece in self._pieces(word)]
        return [self._numbers[piece] for piece in [START, *pieces[: most - 2], END]]

    def _pieces(self, word: str) -> list[str]:
        if len(word) > LONGEST_WORD:
            return [UNKNOWN]
        found, start = [], 0
        while start < len(word):
            mark = "##" if start else ""
            end = next(
                (end for end in range(len(word), start, -1) if mark + word[start:end] in self._numbers), 0
            )
            if not end:
                return [UNKNOWN]
            found.append(mark + word[start:end])
            start = end
        return found


def words(text: str) -> list[str]:
    """Words and signs of a text, without capitals and accents.

    >>> words("Côte d’Ivoire, 3.5%")
    ['cote', 'd', '’', 'ivoire', ',', '3', '.', '5', '%']
    """
    plain = "".join(
        sign
        for sign in unicodedata.normalize("NFD", "".join(_cleaned(text)))
        if unicodedata.category(sign) != "Mn"
    ).lower()
    spaced = "".join(f" {sign} " if _is_punctuation(sign) else sign for sign in plain)
    return spaced.split()


def _cleaned(text: str) -> Iterator[str]:
    for sign in text:
        if sign in "\t\n\r" or unicodedata.category(sign) == "Zs":
            yield " "
        elif sign == "\ufffd" or unicodedata.category(sign) in _CONTROL:
            continue
        elif any(low <= ord(sign) <= high for low, high in _CHINESE):
            yield f" {sign} "
        else:
            yield sign


def _is_punctuation(sign: str) -> bool:
    """Also signs of ASCII that Unicode calls symbols, such as $."""
    return (
        sign.isascii() and sign.isprintable() and not sign.isalnum() and sign != " "
    ) or unicodedata.category(sign)[0] == "P"
