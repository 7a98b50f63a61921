"""`benchbench.study.export_html`: a study as one HTML file that runs offline."""

from __future__ import annotations

from pathlib import Path

from benchbench.core.errors import InputError
from benchbench.core.notebook import watching
from benchbench.core.outlets import STDOUT
from benchbench.core.paths import as_path, printable
from benchbench.core.progress import AUTO, Progress
from benchbench.study.exported import export_html as write
from benchbench.study.folder import load
from benchbench.verbs.outputs import checked_outputs


def export_html(folder: Path | str, *, out: Path | str, progress: Progress = AUTO) -> Path:
    """Write a study as one self-contained HTML file, which people open from a disk and which hands their answers back
    as a file for `import_answers`.

    Args:
        folder: The study.
        out: The file.
        progress: Who is told where it is large, and where the consent text is unfinished.

    Returns:
        The file. It needs no network and no other file, and tells no more than a served page does.

    Raises:
        InputError: There is no study, an image of it is not there, or the file cannot be written or would be larger
            than a browser reads.

    >>> benchbench.study.export_html("my-study", out="study.html")  # doctest: +SKIP
    """
    path, study = as_path(out), load(folder)
    checked_outputs({"--out": path})
    if path != STDOUT and path.resolve().is_relative_to(study.folder.resolve()):
        raise InputError(
            f"{printable(path)} lies in the study, to which nothing is added; name a file elsewhere"
        )
    exported = write(study, path)
    watched = watching(progress)
    if (warning := study.consent_warning) is not None:
        watched.note(warning)
    if exported.is_large:
        watched.note(
            f"{printable(path)} has {exported.size / 1e6:,.0f} MB: slow to send and to open, on a phone above all; a "
            "study of fewer or smaller images makes a smaller one"
        )
    return path
