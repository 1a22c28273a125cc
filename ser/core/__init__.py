"""The ground floor: errors, whole-or-nothing files, configuration, logging, seeds, stage marks.

Imports nothing else of this package.
"""
