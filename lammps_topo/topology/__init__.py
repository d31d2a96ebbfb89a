"""Topological charges of closed paths in the space of atomic configurations."""
