"""A repository from a Debian source package: fetched by the machine's own apt, pinned by version and sha256."""

_TO_DEB_SRC = """
set -euo pipefail
mkdir -p sources lists/partial
found=
for file in /etc/apt/sources.list.d/*.sources; do
  [ -e "$file" ] || continue
  # deb822: every stanza as a source stanza; Signed-By, Suites and the rest are kept.
  sed -E 's/^Types:.*/Types: deb-src/' "$file" > "sources/$(basename "$file")"
  found=1
done
for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
  [ -e "$file" ] || continue
  # one-line form: options in brackets are kept.
  grep -E '^[[:space:]]*deb(-src)?[[:space:]]' "$file" | sed -E 's/^[[:space:]]*deb(-src)?/deb-src/' | sort -u > "sources/$(basename "$file" .list).list" || true
  if [ -s "sources/$(basename "$file" .list).list" ]; then found=1; else rm -f "sources/$(basename "$file" .list).list"; fi
done
[ -n "$found" ] || { echo "no apt source is configured: neither /etc/apt/sources.list nor a file in /etc/apt/sources.list.d; add Debian 12's main archive" >&2; exit 1; }
"""

def _run(ctx, what, command):
    result = ctx.execute(command, timeout = 600, environment = {"LC_ALL": "C.UTF-8"})
    if result.return_code != 0:
        fail("%s: %s failed:\n%s%s" % (ctx.name, what, result.stdout, result.stderr))
    return result

def _debian_source_impl(ctx):
    _run(ctx, "reading apt's sources", ["bash", "-c", _TO_DEB_SRC])
    here = str(ctx.path("."))
    apt = [
        "apt-get",
        "-q",
        "-o",
        "Dir::Etc::SourceList=/dev/null",
        "-o",
        "Dir::Etc::SourceParts=" + here + "/sources",
        "-o",
        "Dir::State::Lists=" + here + "/lists",
        "-o",
        "Dir::Cache::pkgcache=",
        "-o",
        "Dir::Cache::srcpkgcache=",
        "-o",
        "APT::Sandbox::User=",
        "-o",
        "Acquire::Retries=3",
    ]

    # An archive of no interest may be out of reach: what counts is whether the package can be had.
    ctx.execute(apt + ["update"], timeout = 600, environment = {"LC_ALL": "C.UTF-8"})
    _run(
        ctx,
        "fetching %s=%s (is Debian 12's main archive among apt's sources, and in reach?)" % (ctx.attr.package, ctx.attr.version),
        apt + ["source", "--download-only", ctx.attr.package + "=" + ctx.attr.version],
    )
    digest = _run(ctx, "sha256sum", ["sha256sum", ctx.attr.orig]).stdout.split(" ")[0]
    if digest != ctx.attr.sha256:
        fail("%s: sha256 of %s is %s, expected %s" % (ctx.name, ctx.attr.orig, digest, ctx.attr.sha256))
    _run(ctx, "unpacking", ["tar", "-xf", ctx.attr.orig, "--strip-components=1"])
    _run(ctx, "cleaning", ["bash", "-c", "rm -rf lists sources *.orig.tar.xz *.debian.tar.xz *.dsc; find . -name BUILD -o -name BUILD.bazel -o -name WORKSPACE | xargs -r rm -f"])
    for patch in ctx.attr.patches:
        ctx.patch(patch, strip = 1)
    ctx.symlink(ctx.attr.build_file, "BUILD.bazel")

debian_source = repository_rule(
    implementation = _debian_source_impl,
    attrs = {
        "package": attr.string(mandatory = True),
        "version": attr.string(mandatory = True),
        "orig": attr.string(mandatory = True),
        "sha256": attr.string(mandatory = True),
        "build_file": attr.label(mandatory = True, allow_single_file = True),
        "patches": attr.label_list(allow_files = True),
    },
    doc = "Unpacks the .orig tar of a Debian source package, verified by sha256, below a BUILD file of ours.",
)
