"""Weights as others save them: what they are wrapped in, numbers of unusual kinds, files that are something else."""

from __future__ import annotations

import io
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from noted import Notes
from safetensors.torch import save_file
from torch import Tensor, nn

from benchbench.core.errors import InputError
from benchbench.core.protocols import ImageSpec
from benchbench.models.build import build_model
from benchbench.training.weights import load_weights, save_weights


def make(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return build_model("vae-mlp", {"latent": 2, "width": 4}, ImageSpec(8, 8, True, 0))


def equal(a: nn.Module, b: nn.Module) -> bool:
    return all(
        torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    )


FIRST = "encoder.1.weight"  # float32, 4×64


def refusal(path: Path, **asked: Any) -> str:
    """The sentence, and that the model keeps its own weights."""
    model, untouched = make(), make()
    with pytest.raises(InputError) as error:
        load_weights(model, path, **asked)
    assert equal(model, untouched)
    assert "\n" not in str(error.value)
    return str(error.value)


UNUSUAL = {
    **{
        name: (lambda w, name=name: w.to(getattr(torch, name)), f"is {name} but must be float32")
        for name in ("bool", "complex64", "complex128", "int8", "uint8", "int64", "uint16", "uint64")
    },
    **{
        name: (lambda w, name=name: w.to(getattr(torch, name)), f"is {name}, which means nothing without")
        for name in ("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e8m0fnu")
    },
    "sparse": (lambda w: w.to_sparse(), "is sparse"),
    "csr": (lambda w: w.to_sparse_csr(), "is sparse"),
    "quantised": (lambda w: torch.quantize_per_tensor(w, 0.1, 0, torch.qint8), "is quantized"),
    "meta": (lambda w: w.to("meta"), "has a shape and no values"),
    "nested": (lambda w: torch.nested.nested_tensor([w[0], w[1]]), "is nested but must be 4x64"),
    "too large": (lambda w: (w + 1).double() * 1e300, "is too large for float32"),
    "infinite": (lambda w: w / 0, "is not finite"),
    "in bfloat16 infinite": (lambda w: (w / 0).bfloat16(), "is not finite"),
    "larger than any memory": (
        lambda w: w[:1, :1].expand(10**6, 10**7),
        "is 1000000x10000000 but must be 4x64",
    ),
    "flat": (lambda w: w.flatten(), "is 256 but must be 4x64"),
    "a scalar": (lambda w: w.sum(), "is a scalar but must be 4x64"),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", UNUSUAL)
def test_weights_of_unusual_kinds(tmp_path: Path, kind: str) -> None:
    """By definition: what is no array of finite floats of the right shape is not what a layer of float32 computes with,
    and copying it there would make other numbers of it (the real part, 0 and 1, or an error of torch)."""
    make_unusual, sentence = UNUSUAL[kind]
    state = make().state_dict()
    torch.save(state | {FIRST: make_unusual(state[FIRST].clone())}, tmp_path / "a.pt")
    assert f"{FIRST} {sentence}" in refusal(tmp_path / "a.pt")


@pytest.mark.parametrize(
    "dtype", ["bool", "complex64", "int64", "int8", "uint16", "float8_e4m3fn", "float8_e5m2"]
)
def test_unusual_kinds_in_safetensors(tmp_path: Path, dtype: str) -> None:
    """The same from the other format."""
    state = make().state_dict()
    save_file(state | {FIRST: state[FIRST].to(getattr(torch, dtype))}, tmp_path / "a.safetensors")
    assert f"{FIRST} is {dtype}" in refusal(tmp_path / "a.safetensors")


@pytest.mark.parametrize(
    ("dtype", "notes"),
    [
        ("float64", ["float64 weights are rounded to float32"]),
        ("float16", []),
        ("bfloat16", []),
        ("float32", []),
    ],
)
def test_floats_of_another_width(tmp_path: Path, dtype: str, notes: list[str]) -> None:
    """Narrower floats are floats of float32 exactly; wider ones are rounded once, and a note says so."""
    state = {key: value.to(getattr(torch, dtype)) for key, value in make().state_dict().items()}
    torch.save(state, tmp_path / "a.pt")
    model, told = make(1), Notes()
    load_weights(model, tmp_path / "a.pt", progress=told)
    assert all(torch.equal(value, state[key].float()) for key, value in model.state_dict().items())
    assert [note.partition(": ")[2].partition(": ")[2] for note in told.said] == notes


def test_whole_numbers_stay_what_they_are(tmp_path: Path) -> None:
    """A counter of batches may have another width, and no fraction, and must not wrap around: 2**40 is 0 in int32."""
    norm = nn.BatchNorm1d(2)
    norm.num_batches_tracked = torch.zeros((), dtype=torch.int32)
    for value, sentence in {
        torch.tensor(7): None,
        torch.tensor(2**40): "has numbers too large",
        torch.tensor(7.0): "is float32 but must be int32",
    }.items():
        torch.save(norm.state_dict() | {"num_batches_tracked": value}, tmp_path / "a.pt")
        if sentence is None:
            load_weights(norm, tmp_path / "a.pt")
            assert norm.num_batches_tracked == 7
        else:
            with pytest.raises(InputError, match=f"num_batches_tracked {sentence}"):
                load_weights(norm, tmp_path / "a.pt")


def prefixed(prefix: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}{key}": value for key, value in state.items()}


def other(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key: value + 1 for key, value in state.items()}


DISC = {"conv.weight": torch.ones(3, 3), "conv.bias": torch.ones(3)}

WRAPPED = {
    "DistributedDataParallel": (lambda s: prefixed("module.", s), "without 'module'"),
    "torch.compile": (lambda s: prefixed("_orig_mod.", s), "without '_orig_mod'"),
    "both": (lambda s: prefixed("module._orig_mod.", s), "without '_orig_mod' and 'module'"),
    "FSDP": (lambda s: prefixed("_fsdp_wrapped_module.", s), "without '_fsdp_wrapped_module'"),
    "a part was compiled": (
        lambda s: {key.replace("coder.", "coder._orig_mod."): value for key, value in s.items()},
        "without '_orig_mod'",
    ),
    "AveragedModel": (
        lambda s: {"n_averaged": torch.tensor(9), **prefixed("module.", s)},
        "without 'module'",
    ),
    "an attribute of another module": (lambda s: prefixed("net.", s), "without 'net.'"),
    "two attributes": (lambda s: prefixed("module.net.g.", s), "without 'module' and 'net.g.'"),
    **{
        name: (lambda s, name=name: {name: s, "epoch": 3, "discriminator": DISC}, f"taken from '{name}'")
        for name in ("state_dict", "model", "generator", "ema", "params_ema", "G", "netG", "g_ema")
    },
    "Lightning": (
        lambda s: {"state_dict": prefixed("model.", s), "epoch": 3, "loops": {"fit": {}}, "callbacks": {}},
        "taken from 'state_dict' in it; names are read without 'model.'",
    ),
    "an optimizer beside it": (
        lambda s: {
            "model": s,
            "optimizer": {"state": {0: {"step": torch.tensor(1.0)}}, "param_groups": [{"lr": 0.1}]},
        },
        "taken from 'model'",
    ),
    "nested": (
        lambda s: {"nets": {"generator": {"state_dict": s}, "d": DISC}},
        "from 'nets.generator.state_dict'",
    ),
    "twice the same": (
        lambda s: {"model": s, "ema": {k: v.clone() for k, v in s.items()}},
        "taken from 'model'",
    ),
    "ordered": (lambda s: OrderedDict(generator=OrderedDict(s)), "taken from 'generator'"),
}


@pytest.mark.parametrize("kind", WRAPPED)
def test_what_weights_are_wrapped_in(tmp_path: Path, kind: str) -> None:
    """As other programs save them: the very tensors that went in come out, and a note says what was done."""
    wrap, note = WRAPPED[kind]
    model, target, told = make(), make(1), Notes()
    torch.save(wrap(model.state_dict()), tmp_path / "a.pth")
    load_weights(target, tmp_path / "a.pth", progress=told)
    assert equal(model, target)
    assert note in "; ".join(
        text.removeprefix(f"note: the weights {tmp_path / 'a.pth'}: ") for text in told.said
    )


def test_a_wrapped_model_takes_bare_weights(tmp_path: Path) -> None:
    """The other way round: a plug-in that wraps its network, and weights of the network. A name that is the model's own
    stays: `module` may be one."""
    model = nn.ModuleDict({"module": nn.Linear(2, 2)})
    torch.save(nn.Linear(2, 2).state_dict(), tmp_path / "a.pt")
    told = Notes()
    load_weights(model, tmp_path / "a.pt", progress=told)
    assert len(told.said) == 1
    torch.save(model.state_dict(), tmp_path / "b.pt")
    told = Notes()
    load_weights(model, tmp_path / "b.pt", progress=told)
    assert told.said == []


AVERAGES = {
    "an average beside the model": (lambda s: {"model": other(s), "ema": s}, "ema", "model"),
    "StyleGAN": (lambda s: {"g": other(s), "g_ema": s, "d": DISC}, "g_ema", "g"),
    "BasicSR": (lambda s: {"params": other(s), "params_ema": s}, "params_ema", "params"),
    "nested": (
        lambda s: {"raw": {"G": other(s)}, "avg": {"G": prefixed("module.", s)}}, "avg.G", "raw.G",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", AVERAGES)
def test_an_average_is_meant(tmp_path: Path, kind: str) -> None:
    """Of weights and their average, as their authors sample: with a note that names both."""
    wrap, average, beside = AVERAGES[kind]
    model, target, told = make(), make(1), Notes()
    torch.save(wrap(model.state_dict()), tmp_path / "a.pth")
    load_weights(target, tmp_path / "a.pth", progress=told)
    assert equal(model, target)
    said = "; ".join(told.said)
    assert f"{beside!r} would fit as well" in said
    assert f"taken from {average!r}" in said


AMBIGUOUS = {
    "two trainings": (lambda s: {"first": s, "second": other(s)}, "'first', 'second'"),
    "two averages": (
        lambda s: {"g": s, "g_ema": other(s), "swa": other(other(s))},
        "'g', 'g_ema', 'swa'",
    ),
    "no average, whatever it begins with": (
        lambda s: {"gemaal": s, "remake": other(s)},
        "'gemaal', 'remake'",
    ),
}


@pytest.mark.parametrize("kind", AMBIGUOUS)
def test_several_that_fit(tmp_path: Path, kind: str) -> None:
    """Nobody but the user knows which is meant; the sentence names all and how to save one alone."""
    wrap, names = AMBIGUOUS[kind]
    torch.save(wrap(make().state_dict()), tmp_path / "a.pt")
    assert f"hold several that fit: {names}; save the one that is meant alone" in refusal(tmp_path / "a.pt")


MISFITS = {
    "networks side by side": (
        lambda s: {"state_dict": prefixed("generator.", s) | prefixed("discriminator.", DISC)},
        "what begins with 'generator.' has the names of the model: save that alone",
    ),
    "two such": (
        lambda s: prefixed("a.", s) | prefixed("module.b.", other(s)),
        "what begins with 'a.', 'b.' has the names",
    ),
    "another network": (lambda s: {"model": DISC, "epoch": 1}, "(model in it) do not fit MLPVAE: encoder.1"),
    "the nearest of several": (
        lambda s: {"d": DISC, "g": {key: value for key, value in s.items() if key != FIRST}},
        f"(g in it) do not fit MLPVAE: {FIRST} is missing",
    ),
    "names that meet": (lambda s: prefixed("module.", s) | s, "is unknown"),
    "numbers as names": (lambda s: dict(enumerate(s.values())), "hold no state dict of tensors"),
    "nothing": (lambda s: {}, "hold no state dict of tensors"),
    "a list": (lambda s: [s], "hold no state dict of tensors"),
    "a tensor": (lambda s: s[FIRST], "hold no state dict of tensors"),
    "a text": (lambda s: "weights", "hold no state dict of tensors"),
}


@pytest.mark.parametrize("kind", MISFITS)
def test_what_does_not_fit(tmp_path: Path, kind: str) -> None:
    """Each with what the user can do, and no part of a larger network taken for the whole."""
    wrap, sentence = MISFITS[kind]
    torch.save(wrap(make().state_dict()), tmp_path / "a.pt")
    assert sentence in refusal(tmp_path / "a.pt")


def test_a_checkpoint_that_holds_itself(tmp_path: Path) -> None:
    """A mapping within itself ends, too."""
    content: dict[str, Any] = {"epoch": 1}
    content["self"] = content
    torch.save(content, tmp_path / "a.pt")
    assert "hold no state dict of tensors" in refusal(tmp_path / "a.pt")


def test_modules_in_a_checkpoint(tmp_path: Path) -> None:
    """With permission to unpickle, a module stands for its weights."""
    model, target = make(), make(1)
    torch.save({"generator": model, "epoch": 1}, tmp_path / "a.pt")
    load_weights(target, tmp_path / "a.pt", allow_pickle=True)
    assert equal(model, target)


class Quits:
    def __reduce__(self) -> tuple[Any, ...]:
        return exit, (0,)


def test_a_pickle_that_quits(tmp_path: Path) -> None:
    """It would end the program with exit code 0, which says that all is well."""
    torch.save({"w": Quits()}, tmp_path / "a.pt")
    assert "cannot be read" in refusal(tmp_path / "a.pt", allow_pickle=True)


def test_a_packed_archive_is_not_unpacked(tmp_path: Path) -> None:
    """64 MiB of zeros in 64 KB: torch.save packs nothing, so the file has at least as many bytes as its tensors."""
    whole = io.BytesIO()
    torch.save({"w": torch.zeros(2**24)}, whole)
    with (
        zipfile.ZipFile(whole) as source,
        zipfile.ZipFile(tmp_path / "a.pt", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for member in source.infolist():
            packed.writestr(member.filename, source.read(member))
    assert "would unpack from" in refusal(tmp_path / "a.pt")


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:FutureWarning")
@pytest.mark.parametrize("allow_pickle", [False, True])
def test_torchscript_is_a_program(tmp_path: Path, allow_pickle: bool) -> None:
    """Loading it would run its `__setstate__` here; it is named instead, with and without permission to unpickle."""
    torch.jit.script(nn.Linear(2, 2)).save(str(tmp_path / "a.pt"))
    assert "are a TorchScript archive, which is a program" in refusal(
        tmp_path / "a.pt", allow_pickle=allow_pickle
    )


def test_the_content_says_what_a_file_is(tmp_path: Path) -> None:
    """Whatever it is called: each format under the name of the other, and under names that other programs give."""
    model = make()
    save_weights(model, tmp_path / "a.safetensors")
    torch.save(model.state_dict(), tmp_path / "b.pt")
    torch.save(model.state_dict(), tmp_path / "c.pt", _use_new_zipfile_serialization=False)
    for file, name in (
        ("a.safetensors", "x.pt"),
        ("b.pt", "y.safetensors"),
        ("b.pt", "z.ckpt"),
        ("c.pt", "c.bin"),
    ):
        (tmp_path / name).write_bytes((tmp_path / file).read_bytes())
        target = make(1)
        load_weights(target, tmp_path / name)
        assert equal(model, target)


@pytest.mark.parametrize(
    "said",
    [
        "{",
        "",
        "[]",
        "null",
        '"x"',
        "1",
        "[" * 100_000,
        "9" * 5000,
        '{"config": 3}',
        '{"config": []}',
    ],
)
def test_metadata_that_is_none_of_ours(tmp_path: Path, said: str) -> None:
    """What a file says of itself decides which direction it is of, so what nobody can read is refused."""
    save_file(make().state_dict(), tmp_path / "a.safetensors", {"benchbench": said})
    assert "metadata 'benchbench' is no JSON of ours" in refusal(tmp_path / "a.safetensors")


def test_metadata_of_others(tmp_path: Path) -> None:
    """Names that are not ours say nothing to us."""
    save_file(make().state_dict(), tmp_path / "a.safetensors", {"format": "pt", "modelspec": "{"})
    load_weights(make(1), tmp_path / "a.safetensors")


HEADERS = {
    "a name twice": b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"I32","shape":[1],'
    b'"data_offsets":[0,4]}}',
    "metadata twice": b'{"__metadata__":{"benchbench":"{}","benchbench":"{}"},"a":{"dtype":"F32","shape":[1],'
    b'"data_offsets":[0,4]}}',
    "offsets that overlap": b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],'
    b'"data_offsets":[0,4]}}',
    "offsets behind the end": b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}',
    "a gap": b'{"a":{"dtype":"F16","shape":[1],"data_offsets":[2,4]}}',
    "a shape beyond 64 bits": b'{"a":{"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,4]}}',
    "a dtype that torch lacks": b'{"a":{"dtype":"F6_E2M3","shape":[16],"data_offsets":[0,12]}}',
    "a dtype of nobody": b'{"a":{"dtype":"Q3","shape":[1],"data_offsets":[0,4]}}',
    "brackets": b'{"a":' + b"[" * 50_000,
    "metadata that is no text": b'{"__metadata__":{"benchbench":1}}',
    "no UTF-8": b'{"\xff":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
}


@pytest.mark.parametrize("kind", HEADERS)
def test_headers_of_safetensors(tmp_path: Path, kind: str) -> None:
    """Against the format: names once, ranges that lie side by side and cover the data."""
    header = HEADERS[kind]
    (tmp_path / "a.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))
    assert "damaged or no safetensors file" in refusal(tmp_path / "a.safetensors")
