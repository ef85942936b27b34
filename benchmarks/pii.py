"""The PII detector beside vanilla Presidio: what each finds, what it masks without need, and how fast it reads.

Evaluated on ../shared/data/pii (presidio_synth_v2, wnut17's test, pii_anon_clinical), on the generator's held-out
kinds of documents, and for over-redaction on Banking77's queries. How matching is done: governance/privacy/scoring.py.
The detector is trained here, from nothing, or read from `--detector`. `--quick` trains and evaluates on little.
"""
