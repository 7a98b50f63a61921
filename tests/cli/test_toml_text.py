"""Names as `benchbench init` writes them into TOML."""

from __future__ import annotations

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from benchbench.verbs.project_files import toml_text


@given(st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from('\x7f\\"x7f\n'), max_size=20))
def test_names_in_toml(text: str) -> None:
    """Python's own reader of TOML gives back what was written, DEL and backslashes among it."""
    assert tomllib.loads(f"value = {toml_text(text)}")["value"] == text
