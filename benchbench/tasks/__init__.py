"""The protocols: which images a model makes and what they are held against."""

# Every task by name, as "module:class"; imported when somebody asks for it (core/registry.py).
TASKS = {
    "generation": "benchbench.tasks.generation:Generation",
    "translation": "benchbench.tasks.translation:Translation",
    "stylization": "benchbench.tasks.stylization:Stylization",
    "classification": "benchbench.tasks.classification:Classification",
    "likelihood": "benchbench.tasks.likelihood:LikelihoodTask",
    "super-resolution": "benchbench.tasks.restoration.super_resolution:SuperResolution",
    "denoise": "benchbench.tasks.restoration.denoise:Denoise",
    "deblock": "benchbench.tasks.restoration.deblock:Deblock",
    "inpaint": "benchbench.tasks.restoration.inpaint:Inpaint",
    "edit": "benchbench.tasks.edit:EditTask",
    "matching": "benchbench.tasks.matching:Matching",
    "text-to-image": "benchbench.tasks.text_to_image:TextToImage",
    "latent-edit": "benchbench.tasks.latent_edit:LatentEdit",
}
