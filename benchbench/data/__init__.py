"""Datasets: catalogue, sources, decoding, fingerprints."""

# Every dataset by name, as "module:class"; imported when somebody asks for it (core/registry.py).
DATASETS = {
    "digits": "benchbench.data.builtin.digits:Digits",
    "openmoji": "benchbench.data.builtin.openmoji:OpenMoji",
    "ring8": "benchbench.data.builtin.points:Ring8",
    "grid25": "benchbench.data.builtin.points:Grid25",
    "stacked-digits": "benchbench.data.builtin.stacked:StackedDigits",
    "stacked-mnist": "benchbench.data.builtin.stacked:StackedMNIST",
    "openmoji-lines": "benchbench.data.builtin.openmoji_domains:OpenMojiLines",
    "openmoji-tones": "benchbench.data.builtin.openmoji_domains:OpenMojiTones",
    "openmoji-captions": "benchbench.data.builtin.openmoji_captions:OpenMojiCaptions",
    "photographs": "benchbench.data.builtin.photographs:Photographs",
    "mnist": "benchbench.data.builtin.torchvision_sets:MNIST",
    "cifar10": "benchbench.data.builtin.torchvision_sets:CIFAR10",
    "set5": "benchbench.data.builtin.photo_sets:Set5",
    "set14": "benchbench.data.builtin.photo_sets:Set14",
    "bsd100": "benchbench.data.builtin.photo_sets:BSD100",
    "urban100": "benchbench.data.builtin.photo_sets:Urban100",
    "div2k": "benchbench.data.builtin.photo_sets:DIV2K",
    "set12": "benchbench.data.builtin.photo_sets:Set12",
    "bsd68": "benchbench.data.builtin.photo_sets:BSD68",
    "classic5": "benchbench.data.builtin.photo_sets:Classic5",
    "live1": "benchbench.data.builtin.photo_sets:Live1",
    "train400": "benchbench.data.builtin.photo_sets:Train400",
}
