"""Extractors and what is kept of their output."""

# Every extractor by name, as "module:class"; imported when somebody asks for it (core/registry.py).
EXTRACTORS = {
    "efficientnet_lite0": "benchbench.features.networks.efficientnet_lite0:EfficientNetLite0",
    "inception_v3": "benchbench.features.networks.inception_v3:InceptionV3",
    "inception_v3_spatial": "benchbench.features.networks.inception_v3:InceptionV3Spatial",
    "inception_v3_clean": "benchbench.features.networks.inception_v3:InceptionV3Clean",
    "inception_v3_torch": "benchbench.features.networks.inception_v3:InceptionV3Torch",
    "dinov2_vit_s_14": "benchbench.features.networks.torch_fidelity_nets:DinoV2Small",
    "dinov2_vit_b_14": "benchbench.features.networks.torch_fidelity_nets:DinoV2Base",
    "dinov2_vit_l_14": "benchbench.features.networks.torch_fidelity_nets:DinoV2Large",
    "clip_vit_b_32": "benchbench.features.networks.torch_fidelity_nets:ClipViTB32",
    "clip_vit_l_14": "benchbench.features.networks.torch_fidelity_nets:ClipViTL14",
    "vgg16": "benchbench.features.networks.torch_fidelity_nets:VGG16",
    "clip_folder": "benchbench.features.networks.clip_folder:ClipFolder",
    # Families: what stands behind a colon says which, `cnn:digits`.
    "cnn": "benchbench.features.networks.cnn:CNN",
    "modes": "benchbench.features.networks.modes:Modes",
}
