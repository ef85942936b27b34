"""The learned part of the detector: a word's own vector, made once a word, and convolutions over its neighbours."""
