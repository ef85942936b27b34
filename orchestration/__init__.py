"""Dagster as a whole: definitions, partitions, resources, jobs, sensors, settings, the command line, the local stack.

Importing this package silences every library that would call home, in this process and in those it starts.
Dagster itself is silenced in dagster.yaml.
"""

import os

QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "GX_ANALYTICS_ENABLED": "false",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
}

for _name, _value in QUIET.items():
    os.environ.setdefault(_name, _value)
