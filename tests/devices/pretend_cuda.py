"""A CUDA device on a machine that has none: tensors on it compute on the CPU and know where they are.

Pattern: a tensor on "cuda:0" is a wrapper around a CPU tensor, and every operation passes through one function, which
refuses what CUDA refuses (operands on two devices, NumPy on the device's memory), computes on what is inside and wraps
the result. What waits for the device (a number read, a copy to the host, `nonzero`) and what is copied between the two
sides is counted. So a whole training or evaluation runs here as it would on a card, up to what is listed below.

Pretended beside the tensors: `torch.cuda`'s availability, generators (the CPU's stands in), synchronisation and
memory (nothing is counted).

What this cannot see: kernels that CUDA lacks for a dtype, its rounding, mixed precision (autocast looks at the
backend's keys and does nothing here), streams, memory. `benchmarks/gpu.py` looks at those where there is a device.

torch's own lazy backend was tried before: it computes on the CPU too, but it refuses views written in place,
`out=` and autocast, none of which is a fault of the code.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

CUDA = torch.device("cuda", 0)
_aten = torch.ops.aten
# Whose result has a size or a value that the host must know before it can go on.
_WAITS = {
    "_local_scalar_dense",
    "nonzero",
    "masked_select",
    "_unique2",
    "unique_dim",
    "unique_consecutive",
    "equal",
}
_INDEXED = {"index", "index_put", "index_put_", "_index_put_impl_"}  # CUDA takes indices from either side
_CREATE = {
    torch.device("cuda").type,
    "meta",
}  # autograd makes its zeros on what C++ knows as the wrapper's device


class DeviceTensor(Tensor):
    """A tensor that says it is on `CUDA`. To C++ it is on "meta", which autograd computes in the calling thread."""

    inner: Tensor

    @staticmethod
    def __new__(cls, inner: Tensor) -> DeviceTensor:
        with torch.inference_mode(False):  # a view of an inference tensor could not be made outside of it
            out: DeviceTensor = Tensor._make_wrapper_subclass(
                cls,
                inner.size(),
                strides=inner.stride(),
                storage_offset=inner.storage_offset(),
                dtype=inner.dtype,
                layout=inner.layout,
                device="meta",
                requires_grad=False,
            )
        out.inner = inner
        return out

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return CUDA

    @property
    def is_cuda(self) -> bool:  # type: ignore[override]
        return True

    @property
    def is_meta(self) -> bool:  # type: ignore[override]
        return False

    def numpy(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() first")

    def tolist(self) -> Any:  # type: ignore[override]
        return self.cpu().tolist()

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        return self.numpy()

    def __repr__(self, **kwargs: Any) -> str:  # type: ignore[override]
        return f"DeviceTensor({self.inner!r})"

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        copied = DeviceTensor(self.inner.detach().clone())
        if isinstance(self, torch.nn.Parameter):
            copied = torch.nn.Parameter(copied, self.requires_grad)
        memo[id(self)] = copied
        return copied

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.inner.__reduce_ex__(protocol)  # a file holds what `map_location="cpu"` would make of it

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        # In a thread of its own, where no mode is active.
        assert _active, f"{func} on the pretended device outside of pretended_cuda()"
        return _active[-1].__torch_dispatch__(func, types, args, kwargs)


_active: list[Traffic] = []


class Traffic(TorchDispatchMode):
    """What happens between host and device while it is active. waits: by operation, how often the host had to wait.
    to_device, to_host: bytes copied; copies: the shapes that went to the device."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: Counter[str] = Counter()
        self.to_device = 0
        self.to_host = 0
        self.copies: list[tuple[int, ...]] = []

    def reset(self) -> None:
        """Start counting anew."""
        self.waits.clear()
        self.copies.clear()
        self.to_device = self.to_host = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if torch.is_inference_mode_enabled() or any(
            leaf.is_inference() for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)
        ):  # there, composite operations arrive whole
            with self:
                parts = func.decompose(*args, **kwargs)
            if parts is not NotImplemented:
                return parts
        name = func.overloadpacket.__name__
        leaves = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        here = [leaf for leaf in leaves if isinstance(leaf, DeviceTensor)]
        asked = kwargs.get("device")
        there = bool(here) if asked is None else torch.device(asked).type in _CREATE
        if asked is not None:
            kwargs["device"] = torch.device("cpu")
        self._check(name, args, leaves, here)
        self._count(name, args, leaves, here, there)
        wrappers = {id(leaf.inner): leaf for leaf in here}
        if name == "_to_copy" and asked is not None and bool(here) != there:
            kwargs.pop("pin_memory", None)
        out = func(*tree_map(_inner, args), **tree_map(_inner, kwargs))

        def wrapped(value: Any) -> Any:
            if not isinstance(value, Tensor):
                return value
            return wrappers.get(id(value)) if id(value) in wrappers else DeviceTensor(value)

        if name == "copy_":
            return args[0]
        return tree_map(wrapped, out) if there else out

    def _check(self, name: str, args: Any, leaves: list[Tensor], here: list[DeviceTensor]) -> None:
        """What CUDA would refuse."""
        if not here or len(here) == len(leaves) or name in {"copy_", "_to_copy"}:
            return
        if name in _INDEXED:
            leaves = [leaf for leaf in tree_leaves((args[0], args[2:])) if isinstance(leaf, Tensor)]
        strangers = [leaf for leaf in leaves if not isinstance(leaf, DeviceTensor) and leaf.ndim]
        if strangers and not (name in _INDEXED and len(strangers) == len(leaves)):
            raise RuntimeError(
                f"Expected all tensors to be on the same device, but {name} found at least two devices, cuda:0 and cpu"
            )
        if name in _INDEXED and strangers:
            raise RuntimeError(
                "indices should be either on cpu or on the same device as the indexed tensor (cpu)"
            )

    def _count(
        self, name: str, args: Any, leaves: list[Tensor], here: list[DeviceTensor], there: bool
    ) -> None:
        source = leaves[1] if name == "copy_" and len(leaves) > 1 else leaves[0] if leaves else None
        if name == "copy_":
            there = isinstance(args[0], DeviceTensor)
        if name in {"_to_copy", "copy_"} and source is not None:
            size = source.numel() * source.element_size()
            if isinstance(source, DeviceTensor) and not there:
                self.to_host += size
                self.waits["copy to the host"] += 1
            elif there and not isinstance(source, DeviceTensor):
                self.to_device += size
                self.copies.append(tuple(source.shape))
        elif here and name in _WAITS:
            self.waits[name] += 1
        elif (
            here
            and name in _INDEXED
            and any(
                isinstance(leaf, Tensor) and leaf.dtype in (torch.bool, torch.uint8)
                for leaf in tree_leaves(args[1])
            )
        ):
            self.waits["index by a mask"] += 1


def _inner(value: Any) -> Any:
    return value.inner if isinstance(value, DeviceTensor) else value


def _nothing(*args: Any, **kwargs: Any) -> None:
    return None


class _Event:
    """Of a device on which everything takes a millisecond."""

    def __init__(self, **kwargs: Any) -> None:
        assert kwargs == {"enable_timing": True}

    record = synchronize = _nothing

    def elapsed_time(self, end: _Event) -> float:
        """Milliseconds."""
        return 1.0


@contextmanager
def pretended_cuda() -> Iterator[Traffic]:
    """Within it torch has one CUDA device. Tensors made on it are of no use outside."""
    torch._C._ensureCUDADeviceGuardSet()
    patches: dict[str, Callable[..., Any]] = {
        "_lazy_init": _nothing,
        "is_available": lambda: True,
        "device_count": lambda: 1,
        "current_device": lambda: 0,
        "_exchange_device": lambda index: 0,
        "_maybe_exchange_device": lambda index: 0,
        "get_device_name": lambda *a: "a pretended device",
        "synchronize": _nothing,
        "reset_peak_memory_stats": _nothing,
        "max_memory_allocated": lambda *a: 0,
        "memory_allocated": lambda *a: 0,
        "memory_reserved": lambda *a: 0,
        "mem_get_info": lambda *a: (2**36, 2**36),
        "empty_cache": _nothing,
        "get_rng_state": lambda *a: torch.get_rng_state(),
        "set_rng_state": lambda state, *a: torch.set_rng_state(state),
        "manual_seed": torch.default_generator.manual_seed,
        "manual_seed_all": torch.default_generator.manual_seed,
        "is_bf16_supported": lambda *a: True,
        "current_stream": _nothing,
        "Event": _Event,
    }
    lifted = torch._C._only_lift_cpu_tensors()
    torch._C._set_only_lift_cpu_tensors(True)  # `torch.tensor(…, device=…)` is made on the CPU, then copied
    with ExitStack() as stack:
        stack.callback(torch._C._set_only_lift_cpu_tensors, lifted)
        for name, patch in patches.items():
            stack.enter_context(mock.patch.object(torch.cuda, name, patch))
        stack.enter_context(mock.patch.object(Tensor, "pin_memory", lambda self, *a: self))
        _active.append(stack.enter_context(Traffic()))
        stack.callback(_active.pop)
        yield _active[-1]
