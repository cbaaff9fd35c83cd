"""The engine: mmengine's Runner, fed by timm, resumable to the bit."""
