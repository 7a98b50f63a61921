"""The protocols: which images a model makes and what they are held against."""

# Every task by name, as "module:class"; imported when somebody asks for it (core/registry.py).
TASKS = {
    "generation": "benchbench.tasks.generation:Generation",
    "translation": "benchbench.tasks.translation:Translation",
    "stylization": "benchbench.tasks.stylization:Stylization",
    "classification": "benchbench.tasks.classification:Classification",
    "deblock": "benchbench.tasks.deblock:Deblock",
}
