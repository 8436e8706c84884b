"""Intrinsic functions: their values if the template determines them, else why not."""

from __future__ import annotations

from typing import Any

import pytest

from adapter.emulator.template.intrinsics import NO_VALUE, Intrinsics, Unresolved

TEMPLATE: dict[str, Any] = {
    "Parameters": {
        "Name": {"Type": "String", "Default": "shop"},
        "Zones": {"Type": "CommaDelimitedList", "Default": "a, b"},
        "Empty": {"Type": "String"},
        "Stored": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/path"},
    },
    "Mappings": {"Map": {"eu-west-1": {"size": "7"}}},
    "Conditions": {
        "Yes": {"Fn::Equals": [{"Ref": "Name"}, "shop"]},
        "No": {"Fn::Not": [{"Condition": "Yes"}]},
        "Loop": {"Condition": "Loop"},
        **{f"Long{number}": {"Condition": f"Long{number + 1}"} for number in range(5000)},
    },
}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("plain", "plain"),
        ({"a": 1, "b": 2}, {"a": 1, "b": 2}),
        ({"Ref": "Name"}, "shop"),
        ({"Ref": "Zones"}, ["a", "b"]),
        ({"Ref": "AWS::Region"}, "eu-west-1"),
        ({"Ref": "AWS::NoValue"}, NO_VALUE),
        ({"Fn::Sub": "${Name}-${AWS::Region}-${!kept}"}, "shop-eu-west-1-${kept}"),
        ({"Fn::Sub": ["${a}/${Name}", {"a": {"Ref": "Name"}}]}, "shop/shop"),
        ({"Fn::Join": ["-", ["x", {"Ref": "Name"}]]}, "x-shop"),
        ({"Fn::Join": ["-", {"Ref": "Zones"}]}, "a-b"),
        ({"Fn::Select": ["1", {"Fn::Split": [",", "x,y"]}]}, "y"),
        ({"Fn::FindInMap": ["Map", {"Ref": "AWS::Region"}, "size"]}, "7"),
        ({"Fn::If": ["Yes", "1", "2"]}, "1"),
        ({"Fn::If": ["No", "1", {"Ref": "Name"}]}, "shop"),
        ({"Fn::And": [{"Condition": "Yes"}, {"Condition": "No"}]}, "false"),
        ({"Fn::Or": [{"Condition": "Yes"}, {"Condition": "No"}]}, "true"),
    ],
)
def test_a_value_that_the_template_determines(value: Any, expected: Any) -> None:
    assert Intrinsics(TEMPLATE, "eu-west-1").resolve(value) == expected


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"Ref": "Table"}, "Table is a resource, which can be resolved only in a deployed stack"),
        ({"Ref": "Empty"}, "the parameter Empty has no default"),
        ({"Ref": "Stored"}, "the parameter Stored is in Systems Manager; its value is known only in a deployed stack"),
        ({"Ref": ["x"]}, "Ref is malformed"),
        ({"Fn::GetAtt": ["Table", "Arn"]}, "Fn::GetAtt can be resolved only in a deployed stack"),
        ({"Fn::ImportValue": "x"}, "Fn::ImportValue can be resolved only in a deployed stack"),
        ({"Fn::Sub": "${Table.Arn}"}, r"\$\{Table.Arn\} can be resolved only in a deployed stack"),
        ({"Fn::Sub": "{{resolve:ssm:${Name}}}"}, "{{resolve:ssm:shop}} is a dynamic reference"),
        ({"Fn::Join": ["", "text"]}, "a part of the value is not a list"),
        ({"Fn::Join": ["", [{"Ref": "Zones"}]]}, "a part of the value is not a string"),
        ({"Fn::Select": ["9", ["x"]]}, "Fn::Select is malformed"),
        ({"Fn::FindInMap": ["Map", "x", "size"]}, "Fn::FindInMap is malformed"),
        ({"Fn::If": ["Loop", "1", "2"]}, "the condition Loop depends on itself"),
        ({"Fn::If": ["Long0", "1", "2"]}, "malformed"),
        ({"Fn::Not": ["x"]}, "a condition is neither true nor false"),
        ("{{resolve:ssm:/x}}", "is a dynamic reference"),
    ],
)
def test_a_value_that_only_a_stack_knows(value: Any, reason: str) -> None:
    with pytest.raises(Unresolved, match=reason):
        Intrinsics(TEMPLATE, "eu-west-1").resolve(value)
