"""Fairness of what is put in order before a client: the filter re-ranks, the audit record says what it did."""
