"""Grad-CAM activation maps of trained classifiers (Appendix B.2; Figures 5, 8 and A4)."""
