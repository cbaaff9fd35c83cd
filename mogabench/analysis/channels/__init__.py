"""Channel energy ranks and channel saliency maps (Figure 6; Kong et al., 2022)."""
