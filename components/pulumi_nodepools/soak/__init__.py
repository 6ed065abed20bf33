"""What a soak looks for, what it has seen, and whether that is enough. Pure: text and numbers in, findings out.

Standard library only, but for `custom`: the collector runs these very modules inside the cluster on a plain Python
image. Reading logs and keeping evidence are for `cluster` and `collector`.
"""
