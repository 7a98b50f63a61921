"""LPIPS beside torchmetrics' public function, on the same seeded random AlexNet: no download."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchbench.core.errors import MetricFailed
from benchbench.metrics.evidence import Evidence
from benchbench.metrics.pairs.lpips import LPIPS, lpips
from benchbench.metrics.pairs.paired import PairReader

FILE = "alexnet-owt-7be5be79.pth"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty torch hub cache."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.delenv("BENCHBENCH_LPIPS_WEIGHTS", raising=False)
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


def pair(side: int = 40) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(0, 256, (3, 3, side, side), dtype=torch.uint8, generator=generator)
    return x, (x // 2 + 30).to(torch.uint8)


@pytest.mark.costly
def test_agrees_with_torchmetrics(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """torchmetrics loads the backbone from the hub cache, ours from the same file named by the environment. The same
    network on the same float32 images: 1e-5 relative is float32 noise. Equal images are at distance 0."""
    from torchmetrics.functional.image import learned_perceptual_image_patch_similarity
    from torchvision.models import alexnet

    torch.manual_seed(0)
    torch.save(alexnet(weights=None).state_dict(), hub / FILE)
    monkeypatch.setenv("BENCHBENCH_LPIPS_WEIGHTS", str(hub / FILE))
    x, y = pair()
    ours = lpips(x, y)
    assert ours.dtype == torch.float64
    assert ours.shape == (3,)
    scaled = [images.float() / 127.5 - 1 for images in (x, y)]
    theirs = learned_perceptual_image_patch_similarity(*scaled, net_type="alex", reduction="mean")
    assert float(ours.mean()) == pytest.approx(float(theirs), rel=1e-5)
    assert lpips(x, x).tolist() == [0, 0, 0]
    torch.testing.assert_close(lpips(x[1:2], y[1:2]), ours[1:2], rtol=1e-5, atol=0)


def test_absent_weights_are_unavailable_with_the_way_to_get_them(hub: Path) -> None:
    """Rule of the design: what must be fetched first is `unavailable`, never something else in its place."""
    reader = PairReader({"lpips": LPIPS.per_image})
    reader.update(*pair())
    with pytest.raises(
        MetricFailed, match=r"lpips needs alexnet-owt.*: run benchbench fetch lpips,"
    ) as caught:
        LPIPS().compute(Evidence(pairs={"truth": reader.compute()}))
    assert caught.value.status == "unavailable"


def test_a_damaged_file_is_named(hub: Path) -> None:
    """A file of that name whose sha256 does not begin with 7be5be79 is not taken."""
    (hub / FILE).write_bytes(b"half a download")
    with pytest.raises(MetricFailed, match="damaged or another file"):
        lpips(*pair())


def test_too_small_images_are_refused(hub: Path) -> None:
    """AlexNet's last pooling needs a 32×32 image."""
    with pytest.raises(MetricFailed, match="at least 32×32 but has 31×31"):
        lpips(*pair(31))
