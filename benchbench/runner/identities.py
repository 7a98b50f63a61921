"""Identities of code that was changed and makes the same numbers as before: what they are called now.

A record names the code behind its model (`models.code`). Where that code, or the way in which it is identified, is
changed and what it computes is not, the old identity is listed here with the new one, and `benchbench migrate` carries
records over. Whoever adds a line has shown that the numbers are the same (`tests/golden/test_identities.py` says how).

Of each model: the first 32 digits of what it was called, and the whole of what it is called.
"""

from __future__ import annotations

CALLED: dict[str, dict[str, str]] = {
    "beta-vae": {
        "d4fa7ce7fc9cbf7e7891769f4d045bfd": "0523fffd5af2394bf78c4bf99d8c98141e7ad383f60c1b0862c85ee950ef6d5c",
    },
    "cgan": {
        "cdd5c866f573b77752e8054cefd20443": "6d91c62b7142a2d3bbe326dc3892e6ab8bdb16d9e7e23883d46c59bbc89f7bab",
    },
    "cnn": {
        "9ca507ff5e621ee49e4b55b67d5bef98": "7488dda740107d32ac76771e856e63355780c3c9aed0bb7bf27c26dd925a2ff4",
    },
    "cnn-autoencoder": {
        "b385073accbd93479da728065aeac7c7": "8d4b442c7ca26c1354fbf73607b9de8822ddd9732025a4f35b861526a4631a1f",
    },
    "collapsed": {
        "51a6328ad6c813324fe65e01c6f9857a": "c8b9361bd7e860102a72f64b5d7f76667f6285b8a5ac7ea7fb48febc4eb2cdc8",
    },
    "cyclegan": {
        "cec65ae3a71eb551780d34a2b43dd999": "95502d771e04a7688cd4b32b6680a206fea6f62b26e1618664db45f0472aef3a",
    },
    "dcgan": {
        "08649c6d5491dfb035381c5559124ec5": "278cf2bfed116aace2f7e2341fa4fdae1d56767f278a73e2c4e5ff14a659265f",
    },
    "faceswap": {
        "7ba41df6b5feb7f95e4cf7c1de35bf0b": "c633198b8d6f99bbd612553390a57de964a324392bccaa089453a2218d842171",
    },
    "fast-style": {
        "ef3202519684e913dbceeeb4fba533f9": "e81b420d6165fd75f3779a2a09c381a068e7592692e727ab4a493ccf8aeef9e4",
    },
    "gan": {
        "9f313e286dfd9212b44e9ac67effcd65": "0996b9dfd56fd188de016fce2466ac806c2b832df1739efa27b09ea33f24b3b9",
    },
    "identity": {
        "80da20627d57771719f6607ff642cea1": "afbea25498aec871e40c554a7a3722ac39be9cbabcacc920729f83513ac73aea",
    },
    "lineart-colorizer": {
        "6859355f8c712ded92c12f636e08782f": "6dd69ababd06c754eb359be0eaf42c536ad404ac348dea69654ac83ea780b952",
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
        "ab120846a961d2f1c2707441b0f413a5": "7b15acfa02d13244a1e8ad0f4aeb2414d63a5c58e03fba816f4f06d8e26cd36b",
    },
    "real": {
        "51a6328ad6c813324fe65e01c6f9857a": "8b2d57f3852e8a092dc492fea8e37de12b8a47d15c670dde1fbcf587986849f8",
    },
    "sketch-vae": {
        "8b43ded35d93279f495c08b4459ed30f": "4eaa42a61d815aa92e1fe6f9d96e93f5952739bf7ea08bf1de720d53358ef0cf",
    },
    "sngan": {
        "d0ffa665a4b67a663e043fcb3c5ba30a": "27b9e8754fca765bdeceaa4b5730902c1b4e5b046b83bee5627eaba9d45539e0",
    },
    "vae": {
        "27453ffdc277f61491bd2b4cf3c76687": "017a08d0c1b0df1b2a7e36ea6894703f29968aff84ec76f79d5afbf3803ab894",
    },
    "vae-mlp": {
        "27453ffdc277f61491bd2b4cf3c76687": "d425ac9fadf977bac402b2a1466d97d2a4b48a05bc4bf4b9a770d1b93dddaa94",
    },
    "wgan-gp": {
        "68e0ee6baa02dea9735485dd5730e179": "d1aaccc0c02d226403cd90535c53c64d8b93830a77b2c2a21263a717fd56f284",
    },
}


def identity_now(model: str, code: str) -> str | None:
    """What the code `code` (64 hexadecimal digits) of the model `model` is called now; None where nobody says."""
    known = CALLED.get(model, {})
    if code in known.values():
        return code
    return known.get(code[:32])
