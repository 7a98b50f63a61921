"""Pickles of plain data: numbers, texts, lists, dictionaries, and NumPy arrays of bytes. Nothing else can come out.

A pickle is a program for a small machine that may call whatever it names. Here it may name three things, those by which
NumPy writes an array, and for each of them it gets a stand-in of ours, which only takes notes. The array is made when
the program has ended, from its shape and its bytes, after both were checked. What the program names beside that is
refused by name before anything is called.

The machine is the one that is written in Python: the one in C reserves memory for whatever number a program says. Keys
of dictionaries are texts: a tuple that holds one tuple twice, and that again, takes years to be hashed, and numbers can
be chosen so that all of them have one hash.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from math import prod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from benchbench.core.errors import InputError
from benchbench.core.reading import plain

MOST_AXES = 4
"""Of an array; the product of many long numbers takes for ever."""


class _Type:
    """Stands for a dtype that is being built."""

    def __init__(self, code: Any) -> None:
        self.code = code

    def __setstate__(self, _: Any) -> None:
        """Byte order and fields, which bytes have none of."""


class _Array:
    """Stands for an array that is being built."""

    state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def made(self) -> NDArray[np.uint8]:
        """The array; ValueError where its parts do not fit together."""
        if not isinstance(self.state, tuple) or len(self.state) != 5:
            raise ValueError("an array in it is incomplete")
        _, shape, dtype, fortran, content = self.state
        if not isinstance(dtype, _Type) or dtype.code not in ("u1", b"u1"):
            raise ValueError("an array in it is not of bytes (uint8)")
        whole = (
            isinstance(shape, tuple)
            and len(shape) <= MOST_AXES
            and all(type(side) is int and 0 <= side < 2**31 for side in shape)
        )
        if isinstance(content, str):
            content = content.encode("latin-1")
        if not whole or not isinstance(content, bytes) or prod(shape) != len(content):
            raise ValueError("an array in it has not the length its shape says")
        return np.frombuffer(content, np.uint8).reshape(shape, order="F" if fortran else "C")


class _Named:
    """What a program gets for a name. It can be called; what pickles may do to an object beside that is refused."""

    __slots__ = ("_call",)

    def __init__(self, call: Callable[..., Any]) -> None:
        self._call = call

    def __call__(self, *arguments: Any) -> Any:
        return self._call(*arguments)

    def __setstate__(self, _: Any) -> None:
        raise pickle.UnpicklingError("it changes what it did not make")


def _reconstruct(*_: Any) -> _Array:
    return _Array()


def _dtype(code: Any, *_: Any) -> _Type:
    return _Type(code)


def _ndarray(*_: Any) -> None:
    raise pickle.UnpicklingError("it builds an array in another way than NumPy does")


def _encode(text: Any, encoding: Any = "") -> bytes:
    """`_codecs.encode`, by which Python 3 writes bytes for Python 2."""
    if not isinstance(text, str) or encoding != "latin1":
        raise pickle.UnpicklingError("it encodes a text in another way than pickle does")
    return text.encode("latin-1")


_ALLOWED: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy", "ndarray"): _ndarray,
    ("numpy", "dtype"): _dtype,
    ("_codecs", "encode"): _encode,
}


def _with_texts_as_keys(load: Callable[[Any], None], keys: slice) -> Callable[[Any], None]:
    """The step of the machine that puts entries into a dictionary, after a look at their keys on its stack."""

    def checked(machine: Any) -> None:
        if not all(isinstance(key, str | bytes) for key in machine.stack[keys]):
            raise pickle.UnpicklingError("a key of a dictionary in it is no text")
        load(machine)

    return checked


def _refuse_set(_: Any) -> None:
    raise pickle.UnpicklingError("it builds a set, which plain data do not need")


class _Unpickler(pickle._Unpickler):
    """Knows nothing but `_ALLOWED`."""

    dispatch: ClassVar = {
        **pickle._Unpickler.dispatch,
        **{
            code[0]: _with_texts_as_keys(pickle._Unpickler.dispatch[code[0]], keys)
            for code, keys in (
                (pickle.SETITEM, slice(-2, -1)),
                (pickle.SETITEMS, slice(None, None, 2)),
                (pickle.DICT, slice(None, None, 2)),
            )
        },
        **{code[0]: _refuse_set for code in (pickle.EMPTY_SET, pickle.ADDITEMS, pickle.FROZENSET)},
    }

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _Named(_ALLOWED[module, name])
        except KeyError:
            raise pickle.UnpicklingError(
                f"it asks for {module}.{name}, which plain data do not need and which may run code"
            ) from None


def unpickled(content: bytes, where: str) -> Any:
    """What a pickle holds, texts of Python 2 as bytes; arrays in dictionaries, lists and tuples at its top are made.

    Args:
        content: The pickle.
        where: What errors call its file.

    Returns:
        Numbers, texts, lists, dictionaries, uint8 arrays.

    Raises:
        InputError: It is damaged, or would build anything else.
    """
    try:
        held = _Unpickler(io.BytesIO(content), encoding="bytes").load()
        if isinstance(held, dict):
            return {key: _made(value) for key, value in held.items()}
        return _made(held)
    except Exception as error:  # a damaged program makes its machine fail in any way
        reason = plain(str(error).strip() or type(error).__name__)
        raise InputError(
            f"cannot read {where}: {reason}; nothing of it was run. It is damaged or another file than it should be: "
            "fetch it again"
        ) from error


def _made(value: Any) -> Any:
    return value.made() if isinstance(value, _Array) else value
