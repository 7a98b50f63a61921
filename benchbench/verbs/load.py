"""`benchbench.load_results`: everything below a folder, as one table."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from benchbench.results.load import load_results as below
from benchbench.views.notebook import NumbersFrame


def load_results(path: Path | str) -> pd.DataFrame:
    """One line a number for every record below `path`, sorted by folder.

    Runs that share model and variant and were not made by one recipe get variants that say what differs
    (`results.recipes`).

    Args:
        path: A folder; records are found whatever the depth.

    Returns:
        The columns of `results.record.Row` in order, then what its run.json says of a number
        (`results.claims.conditions.FACTS`). Dtypes are pandas' nullable ones: a failed number's value is `<NA>`. No
        records give an empty table with the same columns.

    Raises:
        InputError: The folder is not there, a record is damaged or was edited, a number in it cannot be, a cell is
            there twice, or a record is of another schema version; the message names the file.
    """
    return NumbersFrame(below(path))
