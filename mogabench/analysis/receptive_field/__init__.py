"""Effective receptive fields (Luo et al., 2016), as RepLKNet (Ding et al., 2022) reports them."""
