"""Disks that have a URI and no device on the node: a broker reaches them, and we speak NBD to it"""
