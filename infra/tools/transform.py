#!/usr/bin/env python3
"""Applies the SAM transform to template.yaml, as CloudFormation does on deployment, for both values of RouteKeys. That the
result hangs together under every condition is cfn-lint's to say."""

import logging
from collections import Counter

from samcli.yamlhelper import yaml_parse
from samtranslator.translator.transform import transform


logging.disable(logging.WARNING)  # SAM's word on metrics of its own


class BasicExecutionRole:
    """The only managed policy that SAM puts into a role by itself."""

    def load(self):
        return {"AWSLambdaBasicExecutionRole": "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"}


for route_keys in ("events", "default"):
    with open("template.yaml", encoding="utf-8") as file:
        template = yaml_parse(file.read())
    template["Globals"]["Function"]["CodeUri"] = "s3://bucket/key"  # as sam deploy packages it
    resources = transform(template, {"RouteKeys": route_keys}, BasicExecutionRole())["Resources"].values()
    conditional = sum("Condition" in r for r in resources)
    kinds = Counter(r["Type"].removeprefix("AWS::") for r in resources)
    print(f"RouteKeys={route_keys}: {len(resources)} resources, {conditional} of them under a condition:",
          ", ".join(f"{n} {kind}" for kind, n in sorted(kinds.items())))
