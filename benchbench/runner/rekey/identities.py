"""Identities of code that was changed and makes the same numbers as before: what they are called now.

A record names the code behind its model (`models.identity`). Where that code, or the way in which it is identified, is
changed and what it computes is not, the old identity is listed here with the new one, and `benchbench migrate` carries
records over. Whoever adds a line has shown that the numbers are the same.

Of each model: the first 32 digits of what it was called, and the whole of what it is called.
"""

from __future__ import annotations

from collections.abc import Mapping

CALLED: dict[str, dict[str, str]] = {
    "beta-vae": {
        "d4fa7ce7fc9cbf7e7891769f4d045bfd": "e65cf2c621db04eb708d94fbb311878f3b3499550a1de07156d30f235407e4eb",
    },
    "cgan": {
        "cdd5c866f573b77752e8054cefd20443": "11ae713657cef18a1539cd32865282cc3cedb1b740b0efdff9bf1d2149175e05",
    },
    "cnn": {
        "9ca507ff5e621ee49e4b55b67d5bef98": "68bd3aae73afc580bff7fbaab2ba948d285dbef959cc1ab4d750710506e02c2d",
    },
    "cnn-autoencoder": {
        "b385073accbd93479da728065aeac7c7": "ffd4a33fbb10c661326e51c270b39ca4002429e052320e43f96d89ab35dc25f3",
    },
    "collapsed": {
        "51a6328ad6c813324fe65e01c6f9857a": "c8b9361bd7e860102a72f64b5d7f76667f6285b8a5ac7ea7fb48febc4eb2cdc8",
    },
    "cyclegan": {
        "cec65ae3a71eb551780d34a2b43dd999": "97b3999f843266b3f0c0dbfb9fa7dde3f562d40d4570e29f6a31c0b2969d8e62",
    },
    "dcgan": {
        "08649c6d5491dfb035381c5559124ec5": "4b00d48a968d31675a2355eb7fae763dc039c4a16f13397af018274cdbd281b4",
    },
    "ddpm": {
        "f02bc4cf618660b485a6a82d43d89929": "b1ca0dade00c2420c63b1ac19cc16da4684037a9f0c161a39d7a57ab2dad3455",
    },
    "faceswap": {
        "7ba41df6b5feb7f95e4cf7c1de35bf0b": "8b5a5c5daabb7a5642aade726116759e89bbb45cf9a1796263805ce293408131",
    },
    "fast-style": {
        "ef3202519684e913dbceeeb4fba533f9": "6c535f78be24be9246ff6ab0d951ffa3175a275aa40f66c8410c7a7500d5bac4",
    },
    "flow-matching": {
        "b38d74ab400614ebe6be6d846efb1ed0": "66bf344ae23ea9ed4a2d5514a53b23fdf5c15dbbbc1c0c3e223bae1dd239c83b",
        "241169e21342c9b97fd81d3de5c7a1f1": "66bf344ae23ea9ed4a2d5514a53b23fdf5c15dbbbc1c0c3e223bae1dd239c83b",
    },
    "gan": {
        "9f313e286dfd9212b44e9ac67effcd65": "bc4a7160c2f3bd8a569da0f1d92d1b1dbc40b375c065fc08708227ee2d483157",
    },
    "identity": {
        "80da20627d57771719f6607ff642cea1": "afbea25498aec871e40c554a7a3722ac39be9cbabcacc920729f83513ac73aea",
    },
    "lineart-colorizer": {
        "6859355f8c712ded92c12f636e08782f": "03f1f7be9f91f63bac46ed83fd0b5fd705ed6800215bbdd5600a25fd615905d7",
    },
    "memorizer": {
        "51a6328ad6c813324fe65e01c6f9857a": "b3c0a75eec0a3b5e110e97dc9ff9bc6903f7e4c8bbb7d93743a8b726e81f41ca",
    },
    "noise": {
        "51a6328ad6c813324fe65e01c6f9857a": "85faa62a1c6433c4dcf055bb4ab500d9969b45187dd7796e0a33dbd36868dee0",
    },
    "nst": {
        "ad5daac07d4f18ecfec96fd63452bc7a": "242b69e1b0d9e9da79ca269d81df92ae92590c5766edd71601690fb9cd216dcb",
    },
    "pix2pix": {
        "ab120846a961d2f1c2707441b0f413a5": "7420f76bcd9eba5b411900d9b336a86aa20287f2eeb7e4fb78928c2b1e0ad61b",
    },
    "real": {
        "51a6328ad6c813324fe65e01c6f9857a": "8b2d57f3852e8a092dc492fea8e37de12b8a47d15c670dde1fbcf587986849f8",
    },
    "sketch-vae": {
        "8b43ded35d93279f495c08b4459ed30f": "d35f33c1d00a4b2cb48764a240c4f7b813ceb08c8778bedf153829d935f63802",
    },
    "sngan": {
        "d0ffa665a4b67a663e043fcb3c5ba30a": "9b7a49f0d538cc4ef12ad872ac63bed01bd65bdd82f3997ff8fcc7807a4a21e3",
    },
    "vae": {
        "27453ffdc277f61491bd2b4cf3c76687": "3bb9b0419f203c70f630476d708916cf2538168323755a38576ee63d172f0fbf",
    },
    "vae-mlp": {
        "27453ffdc277f61491bd2b4cf3c76687": "8ec58ea5e3b6d3ea3b8b5bef9f9d11a4eb49f9dc5676dbf8e14a93015177b3a0",
    },
    "wgan-gp": {
        "68e0ee6baa02dea9735485dd5730e179": "e08add41199dc72dc86c62318dfa6d14d14c1aebce9d06ef02c60b5fdbcc6898",
    },
}


OTHERWISE: dict[str, Mapping[str, object]] = {"b38d74ab400614ebe6be6d846efb1ed0": {"solver": "heun"}}
"""Of code of before, by the name that it had: settings of drawing under which it made other numbers. Such records are
not carried over."""


def identity_now(model: str, code: str, sampling: Mapping[str, object] | None = None) -> str | None:
    """What the code `code` (64 hexadecimal digits) of the model `model` is called now; None where nobody says, or where
    it makes other numbers now with these settings of drawing."""
    known = CALLED.get(model, {})
    if code in known.values():
        return code
    drawn = sampling or {}
    if any(drawn.get(name) == value for name, value in OTHERWISE.get(code[:32], {}).items()):
        return None
    return known.get(code[:32])
