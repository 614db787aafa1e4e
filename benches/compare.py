"""Runs kveil and its peers on the same inputs, in turns, and prints a table of medians, ratios and memory. See compare.sh.

Time is that of the whole process, from spawn to reap; memory is its maximum resident set. Both come from the small program in
`spawn/`."""

import argparse
import contextlib
import json
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile

SECONDS = 10.0  # a peer that needs longer is run once


def secret(values, name="many", rng=None):
    """A Secret with this many values of about 40 bytes."""
    rng = rng or random.Random(7)
    head = f"apiVersion: v1\nkind: Secret\nmetadata:\n  name: {name}\ntype: Opaque\nstringData:\n"
    return head + "".join(f"  key-{n:06}: {rng.getrandbits(120):030x}-value\n" for n in range(values))


def block(size):
    lines = "".join(f"    {random.Random(n).getrandbits(240):060x}\n" for n in range(size // 65))
    return "apiVersion: v1\nkind: Secret\nmetadata:\n  name: block\nstringData:\n  file.txt: |\n" + lines


def documents(count):
    return "---\n".join(
        f"apiVersion: v1\nkind: Secret\nmetadata:\n  name: secret-{n:05}\n  labels:\n    app: app-{n % 10}\n  annotations:\n"
        f"    example.org/description: the secret of one of many small applications, made for this table\n"
        f"stringData:\n  password: {random.Random(n).getrandbits(96):024x}\n  user: user-{n:05}\n"
        for n in range(count)
    )


class Lab:
    def __init__(self, options):
        self.options = options
        self.servers = []
        self.dir = tempfile.mkdtemp(prefix="kveil-compare-")
        key = os.path.join(self.dir, "key.txt")
        subprocess.run([options.keygen, "-o", key], check=True, capture_output=True)
        text = open(key, encoding="ascii").read()
        self.recipient = re.search("age1[0-9a-z]+", text)[0]
        identity = re.search("AGE-SECRET-KEY-1[0-9A-Z]+", text)[0]
        self.env = {
            "PATH": os.environ["PATH"], "HOME": self.dir, "SOPS_AGE_KEY_FILE": key, "SOPS_DISABLE_VERSION_CHECK": "1",
            "ROPS_AGE": identity,
        }

    def close(self):
        for server in reversed(self.servers):
            server.stdin.close()
            server.wait()

    def serve(self, program, *arguments):
        """Starts one of the tests' servers, which ends with this process; gives what tells it something, and its ready line."""
        folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../tests/servers")
        argv = [self.options.servers, "-B", os.path.join(folder, program), *arguments]
        server = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.servers.append(server)
        ready = json.loads(server.stdout.readline())

        def tell(command):
            print(json.dumps(command), file=server.stdin, flush=True)
            return json.loads(server.stdout.readline())

        return tell, ready

    def path(self, name):
        return os.path.join(self.dir, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)

    def run(self, argv, stdin=None, stdout=None, codes=(0,)):
        """Seconds and megabytes of one run that ends with one of these exit codes."""
        done = subprocess.run([self.options.spawn, stdin or os.devnull, stdout or os.devnull, *argv], cwd=self.dir, env=self.env, capture_output=True, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr.decode(errors="replace"))
        nanoseconds, kilobytes, code = map(int, done.stdout.split())
        if code not in codes:
            raise RuntimeError(f"{' '.join(argv[:4])} …: exit code {code}: {done.stderr.decode(errors='replace')[:300]}")
        return nanoseconds / 1e9, kilobytes / 1024


class Row:
    def __init__(self, name, command, runs=7, peer_runs=5, must=None, memory=None, slow=False, rops=False, scale=1.0, prepare=None, less=0.0, most=None, most_memory=None, codes=(0,), over=None):
        self.name, self.command, self.runs, self.peer_runs = name, command, runs, peer_runs
        self.must, self.memory, self.slow, self.rops, self.scale, self.prepare, self.less = must, memory, slow, rops, scale, prepare, less
        # Seconds and megabytes that kveil may take.
        self.most, self.most_memory = most, most_memory
        # The exit codes of a run that went well.
        self.codes = codes
        # Seconds that kveil may take longer than what stands beside it.
        self.over = over


def measure(lab, row, tools):
    """Runs the tools in turns, so that a busy minute meets all of them. {tool: (seconds, megabytes)}"""
    samples = {tool: [] for tool in tools}
    wanted = {tool: row.runs if tool == "kveil" else row.peer_runs for tool in tools}
    while any(len(samples[tool]) < wanted[tool] for tool in tools):
        for tool in tools:
            if len(samples[tool]) >= wanted[tool]:
                continue
            if row.prepare:
                row.prepare(tool)
            argv, stdin = row.command(tool)
            samples[tool].append(lab.run(argv, stdin, codes=row.codes))
            if samples[tool][0][0] > SECONDS:
                wanted[tool] = 1
    return {tool: tuple(map(statistics.median, zip(*values))) for tool, values in samples.items()}


def show(seconds):
    return f"{seconds * 1000:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


def main():
    parser = argparse.ArgumentParser()
    for name in ("--kveil", "--sops", "--keygen", "--spawn"):
        parser.add_argument(name, required=True)
    parser.add_argument("--rops")
    parser.add_argument("--servers", help="the Python of the tests' servers; without it no row about key services")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--kustomize", required=True)
    parser.add_argument("--rows", default="")
    options = parser.parse_args()
    lab = Lab(options)
    try:
        with contextlib.closing(lab):
            sys.exit(compare(lab, options))
    finally:
        shutil.rmtree(lab.dir, ignore_errors=True)


def programs(lab, options):
    """How each tool encrypts and decrypts one file: (arguments, standard input)."""
    regex = "^(data|stringData)$"

    def encrypt(file):
        return lambda tool: {
            "kveil": ([options.kveil, "encrypt", "--age", lab.recipient, file], None),
            "sops": ([options.sops, "encrypt", "--age", lab.recipient, "--encrypted-regex", regex, file], None),
            "rops": ([options.rops, "encrypt", "--age", lab.recipient, "--encrypted-regex", regex, "--format", "yaml"], lab.path(file)),
        }[tool]

    def decrypt(stem):
        return lambda tool: {
            "kveil": ([options.kveil, "decrypt", f"{stem}.kveil.yaml"], None),
            "sops": ([options.sops, "decrypt", f"{stem}.sops.yaml"], None),
            "rops": ([options.rops, "decrypt", "--format", "yaml"], lab.path(f"{stem}.rops.yaml")),
        }[tool]

    return encrypt, decrypt


def compare(lab, options):
    encrypt, decrypt = programs(lab, options)
    inputs = {"tiny": secret(3, "tiny"), "ten": secret(10_000), "hundred": secret(100_000), "block": block(900_000), "docs": documents(7_000)}
    for stem, text in inputs.items():
        lab.write(f"{stem}.yaml", text)
    many = [f"small-{n:04}.yaml" for n in range(1000)]
    for n, name in enumerate(many):
        lab.write(name, secret(4, f"small-{n}", random.Random(n)))
    rows = [
        Row("encrypt a Secret of 3 values", encrypt("tiny.yaml"), 41, 21, rops=True),
        Row("decrypt a Secret of 3 values", decrypt("tiny"), 41, 21, must=6, memory=3, rops=True),
        Row("encrypt 10,000 values", encrypt("ten.yaml"), 15, 5, must=20, rops=True),
        Row("decrypt 10,000 values", decrypt("ten"), 15, 5, must=20, rops=True),
        Row("encrypt 100,000 values", encrypt("hundred.yaml"), 5, 1, must=150, slow=True),
        Row("decrypt 100,000 values", decrypt("hundred"), 5, 1, must=150, slow=True),
        Row("encrypt a block value of 900 KB", encrypt("block.yaml"), 15, 7, must=8),
        Row("decrypt a block value of 900 KB", decrypt("block"), 15, 7, must=8),
        Row("encrypt 7,000 documents of 2 MB", encrypt("docs.yaml"), 7, 1, must=20, slow=True),
        Row("decrypt 7,000 documents of 2 MB", decrypt("docs"), 7, 1, must=20, slow=True),
    ]
    rows += thousand(lab, options, many)
    rows += verbs(lab, options, encrypt)
    rows.append(merge(lab, options))
    rows += reviews(lab, options)
    if options.servers:
        rows += services(lab, options)
    rows += kustomize(lab, options)
    rows.append(check(lab, options))
    rows = [row for row in rows if re.search(options.rows, row.name) and not (options.quick and row.slow)]
    if not rows:
        raise SystemExit("no row of that name")
    print(f"kveil {os.path.getsize(options.kveil) >> 10} KB, {os.cpu_count()} cores, medians of whole processes, tools run in turns\n")
    print("| work | kveil | memory | sops | memory | times faster | must | rops | times faster |")
    print("|---|---|---|---|---|---|---|---|---|")
    missed, medians = [], {}
    for row in rows:
        tools = ["kveil", "sops"] + (["rops"] if options.rops and row.rops else [])
        if "decrypt" in row.name and not row.prepare and "1,000" not in row.name:
            seal(lab, row, encrypt, tools)
        result = measure(lab, row, tools)
        medians[row.name] = result
        missed += report(row, result)
    missed += growth(lab, medians)
    for line in missed:
        print(f"missed: {line}")
    return 1 if missed else 0


def seal(lab, row, encrypt, tools):
    """The encrypted files that `decrypt` reads, each tool its own."""
    stem = next(stem for stem, words in {"tiny": "3 values", "ten": "10,000", "hundred": "100,000", "block": "block", "docs": "documents"}.items() if re.search(rf"(?<![\d,]){words}", row.name))
    for tool in tools:
        target = lab.path(f"{stem}.{tool}.yaml")
        # Genuine sops opens what kveil wrote: its own encryption of large files would take minutes.
        if tool == "sops" and row.slow:
            shutil.copy(lab.path(f"{stem}.kveil.yaml"), target)
        else:
            argv, stdin = encrypt(f"{stem}.yaml")(tool)
            lab.run(argv, stdin, target)


def thousand(lab, options, many):
    """1,000 small files: kveil in one call, sops under `xargs -P2` on 300 of them, its time taken for 1,000."""
    share = 300
    listing = "\n".join(many[:share])
    lab.write("listing.txt", listing)
    os.makedirs(lab.path("sealed"), exist_ok=True)
    sealed = False

    def restore(tool):
        for n, name in enumerate(many):
            lab.write(name, secret(4, f"small-{n}", random.Random(n)))

    def sealed_files(tool):
        nonlocal sealed
        if not sealed:
            restore(tool)
            lab.run([options.kveil, "encrypt", "-i", "--age", lab.recipient, *many])
            sealed = True

    xargs = [shutil.which("xargs"), "-P2", "-n1", options.sops]
    regex = "^(data|stringData)$"
    encrypt = lambda tool: ([options.kveil, "encrypt", "-i", "--age", lab.recipient, *many], None) if tool == "kveil" else ([*xargs, "encrypt", "-i", "--age", lab.recipient, "--encrypted-regex", regex], lab.path("listing.txt"))
    decrypt = lambda tool: ([options.kveil, "decrypt", *many], None) if tool == "kveil" else ([*xargs, "decrypt"], lab.path("listing.txt"))
    scale = len(many) / share
    return [
        Row("encrypt 1,000 files in place, verified, fsynced", encrypt, 5, 1, must=15, scale=scale, prepare=restore),
        Row("decrypt 1,000 files", decrypt, 7, 1, must=60, scale=scale, prepare=sealed_files),
    ]


def verbs(lab, options, encrypt):
    """Verbs that change files: kveil in one call, sops in a shell loop over a part of them, its time taken for all."""
    count, share = 500, 50
    names = [f"keys/f-{n:03}.yaml" for n in range(count)]
    os.makedirs(lab.path("keys"), exist_ok=True)
    other = re.search("age1[0-9a-z]+", subprocess.run([options.keygen], check=True, capture_output=True).stderr.decode())[0]
    sealed = {}

    def restore(tool):
        if not sealed:
            for n, name in enumerate(names):
                lab.write(name, secret(4, f"key-{n}", random.Random(n)))
            lab.run([options.kveil, "encrypt", "-i", "--age", lab.recipient, *names])
            sealed.update((name, open(lab.path(name), encoding="utf-8").read()) for name in names)
            lab.write("keys/.sops.yaml", f"creation_rules:\n  - age: {lab.recipient},{other}\n")
            lab.write("keys.txt", "\n".join(names[:share]))
        for name, text in sealed.items():
            lab.write(name, text)

    def one_file(tool):
        lab.run(encrypt("ten.yaml")("kveil")[0], None, lab.path("set.yaml"))
        lab.run(encrypt("tiny.yaml")("kveil")[0], None, lab.path("env.yaml"))
        lab.write("plain.yaml", "password: one\nuser: two\n")
        lab.run([options.sops, "encrypt", "--age", lab.recipient, "plain.yaml"], None, lab.path("flat.yaml"))

    # What the shell of exec-env needs itself.
    shell = statistics.median(lab.run(["/bin/sh", "-c", "true"])[0] for _ in range(21))
    loop = [shutil.which("xargs"), "-n1", options.sops, "--config", "keys/.sops.yaml"]
    index = '["stringData"]["key-005000"]'
    programs = {"kveil": options.kveil, "sops": options.sops}
    update = lambda tool: ([options.kveil, "updatekeys", "-y", *names], None) if tool == "kveil" else ([*loop, "updatekeys", "-y"], lab.path("keys.txt"))
    rotate = lambda tool: ([options.kveil, "rotate", "-i", *names], None) if tool == "kveil" else ([*loop, "rotate", "-i"], lab.path("keys.txt"))
    set_one = lambda tool: ([programs[tool], "set", "set.yaml", index, '"another"'], None)
    run_env = lambda tool: ([programs[tool], "exec-env", "flat.yaml", "true"], None)
    return [
        Row("updatekeys of 500 files", update, 5, 1, must=30, scale=count / share, prepare=restore),
        Row("rotate 500 files", rotate, 5, 1, must=30, scale=count / share, prepare=restore),
        Row("set one of 10,000 values", set_one, 7, 5, must=20, prepare=one_file),
        Row("exec-env of two values, until its shell starts", run_env, 21, 11, must=8, prepare=one_file, less=shell),
    ]


def reviews(lab, options):
    """A commit that touches 200 files: kveil's own diff, and git's with genuine sops as textconv."""
    names = [f"f-{n:03}.yaml" for n in range(200)]
    repository = lab.path("review")
    textconv = f"diff.sops.textconv={options.sops} decrypt"
    within = [shutil.which("env"), "-C", repository]

    def prepare(tool):
        if os.path.isdir(repository):
            return
        git = [*within, "git", "-c", "user.name=t", "-c", "user.email=t@example.org"]
        os.makedirs(repository)
        lab.run([*git, "init", "-q", "."])
        for version in ("old", "new"):
            for n, name in enumerate(names):
                text = secret(4, f"key-{n}", random.Random(n)) if version == "old" else open(lab.path(f"plain-{name}"), encoding="utf-8").read() + f"  added: value-of-{n}\n"
                lab.write(f"plain-{name}", text)
                lab.write(f"review/{name}", text)
            lab.run([*within, options.kveil, "encrypt", "-i", "--age", lab.recipient, *names])
            lab.run([*git, "add", "-A"])
            lab.run([*git, "commit", "-q", "-m", version])
        lab.write("review/.git/info/attributes", "*.yaml diff=sops\n")

    def diff(tool):
        peer = ["git", "-c", textconv, "diff", "HEAD~1", "HEAD"]
        return [*within, *([options.kveil, "diff", "HEAD~1", "HEAD"] if tool == "kveil" else peer)], None

    return [Row("diff of a commit that touches 200 files", diff, 7, 1, must=30, prepare=prepare, codes=(0, 1))]


def services(lab, options):
    """200 files under one key of a service that takes 50 ms to answer: each with a data key of its own, then all with the same."""
    count, share = 200, 40
    folders = {"own": "a data key each", "same": "the same data key"}
    told = []

    def start():
        _, server = lab.serve("gcp_kms.py")
        tell, proxy = lab.serve("faults.py", server["url"])
        way = server["always"] | next(iter(server["ways"].values()))
        lab.env.update({name: value.replace(server["url"], proxy["url"]) for name, value in way.items()})
        recipient = server["recipients"]["key"]
        for folder in folders:
            os.makedirs(lab.path(folder))
            names = [f"{folder}/f-{n:03}.yaml" for n in range(count)]
            for n, name in enumerate(names):
                lab.write(name, secret(4, f"key-{n}", random.Random(n)))
            lab.run([options.kveil, "encrypt", "-i", "--gcp-kms", recipient, *(names if folder == "own" else names[:1])])
            for name in names[1:] if folder == "same" else []:
                shutil.copy(lab.path(names[0]), lab.path(name))
            lab.write(f"{folder}.txt", "\n".join(names[:share]))
        told.append(tell)

    def row(folder):
        names = [f"{folder}/f-{n:03}.yaml" for n in range(count)]

        def prepare(tool):
            if not told:
                start()
            calls = len(told[0]({})["requests"])
            # The run before this one was kveil's if it was sops's turn.
            if tool == "sops" and calls != (1 if folder == "same" else count):
                raise RuntimeError(f"kveil asked {calls} times for {folders[folder]}")
            told[0]({"rules": [{"delay": 0.05}]})

        loop = [shutil.which("xargs"), "-n1", options.sops, "decrypt"]
        command = lambda tool: ([options.kveil, "decrypt", *names], None) if tool == "kveil" else (loop, lab.path(f"{folder}.txt"))
        name = f"decrypt {count} files under one key 50 ms away, {folders[folder]}"
        return Row(name, command, 5, 1, must=10, scale=count / share, prepare=prepare)

    return [row(folder) for folder in folders]


def merge(lab, options):
    """git's merge driver in a repository; beside it, what people script: decrypt three times, merge lines, encrypt."""
    folder = lab.path("merge")

    def prepare(tool):
        if not os.path.isdir(folder):
            os.makedirs(folder)
            subprocess.run(["git", "init", "-q", folder], check=True, capture_output=True)
            lab.write("merge/base.yaml", secret(1_000))
            lab.run([options.kveil, "encrypt", "-i", "--age", lab.recipient, "merge/base.yaml"])
            for side, key in {"ours": "key-000010", "theirs": "key-000900"}.items():
                shutil.copy(lab.path("merge/base.yaml"), lab.path(f"merge/{side}.yaml"))
                lab.run([options.kveil, "set", f"merge/{side}.yaml", f'["stringData"]["{key}"]', '"another"'])
        shutil.copy(lab.path("merge/ours.yaml"), lab.path("merge/result.yaml"))

    scripts = {
        "kveil": f"cd merge && exec {options.kveil} git merge base.yaml result.yaml theirs.yaml 7 secret.yaml",
        "sops": "cd merge && for side in base ours theirs; do "
        f"{options.sops} decrypt $side.yaml > $side.plain || exit; done; git merge-file ours.plain base.plain theirs.plain"
        f" && {options.sops} encrypt --age {lab.recipient} --input-type yaml --output-type yaml ours.plain > result.yaml",
    }
    command = lambda tool: (["/bin/sh", "-c", scripts[tool]], None)
    return Row("merge three versions of 1,000 values", command, 15, 5, most=0.05, prepare=prepare)


FUNCTION = """apiVersion: kveil.dev/v1
kind: Secrets
metadata:
  name: secrets
  annotations:
    config.kubernetes.io/function: |
      exec: {path: PATH, args: [krm]}
files: [FILES]
"""


def kustomize(lab, options):
    """200 Secrets through a generator, beside a shell script that calls sops for each; 50 through `kveil build`, beside kustomize over plain files."""

    def prepare(_):
        if os.path.isdir(lab.path("kustomize")):
            return
        os.makedirs(lab.path("kustomize/plain"))
        names = [f"s-{n:03}.yaml" for n in range(200)]
        for n, name in enumerate(names):
            lab.write(f"kustomize/{name}", secret(4, f"s-{n}", random.Random(n)))
            shutil.copy(lab.path(f"kustomize/{name}"), lab.path("kustomize/plain"))
        lab.run([options.kveil, "encrypt", "-i", "--age", lab.recipient, *(f"kustomize/{name}" for name in names)])
        script = "#!/bin/sh\nfor f in s-*.yaml; do echo ---; SOPS decrypt $f || exit; done\n".replace("SOPS", options.sops)
        lab.write("kustomize/generate.sh", script)
        os.chmod(lab.path("kustomize/generate.sh"), 0o755)
        for tool, program in {"kveil": options.kveil, "sops": "./generate.sh"}.items():
            lab.write(f"kustomize/{tool}.yaml", FUNCTION.replace("PATH", program).replace("FILES", ", ".join(names)))
        files = ", ".join(names[:50])
        lab.write("kustomize/plain/kustomization.yaml", f"resources: [{files}]\n")

    flags = "--enable-alpha-plugins --enable-exec"
    run = f"exec {options.kustomize} build {flags} . > /dev/null"
    generate = lambda tool: (["/bin/sh", "-c", f"cd kustomize && echo 'generators: [{tool}.yaml]' > kustomization.yaml && {run}"], None)
    builds = {
        "kveil": "cd kustomize && cp plain/kustomization.yaml . && "
        f"exec {options.kveil} build --kustomize {options.kustomize} . > /dev/null",
        "sops": f"cd kustomize/plain && exec {options.kustomize} build . > /dev/null",
    }
    build = lambda tool: (["/bin/sh", "-c", builds[tool]], None)
    return [
        Row("kustomize generates 200 Secrets", generate, 9, 3, must=10, prepare=prepare),
        Row("build 50 Secrets, beside kustomize over plain files", build, 21, 21, over=0.05, prepare=prepare),
        getter(lab, options),
    ]


def getter(lab, options):
    """What Helm runs for a values file `secrets://FILE`, beside `sops decrypt`: the least that a plugin of shell has to run."""

    def prepare(_):
        if not os.path.exists(lab.path("values.yaml")):
            lab.write("values.yaml", "".join(f"service{n}:\n  password: hunter2-{n}\n  port: {n}\n" for n in range(20)))
            lab.run([options.kveil, "encrypt", "-i", "--age", lab.recipient, "values.yaml"])

    lines = {
        "kveil": [options.kveil, "helm", "get", "", "", "", "secrets://values.yaml"],
        "sops": [options.sops, "decrypt", "values.yaml"],
    }
    return Row("values of Helm through secrets://", lambda tool: (lines[tool], None), 41, 21, most=0.01, prepare=prepare)


def check(lab, options):
    """A tree of 10,000 manifests, half of them encrypted; beside it, what people have: a process a file that only looks for the block."""
    count, share = 10_000, 100
    sealed = [f"tree/{n % 100:02}/secret-{n:04}.yaml" for n in range(count // 2)]

    def prepare(tool):
        if os.path.isdir(lab.path("tree")):
            return
        for folder in range(100):
            os.makedirs(lab.path(f"tree/{folder:02}"))
        lab.write("tree/.sops.yaml", f"creation_rules:\n  - age: {lab.recipient}\n")
        for n, name in enumerate(sealed):
            lab.write(name, secret(4, f"secret-{n}", random.Random(n)))
            lab.write(name.replace("secret-", "deployment-"), DEPLOYMENT.format(n=n))
        lab.run([options.kveil, "encrypt", "-i", "tree"])
        lab.write("tree.txt", "\n".join(sealed[:share]))

    xargs = [shutil.which("xargs"), "-P2", "-n1", options.sops, "filestatus"]
    command = lambda tool: ([options.kveil, "check", "tree"], None) if tool == "kveil" else (xargs, lab.path("tree.txt"))
    return Row("check 10,000 manifests, half of them encrypted", command, 7, 1, scale=count / share, prepare=prepare, most=1.5, most_memory=100)


DEPLOYMENT = """apiVersion: apps/v1
kind: Deployment
metadata:
  name: app-{n}
  labels: {{app: app-{n}}}
spec:
  replicas: 2
  selector: {{matchLabels: {{app: app-{n}}}}}
  template:
    metadata: {{labels: {{app: app-{n}}}}}
    spec:
      containers:
        - name: app
          image: registry.example.org/app:1.{n}
          ports: [{{containerPort: 8080}}]
          envFrom:
            - secretRef: {{name: secret-{n}}}
"""


def report(row, result):
    """Prints the row; the bounds that it misses."""
    own, own_memory = result["kveil"]
    sops, sops_memory = result["sops"]
    own, sops = own - row.less, (sops - row.less) * row.scale
    ratio = sops / own
    missed = []
    if row.must and ratio < row.must:
        missed.append(f"{row.name}: {ratio:.1f} times faster than sops instead of {row.must}")
    if row.most and own > row.most:
        missed.append(f"{row.name}: {show(own)} instead of {show(row.most)}")
    if row.over and own - sops > row.over:
        missed.append(f"{row.name}: {show(own - sops)} more instead of {show(row.over)}")
    if row.most_memory and own_memory > row.most_memory:
        missed.append(f"{row.name}: {own_memory:.0f} MB instead of {row.most_memory}")
    if row.memory and sops_memory / own_memory < row.memory:
        missed.append(f"{row.name}: 1/{sops_memory / own_memory:.1f} of the memory instead of 1/{row.memory}")
    rops = ("", "")
    if "rops" in result:
        peer = result["rops"][0]
        rops = (show(peer), f"{peer / own:.1f}")
        if peer < own:
            missed.append(f"{row.name}: slower than rops")
    extra = "" if row.scale == 1 else " (from a part)"
    print(f"| {row.name} | {show(own)} | {own_memory:.0f} MB | {show(sops)}{extra} | {sops_memory:.0f} MB | **{ratio:.0f}** | {row.must or ''} | {rops[0]} | {rops[1]} |", flush=True)
    return missed


def growth(lab, medians):
    """Ten times the values: at most twelve times the time; memory at most six times the encrypted file."""
    missed = []
    for verb in ("encrypt", "decrypt"):
        small, large = (medians.get(f"{verb} {count} values") for count in ("10,000", "100,000"))
        if small and large:
            factor = large["kveil"][0] / small["kveil"][0]
            print(f"\n{verb}: 100,000 values take {factor:.1f} times as long as 10,000 (at most 12)")
            if factor > 12:
                missed.append(f"{verb}: {factor:.1f} times the time for 10 times the values")
        if large and os.path.exists(lab.path("hundred.kveil.yaml")):
            size = os.path.getsize(lab.path("hundred.kveil.yaml")) / 2**20
            share = large["kveil"][1] / size
            print(f"{verb}: memory {share:.1f} times the encrypted file of {size:.1f} MB (at most 6)")
            if share > 6:
                missed.append(f"{verb}: memory {share:.1f} times the encrypted file")
    return missed


if __name__ == "__main__":
    main()
