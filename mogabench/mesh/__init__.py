"""3D hands and faces: ExPose's regressor, the body models it drives, its data and its metrics."""
