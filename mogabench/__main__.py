"""``python -m mogabench``, which is what ``torchrun -m`` starts."""

from mogabench.cli import main

main()
