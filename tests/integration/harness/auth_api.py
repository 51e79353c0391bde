"""The auth service's API over gRPC, as an administrator calls it, from the .proto files themselves (relative to the checkout, or to a test's
runfiles: `data = ["//proto/gatepost/auth/v1:sources"]`).

    api = AuthApi(cluster)
    user = api.call("UserService.GetUser", name="users/alice")
"""
import pathlib
import subprocess
import zipfile

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

COMMON = "/usr/share/java/proto-google-common-protos.jar"  # google/api/*.proto
PACKAGE = "gatepost.auth.v1"


class AuthApi:
    def __init__(self, cluster):
        self.pool = self._descriptors(cluster.folder / "protos")
        files = dict(zip(("cert", "key", "ca"), cluster.identity("admin", "test")[1::2]))
        read = {name: pathlib.Path(path).read_bytes() for name, path in files.items()}
        credentials = grpc.ssl_channel_credentials(read["ca"], read["key"], read["cert"])
        self.channel = grpc.secure_channel(f"127.0.0.1:{cluster.auth_port}", credentials)

    @staticmethod
    def _descriptors(folder):
        with zipfile.ZipFile(COMMON) as jar:
            jar.extractall(folder, [name for name in jar.namelist() if name.startswith("google/api/") and name.endswith(".proto")])
        sources = sorted(pathlib.Path("proto/gatepost/auth/v1").glob("*.proto"))
        subprocess.run(["protoc", "-Iproto", f"-I{folder}", "--include_imports", f"--descriptor_set_out={folder}/set", *map(str, sources)],
                       check=True, timeout=30)
        pool = descriptor_pool.DescriptorPool()
        for file in descriptor_pb2.FileDescriptorSet.FromString((folder / "set").read_bytes()).file:
            pool.Add(file)
        return pool

    def call(self, method, **request):
        """The answer as JSON's mapping has it. grpc.RpcError."""
        service, name = method.split(".")
        described = self.pool.FindServiceByName(f"{PACKAGE}.{service}").methods_by_name[name]
        factory = message_factory.MessageFactory(self.pool)
        message = json_format.ParseDict(request, factory.GetPrototype(described.input_type)(), descriptor_pool=self.pool)
        run = self.channel.unary_unary(f"/{PACKAGE}.{service}/{name}", request_serializer=lambda m: m.SerializeToString(),
                                       response_deserializer=factory.GetPrototype(described.output_type).FromString)
        return json_format.MessageToDict(run(message, timeout=20), descriptor_pool=self.pool)

    def close(self):
        self.channel.close()
