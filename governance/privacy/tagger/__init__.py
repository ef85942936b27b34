"""The learned part of the detector: each word's own vector, once a word, and a small convolution over its neighbours."""
