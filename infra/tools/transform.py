#!/usr/bin/env python3
"""Applies the SAM transform to template.yaml for both values of RouteKeys. That the result hangs together under every
condition is cfn-lint's to say."""

from collections import Counter

from samcli.yamlhelper import yaml_parse

from roles import transformed

for route_keys in ("events", "default"):
    with open("template.yaml", encoding="utf-8") as file:
        resources = transformed(yaml_parse(file.read()), RouteKeys=route_keys)["Resources"]
    # A stage that deploys by itself and is made before any route fails to deploy; it can wait only for what is always there.
    routes = {name for name, r in resources.items() if r["Type"] == "AWS::ApiGatewayV2::Route" and "Condition" not in r}
    waits = set(resources["Stage"].get("DependsOn", []))
    assert waits == routes, f"Stage waits for {sorted(waits)}, and has to for {sorted(routes)}"
    # LOG_LEVEL alone decides: by default Lambda drops the lines below INFO.
    for name, r in resources.items():
        level = r["Properties"].get("LoggingConfig", {}).get("ApplicationLogLevel")
        assert r["Type"] != "AWS::Lambda::Function" or level == "TRACE", f"{name}: ApplicationLogLevel is {level}"
    resources = resources.values()
    conditional = sum("Condition" in r for r in resources)
    kinds = Counter(r["Type"].removeprefix("AWS::") for r in resources)
    print(f"RouteKeys={route_keys}: {len(resources)} resources, {conditional} of them under a condition:",
          ", ".join(f"{n} {kind}" for kind, n in sorted(kinds.items())))
