#!/usr/bin/env python3
"""Applies the SAM transform to template.yaml for both values of RouteKeys. That the result hangs together under every
condition is cfn-lint's to say."""

from collections import Counter

from samcli.yamlhelper import yaml_parse

from roles import transformed

for route_keys in ("events", "default"):
    with open("template.yaml", encoding="utf-8") as file:
        resources = transformed(yaml_parse(file.read()), RouteKeys=route_keys)["Resources"].values()
    conditional = sum("Condition" in r for r in resources)
    kinds = Counter(r["Type"].removeprefix("AWS::") for r in resources)
    print(f"RouteKeys={route_keys}: {len(resources)} resources, {conditional} of them under a condition:",
          ", ".join(f"{n} {kind}" for kind, n in sorted(kinds.items())))
