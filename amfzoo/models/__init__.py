"""The networks: two timm backbones, a fusion block, one head per task."""
