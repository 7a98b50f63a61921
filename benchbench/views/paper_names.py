"""What papers call a metric, and text as TeX writes it."""

from __future__ import annotations

import re

from benchbench.views.board import Measure
from benchbench.views.text import plain

# Name of a family -> what a column is called, and what its numbers are divided by.
PAPER: dict[str, tuple[str, float]] = {
    "fd": ("FD", 1),
    "fid": ("FID", 1),
    "sfid": ("sFID", 1),
    "fd_infinity": (r"FD$_\infty$", 1),
    "fid_infinity": (r"FID$_\infty$", 1),
    "is": ("IS", 1),
    "inception_score": ("IS", 1),
    "is_one_split": ("IS, one split", 1),
    "inception_score_one_split": ("IS, one split", 1),
    "kd": ("KD", 1),
    "kid": ("KID", 1),
    "kd_subsets": ("KD, subsets", 1),
    "kid_subsets": ("KID, subsets", 1),
    "cmmd": ("CMMD", 1),
    "precision": ("Precision", 1),
    "recall": ("Recall", 1),
    "density": ("Density", 1),
    "coverage": ("Coverage", 1),
    "clipped_density": ("Clipped density", 1),
    "clipped_coverage": ("Clipped coverage", 1),
    "sym_precision": ("Sym. precision", 1),
    "sym_recall": ("Sym. recall", 1),
    "p_precision": ("P-precision", 1),
    "p_recall": ("P-recall", 1),
    "fld": ("FLD", 1),
    "fld_gap": ("FLD gap", 1),
    "vendi": ("Vendi", 1),
    "vendi_real": ("Vendi, real", 1),
    "rke": ("RKE", 1),
    "rke_real": ("RKE, real", 1),
    "effective_rank": ("Effective rank", 1),
    "fd_ratio": ("FD ratio", 1),
    "intra_fd": ("Intra-FD", 1),
    "intra_fid": ("Intra-FID", 1),
    "intra_diversity": ("Intra-class diversity", 1),
    "modes": ("Modes", 1),
    "class_kl": ("KL (nats)", 1),
    "class_tv": ("TV", 1),
    "ndb": ("NDB", 1),
    "ct": ("$C_T$", 1),
    "authenticity": ("Authenticity", 1),
    "swd": ("SWD", 1),
    "psnr": ("PSNR (dB)", 1),
    "psnr_y": ("PSNR-Y (dB)", 1),
    "ssim": ("SSIM", 1),
    "ssim_y": ("SSIM-Y", 1),
    "ms_ssim": ("MS-SSIM", 1),
    "lpips": ("LPIPS", 1),
    "vif": ("VIF", 1),
    "gmsd": ("GMSD", 1),
    "fsim": ("FSIM", 1),
    "dists": ("DISTS", 1),
    "niqe": ("NIQE", 1),
    "ppl": ("PPL", 1),
    "ppl_full": ("PPL, full", 1),
    "ppl_w": (r"PPL$_w$", 1),
    "ppl_w_full": (r"PPL$_w$, full", 1),
    "is_adm": ("IS (ADM)", 1),
    "precision_adm": ("Precision (ADM)", 1),
    "recall_adm": ("Recall (ADM)", 1),
    "mse": ("MSE", 1),
    "mae": ("MAE", 1),
    "artfd": ("ArtFID", 1),
    "r_precision": ("R-precision", 1),
    "bits_per_dim": ("bits/dim", 1),
    "conditional_accuracy": ("Accuracy", 1),
    "duplicate_rate": ("Duplicates", 1),
    "duplicate_excess": ("Duplicates, excess", 1),
    "high_quality": ("High quality", 1),
    "sampling_rate": ("Images/s", 1),
    "training_rate": ("Trained images/s", 1),
    "training_steps_rate": ("Steps/s", 1),
    "latency_p50": ("Latency (ms)", 1),
    "latency_p95": (r"Latency, 95\,\% (ms)", 1),
    "network_evaluations": ("NFE", 1),
    "flops_per_image": ("GFLOP", 1e9),
    "parameters": ("Params (M)", 1e6),
    "parameters_sampling": ("Params (M)", 1e6),
    "parameters_training": ("Params, training (M)", 1e6),
    "peak_memory_rss": ("Memory (MiB)", 1),
}

_TEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",  # the default font has other signs in these three places, and no ²
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "²": r"$^2$",
    "×": r"$\times$",
    "†": r"$\dagger$",
    "‡": r"$\ddagger$",
    "§": r"\S{}",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "–": "--",
    **{character: rf"\{character}" for character in "&%$#_{}"},
}


def paper_name(measure: Measure) -> tuple[str, float]:
    """The head of a column in TeX, without arrow and protocol, and what its numbers are divided by.

    `modes_stacked-digits`, whose extractor goes by the same name, is `modes`. A metric that no paper has a word for
    keeps its name, with blanks.
    """
    if (key := _key(measure)) in PAPER:
        return PAPER[key]
    return escape_tex(_own_name(measure)), 1


def figure_name(measure: Measure) -> tuple[str, float]:
    """The same at an axis of a figure: as matplotlib reads it, which knows $ and nothing else of TeX."""
    if (key := _key(measure)) in PAPER:
        name, divisor = PAPER[key]
        return name.replace(r"\,", " ").replace(r"\%", "%"), divisor
    return _own_name(measure).replace("$", r"\$"), 1


def _key(measure: Measure) -> str:
    return "modes" if measure.metric == measure.extractor else measure.short


def _own_name(measure: Measure) -> str:
    """Of a metric that no paper has a word for."""
    unit = f" ({measure.unit})" if measure.unit else ""
    return plain(_key(measure).replace("_", " ") + unit)


def escape_tex(text: str) -> str:
    """`text` as TeX prints it, whatever is in it."""
    escaped = "".join(_TEX.get(character, character) for character in text)
    return re.sub(r"(?<![\w-])-(?=\d)", "$-$", escaped)  # a minus, not a hyphen
