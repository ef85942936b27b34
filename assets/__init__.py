"""The stages of the line, a package each: a thin `assets.py` over plain modules that never import dagster."""
