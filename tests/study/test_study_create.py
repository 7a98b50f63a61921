"""Studies from records and folders: what is drawn, what is said, what is refused."""

from __future__ import annotations

import os
import zipfile
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from studies import Make, noise, png, write_folder

from benchbench.core.errors import InputError
from benchbench.study import folder as folder_module
from benchbench.study import status
from benchbench.study.folder import Study, load
from benchbench.study.kinds import KINDS
from benchbench.study.manifest import REAL
from benchbench.verbs.study.create import create


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def made(*systems: str, real: Path, n: int = 6, **asked: object) -> Study:
    """A study in `s`."""
    return load(create(systems, out="s", reference=f"folder:{real}", n=n, **asked))  # type: ignore[arg-type]


def pixels_of(study: Study, own: str) -> np.ndarray:
    """Of an image of the study."""
    return np.array(Image.open(study.image(own)))


def test_images_are_those_of_the_records(keep: Make, real: Path) -> None:
    """Pixel by pixel: what an item says that a system made is in that system's record; real ones are in the folder."""
    keep("vae")
    keep("dcgan")
    study = made("model=vae", "model=dcgan", real=real)
    by_system = [
        {png(image) for image in np.load(next(Path("runs/digits").glob(f"{name}/*/samples.npz")))["images"]}
        for name in ("vae", "dcgan")
    ]
    truth = {file.read_bytes() for file in real.iterdir()}
    for item in study.manifest.items:
        for own, maker in zip(item.images, item.systems, strict=True):
            if maker >= REAL:
                pool = truth if maker == REAL else by_system[maker]
                assert png(pixels_of(study, own)) in pool
    one, other = study.manifest.systems
    assert (one.name, one.model, one.dataset, one.task, one.seed, one.n) == (
        "vae", "vae", "digits", "generation", 0, 12,
    )  # fmt: skip
    assert other.source == "samples"
    assert len(study.manifest.items) == 6 + 4


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind(kind: str, keep: Make, real: Path) -> None:
    """As many items as were asked for, and the check items on top; the text of the kind."""
    names = [f"{i}.png" for i in range(12)]
    keep("vae", names=names)
    keep("dcgan", names=names)
    study = made("model=vae", "model=dcgan", real=real, kind=kind)
    checks = [item for item in study.manifest.items if item.check is not None]
    assert (len(study.manifest.items) - len(checks), len(checks)) == (6, 4)
    assert study.manifest.question == KINDS[kind].question
    assert study.manifest.ties == KINDS[kind].ties


def test_the_same_seed_draws_the_same_under_other_ids(keep: Make, real: Path) -> None:
    """Images and places by the seed; ids, the study and its secret by nothing that anybody knows."""
    keep("vae")
    keep("dcgan")
    systems = ["model=vae", "model=dcgan"]
    one, other, third = (
        load(create(systems, out=out, reference=str(real), n=6, seed=seed))
        for out, seed in (("a", 1), ("b", 1), ("c", 2))
    )

    def content(study: Study) -> list[tuple[object, ...]]:
        return [
            (item.systems, item.check, *(study.png(own) for own in item.images))
            for item in study.manifest.items
        ]

    assert content(one) == content(other)
    assert content(one) != content(third)
    assert not one.manifest.images.keys() & other.manifest.images.keys()
    assert one.manifest.secret != other.manifest.secret
    assert one.manifest.id != other.manifest.id


def test_files_lie_in_an_order_that_says_nothing(keep: Make, real: Path) -> None:
    """Written in the order of their random names, so the systems of 2 × 30 images do not lie in blocks: fewer than four
    changes from one to the other come about less often than once in 10¹² (runs of Wald & Wolfowitz 1940)."""
    keep("vae", 30)
    keep("dcgan", 30)
    study = made("model=vae", "model=dcgan", real=real, n=30)
    makers = {
        own: maker
        for item in study.manifest.items
        for own, maker in zip(item.images, item.systems, strict=True)
        if maker >= 0
    }
    order = [makers[own] for own in sorted(makers)]
    assert sum(a != b for a, b in pairwise(order)) > 3
    assert len({os.stat(study.image(own)).st_mtime_ns for own in makers}) == 1


def test_anybodys_images(real: Path, tmp_path: Path) -> None:
    """A folder, an archive and an array, under the names that they were given."""
    write_folder(tmp_path / "ours", noise(1, 8))
    with zipfile.ZipFile("theirs.zip", "w") as archive:
        for i, own in enumerate(noise(2, 8)):
            archive.writestr(f"{i}.png", png(own))
    np.savez("third.npz", images=noise(3, 8))
    study = made("Ours=ours", "Theirs, 2024=theirs.zip", "third=npz:third.npz", real=real)
    assert [own.name for own in study.manifest.systems] == ["Ours", "Theirs, 2024", "third"]
    assert [(own.cell, own.model, own.seed, own.source) for own in study.manifest.systems] == [
        ("", "", None, "folder")
    ] * 3


def test_of_several_seeds_the_first_is_shown(keep: Make, real: Path) -> None:
    """And that is said; two seeds by their keys are two systems with names of their own."""
    folders = [keep("vae", seed=seed) for seed in (2, 1)]
    keep("dcgan")
    study = made("model=vae", "model=dcgan", real=real)
    assert study.manifest.systems[0].seed == 1
    assert (
        f"of 2 records of vae on digits that of seed 1, {folders[1].name}, is shown" in study.manifest.notes
    )
    two = load(create([str(own) for own in folders], out="two", reference=str(real), n=4))
    assert [own.name for own in two.manifest.systems] == ["vae seed 2", "vae seed 1"]


def test_systems_of_two_tasks_are_not_compared(keep: Make, real: Path) -> None:
    """A model that was recorded for two tasks, as super-resolution of two scales, has to say for which, or the key of a
    record would decide; and two systems that did different things are refused: their strengths would stand on two
    boards. The images alone, without a record, may be compared with anything."""
    for name in ("bicubic", "lanczos"):
        for scale in (2, 3):
            keep(name, dataset="set5", task=f"super-resolution:x{scale}")
    with pytest.raises(
        InputError, match="bicubic on set5 for super-resolution:x2, super-resolution:x3; a system did"
    ):
        made("model=bicubic", "model=lanczos", real=real)
    with pytest.raises(InputError, match="asked for super-resolution:x2, super-resolution:x3, which nobody"):
        made("model=bicubic,task=super-resolution:x2", "model=lanczos,task=super-resolution:x3", real=real)
    made("model=bicubic,task=super-resolution:x2", f"theirs={real}", real=real)
    study = load(
        create(
            [f"model={name},task=super-resolution:x3" for name in ("bicubic", "lanczos")],
            out="t",
            reference=str(real),
            n=4,
        )
    )
    assert {own.task for own in study.manifest.systems} == {"super-resolution:x3"}


def test_a_profile_is_no_other_task(keep: Make, real: Path) -> None:
    """How fast a model is was measured beside its images, which are still those that are shown."""
    shown = keep("vae")
    keep("vae", n=0, task="profile")
    keep("dcgan")
    study = made("model=vae", "model=dcgan", real=real)
    assert (study.manifest.systems[0].cell, study.manifest.systems[0].task) == (shown.name, "generation")


def test_classes_are_matched(keep: Make, real: Path) -> None:
    """Records that were asked for classes of one dataset: an item shows two of one class."""
    labels = [i % 4 for i in range(12)]
    folders = [keep(name, labels=labels) for name in ("vae", "dcgan")]
    study = made("model=vae", "model=dcgan", real=real, n=12)
    of = {}
    for folder in folders:
        kept = np.load(folder / "samples.npz")
        of |= {png(image): label for image, label in zip(kept["images"], kept["labels"], strict=True)}
    for item in study.manifest.items:
        if item.check is None:
            assert len({of[png(pixels_of(study, own))] for own in item.images}) == 1


def test_captions_are_matched(keep: Make, real: Path) -> None:
    """Images of the same captions stand beside each other; of others they need not."""
    asked = {"per_prompt": 3, "prompts": 4, "shown": ["a", "b"]}
    kept = [np.load(keep(name, **asked) / "samples.npz")["images"] for name in ("vae", "dcgan")]
    study = made("model=vae", "model=dcgan", real=real, n=12)
    caption = {png(image): i // 3 for own in kept for i, image in enumerate(own)}
    for item in study.manifest.items:
        if item.check is None:
            assert len({caption[png(pixels_of(study, own))] for own in item.images}) == 1


def test_sizes_that_differ_are_said(keep: Make, real: Path) -> None:
    """Where two are compared raters see which is larger: a note. Beside real ones it would give them away: refused."""
    keep("vae")
    keep("dcgan", side=10)
    study = made("model=vae", "model=dcgan", real=real)
    assert [note for note in study.manifest.notes if "vae: 8×8; dcgan: 10×10" in note]
    for kind in ("real-or-fake", "triplet"):
        with pytest.raises(InputError, match=r"the images of dcgan that have .* there are none"):
            create(["model=dcgan"], out="t", reference=str(real), kind=kind, n=2)
    assert not Path("t").exists()


def test_what_jpeg_left_is_said(real: Path, tmp_path: Path) -> None:
    """Its blocks tell makers apart where some have them: of two systems one, or a system and not what is real."""
    write_folder(tmp_path / "png", noise(1, 8))
    (tmp_path / "jpeg").mkdir()
    for i, own in enumerate(noise(2, 8)):
        Image.fromarray(own).save(tmp_path / "jpeg" / f"{i}.jpg")

    def said(*systems: str, **asked: str) -> bool:
        study = load(
            create(systems, out=f"s{len(list(Path().glob('s*')))}", reference=str(real), n=4, **asked)
        )  # type: ignore[arg-type]
        return any("JPEG" in note for note in study.manifest.notes)

    assert said("a=png", "b=jpeg")
    assert not said("a=png", "b=png")
    assert not said("a=jpeg", "b=jpeg")
    assert said("a=jpeg", "b=jpeg", kind="real-or-fake")
    assert not said("a=png", kind="triplet")


def test_images_that_come_again_are_said(keep: Make, real: Path) -> None:
    """Fewer images than items: pairs differ, images come again, and the manifest says how often."""
    keep("vae", 2)
    keep("dcgan", 12)
    study = made("model=vae", "model=dcgan", real=real, n=10)
    assert "vae has 2 images, and some are shown in 5 items" in study.manifest.notes
    with pytest.raises(InputError, match="suffice for 24 different items, not for 30; use --n 24"):
        create(["model=vae", "model=dcgan"], out="t", reference=str(real), n=30)


def test_real_images_that_come_again_are_said(keep: Make, real: Path) -> None:
    """In a triplet no image of a system comes twice, so that one which does is known to be real: 12 real images in 12
    items of two come twice at least. In pairs real ones are in check items alone, which give nothing away."""
    for name in ("vae", "dcgan"):
        keep(name)
    study = made("model=vae", real=real, kind="triplet", n=12)
    assert [
        note for note in study.manifest.notes if "the reference has 12 images, and some are shown in" in note
    ]
    pairs = load(create(["model=vae", "model=dcgan"], out="t", reference=str(real), n=40, checks=0.5))
    assert not [note for note in pairs.manifest.notes if "reference" in note]


def test_one_image_each(keep: Make, tmp_path: Path) -> None:
    """The smallest study: one item, four check items of the one real image."""
    keep("vae", 1)
    keep("dcgan", 1)
    study = made("model=vae", "model=dcgan", real=write_folder(tmp_path / "one", noise(5, 1)), n=1)
    assert Counter(item.check is None for item in study.manifest.items) == {True: 1, False: 4}


def test_fewer_items_than_pairs_are_said(keep: Make, real: Path) -> None:
    """Of three systems one item leaves one out."""
    for name in ("vae", "dcgan", "gan"):
        keep(name)
    study = made("model=vae", "model=dcgan", "model=gan", real=real, n=1)
    assert [note for note in study.manifest.notes if "fewer items than pairs" in note]


@pytest.mark.costly
def test_the_reference_is_that_of_the_records(keep: Make) -> None:
    """The held-out split of their dataset where nothing else is said; digits are 32×32."""
    keep("vae", side=32)
    study = load(create(["model=vae"], out="s", kind="real-or-fake", n=4))
    assert study.manifest.reference == "digits"
    keep("dcgan", dataset="folder-cats")
    with pytest.raises(InputError, match="folder-cats is no dataset that has a name"):
        create(["model=dcgan"], out="t", kind="real-or-fake", n=4)


def test_records_without_images_are_said(keep: Make, real: Path) -> None:
    """None kept, taken away, with weights that can draw them, of an evaluation: each with its way out."""

    def refused(*systems: str) -> str:
        with pytest.raises(InputError) as caught:
            create([*systems, "model=dcgan"], out="t", reference=str(real), n=2)
        return str(caught.value)

    keep("dcgan")
    folder = keep("vae", 0)
    assert "no images are kept one by one in the record of vae on digits" in (said := refused("model=vae"))
    assert "benchbench run --model vae --dataset digits --seed 0 --out again" in said
    (folder / "weights.safetensors").write_bytes(b"x")
    assert f"--weights {folder}/weights.safetensors" in refused(str(folder))
    (keep("gan") / "samples.npz").unlink()
    assert "samples.npz was taken away from the record of gan on digits" in refused("model=gan")
    keep("theirs", 0, samples={"n": 3})
    assert (
        "name the folder of the images themselves, as in theirs=FOLDER, which joins this record"
        in refused("model=theirs")
    )


def test_damaged_images_are_said(keep: Make, real: Path) -> None:
    """By sha256 before anything is unpacked; an archive of somebody's that is cut off by what its reader says."""
    keep("dcgan")
    names = [f"{i}.png" for i in range(12)]
    outputs = keep("vae", names=names) / "outputs.zip"
    content = outputs.read_bytes()
    outputs.write_bytes(content[:-30])
    with pytest.raises(InputError, match=r"outputs\.zip"):
        create(["model=vae", "model=dcgan"], out="t", reference=str(real), n=2)
    Path("cut.zip").write_bytes(content[:-30])
    with pytest.raises(InputError, match=r"cut\.zip"):
        create(["cut=cut.zip", "model=dcgan"], out="t", reference=str(real), n=2)
    assert not Path("t").exists()


def test_what_cannot_be_meant_is_said(keep: Make, real: Path, tmp_path: Path) -> None:
    """Each by its sentence, and nothing is written."""
    keep("vae")
    keep("dcgan")
    keep("vae", dataset="mnist")
    keep("gan", dataset="mnist")
    keep("sr", task="super-resolution:x2")
    write_folder(tmp_path / "empty", noise(0, 0))
    systems = {
        "names records of vae on digits, vae on mnist": ["model=vae", "model=dcgan"],
        "made images of digits, mnist": ["model=dcgan", "model=gan"],
        "asked for generation, super-resolution:x2": ["model=dcgan", "model=sr"],
        "a second time": ["model=dcgan", "model=dcgan"],
        "compares 2 systems": ["model=dcgan"],
        "no record here has model=nobody": ["model=nobody", "model=dcgan"],
        "is no name for the images": [f"={real}", "model=dcgan"],
        "two systems are called a": [f"a={real}", f"a={real}"],
        "no images": ["a=empty", "model=dcgan"],
        "no folder, no group": ["nowhere", "model=dcgan"],
        "there is nothing at some/where; NAME=FOLDER": ["ours=some/where", "model=dcgan"],
        "at most 100 systems": ["model=dcgan"] * 101,
    }
    for words, own in systems.items():
        with pytest.raises(InputError, match=words):
            create(own, out="t", reference=str(real), n=2)
    with pytest.raises(InputError, match="folders do not say what is real"):
        create([f"a={real}", f"b={real}"], out="t", n=2)
    with pytest.raises(InputError, match="belong to one image of the reference"):
        create(["model=dcgan", f"a={real}"], out="t", reference=str(real), kind="closer-to-source", n=2)
    assert not Path("t").exists()


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"n": 0}, "--n 0 must be"),
        ({"n": 100_000}, "--n 100000 must be"),
        ({"n": True}, "--n True must be"),
        ({"n": 2.0}, "--n 2.0 must be"),
        ({"checks": 0}, "--checks 0 must be"),
        ({"checks": float("nan")}, "--checks nan must be"),
        ({"checks": 0.6}, "--checks 0.6 must be"),
        ({"seed": -1}, "--seed -1 must be"),
        ({"seed": 2**32}, "--seed 4294967296 must be"),
        ({"kind": "pair"}, "kind of study"),
        ({"question": " "}, "a question has"),
        ({"question": "x" * 301}, "a question has"),
        ({"question": "not \udcff UTF-8"}, "no single line of text"),  # as Python has an argument in Latin-1
        ({"question": "red \x1b[31m"}, "no single line of text"),
        ({"question": "two\nlines"}, "no single line of text"),
        ({"ties": 1}, "ties=1 must be"),
    ],
)
def test_settings_have_bounds(asked: dict[str, object], words: str) -> None:
    """Said before anything is read: no system of these names is there."""
    with pytest.raises(InputError, match=words):
        create(["model=a", "model=b"], out="t", **asked)  # type: ignore[arg-type]


def test_what_was_asked_is_what_is_asked(keep: Make, real: Path) -> None:
    """Words of one's own, and no ties."""
    keep("vae")
    keep("dcgan")
    study = made("model=vae", "model=dcgan", real=real, question=" Which digit is neater? ", ties=False)
    assert study.manifest.question == "Which digit is neater?"
    assert study.manifest.choices == ("0", "1")


def test_nothing_is_left_where_the_disk_is_full(
    keep: Make, real: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All or nothing; one sentence."""
    keep("vae")
    keep("dcgan")
    written = Path.write_bytes

    def full(path: Path, content: bytes) -> int:
        if path.suffix == ".png":
            raise OSError(28, "No space left on device", str(path))
        return written(path, content)

    before = sorted(os.listdir())
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(InputError, match=r"cannot write .*No space left"):
        made("model=vae", "model=dcgan", real=real)
    assert sorted(os.listdir()) == before


def test_a_study_in_a_record_would_damage_it(keep: Make, real: Path) -> None:
    """However deep."""
    folder = keep("vae")
    with pytest.raises(InputError, match="lies in a record"):
        create(["model=vae"], out=folder / "a" / "b", reference=str(real), kind="triplet", n=2)


def test_of_two_that_make_one_folder_one_does(
    keep: Make, real: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other is told so, and the study that is there is whole."""
    keep("vae")
    asked = {"reference": str(real), "kind": "triplet", "n": 2}
    slow = folder_module.encoded

    def meanwhile(pixels: np.ndarray) -> bytes:
        monkeypatch.setattr(folder_module, "encoded", slow)
        create(["model=vae"], out="s", **asked)  # type: ignore[arg-type]
        return slow(pixels)

    monkeypatch.setattr(folder_module, "encoded", meanwhile)
    with pytest.raises(InputError, match="there already"):
        create(["model=vae"], out="s", **asked)  # type: ignore[arg-type]
    assert len(status("s")) == 0
    assert sorted(os.listdir()) == ["real", "runs", "s"]


def test_a_long_name_is_cut(keep: Make, real: Path) -> None:
    """A variant may have any length, a name on a board has not."""
    keep("vae", variant="x" * 400)
    study = made("model=vae", real=real, kind="triplet", n=2)
    assert study.manifest.systems[0].name.startswith("vae xxx")
    assert len(study.manifest.systems[0].name) < 100


def test_status_looks_at_every_image(keep: Make, real: Path) -> None:
    """One that was replaced is named; nothing is said of a whole one."""
    keep("vae")
    keep("dcgan")
    study = made("model=vae", "model=dcgan", real=real)
    assert len(status("s")) == 0
    first = next(iter(study.manifest.images))
    study.image(first).write_bytes(png(noise(0, 1)[0]))
    with pytest.raises(InputError, match=first):
        status("s")
