"""Training: the split by subject, LoRA fine-tuning, the floor it must clear, and what MLflow is told of it."""

import os

# OpenMP reads it once, when torch is loaded. By default its threads spin while they wait for each other; as soon as
# another process wants a core too, a training step takes fifty times as long (measured on two shared cores).
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
