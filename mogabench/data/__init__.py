"""Opening, identifying and describing data."""
