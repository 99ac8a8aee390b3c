"""Whether an image's file is the one that was meant: checksums, sums files, signatures, and the node's policy"""
