"""Validates objects against Kubernetes' own OpenAPI document and the CRDs of cert-manager and the Prometheus operator, strictly: a field
that the schema does not have is an error."""
import json
import re

import yaml

from gomodules import CERT_MANAGER, KUBERNETES, PROMETHEUS_OPERATOR, module

CRDS = [(CERT_MANAGER, "deploy/crds/crd-certificates.yaml"), (CERT_MANAGER, "deploy/crds/crd-issuers.yaml"),
        (PROMETHEUS_OPERATOR, "example/prometheus-operator-crd/monitoring.coreos.com_podmonitors.yaml"),
        (PROMETHEUS_OPERATOR, "example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml")]


def custom_resource_definitions():
    """cert-manager's and the Prometheus operator's CRDs of the kinds that we use."""
    # cert-manager's are templates of Helm: their labels alone.
    return [yaml.safe_load("\n".join(line for line in (module(name) / path).read_text().splitlines() if "{{" not in line)) for name, path in CRDS]


class Schemas:

    def __init__(self):
        document = json.loads((module(KUBERNETES) / "api" / "openapi-spec" / "swagger.json").read_text())
        self.definitions = document["definitions"]
        self.kinds = {}
        for definition in self.definitions.values():
            for kind in definition.get("x-kubernetes-group-version-kind", []):
                self.kinds[(f"{kind['group']}/{kind['version']}".lstrip("/"), kind["kind"])] = definition
        for definition in custom_resource_definitions():
            resource = definition["spec"]
            for version in resource["versions"]:
                schema = dict(version["schema"]["openAPIV3Schema"])
                schema["properties"] = {**schema["properties"], "metadata": {"$ref": "#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"}}
                self.kinds[(f"{resource['group']}/{version['name']}", resource["names"]["kind"])] = schema

    def errors(self, thing):
        """[what is wrong with one object]"""
        schema = self.kinds.get((thing.get("apiVersion"), thing.get("kind")))
        where = f"{thing.get('kind')} {thing.get('metadata', {}).get('name')}"
        return list(self._check(thing, schema, where)) if schema else [f"{where}: {thing.get('apiVersion')} has no such kind"]

    def _check(self, value, schema, where):
        while "$ref" in schema:
            schema = self.definitions[schema["$ref"].rsplit("/", 1)[1]]
        number_or_text = schema.get("x-kubernetes-int-or-string") or schema.get("format") == "int-or-string"
        kind = None if number_or_text else schema.get("type")
        if number_or_text and not isinstance(value, (int, str)):
            yield f"{where}: neither a number nor text"
        expected = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool, "number": (int, float)}.get(kind)
        if expected and (not isinstance(value, expected) or (isinstance(value, bool) and kind != "boolean")):
            yield f"{where}: {value!r} is not of type {kind}"
            return
        if "enum" in schema and value not in schema["enum"]:
            yield f"{where}: {value!r} is none of {schema['enum']}"
        if "pattern" in schema and isinstance(value, str) and not re.search(schema["pattern"], value):
            yield f"{where}: {value!r} does not match {schema['pattern']}"
        for name in schema.get("required", []):
            if name not in value:
                yield f"{where}: {name} is missing"
        if isinstance(value, dict):
            known, rest = schema.get("properties", {}), schema.get("additionalProperties")
            for name, field in value.items():
                if name in known:
                    yield from self._check(field, known[name], f"{where}.{name}")
                elif isinstance(rest, dict):
                    yield from self._check(field, rest, f"{where}.{name}")
                elif known and not schema.get("x-kubernetes-preserve-unknown-fields"):
                    yield f"{where}: there is no field {name}"
        elif isinstance(value, list) and "items" in schema:
            for index, item in enumerate(value):
                yield from self._check(item, schema["items"], f"{where}[{index}]")
