"""Layers and small functions that the networks of several plugins are made of. It registers nothing."""
