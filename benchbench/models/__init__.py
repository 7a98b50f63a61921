"""Networks and their losses, one file a family, each readable beside its paper."""

# Every model by name, as "module:class"; imported when somebody asks for it (core/registry.py).
MODELS = {
    "vae": "benchbench.models.vae.vae:ConvVAE",
    "vae-mlp": "benchbench.models.vae.vae:MLPVAE",
    "beta-vae": "benchbench.models.vae.beta_vae:BetaVAE",
    "gan": "benchbench.models.gan.gan:GAN",
    "dcgan": "benchbench.models.gan.dcgan:DCGAN",
    "cgan": "benchbench.models.gan.cgan:CGAN",
    "wgan-gp": "benchbench.models.gan.wgan_gp:WGANGP",
    "sngan": "benchbench.models.gan.sngan:SNGAN",
    "cyclegan": "benchbench.models.translation.cyclegan:CycleGAN",
    "pix2pix": "benchbench.models.translation.pix2pix:Pix2Pix",
    "lineart-colorizer": "benchbench.models.translation.lineart_colorizer:LineartColorizer",
    "sketch-vae": "benchbench.models.translation.sketch_vae:SketchVAE",
    "cnn-autoencoder": "benchbench.models.translation.cnn_autoencoder:CNNAutoencoder",
    "faceswap": "benchbench.models.translation.faceswap:FaceSwap",
    "nst": "benchbench.models.style.nst:NST",
    "fast-style": "benchbench.models.style.fast_style:FastStyle",
    "cnn": "benchbench.models.classifier:CNN",
    "identity": "benchbench.models.translation.translator:Identity",
    "real": "benchbench.models.controls:Real",
    "memorizer": "benchbench.models.controls:Memorizer",
    "collapsed": "benchbench.models.controls:Collapsed",
    "noise": "benchbench.models.controls:Noise",
    "degraded": "benchbench.models.controls:Degraded",
}
