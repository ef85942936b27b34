"""The gate: the statistics that decide whether a candidate may be signed, and the report that says so."""
