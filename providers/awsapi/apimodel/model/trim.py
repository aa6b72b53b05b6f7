#!/usr/bin/env python3
"""Writes the API models of this directory from the botocore that is installed.

What stays is the shape of requests: members, types, required members, ranges, patterns
and enums. Texts and responses go.
"""
import gzip
import json
import os

import botocore

HERE = os.path.dirname(os.path.abspath(__file__))
# Services with few operations are kept whole; of the others, those that apron may use.
OPERATIONS = {
    "apprunner": None,
    "ecr": None,
    "sts": ["GetCallerIdentity"],
    "secretsmanager": None,
    "route53": ["CreateHostedZone", "ListHostedZones", "ListHostedZonesByName", "GetHostedZone", "DeleteHostedZone",
                "ListResourceRecordSets", "ChangeResourceRecordSets", "GetChange", "ListTagsForResource", "ChangeTagsForResource"],
    "wafv2": ["CreateWebACL", "DeleteWebACL", "GetWebACL", "ListWebACLs", "AssociateWebACL", "DisassociateWebACL", "GetWebACLForResource", "ListResourcesForWebACL"],
    "service-quotas": None,
    "kms": ["DescribeKey", "ListAliases", "ListKeys", "GetKeyPolicy"],
    "cloudtrail": ["LookupEvents"],
    "resourcegroupstaggingapi": ["GetResources"],
    "cloudwatch": ["GetMetricData", "GetMetricStatistics", "ListMetrics"],
    "logs": ["DescribeLogGroups", "DescribeLogStreams", "FilterLogEvents", "GetLogEvents", "DeleteLogGroup", "PutRetentionPolicy",
             "StartLiveTail", "TagResource", "ListTagsForResource"],
    "ssm": ["PutParameter", "GetParameter", "GetParameters", "GetParametersByPath", "DescribeParameters", "DeleteParameter",
            "DeleteParameters", "AddTagsToResource", "RemoveTagsFromResource", "ListTagsForResource", "GetParameterHistory"],
    "iam": ["CreateRole", "GetRole", "ListRoles", "GetAccountAuthorizationDetails", "UpdateRole", "UpdateAssumeRolePolicy", "DeleteRole", "TagRole", "UntagRole",
            "ListRoleTags", "AttachRolePolicy", "DetachRolePolicy", "ListAttachedRolePolicies", "PutRolePolicy", "GetRolePolicy",
            "DeleteRolePolicy", "ListRolePolicies", "GetPolicy", "GetPolicyVersion", "SimulatePrincipalPolicy"],
    "ec2": ["DescribeVpcs", "DescribeSubnets", "DescribeSecurityGroups", "DescribeVpcEndpoints", "CreateVpcEndpoint", "DeleteVpcEndpoints"],
}
KEPT = {"type", "required", "members", "member", "key", "value", "min", "max", "pattern", "enum", "flattened",
        "location", "locationName", "queryName", "shape", "payload", "document", "union", "box"}


def trim(node):
    if isinstance(node, dict):
        return {k: {n: trim(m) for n, m in v.items()} if k == "members" else trim(v) for k, v in node.items() if k in KEPT}
    return node


def reach(shapes, name, seen):
    if name in seen:
        return
    shape = seen[name] = trim(shapes[name])
    for ref in [*shape.get("members", {}).values(), *(shape[k] for k in ("member", "key", "value") if k in shape)]:
        reach(shapes, ref["shape"], seen)


for service, wanted in OPERATIONS.items():
    root = os.path.join(os.path.dirname(botocore.__file__), "data", service)
    with gzip.open(os.path.join(root, sorted(os.listdir(root))[-1], "service-2.json.gz")) as f:
        model = json.load(f)
    meta, shapes, operations = model["metadata"], {}, {}
    for name in sorted(wanted or model["operations"]):
        op = model["operations"][name]
        operations[name] = {"method": op["http"]["method"], "uri": op["http"]["requestUri"]}
        if "input" in op:
            operations[name]["input"] = op["input"]["shape"]
            reach(model["shapes"], op["input"]["shape"], shapes)
    out = {"botocore": botocore.__version__, "service": meta.get("signingName", meta["endpointPrefix"]), "version": meta["apiVersion"],
           "protocol": meta["protocol"], "target": meta.get("targetPrefix", ""), "operations": operations, "shapes": dict(sorted(shapes.items()))}
    with open(os.path.join(HERE, service + ".json"), "w") as f:
        json.dump(out, f, indent=0, separators=(",", ":"))
        f.write("\n")
