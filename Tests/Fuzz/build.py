# SPDX-License-Identifier: Apache-2.0
"""Builds the fuzzing program: the package's own modules with libFuzzer and the address sanitizer, linked with the packages it depends
on as the ordinary debug build has made them. Called by Tests/Fuzz/run; prints the path of the program."""
import concurrent.futures
import json
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / ".build/fuzz"
DEBUG = ROOT / ".build/debug"
PROGRAM = OUT / "martlet-fuzz"
FLAGS = ["-sanitize=fuzzer,address", "-parse-as-library", "-O", "-swift-version", "6", "-enable-testing", "-package-name", "main"]
TOP = "MartletServer"


def run(*command):
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command[:8]))} … failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def targets():
    """The modules that the server stands on: name to (kind, names of the modules that it needs)."""
    package = json.loads(run("swift", "package", "dump-package"))
    every = {target["name"]: (target["type"], [name[0] for one in target["dependencies"] for name in one.values()])
             for target in package["targets"]}
    found = {}

    def visit(name):
        if name in found or name not in every:
            return
        kind, needs = every[name]
        found[name] = (kind, [need for need in needs if need in every])
        for need in needs:
            visit(need)

    visit(TOP)
    return found


def dependency_flags():
    """Where the headers and modules of C and of other packages lie, as SwiftPM has found out for the debug build."""
    manifest = (ROOT / ".build/debug.yaml").read_text()
    start = manifest.index(f'"C.{TOP}-')
    arguments = json.loads(re.search(r"args: (\[.*\])", manifest[start:]).group(1))
    flags, rest = [], iter(arguments)
    for argument in rest:
        if argument == "-Xcc":
            value = next(rest)
            if value == "-I" or value.startswith("-fmodule-map-file="):
                flags += ["-Xcc", value]
                if value == "-I":
                    flags += [next(rest), next(rest)]
        elif argument == "-I":
            flags += ["-I", next(rest)]
        elif argument.startswith("-I"):
            flags.append(argument)
    return flags


def is_old(product, sources):
    return not product.exists() or any(source.stat().st_mtime > product.stat().st_mtime for source in sources)


def build():
    if not (ROOT / ".build/debug.yaml").exists():
        run("swift", "build", "--build-tests")
    OUT.mkdir(parents=True, exist_ok=True)
    modules = targets()
    flags = FLAGS + ["-I", str(OUT)] + dependency_flags()
    sources = {name: sorted((ROOT / "Sources" / name).rglob("*.swift")) for name, (kind, _) in modules.items() if kind == "regular"}
    sources = {name: files for name, files in sources.items() if files}
    compiled = {}

    def parts(name):
        """The module's objects: of one that nothing compiles beside, one for each of as many threads as there are processors."""
        return [OUT / f"{name}-parts" / f"{index}.o" for index in range(len(sources[name]))] if name == TOP else [OUT / f"{name}.o"]

    def in_parts(name):
        objects = parts(name)
        objects[0].parent.mkdir(exist_ok=True)
        places = OUT / f"{name}.places.json"
        places.write_text(json.dumps({str(source): {"object": str(one)} for source, one in zip(sources[name], objects)}))
        return ["-num-threads", str(os.cpu_count()), "-output-file-map", str(places), "-c"]

    def compile_module(name):
        for need in modules[name][1]:
            if need in compiled:
                compiled[need].result()
        needs = [OUT / f"{need}.swiftmodule" for need in modules[name][1] if need in sources]
        products = parts(name)
        if any(is_old(product, sources[name] + needs) for product in products):
            print(f"Compiling {name} for fuzzing", file=sys.stderr)
            run("swiftc", *flags, "-wmo", "-module-name", name, "-emit-module", "-emit-module-path", str(OUT / f"{name}.swiftmodule"),
                *(in_parts(name) if len(products) > 1 else ["-emit-object", "-o", str(products[0])]), *map(str, sources[name]))
            # The compiler leaves a file alone that would be the same.
            for product in products:
                product.touch()

    # A module is submitted behind those that it needs, so that whoever waits never keeps a place from whom it waits for.
    order = []

    def place(name):
        if name in sources and name not in order:
            for need in modules[name][1]:
                place(need)
            order.append(name)

    for name in sources:
        place(name)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for name in order:
            compiled[name] = pool.submit(compile_module, name)
        for future in compiled.values():
            future.result()

    own = {f"{name}.build" for name in sources} | {"martlet.build"}
    listed = (DEBUG / "martlet.product/Objects.LinkFileList").read_text().split("\n")
    objects = [line.strip("'\"") for line in listed if line.strip()]
    others = [one for one in objects if not any(f"/{folder}/" in one for folder in own)]
    # The sessions without sockets are those of the unit tests.
    shared = [ROOT / "Tests/MartletServerTests/Sessions" / name for name in ("SessionBench.swift", "SessionFakeEngine.swift")]
    targets_folder = sorted((ROOT / "Tests/Fuzz").rglob("*.swift")) + shared
    objects_own = [one for name in order for one in parts(name)]
    if is_old(PROGRAM, targets_folder + objects_own):
        libraries = run("pkg-config", "--libs", "libavcodec", "libavformat", "libavutil", "libswscale", "libswresample", "openssl").split()
        response = OUT / "objects.txt"
        # What stands above the server in the package isn't needed; its objects would ask for modules that were not built.
        skipped = ("/Benchmarks.build/", "/StreamClients.build/", "/Mixing.build/", "/NetworkRelay.build/", "/NetworkEmulator.build/",
                   "/MediaTools.build/", "/ArgumentParser")
        response.write_text("\n".join(f'"{one}"' for one in list(map(str, objects_own)) + others if not any(part in one for part in skipped)))
        done = subprocess.run(["swiftc", *flags, "-module-name", "Fuzz", "-o", str(PROGRAM), *map(str, targets_folder), f"@{response}", *libraries, "-lz"],
                              cwd=ROOT, capture_output=True, text=True)
        if done.returncode:
            errors = [line for line in (done.stdout + done.stderr).split("\n") if "Cannot export local symbol" not in line]
            sys.exit("linking failed:\n" + "\n".join(errors)[-8000:])
    print(PROGRAM)


build()
