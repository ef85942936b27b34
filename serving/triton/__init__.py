"""A region's Triton: installation, command line, repository of models, backend, client."""
