"""Statements of what the service reads; built here and run by callers, on synchronous or asynchronous connections.

Each selects the columns that its name promises, with text ids, and takes filters as keyword arguments: None leaves a
filter out. Ids are null where a total spans a whole dimension.
"""
