"""What names of sources mean: what records call them, a dataset's name that is a folder's too, paths from elsewhere."""

from __future__ import annotations

import itertools
import os
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchbench.core.errors import InputError
from benchbench.data.catalogue import load_dataset, load_domains
from benchbench.data.pipeline.streams import open_images
from benchbench.data.sources.spec import LONGEST, folder_name, from_folder, parse_spec
from benchbench.features.networks.cnn import variable
from benchbench.results.store import folder_name as stored_name
from benchbench.runner.sources import open_reference, open_samples
from benchbench.runner.suite import load_suite

PLAIN = ["cats", "Cats", "my-cats", "cats.v2", "cats_2", "a", "0", "CelebA-HQ", "c" * LONGEST]
ODD = [
    "my cats",
    "my  cats",
    " my cats",
    "my,cats",
    "cats!",
    "cats.",
    ".cats",
    "-cats",
    "...",
    "--",
    " ",
    "🐈",
    "🐕",
    "c" * (LONGEST + 1),
    "c" * 255,
    "c" * 254 + "d",
    "é" + "x" * 200,
    "cats\n",
    "cats\t",
    os.fsdecode(b"cats\xff"),
    os.fsdecode(b"cats\xfe"),
]
LETTERS = [
    "猫",
    "犬",
    "кошки",
    "собаки",
    "Katzen_größer",
    "हिन्दी",
    "ไทย",
    "עברית",
    "é",
    "e\N{COMBINING ACUTE ACCENT}",
]


def called(name: str, kind: str = "folder") -> str:
    return folder_name(kind, Path("/data") / name)


@pytest.mark.parametrize("name", PLAIN)
def test_plain_names_stay(name: str) -> None:
    """As records have called them from the beginning: the kind, and the name as it is."""
    assert called(name) == f"folder-{name}"


@pytest.mark.parametrize("name", LETTERS)
def test_letters_of_any_script_stay(name: str) -> None:
    """A reader finds the name of the folder in the record."""
    assert called(name) == f"folder-{name}"


def test_no_two_folders_have_one_name() -> None:
    """Blanks, dots, signs, lengths, scripts, cases, two forms of one letter, bytes that are no text: all are told apart
    in records, in the folders of the store and by the variables of their classifiers."""
    names = [*PLAIN, *ODD, *LETTERS]
    for told in (called, lambda name: stored_name(called(name))):
        assert len({told(name) for name in names}) == len(names)
    apart = [called(name) for name in ("猫", "犬", "кошки", "собаки", "🐈", "🐕", "my cats", "my  cats")]
    assert len({variable(name) for name in apart}) == len(apart)


NAMES = st.one_of(
    st.text(min_size=1, max_size=200).map(lambda text: text.encode("utf-8", "ignore")), st.binary(min_size=1)
)


@pytest.mark.costly
@settings(max_examples=100, deadline=None)
@given(
    name=NAMES.filter(lambda name: not {*b"/\0"} & {*name} and name not in (b"", b".", b"..")).map(
        os.fsdecode
    )
)
def test_any_name_is_fit_for_a_record(name: str) -> None:
    """No separator, no blank, nothing unprintable, no end that a file system drops, and short."""
    found = called(name)
    assert found.startswith("folder-")
    assert all(c in "_.-" or unicodedata.category(c)[0] in "LMN" for c in found)
    assert found[-1] not in ".-"
    assert len(found) <= len("folder-") + LONGEST + 9


def test_a_split_name_in_a_folder_that_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The dot and the empty end mean the folder one stands in, by its name."""
    (tmp_path / "cats").mkdir()
    monkeypatch.chdir(tmp_path / "cats")
    assert [folder_name("folder", Path(text)) for text in (".", "./", "../cats/")] == ["folder-cats"] * 3


READ: dict[str, Callable[[str], object]] = {
    "run": load_dataset,
    "run on two domains": load_domains,
    "evaluate": open_samples,
    "stream": open_images,
    "reference": open_reference,
}


@pytest.mark.parametrize("read", READ.values(), ids=READ)
@pytest.mark.parametrize(
    ("name", "split"), [("digits", ""), ("digits", ":train"), ("openmoji-lines", ""), ("ring8", "")]
)
@pytest.mark.parametrize("is_folder", [True, False])
def test_a_dataset_or_a_folder(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    read: Callable[[str], object],
    name: str,
    split: str,
    is_folder: bool,
) -> None:
    """Something of a dataset's name is here: whoever reads refuses the name, and says both spellings; each of them is
    understood."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).mkdir() if is_folder else (tmp_path / name).write_bytes(b"?")
    text = f"{name}{split}"
    with pytest.raises(InputError, match=f"write dataset:{text} for the dataset, ./{text} for the files"):
        read(text)
    assert parse_spec(f"dataset:{text}").kind == "dataset"
    assert parse_spec(text, "dataset").where == name
    if is_folder:
        assert parse_spec(f"./{text}").where == f"./{name}"
        assert parse_spec(f"folder:{text}").where == name


def test_our_own_records_are_no_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder of results a dataset's folder holds records (model/key/run.json), and nobody means that."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits/vae/0123abcd").mkdir(parents=True)
    (tmp_path / "digits/vae/0123abcd/run.json").write_text("{}")
    assert parse_spec("digits").kind == "dataset"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("dataset:", "lacks the name; write dataset:NAME"),
        ("dataset:digitz", "unknown dataset 'digitz'; did you mean 'digits'"),
        ("dataset:digits:trian", "unknown split of digits 'trian'; did you mean 'train'"),
    ],
)
def test_a_dataset_by_its_prefix(text: str, sentence: str) -> None:
    """What is no dataset is refused as without the prefix."""
    with pytest.raises(InputError, match=sentence):
        parse_spec(text)


SUITE = """
models = ["noise"]
datasets = ["{}"]
[settings]
recipe = "own/recipe.toml"
[[exclude]]
dataset = "{}"
[[override]]
match = {{ dataset = "{}" }}
weights = "own/w.safetensors"
"""


@pytest.mark.parametrize(
    "written", ["folder:imgs", "imgs", "./imgs", "folder:../exp/imgs", "zip:imgs.zip", "imgs.zip"]
)
@pytest.mark.parametrize("base", ["exp", "exp/", "./exp", "/exp"])
def test_paths_in_a_suite_are_meant_from_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str, base: str
) -> None:
    """Whatever folder the command is called in: datasets, in lists and in matches, recipes and weights name the files
    beside the suite."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "exp/imgs").mkdir(parents=True)
    (tmp_path / "exp/imgs.zip").write_bytes(b"?")
    (tmp_path / "exp/suite.toml").write_text(SUITE.format(written, written, written))
    folder = Path(base if base != "/exp" else str(tmp_path / "exp"))
    suite = load_suite(folder / "suite.toml")
    expected = tmp_path / "exp" / ("imgs.zip" if "zip" in written else "imgs")
    (dataset,) = suite.datasets
    assert parse_spec(dataset).path.resolve() == expected
    assert suite.exclude[0].dataset == suite.override[0].match.dataset == dataset
    assert suite.settings.recipe is not None
    assert suite.settings.recipe.resolve() == tmp_path / "exp/own/recipe.toml"
    assert suite.override[0].weights is not None
    assert suite.override[0].weights.resolve() == tmp_path / "exp/own/w.safetensors"


def test_names_and_whole_paths_in_a_suite_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dataset's name, with or without its prefix, an absolute path and one in the home are the same from anywhere."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for text in ("digits", "digits:train", "dataset:digits", f"folder:{tmp_path}"):
        assert from_folder(text, tmp_path) == text
    assert from_folder("folder:~/imgs", tmp_path) == f"folder:{tmp_path}/home/imgs"


def test_a_path_that_is_right_from_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Written from the folder of the command, as it was once meant: the sentence says what to write."""
    monkeypatch.chdir(tmp_path)
    for name in ("exp", "imgs"):
        (tmp_path / name).mkdir()
    for prefix, split in itertools.product(("", "folder:"), ("", ":train")):
        with pytest.raises(InputError, match=rf"imgs{split} is not in exp, .* write {prefix}\.\./imgs"):
            from_folder(f"{prefix}imgs{split}", Path("exp"))


def test_a_suite_beside_a_folder_of_a_datasets_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside the suite, for paths are meant from there."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "exp/digits").mkdir(parents=True)
    (tmp_path / "exp/suite.toml").write_text('models = ["noise"]\ndatasets = ["digits"]\n')
    with pytest.raises(InputError, match=r"write dataset:digits for the dataset, \./digits for the files"):
        load_suite(Path("exp/suite.toml"))
    (tmp_path / "exp/suite.toml").write_text(
        'models = ["noise"]\ndatasets = ["dataset:digits", "./digits"]\n'
    )
    assert load_suite(Path("exp/suite.toml")).datasets == ["dataset:digits", "exp/./digits"]
