"""The join of paper and records, and its renderers."""
