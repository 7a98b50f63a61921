"""The test sets of restoration, and what is learned from: folders of photographs in `$BENCHBENCH_DATA`.

Each is looked for as a folder of its name, in any capitals and with "-" or "_" in it or not (`Set5`, `BSD-68`), or
under another name that is in use for it. The images lie in it directly, or in one folder below that says that they are
the originals (`HR`, `GT`, `original`). None is downloaded: who holds which under what terms differs.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import ClassVar

from benchbench.core.errors import InputError
from benchbench.core.progress import SILENT, Progress
from benchbench.data.builtin.local import data_folder
from benchbench.data.dataset import Dataset
from benchbench.data.photos import Photos, photos_of_part
from benchbench.data.pipeline.assemble import FilePart, Part, tidy
from benchbench.data.sources.folder import FolderSource, is_image, read_part, visible_folders
from benchbench.data.sources.options import SourceOptions
from benchbench.data.sources.spec import SourceSpec

ORIGINALS = re.compile(r"(hr|gt|gts|originals?|refimgs|groundtruth|image_srf_\d)(_?mod_?\d+)?", re.IGNORECASE)
"""How folders of original images are called inside a set; those that say by how much they were cut come last."""

SIDES = re.compile(r".*[_-](hr|lr)", re.IGNORECASE)
"""How files end where originals and small images lie in one folder, as in `image_SRF_2`."""

TRAINING = "train400"
"""What restorers learn from where nothing else is said."""


class PhotoSet:
    """Photographs of any sizes in a folder.

    Attributes:
        name: Under which it is registered.
        aliases: Other names of its folder.
        published: How many images were published.
        grey: Whether they were published as grey ones.
        reference: What to cite.
        licence: Under what terms the images are.
    """

    name: ClassVar[str]
    aliases: ClassVar[Sequence[str]] = ()
    published: ClassVar[int]
    grey: ClassVar[bool] = False
    reference: ClassVar[str]
    licence: ClassVar[str] = "of its authors, for research"

    def load(self, size: int | None = None, progress: Progress = SILENT) -> Dataset:
        """As a dataset of one size, for what generates; without a split of its own it is cut in halves."""
        folder = self.folder()
        spec = SourceSpec(self.name, "folder", str(folder))
        found = FolderSource(spec, SourceOptions(size=size)).load(progress)
        assert isinstance(found, Dataset)
        return replace(found, name=self.name)

    def photos(self, size: int | None = None, progress: Progress = SILENT) -> tuple[Photos | None, Photos]:
        """What is learned from, where the set has a part for that, and what is tested on.

        Args:
            size: The side that all are brought to, in pixels; None for their own.
            progress: Who is told how far it is.

        Returns:
            The training part, None where the set is for testing alone, and the images.

        Raises:
            InputError: The set is not there, or an image cannot be used.
        """
        folder = self.folder()
        found = photos_of_part(_part(folder, self.name), size, self._source(folder), progress)
        return None, self._noted(found)

    def folder(self) -> Path:
        """Where its images lie; `InputError` says where they would be looked for."""
        root = data_folder()
        folders = [] if root is None else _folders(root)
        for name in (self.name, *self.aliases):
            for own in folders:
                if _plain(own.name) == _plain(name):
                    return _originals(own)
        where = "is not set" if root is None else f"has no folder {self.name}"
        raise InputError(
            f"{self.name} is not at hand: BENCHBENCH_DATA {where}; get it from where its paper says "
            f"({self.reference}), put its images into a folder {self.name}, and set BENCHBENCH_DATA to the folder above"
        )

    def _source(self, folder: Path) -> dict[str, object]:
        return {"kind": "folder", "path": tidy(folder)}

    def _noted(self, photos: Photos) -> Photos:
        notes = [*photos.notes]
        if (n := len(photos)) != self.published:
            notes.append(f"this copy of {self.name} has {n} images, and {self.published} were published")
        if self.grey and (n := photos.grey.count(False)):
            notes.append(
                f"{n} images of this copy of {self.name} are in colour, and papers have them in grey"
            )
        return replace(photos, notes=notes)


def _folders(folder: Path) -> list[Path]:
    return [folder / name for name in visible_folders(folder)]


def _plain(name: str) -> str:
    return re.sub(r"[-_ ]", "", name).lower()


def _originals(folder: Path) -> Path:
    """The folder of original images inside a set, or the set's own where it holds images directly."""
    found = [(match, own) for own in _folders(folder) if (match := ORIGINALS.fullmatch(own.name))]
    found.sort(key=lambda one: (bool(one[0][2]), one[1].name))
    direct = any(own.is_file() and is_image(own.name) for own in folder.iterdir())
    return found[0][1] if found and not direct else folder


def _part(folder: Path, title: str) -> FilePart:
    """The originals in a folder; `InputError` where it has images in several folders, for then nobody knows which are
    the originals."""
    part = read_part(folder, title)
    names = part.names or ()
    if len(below := sorted({name.partition("/")[0] for name in names if "/" in name})) > 1:
        raise InputError(
            f"{folder} has images in several folders ({', '.join(below)}), and none is called as originals are; put "
            "them into a folder HR in it"
        )
    ends = [
        match[1].lower() if (match := SIDES.fullmatch(PurePosixPath(name).stem)) else "" for name in names
    ]
    rows = [row for row, end in enumerate(ends) if end != "lr"]
    if "hr" not in ends or len(rows) == len(ends):
        return part
    return replace(
        part,
        total=len(rows),
        names=[names[row] for row in rows],
        labels=None,
        items=lambda: part.pick(rows),
        pick=lambda asked: part.pick([rows[row] for row in asked]),
        notes=[
            *part.notes,
            f"{len(ends) - len(rows)} small images beside the originals (_LR) were left aside",
        ],
    )


class Set5(PhotoSet):
    """Five colour photographs, the oldest test of super-resolution; under BENCHBENCH_DATA."""

    name = "set5"
    published = 5
    reference = "Bevilacqua et al. 2012, Low-Complexity Single-Image Super-Resolution, BMVC"


class Set14(PhotoSet):
    """Fourteen photographs, a test of super-resolution; under BENCHBENCH_DATA."""

    name = "set14"
    published = 14
    reference = "Zeyde, Elad & Protter 2010, On Single Image Scale-Up Using Sparse-Representations"


class BSD100(PhotoSet):
    """A hundred colour photographs, a test of super-resolution; under BENCHBENCH_DATA."""

    name = "bsd100"
    aliases = ("b100", "bsds100")
    published = 100
    reference = "Martin et al. 2001, A Database of Human Segmented Natural Images, ICCV"


class Urban100(PhotoSet):
    """A hundred photographs of buildings, a test of super-resolution; under BENCHBENCH_DATA."""

    name = "urban100"
    published = 100
    reference = (
        "Huang, Singh & Ahuja 2015, Single Image Super-Resolution from Transformed Self-Exemplars, CVPR"
    )


class Set12(PhotoSet):
    """Twelve grey photographs, a test of denoising; under BENCHBENCH_DATA."""

    name = "set12"
    published = 12
    grey = True
    reference = "Zhang et al. 2017, Beyond a Gaussian Denoiser, arXiv:1608.03981"


class BSD68(PhotoSet):
    """Sixty-eight grey photographs, a test of denoising; under BENCHBENCH_DATA."""

    name = "bsd68"
    aliases = ("bsds68", "cbsd68")
    published = 68
    grey = True
    reference = (
        "Martin et al. 2001, A Database of Human Segmented Natural Images, ICCV; chosen by Roth & Black 2009"
    )


class Classic5(PhotoSet):
    """Five grey photographs, a test of deblocking; under BENCHBENCH_DATA."""

    name = "classic5"
    published = 5
    grey = True
    reference = "Foi, Katkovnik & Egiazarian 2007, Pointwise Shape-Adaptive DCT, IEEE TIP"


class Live1(PhotoSet):
    """Twenty-nine colour photographs, a test of deblocking; under BENCHBENCH_DATA."""

    name = "live1"
    published = 29
    reference = "Sheikh et al. 2005, LIVE Image Quality Assessment Database Release 2"


class Train400(PhotoSet):
    """Four hundred grey photographs of 180×180, from which restorers learn; under BENCHBENCH_DATA."""

    name = TRAINING
    aliases = ("bsd400", "bsds400")
    published = 400
    grey = True
    reference = (
        "Chen & Pock 2017, Trainable Nonlinear Reaction Diffusion, arXiv:1508.02848; Zhang et al. 2017"
    )


class DIV2K(PhotoSet):
    """Eight hundred photographs of 2K to learn from and a hundred to test on; under BENCHBENCH_DATA."""

    name = "div2k"
    published = 100
    reference = "Agustsson & Timofte 2017, NTIRE 2017 Challenge on Single Image Super-Resolution, CVPRW"

    def photos(self, size: int | None = None, progress: Progress = SILENT) -> tuple[Photos | None, Photos]:
        """As `PhotoSet.photos`: DIV2K_train_HR and DIV2K_valid_HR, or any names of a training and a held-out part."""
        folder = self.folder()
        parts: Sequence[Part] = FolderSource(
            SourceSpec(self.name, "folder", str(folder)), SourceOptions(size=size)
        ).parts()
        found = [photos_of_part(part, size, self._source(folder), progress) for part in parts]
        return (found[0] if len(found) > 1 else None), self._noted(found[-1])
