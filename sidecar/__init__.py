"""The health sidecar: asks an app's dependencies, answers the kubelet's probes.

Read `docs/architecture.md` for the rooms. From the bottom: `support` helps, `core` decides, `config`
describes, `runtime` drives, `checks` ask, `web` and `metrics` tell, `app` puts them together,
`cli` has the verbs.
"""

__version__ = "0.1.0"
