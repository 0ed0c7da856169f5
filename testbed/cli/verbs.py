"""The verbs, in the order of a lab's life: each is a module of its section's folder."""

SECTIONS: dict[str, tuple[str, dict[str, str]]] = {  # folder: what --help calls it, its verbs
    "life": (
        "A lab's life",
        {
            "up": "Bring a lab up, or change a running one to what its file says.",
            "down": "Take a lab down; nothing of it remains.",
            "ls": "The labs of this machine.",
            "clean": "Remove what dead labs left behind.",
            "demo": "Bring a lab up and prove it with real pings and curls.",
            "doctor": "What this machine has and lacks for the labs.",
        },
    ),
    "look": (
        "Look",
        {
            "get": "Pods, nodes, Services, ENIs, routes, rules … of a running lab.",
            "describe": "A pod, a node or a Service, with all that belongs to it.",
            "slide": "The workshop's slides beside what the kernel prints.",
            "verify": "Compare the kernel with the plan.",
        },
    ),
    "inside": (
        "Be inside",
        {
            "exec": "Run a command in a pod, node or router.",
            "shell": "A shell in a pod, node or router; without a name, in the lab.",
            "mininet": "Mininet's own prompt over the running lab.",
        },
    ),
    "packets": (
        "Follow packets",
        {
            "ping": "Ping from A to B.",
            "path": "The way from A to B, as the kernels on it would take a packet.",
            "explain": "One packet's life, predicted and followed, told rule by rule.",
            "matrix": "Probe every pair of pods.",
            "clients": "Whom a peer, an office and the internet see, per SNAT setting.",
        },
    ),
    "change": (
        "Change a running lab",
        {
            "apply": "Put Kubernetes manifests into a running lab.",
            "delete": "Take the objects of manifests out of a running lab.",
            "set": "Other settings for the CNI of a running lab.",
            "restart": "The CNI's daemon starts again on a running lab.",
        },
    ),
    "offline": (
        "Without a lab",
        {
            "validate": "Check a topology file without touching the kernel.",
            "schema": "The JSON schema of topology files, for editors.",
            "render": "What kube-proxy or the CNI would write on a node.",
            "ipam": "What ipamD does next for a given data store.",
            "upgrade": "Which subnets are short of addresses for a cluster's update.",
        },
    ),
}
VERBS = {verb: text for _, verbs in SECTIONS.values() for verb, text in verbs.items()}


def place(verb: str) -> str:
    """The module that has the command `VERB_`."""
    folder = next(folder for folder, (_, verbs) in SECTIONS.items() if verb in verbs)
    return f"testbed.cli.{folder}.{verb}"
