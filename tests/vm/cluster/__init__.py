"""A real Ganeti cluster of one node, in namespaces of its own"""
