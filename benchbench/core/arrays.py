"""Arrays from anywhere as plain tensors: of torch in any layout, of NumPy in any byte order, of whoever shares memory.

Pattern: whoever takes numbers from a user calls `tensor_of` first and asks of dtype and shape afterwards. What has no
numbers in it that could be read as they stand (sparse, quantised, masked, text) is refused with the way out, never
guessed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.dlpack import from_dlpack

from benchbench.core.errors import InputError

ArrayLike = Any
"""What `tensor_of` takes: a tensor, an array with `__array__` or `__dlpack__`, numbers in nested lists."""


def tensor_of(given: object, what: str) -> Tensor:
    """An array as a dense tensor, without gradients, where it lies.

    Args:
        given: A tensor, an array with `__array__` or `__dlpack__`, or numbers in nested lists.
        what: What the error calls it, in the plural.

    Returns:
        The same numbers; float8 as float32, extended precision and unsigned 64-bit integers as float64.

    Raises:
        InputError: It holds no numbers that can be read as they stand; the message says what it is and what to do.
    """
    if isinstance(given, Tensor):
        return _plain(given, what)
    if isinstance(given, np.ndarray):
        return _of_numpy(given, what)
    readable = hasattr(given, "__array__") or hasattr(given, "__dlpack__") or isinstance(given, list | tuple)
    if not readable:
        raise InputError(f"{what} are a {type(given).__name__}; give an array or a tensor")
    try:
        if hasattr(given, "__dlpack__"):
            try:
                return _plain(from_dlpack(given), what)
            except Exception:  # of memory that torch cannot share; what it says of itself is asked next
                if not hasattr(given, "__array__"):
                    raise
        return _of_numpy(np.asarray(_on_cpu(given)), what)
    except InputError:
        raise
    except Exception as error:  # whatever somebody else's array raises
        raise InputError(
            f"{what} are a {type(given).__name__} that cannot be read as an array: {error}"
        ) from error


@contextmanager
def default_float32() -> Iterator[None]:
    """float32 as what torch makes of numbers without a dtype, whatever a user has set: weights are float32."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def shape_text(array: Any) -> str:
    """The shape of a tensor as errors write it: "50×64", "no axis" for a single number."""
    return "×".join(map(str, array.shape)) or "no axis"


def dtype_text(tensor: Tensor) -> str:
    """The dtype as errors write it: "float32"."""
    return str(tensor.dtype).removeprefix("torch.")


def _plain(tensor: Tensor, what: str) -> Tensor:
    if tensor.is_nested:
        raise InputError(f"{what} are a nested tensor; give one tensor with rows of one length")
    if tensor.layout != torch.strided:
        layout = str(tensor.layout).removeprefix("torch.")
        raise InputError(f"{what} are sparse ({layout}); give them as .to_dense()")
    if tensor.is_quantized:
        raise InputError(f"{what} are quantised ({dtype_text(tensor)}); give them as .dequantize()")
    if tensor.is_meta:
        raise InputError(f"{what} lie on the device meta, where tensors have a shape and no numbers")
    tensor = tensor.detach().resolve_conj().resolve_neg()
    return tensor.float() if tensor.dtype.is_floating_point and tensor.dtype.itemsize == 1 else tensor


def _of_numpy(array: np.ndarray, what: str) -> Tensor:
    if isinstance(array, np.ma.MaskedArray):
        if np.ma.is_masked(array):
            raise InputError(
                f"{what} are a masked array with values that are masked; fill or drop these first"
            )
        array = array.data
    dtype: np.dtype[Any] = array.dtype
    if dtype.kind not in "fiubc":
        raise InputError(
            f"{what} hold {dtype.name if dtype.kind != 'O' else 'objects'}, which are no numbers"
        )
    if dtype.kind == "f" and dtype.itemsize > 8:
        dtype = np.dtype(np.float64)
    elif dtype.kind == "c" and dtype.itemsize > 16:
        dtype = np.dtype(np.complex128)
    elif dtype.kind == "u" and dtype.itemsize > 1:  # in which torch cannot compute
        dtype = np.dtype(np.float64 if dtype.itemsize == 8 else np.int64)
    # A copy where torch cannot look at the memory itself: another byte order, steps backwards, not to be written to.
    fresh = array.astype(dtype.newbyteorder("="), order="C", copy=not array.flags.writeable)
    return torch.from_numpy(np.ascontiguousarray(fresh) if array.ndim else fresh)


def _on_cpu(given: Any) -> Any:
    """Lists of tensors with their gradients taken off, which NumPy would stumble over."""
    if isinstance(given, Tensor):
        return given.detach().cpu().numpy()
    if isinstance(given, list | tuple) and any(isinstance(row, Tensor | Sequence) for row in given):
        return [row if isinstance(row, str) else _on_cpu(row) for row in given]
    return given
