"""The paper's ablations: what each network costs, and what it reaches after a short training."""
