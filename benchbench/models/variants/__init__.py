"""Variants: techniques that make a model smaller or faster, one file each."""

VARIANTS = {
    "channels-last": "benchbench.models.variants.channels_last:ChannelsLast",
    "compile": "benchbench.models.variants.compiled:Compiled",
    "bf16": "benchbench.models.variants.half:BFloat16",
    "fp16": "benchbench.models.variants.half:Float16",
    "depthwise": "benchbench.models.variants.depthwise:Depthwise",
    "pruned": "benchbench.models.variants.pruned:Pruned",
    "pruned-channels": "benchbench.models.variants.pruned:PrunedChannels",
    "int8": "benchbench.models.variants.int8:Int8",
    "fused": "benchbench.models.variants.fused:Fused",
    "steps": "benchbench.models.variants.fewer_steps:FewerSteps",
    "distilled-steps": "benchbench.models.variants.fewer_steps:DistilledSteps",
}
