"""google/rpc, google/api and grpc/health/v1 from Debian's packages, as one repository of .proto files."""

_JAR = "/usr/share/java/proto-google-common-protos.jar"
_HEALTH = "/usr/share/grpc-proto/grpc/health/v1/health.proto"

def _google_protos_impl(ctx):
    for path, package in [(_JAR, "libgoogle-common-protos-java"), (_HEALTH, "grpc-proto")]:
        if not ctx.path(path).exists:
            fail("%s is missing: install the Debian package %s (deploy/local/install build)" % (path, package))
    result = ctx.execute(["unzip", "-q", "-o", _JAR, "google/rpc/*.proto", "google/api/*.proto"])
    if result.return_code != 0:
        fail("unzip %s: %s" % (_JAR, result.stderr))
    ctx.execute(["mkdir", "-p", "grpc/health/v1"])
    ctx.symlink(_HEALTH, "grpc/health/v1/health.proto")

    # Debian's jar is older than ErrorInfo (google/rpc/error_details.proto, 2020): the message by itself, as published.
    ctx.file("google/rpc/error_info.proto", """
syntax = "proto3";
package google.rpc;
message ErrorInfo {
  string reason = 1;
  string domain = 2;
  map<string, string> metadata = 3;
}
""")
    ctx.file("BUILD.bazel", """
load("@gatepost//third_party/proto:proto.bzl", "cc_protos")

package(default_visibility = ["//visibility:public"])

cc_protos(
    name = "rpc",
    srcs = ["google/rpc/code.proto", "google/rpc/error_details.proto", "google/rpc/error_info.proto", "google/rpc/status.proto"],
)

cc_protos(
    name = "api",
    srcs = ["google/api/field_behavior.proto", "google/api/resource.proto", "google/api/annotations.proto", "google/api/http.proto", "google/api/client.proto"],
)

cc_protos(
    name = "health",
    srcs = ["grpc/health/v1/health.proto"],
    services = ["grpc/health/v1/health.proto"],
)
""")

google_protos = repository_rule(implementation = _google_protos_impl)
