"""Peers: what else could be used, behind the same protocol, one module each."""
