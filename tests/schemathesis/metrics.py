"""Reads metrics as Prometheus' own client does, and tells what they are."""

import json
import sys

from prometheus_client.parser import text_string_to_metric_families

families = []
for family in text_string_to_metric_families(sys.stdin.read()):
    assert family.documentation.endswith(" Of this isolate."), family
    values = {}
    for sample in family.samples:
        assert len(sample.labels["isolate"]) == 8, sample
        key = (sample.name, tuple(sorted(sample.labels.items())))
        assert key not in values, f"{key} is there twice"
        values[key] = sample.value
    if family.type == "histogram":
        buckets = [sample.value for sample in family.samples if sample.name.endswith("_bucket")]
        count = next(sample.value for sample in family.samples if sample.name.endswith("_count"))
        assert buckets == sorted(buckets) and buckets[-1] == count, family
    families.append({"name": family.name, "type": family.type, "total": sum(values.values())})
json.dump(families, sys.stdout)
