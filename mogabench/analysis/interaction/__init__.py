"""Multi-order interaction strength between patches (Appendix B.1; Figures 3, 7 and A2)."""
