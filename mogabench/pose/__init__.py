"""2D human pose on COCO's key points: SimpleBaseline, its data pipeline and its evaluation."""
