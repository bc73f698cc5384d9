"""The host: what it is, what else it does, and who may measure on it.

`host` and `environment` describe it for the manifest, `noise` witnesses what else ran during a
trial, `cgroup` makes memory groups, `lock` lets one measuring command at a time in.
"""
