"""Dashboards of others: what is told of a run while it goes on, and records put there afterwards."""

# Every sink by name, as "module:class"; imported when somebody asks for it (core/registry.py).
SINKS = {
    "tensorboard": "benchbench.sinks.tensorboard:TensorBoard",
    "wandb": "benchbench.sinks.wandb:WeightsAndBiases",
    "mlflow": "benchbench.sinks.mlflow:MLflow",
}
