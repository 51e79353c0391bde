"""cc_protos: C++ from .proto files by Debian's protoc and grpc_cpp_plugin.

Bazel's own cc_proto_library wants protobuf's sources; Debian ships the compiler and the library.
"""

ProtoSources = provider("The .proto files of a target and of what it imports.", fields = ["files", "roots"])

def _generate_impl(ctx):
    # A file's import path is its path below the root of its workspace.
    root = ctx.label.workspace_root or "."
    out = ctx.bin_dir.path + ("/" + ctx.label.workspace_root if ctx.label.workspace_root else "")
    transitive = depset(ctx.files.srcs, transitive = [dep[ProtoSources].files for dep in ctx.attr.deps])
    roots = depset([root], transitive = [dep[ProtoSources].roots for dep in ctx.attr.deps])
    prefix = ctx.attr.import_root
    arguments = []
    for r in roots.to_list():
        arguments.append("-I" + r)
    if prefix:
        arguments = ["-I" + prefix] + arguments
        out += "/" + prefix
    headers = []
    sources = []
    for src in ctx.files.srcs:
        stem = src.basename[:-len(".proto")]
        sibling = src.short_path
        if sibling.startswith("../"):
            sibling = sibling.split("/", 2)[2]
        package = ctx.label.package + "/" if ctx.label.package else ""
        relative = sibling[len(package):-len(".proto")]
        kinds = [".pb"] + ([".grpc.pb"] if src in ctx.files.services else [])
        for kind in kinds:
            headers.append(ctx.actions.declare_file(relative + kind + ".h"))
            sources.append(ctx.actions.declare_file(relative + kind + ".cc"))
    services = [f.path for f in ctx.files.services]
    messages = [f.path for f in ctx.files.srcs]
    command = "set -e; mkdir -p %s; /usr/bin/protoc %s --cpp_out=%s %s" % (out, " ".join(arguments), out, " ".join(messages))
    if services:
        command += "; /usr/bin/protoc %s --plugin=protoc-gen-grpc=/usr/bin/grpc_cpp_plugin --grpc_out=%s %s" % (" ".join(arguments), out, " ".join(services))
    ctx.actions.run_shell(
        inputs = transitive,
        outputs = headers + sources,
        command = command,
        mnemonic = "Protoc",
        progress_message = "Generating C++ from %{label}",
    )
    return [
        DefaultInfo(files = depset(headers + sources)),
        OutputGroupInfo(headers = depset(headers), sources = depset(sources)),
        ProtoSources(files = transitive, roots = roots),
    ]

_generate = rule(
    implementation = _generate_impl,
    attrs = {
        "srcs": attr.label_list(allow_files = [".proto"]),
        "services": attr.label_list(allow_files = [".proto"]),
        "deps": attr.label_list(providers = [ProtoSources]),
        "import_root": attr.string(),
    },
)

def cc_protos(name, srcs, services = [], deps = [], import_root = "", visibility = None):
    """A cc_library `name` of the messages in srcs; for those also in `services` the gRPC stubs too.

    deps are other cc_protos targets. import_root: the folder that import paths are relative to, if not the workspace's.
    """
    _generate(
        name = name + "_gen",
        srcs = srcs,
        services = services,
        deps = [dep + "_gen" for dep in deps],
        import_root = import_root,
        visibility = visibility,
    )
    native.filegroup(name = name + "_hdrs", srcs = [":" + name + "_gen"], output_group = "headers")
    native.filegroup(name = name + "_srcs", srcs = [":" + name + "_gen"], output_group = "sources")
    native.cc_library(
        name = name,
        srcs = [":" + name + "_srcs"],
        hdrs = [":" + name + "_hdrs"],
        copts = ["-w"],
        includes = [import_root.rpartition("/")[2] if import_root and False else "."] if not import_root else [],
        strip_include_prefix = ("/" + import_root) if import_root else None,
        visibility = visibility,
        deps = deps + ["@gatepost//third_party:protobuf"] + (["@gatepost//third_party:grpc"] if services else []),
    )
