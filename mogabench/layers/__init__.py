"""Building blocks of the networks in `mogabench.models`, and what their families share."""
