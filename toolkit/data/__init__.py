"""The columnar tables that flow between the stages, and their fingerprint."""
