"""The human study: people asked beside the metrics, without being told which model made what."""
