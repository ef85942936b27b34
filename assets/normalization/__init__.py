"""Normalization: files of any accepted form in, one typed table out; what is not fit for it lies in quarantine."""
