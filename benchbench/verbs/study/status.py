"""`benchbench.study.status`: how far a study has come."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from benchbench.study.folder import load
from benchbench.study.standing import check_images, standing


def status(folder: Path | str) -> pd.DataFrame:
    """Who answered how much; every file of the study is looked at.

    Args:
        folder: As `create` made it.

    Returns:
        A line a rater, with the columns rater, answered, items, checks_right, checks, median_seconds, last (UTC) and
        consent: "this text" where the rater agreed to what consent.txt holds now, "another text" where it was edited
        since, "not said" where an exported page did not say.

    Raises:
        InputError: There is no study, or it was damaged: an image is another one, a file of answers was edited.

    >>> benchbench.study.status("my-study").answered.sum()  # doctest: +SKIP
    """
    study = load(folder)
    check_images(study)
    return standing(study)
