#!/usr/bin/env python3
# SPDX-License-Identifier: MPL-2.0
"""`sops config schema` judges configurations as `sops config explain` reads them.

Each case is a configuration in JSON, which is YAML too, and whether both must take it. Expectations: config.md 2 and 3. Without the
Python package jsonschema only the structure of the schema is checked, and the test counts as skipped (status 77).

    config_schema.py --sops PROGRAM
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

AGE = "age1q2r830vhuuedr3duqxm7tqpu5hhlwem2ylr7kjqlzddx0kdaqa3sq4fdc0"
RULE = {"age": AGE}
# What stands there, and whether it is a configuration.
CASES = [
    ({}, True),
    ({"creation_rules": None, "destination_rules": None, "stores": None}, True),
    ({"creation_rules": [RULE, None]}, True),
    ({"x-anchors": [1], "creation_rules": [RULE | {"unknown": [1]}]}, True),
    ({"creation_rules": RULE}, False),
    ({"creation_rules": "x"}, False),
    ({"creation_rules": ["x"]}, False),
    ({"creation_rules": [RULE | {"path_regex": 5}]}, True),
    ({"creation_rules": [RULE | {"path_regex": None}]}, True),
    ({"creation_rules": [RULE | {"path_regex": ["a"]}]}, False),
    ({"creation_rules": [RULE | {"shamir_threshold": 2}]}, True),
    ({"creation_rules": [RULE | {"shamir_threshold": 2.5}]}, True),
    ({"creation_rules": [RULE | {"shamir_threshold": "2"}]}, False),
    ({"creation_rules": [RULE | {"mac_only_encrypted": True}]}, True),
    ({"creation_rules": [RULE | {"mac_only_encrypted": "yes"}]}, True),
    ({"creation_rules": [RULE | {"mac_only_encrypted": "true"}]}, False),
    ({"creation_rules": [RULE | {"mac_only_encrypted": 1}]}, False),
    ({"creation_rules": [{"age": [AGE]}]}, True),
    ({"creation_rules": [{"age": 5}]}, False),
    ({"creation_rules": [{"age": {"a": "b"}}]}, False),
    ({"creation_rules": [{"age": [5]}]}, False),
    ({"creation_rules": [{"key_groups": [{"age": [AGE], "merge": [{"age": [AGE]}]}, None]}]}, True),
    ({"creation_rules": [{"key_groups": [{"age": AGE}]}]}, False),
    ({"creation_rules": [{"key_groups": {"age": [AGE]}}]}, False),
    ({"creation_rules": [{"key_groups": [{"age": [AGE], "merge": {"age": [AGE]}}]}]}, False),
    ({"creation_rules": [RULE, {"key_groups": [{"kms": [{"arn": "a", "role": "r", "context": {"a": "b"}, "aws_profile": "p"}]}]}]}, True),
    ({"creation_rules": [RULE, {"key_groups": [{"kms": ["arn"]}]}]}, False),
    ({"creation_rules": [RULE, {"key_groups": [{"kms": [{"arn": "a", "context": "b"}]}]}]}, False),
    ({"creation_rules": [RULE, {"key_groups": [{"gcp_kms": [{"resource_id": "a"}], "hckms": [{"key_id": "a:b"}],
                                                "azure_keyvault": [{"vaultUrl": "u", "key": "k", "version": "v"}],
                                                "hc_vault": ["https://v/v1/transit/keys/k"], "pgp": ["F"]}]}]}, True),
    ({"creation_rules": [RULE, {"key_groups": [{"hc_vault": "https://v"}]}]}, False),
    ({"destination_rules": [{"s3_bucket": "b", "vault_kv_version": 1, "omit_extensions": False, "recreation_rule": RULE}]}, True),
    ({"destination_rules": [{"recreation_rule": "x"}]}, False),
    ({"destination_rules": [{"vault_kv_version": "1"}]}, False),
    ({"destination_rules": {}}, False),
    ({"stores": {"yaml": {"indent": 2}, "json": {"indent": -1}, "json_binary": {}, "dotenv": None, "ini": {"x": 1}}}, True),
    ({"stores": {"yaml": {"indent": "2"}}}, False),
    ({"stores": {"yaml": 2}}, False),
    ({"stores": []}, False),
    ({"config": {"lookup": "target"}}, True),
    ([], False),
    ("x", False),
]


def references(schema):
    """All `$ref` in it."""
    if isinstance(schema, dict):
        for name, value in schema.items():
            if name == "$ref":
                yield value
            else:
                yield from references(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from references(value)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sops", required=True)
    options = parser.parse_args()
    printed = subprocess.run([options.sops, "config", "schema"], capture_output=True, text=True, check=True).stdout
    schema = json.loads(printed)
    failures = []
    for reference in references(schema):
        if reference.removeprefix("#/$defs/") not in schema["$defs"]:
            failures.append(f"{reference} leads nowhere")
    for name, definition in ({"": schema} | schema["$defs"]).items():
        for key, setting in definition["properties"].items():
            if not setting.get("description") or not {"type", "enum", "anyOf"} & setting.keys():
                failures.append(f"{name}.{key} has no description or no type")

    try:
        import jsonschema
    except ImportError:
        jsonschema = None
    if jsonschema is not None:
        jsonschema.Draft202012Validator.check_schema(schema)
        validator = jsonschema.Draft202012Validator(schema)
    for configuration, is_valid in CASES:
        text = json.dumps(configuration)
        if jsonschema is not None and validator.is_valid(configuration) != is_valid:
            failures.append(f"the schema takes it for {'wrong' if is_valid else 'right'}: {text}")
        with tempfile.TemporaryDirectory(prefix="sops-schema-") as folder:
            path = pathlib.Path(folder) / "config.yaml"
            path.write_text(text)
            # A key on the command line: what is asked is whether the configuration is read, not whether it has keys.
            run = subprocess.run([options.sops, "--config", str(path), "config", "explain", "--age", AGE, "x5.yaml"], capture_output=True,
                                 text=True)
        if (run.returncode == 0) != is_valid:
            failures.append(f"sops takes it for {'wrong' if is_valid else 'right'}: {text}: {run.stderr}")
    for failure in failures:
        print(failure)
    if failures:
        return 1
    if jsonschema is None:
        print("SKIPPED: the Python package jsonschema is not installed: only the structure of the schema was checked")
        return 77
    return 0


if __name__ == "__main__":
    sys.exit(main())
