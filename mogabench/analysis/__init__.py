"""What trained networks have learned: the analyses of the paper's figures."""
