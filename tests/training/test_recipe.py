"""Recipes: which file counts, what `--set` does, and mistakes by name."""

from __future__ import annotations

from pathlib import Path

import pytest

import benchbench
from benchbench.core.errors import InputError
from benchbench.core.registry import MODELS
from benchbench.runner.trained import has_larger
from benchbench.training import recipe as recipes
from benchbench.training.config import TrainingConfig
from benchbench.training.recipe import find_baseline, load_recipe, other_recipes

SHIPPED = Path(__file__).parents[2] / "baselines"


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.fixture
def baselines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty checkout: a package without `_baselines`, and `baselines/` beside it."""
    (tmp_path / "pkg").mkdir()
    monkeypatch.setattr(benchbench, "__file__", str(tmp_path / "pkg" / "__init__.py"))
    return tmp_path / "baselines"


def test_defaults(baselines: Path) -> None:
    """No file anywhere: nothing is set."""
    recipe = load_recipe("vae", "digits")
    assert (recipe.model, recipe.dataset, recipe.hyper) == ("vae", "digits", {})
    assert recipe.training == TrainingConfig()


def test_order_of_files(baselines: Path, tmp_path: Path) -> None:
    """The model's own recipe, over it the one for the pair, over it the one given; they do not mix."""
    write(baselines / "vae" / "recipe.toml", "[model]\nlatent = 2\n[training]\nlr = 0.2\n")
    assert load_recipe("vae", "digits").hyper == {"latent": 2}
    write(baselines / "vae-digits" / "recipe.toml", "[model]\nlatent = 3\n")
    assert load_recipe("vae", "digits").hyper == {"latent": 3}
    assert load_recipe("vae", "digits").training.lr == TrainingConfig().lr
    assert load_recipe("vae", "mnist").hyper == {"latent": 2}
    assert load_recipe("vae", None).hyper == {"latent": 2}
    given = write(tmp_path / "mine.toml", '[model]\nname = "vae"\nlatent = 4\n')
    assert load_recipe("vae", "digits", given).hyper == {"latent": 4}
    assert load_recipe("vae-mlp", "digits").hyper == {}


def test_recipes_beside_the_shipped_one(
    baselines: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A word names what ships beside the baseline's recipe, unless it is a file; others are refused."""
    write(baselines / "vae-digits" / "recipe.toml", "[model]\nlatent = 3\n")
    large = write(baselines / "vae-digits" / "gpu.toml", "[model]\nlatent = 9\n")
    write(baselines / "vae-digits" / "extractor.toml", "n_classes = 10\n")
    assert other_recipes("vae", "digits") == {"gpu": large}
    assert other_recipes("vae", "mnist") == {}
    monkeypatch.chdir(tmp_path)
    assert load_recipe("vae", "digits", Path("gpu")).hyper == {"latent": 9}
    assert has_larger(load_recipe("vae", "digits"))
    assert has_larger(load_recipe("vae", "digits", overrides=["monitor_every=9"]))
    assert not has_larger(load_recipe("vae", "digits", overrides=["latent=4"]))
    assert not has_larger(load_recipe("vae", "digits", Path("gpu")))
    assert not has_larger(load_recipe("vae", "mnist"))
    with pytest.raises(
        InputError, match=r"no recipe 'cluster': there is no such file; .* vae on digits: gpu$"
    ):
        load_recipe("vae", "digits", Path("cluster"))
    with pytest.raises(InputError, match=r"vae on mnist: nothing$"):
        load_recipe("vae", "mnist", Path("gpu"))
    write(tmp_path / "gpu", "[model]\nlatent = 5\n")
    assert load_recipe("vae", "digits", Path("gpu")).hyper == {"latent": 5}


@pytest.mark.parametrize("folder", sorted(file.parent.name for file in SHIPPED.glob("*/gpu.toml")))
def test_recipes_for_a_gpu(folder: str) -> None:
    """Each is one of its model, settings that there are, and longer and wider than what two cores do beside it."""
    model, dataset = folder.rsplit("-", 1)
    small, large = load_recipe(model, dataset), load_recipe(model, dataset, Path("gpu"))
    defaults = MODELS.get(model).Config()
    assert large.hyper.get("width", defaults.width) > small.hyper.get("width", defaults.width)
    images = [(own.training.steps or 0) * own.training.batch_size for own in (small, large)]
    assert images[1] > 3 * images[0]


def test_wheel_before_checkout(baselines: Path) -> None:
    """`_baselines` inside the package counts; a foreign `baselines` beside it in site-packages does not."""
    write(baselines / "vae" / "recipe.toml", "")
    assert find_baseline("vae", "digits") == baselines / "vae"
    write(baselines.parent / "pkg" / "_baselines" / "beta-vae" / "recipe.toml", "")
    assert find_baseline("vae", "digits") is None
    assert find_baseline("beta-vae", "digits") == baselines.parent / "pkg" / "_baselines" / "beta-vae"
    assert find_baseline("vae", "folder:/somewhere/else") is None


def test_set(baselines: Path) -> None:
    """Bare keys find their section, dotted ones say it; values are TOML, else text; the last one counts."""
    model = ["beta=2", "model.latent = 8"]
    training = [
        "lr=1e-3",
        "training.lr=4e-4",
        "optimizer=adamw",
        "betas=[0.5, 0.9]",
        "player_lr={vae = 2e-4}",
    ]
    recipe = load_recipe("beta-vae", None, overrides=model + training)
    assert recipe.hyper == {"beta": 2.0, "latent": 8}
    expected = TrainingConfig(lr=4e-4, optimizer="adamw", betas=(0.5, 0.9), player_lr={"vae": 2e-4})
    assert recipe.training == expected


def test_steps_replace_epochs(baselines: Path) -> None:
    """The length of a recipe can be overridden in the other unit."""
    write(baselines / "vae" / "recipe.toml", "[training]\nepochs = 9\n")
    assert load_recipe("vae", None, overrides=["steps=5"]).training.epochs is None
    assert load_recipe("vae", None, overrides=["steps=5"]).training.steps == 5
    assert load_recipe("vae", None, overrides=["steps=5", "epochs=2"]).training.epochs == 2


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("latnet=3", "unknown setting 'latnet'; did you mean 'latent'"),
        ("training.lrr=3", "unknown setting 'training.lrr'; did you mean 'training.lr'"),
        ("modle.latent=3", "unknown setting 'modle.latent'; did you mean 'model.latent'"),
        ("beta=3", "unknown setting 'beta'; did you mean 'betas'"),  # vae has none
        ("latent", "--set 'latent' must look like key=value"),
        ("=3", "--set '=3' must look like key=value"),
        ("lr=fast", "training setting lr='fast': input should be a valid number"),
        ("lr=-1", "training setting lr=-1: input should be greater than 0"),
        (
            "precision=int8",
            "training setting precision='int8': input should be 'fp32', 'tf32', 'bf16' or 'fp16'",
        ),
        ("betas=[0.9, 1.5]", "training setting: betas=[0.9, 1.5] must both be"),
        ("lr=1\nepochs=3", "training setting lr='1\\nepochs=3': input should be a valid number"),
    ],
)
def test_mistakes_in_set(baselines: Path, override: str, message: str) -> None:
    """One sentence each, with the nearest known key."""
    with pytest.raises(InputError) as error:
        load_recipe("vae", None, overrides=[override])
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_a_setting_is_found_by_what_it_does() -> None:
    """Another library's word for it: `truncation` is `psi` and `cutoff` of StyleGAN2 (its own section says so), and
    near no name that it could be a mistyped form of."""
    with pytest.raises(InputError, match="unknown setting 'truncation'; did you mean 'psi' or 'cutoff'"):
        load_recipe("stylegan2", None, overrides=["truncation=0.5"])
    with pytest.raises(InputError, match=r"unknown setting 'width'\. Known"):  # in an example for `ema`
        load_recipe("cnn", None, overrides=["width=4"])


def test_what_a_recipe_says_it_is_for(tmp_path: Path) -> None:
    """The dataset in the file; None of one without, and where there is no file. A record, which is of what was done,
    does not hold it."""
    said = write(tmp_path / "a" / "a.toml", 'dataset = "mnist"\n')
    assert load_recipe("vae", "digits", path=said).tuned_on == "mnist"
    assert "tuned_on" not in load_recipe("vae", "digits", path=said).model_dump()
    silent = write(tmp_path / "b" / "b.toml", "[training]\nsteps = 3\n")
    assert load_recipe("vae", "digits", path=silent).tuned_on is None
    assert load_recipe("dcgan", "cifar10", path=Path("gpu")).tuned_on == "cifar10"
    assert load_recipe("vae-mlp", None).tuned_on is None
    with pytest.raises(InputError, match="dataset must be the name of one"):
        load_recipe("vae", None, path=write(tmp_path / "c" / "c.toml", "dataset = 3\n"))


def test_ambiguous_key(baselines: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model with a hyper-parameter `lr` of its own: both dotted forms are named, and work."""
    from pydantic import BaseModel

    class Own:
        class Config(BaseModel):
            lr: float = 1.0

    monkeypatch.setattr(recipes.MODELS, "get", lambda name: Own)
    with pytest.raises(InputError, match=r"the setting lr is ambiguous; say model\.lr or training\.lr"):
        load_recipe("own", None, overrides=["lr=2"])
    assert load_recipe("own", None, overrides=["model.lr=2"]).hyper == {"lr": 2.0}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[model]\nlatnet = 3\n", "unknown hyper-parameter of vae 'latnet'; did you mean 'latent'"),
        ("[training]\nlrr = 3\n", "unknown training setting 'lrr'; did you mean 'lr'"),
        ("[trainig]\nlr = 3\n", "unknown section 'trainig'; did you mean 'training'"),
        ("[training]\nsteps = 3\nepochs = 2\n", "give steps or epochs, not both"),
        ("training = 3\n", "training must be a table"),
        ('model = "vae"\n', "model must be a table"),
        ("latent = \n", "is not valid TOML"),
        ('[model]\nname = "beta-vae"\n', "is for the model 'beta-vae', not 'vae'"),
    ],
)
def test_mistakes_in_a_file_name_the_file(tmp_path: Path, text: str, message: str) -> None:
    """Also when an override would have corrected it."""
    with pytest.raises(InputError) as error:
        load_recipe("vae", None, write(tmp_path / "mine.toml", text))
    assert message in str(error.value)
    assert "mine.toml" in str(error.value)


def test_no_such_file(tmp_path: Path) -> None:
    """Named, with the reason."""
    with pytest.raises(InputError, match=r"cannot read the recipe .*absent\.toml: No such file"):
        load_recipe("vae", None, tmp_path / "absent.toml")


@pytest.mark.costly
def test_shipped_recipes() -> None:
    """Every folder under baselines/ is named <model>-<dataset> as its recipe says, or <model> where the recipe is for
    whatever is restored, and says nothing twice: no setting repeats a default."""
    import tomllib

    root = Path(__file__).parents[2] / "baselines"
    files = sorted(root.glob("*/recipe.toml"))
    assert files
    for file in files:
        content = tomllib.loads(file.read_text())
        model, dataset = content["model"].pop("name"), content["dataset"]
        assert file.parent.name == (
            model if hasattr(recipes.MODELS.get(model), "undoes") else f"{model}-{dataset}"
        )
        assert find_baseline(model, dataset) == file.parent
        recipe = load_recipe(model, dataset)
        config = recipes.MODELS.get(model).Config().model_dump()
        assert not [key for key, value in recipe.hyper.items() if value == config[key]]
        training = content.get("training", {})
        assert not [
            key for key in training if getattr(recipe.training, key) == getattr(TrainingConfig(), key)
        ]
