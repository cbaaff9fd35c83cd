"""What video prediction alone needs: moving digits, the predictor, its quality and pictures."""
