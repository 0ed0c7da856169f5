"""The verbs, in the order of a lab's life: which module has each, and what it is for."""

Entry = tuple[str, str]  # the module of testbed.cli, the line of `testbed --help`

SECTIONS: dict[str, dict[str, Entry]] = {
    "A lab's life": {
        "up": ("lifecycle", "Bring a lab up, or change a running one to what its file says."),
        "down": ("lifecycle", "Take a lab down; nothing of it remains."),
        "ls": ("lifecycle", "The labs of this machine."),
        "clean": ("lifecycle", "Remove what dead labs left behind."),
        "demo": ("demo", "Bring a lab up and prove it with real pings and curls."),
        "doctor": ("describe", "What this machine has and lacks for the labs."),
    },
    "Look": {
        "get": ("look", "Pods, nodes, Services, ENIs, routes, rules … of a running lab."),
        "describe": ("services", "A Service: its addresses, endpoints, and rules on a node."),
        "slide": ("look", "The workshop's slides beside what the kernel prints."),
        "verify": ("check", "Compare the kernel with the plan."),
    },
    "Be inside": {
        "exec": ("inside", "Run a command in a pod, node or router."),
        "shell": ("inside", "A shell in a pod, node or router; without a name, in the lab."),
        "mininet": ("inside", "Mininet's own prompt over the running lab."),
    },
    "Follow packets": {
        "ping": ("check", "Ping from A to B."),
        "path": ("look", "The way from A to B, as the kernels on it would take a packet."),
        "explain": ("explain", "One packet's life, predicted and followed, told rule by rule."),
        "matrix": ("check", "Probe every pair of pods."),
        "clients": ("clients", "Whom a peer, an office and the internet see, per SNAT setting."),
    },
    "Change a running lab": {
        "apply": ("manifests", "Put Kubernetes manifests into a running lab."),
        "delete": ("manifests", "Take the objects of manifests out of a running lab."),
        "set": ("rollout", "Other settings for the CNI of a running lab."),
        "restart": ("restart", "The CNI's daemon starts again on a running lab."),
    },
    "Without a lab": {
        "validate": ("describe", "Check a topology file without touching the kernel."),
        "schema": ("describe", "The JSON schema of topology files, for editors."),
        "render": ("render", "What kube-proxy or the CNI would write on a node."),
        "ipam": ("ipam", "What ipamD does next for a given data store."),
        "upgrade": ("upgrade", "Which subnets are short of addresses for a cluster's update."),
    },
}
VERBS: dict[str, Entry] = {
    verb: entry for section in SECTIONS.values() for verb, entry in section.items()
}
