"""What image classification alone needs: images in class folders, the network in training."""
