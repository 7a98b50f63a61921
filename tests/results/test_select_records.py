"""What a text on the command line means: folders, groups, keys and git revisions."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from benchbench.core.errors import InputError
from benchbench.results.record import Row
from benchbench.results.select_records import Selection, select
from benchbench.results.store import Store

MakeRow = Callable[..., Row]
KEYS = {"vae": "aaaa1111aaaa1111", "beta-vae": "aaaa2222aaaa2222", "gan": "bbbb3333bbbb3333"}


@pytest.fixture
def repository(
    tmp_path: Path, make_row: MakeRow, land: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A git repository, and the working folder, whose `results/` has three models; the tag `old` has their values a
    hundred higher, and no `gan`."""
    monkeypatch.chdir(tmp_path)
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    git("init", "-q")
    for tag, higher, models in (("old", 100, ["vae", "beta-vae"]), ("new", 0, list(KEYS))):
        shutil.rmtree("results", ignore_errors=True)
        for model in models:
            variant = "beta=4,latent=16" if model == "beta-vae" else ""
            row = make_row(model=model, variant=variant, cell=KEYS[model], value=12.5 + higher, seed=higher)
            land(Path("results"), [row], {"data": {"fingerprint": "ab" * 32}})
        Path("results/notes.txt").write_text("no record")
        git("add", "--all")
        git("-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-q", "-m", tag)
        git("tag", tag)
    return tmp_path


def git(*arguments: str) -> None:
    subprocess.run(["git", *arguments], check=True, capture_output=True)


def one(text: str) -> Selection:
    """What one text selects, with `results/` at hand."""
    (selection,) = select([text], Path("results"))
    return selection


@pytest.mark.costly
@pytest.mark.parametrize(
    ("text", "models"),
    [
        ("results", ["beta-vae", "gan", "vae"]),
        ("results/digits/vae", ["vae"]),
        (f"results/digits/gan/{KEYS['gan']}", ["gan"]),
        (KEYS["vae"], ["vae"]),
        ("bbbb", ["gan"]),
        ("model=vae", ["vae"]),
        ("dataset=digits, seed=0", ["beta-vae", "gan", "vae"]),
        ("model=beta-vae,variant=beta=4,latent=16,dataset=digits", ["beta-vae"]),
        ("variant=", ["gan", "vae"]),
        ("higher_is_better=false,model=gan", ["gan"]),
        ("git:new", ["beta-vae", "gan", "vae"]),
        ("git:old", ["beta-vae", "vae"]),
        ("old:results/digits/vae/", ["vae"]),
        ("old:", ["beta-vae", "vae"]),
    ],
)
def test_what_a_text_selects(repository: Path, text: str, models: list[str]) -> None:
    """By hand, from what the repository was filled with. Values tell which revision was read."""
    selection = one(text)
    assert sorted(selection.rows["model"]) == models
    assert set(selection.rows["value"]) == {112.5 if "old" in text else 12.5}
    assert set(selection.rows["data"]) == {"ab" * 32}
    assert selection.name == text


def test_a_revision_from_a_folder_within(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`git:REV` goes by where the results are, `REV:FOLDER` by the top of the repository, as with git itself."""
    monkeypatch.chdir(repository / "results" / "digits")
    (selection,) = select(["git:old"], Path("..") / "digits" / "vae")
    assert list(selection.rows["model"]) == ["vae"]
    (selection,) = select(["old:results/digits/beta-vae"], Path("nowhere"))
    assert list(selection.rows["model"]) == ["beta-vae"]


@pytest.mark.costly
@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("nowhere", "'nowhere' is no folder.*results holds beta-vae on digits, gan on digits, vae on digits"),
        ("model=vea", "no record here has model=vea; did you mean 'vae'"),
        ("modle=vae", "unknown column 'modle'; did you mean 'model'"),
        ("model=gan,seed=0,variant=beta=4,latent=16", "no record here has variant=beta=4,latent=16"),
        ("model=vae,model=gan", "must give each column one value"),
        ("model=vae,dataset", "must give each column one value"),
        ("cccc", "no cell has the key cccc; results holds"),
        ("aaaa", "aaaa begins the keys of 2 cells, such as aaaa1111aaaa1111 and aaaa2222aaaa2222"),
        ("git:nope", "no revision 'nope'"),
        ("git:", "no revision ''"),
        ("-p:results", "no revision '-p'"),
        ("old:nowhere", "no records in old:nowhere"),
        ("old:results/notes.txt", "no records in old:results/notes.txt"),
    ],
)
def test_an_unknown_selection_is_named(repository: Path, text: str, sentence: str) -> None:
    """One sentence with what there is; none of it is taken for an option of git."""
    with pytest.raises(InputError, match=sentence):
        one(text)


def test_a_damaged_revision_is_named_by_where_it_is(repository: Path) -> None:
    """Not by the temporary folder that it was unpacked into, and nothing of that stays."""
    table = next(Path("results/digits/vae").rglob("metrics.csv"))
    table.write_text(table.read_text().replace("12.5", "1.5"))
    git("-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-q", "-a", "-m", "edited")
    with pytest.raises(
        InputError, match=rf"^HEAD:results/digits/vae/{KEYS['vae']}/metrics.csv is not what run.json"
    ):
        one("git:HEAD")


def test_outside_a_repository(tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Results elsewhere have no revision here; a folder without git has none at all."""
    with pytest.raises(InputError, match="lies outside the repository"):
        select(["git:new"], tmp_path.parent)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent.parent))
    monkeypatch.chdir(tmp_path.parent)
    with pytest.raises(InputError, match="lies in no git repository"):
        select(["git:new"], Path("results"))
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match="git, which is not installed"):
        select(["git:new"], Path("results"))


def test_cells_that_failed_are_told(repository: Path) -> None:
    """A group tells those of its own model; a sentence each."""
    store = Store(Path("results"))
    store.record_failure(
        "digits", "gan", "f" * 16, {"seed": 3, "reason": "the loss is no number", "when": ""}
    )
    assert one("model=gan").failed("A") == ["gan on digits, seed 3, of A failed: the loss is no number"]
    assert one("model=vae").failed("A") == []
    assert len(one("results").failed("B")) == 1


@pytest.mark.parametrize("value", ["4", "4.0"])
def test_a_group_may_name_a_setting(
    tmp_path: Path, make_row: MakeRow, land: Callable[..., Path], value: str
) -> None:
    """Two recipes of one model, of which the label names neither: the records say all settings, defaults too."""
    for n, beta in enumerate(("4", "1")):
        row = make_row(model="beta-vae", cell=f"{n}" * 16, seed=n)
        land(tmp_path, [row], {"settings": {"beta": beta, "latent": "16"}})
    (selection,) = select([f"model=beta-vae,beta={value}"], tmp_path)
    assert set(selection.rows["cell"]) == {"0" * 16}
    with pytest.raises(InputError, match=r"no record here has beta=3.*There are: 1, 4"):
        select(["model=beta-vae,beta=3"], tmp_path)
    with pytest.raises(InputError, match="unknown column 'betta'; did you mean 'beta'"):
        select(["betta=4"], tmp_path)


GIT_SAYS = {
    "fatal: detected dubious ownership in repository at '/x'\nTo add an exception for this directory, call:\n\n"
    "\tgit config --global --add safe.directory /x\n": "dubious ownership in repository at '/x'; "
    "git config --global --add safe.directory /x allows it",
    "fatal: not a git repository (or any of the parent directories): .git\n": "lies in no git repository",
    "error: object file .git/objects/ab/cd is empty\nfatal: loose object abcd is corrupt\n": "object file .* is empty",
    "fatal: could not fetch abcd from promisor remote\n": "could not fetch abcd from promisor remote",
    "fatal: this operation must be run in a work tree\n": "must be run in a work tree",
    "error: bad signature 0x00000000\nfatal: index file corrupt\n": "bad signature 0x00000000",
}


@pytest.mark.parametrize(("said", "sentence"), GIT_SAYS.items())
@pytest.mark.parametrize("text", ["git:HEAD", "HEAD:results"])
def test_the_reason_of_git_is_passed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, sentence: str, text: str
) -> None:
    """A git that fails as the real one does (its words are those of git 2.39); the sentence holds what it said."""
    program = tmp_path / "bin" / "git"
    program.parent.mkdir()
    (tmp_path / "said").write_text(said)
    program.write_text(f"#!/bin/sh\ncat {tmp_path}/said >&2\nexit 128\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent) + os.pathsep + os.environ["PATH"])
    with pytest.raises(InputError, match=sentence):
        select([text], tmp_path)
    program.chmod(0o644)
    monkeypatch.setenv("PATH", str(program.parent))
    with pytest.raises(InputError, match=r"git, which (cannot be started|is not installed)"):
        select([text], tmp_path)


def test_a_shallow_clone_says_so(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """git's own clone with --depth 1: the newest revision is there, an older one is not, and how to get it is said."""
    clone = tmp_path_factory.mktemp("clone") / "shallow"
    git("clone", "-q", "--depth", "1", f"file://{repository}", str(clone))
    os.chdir(clone)
    assert len(one("git:HEAD").rows) == 3
    with pytest.raises(InputError, match=r"no revision 'old'.*shallow clone: git fetch --unshallow --tags"):
        one("git:old")
    with pytest.raises(InputError, match=r"no revision '-rf'"):
        one("git:-rf")


def test_what_is_nothing_is_named_where_there_are_no_records_either(tmp_path: Path) -> None:
    """The text that was mistyped comes first, and then that the folder of which it could be a group or a key holds
    nothing, or is not there."""
    for results in (tmp_path, tmp_path / "gone"):
        with pytest.raises(
            InputError, match=r"'nosuch' is no folder, no group .*; there (are no records|is no folder)"
        ):
            select(["nosuch"], results)
