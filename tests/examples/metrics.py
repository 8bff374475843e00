"""What metrics_host tells Prometheus: metrics.py METRICS SUM, two files. Prints what is wrong, if anything is.

The text is read by the parser of OpenMetrics that Prometheus's own client library has, which is strict; and
then looked at as what Halo's numbers have to be.
"""

import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families

TENANTS = {"tenant-1", "tenant-2", "tenant-3"}
wrong = []


def expect(holds, what):
    if not holds:
        wrong.append(what)


def read(path):
    with open(path) as file:
        return {family.name: family for family in text_string_to_metric_families(file.read())}


def samples(family, suffix, sandbox=None):
    return [s for s in family.samples if s.name == family.name + suffix and s.labels.get("sandbox") == sandbox]


def check_histogram(family, sandbox):
    buckets = samples(family, "_bucket", sandbox)
    bounds = [float(s.labels["le"]) for s in buckets]
    counts = [s.value for s in buckets]
    expect(len(buckets) == 32 and bounds == sorted(bounds) and bounds[-1] == float("inf"), f"{family.name}: bounds")
    expect(counts == sorted(counts), f"{family.name}: counts that fall")
    expect([s.value for s in samples(family, "_count", sandbox)] == counts[-1:], f"{family.name}: its count")
    total = samples(family, "_sum", sandbox)[0].value
    least = sum((n - before) * (bounds[i - 1] if i else 0) for i, (n, before) in enumerate(zip(counts, [0] + counts)))
    expect(total >= least * 0.5, f"{family.name}: a sum of {total}, less than its buckets have")


def check(families, names):
    expect(len(families) == 33, f"{len(families)} families")
    for family in families.values():
        expect(family.documentation.endswith("."), f"{family.name}: no help")
        expect({s.labels.get("sandbox") for s in family.samples} == names, f"{family.name}: of which sandboxes")
        for name in names:
            if family.type == "histogram":
                check_histogram(family, name)
            else:
                expect(len(samples(family, "_total" if family.type == "counter" else "", name)) == 1,
                       f"{family.name}: not one sample")
    for name in names:
        expect(samples(families["halo_calls_out"], "_total", name)[0].value > 0, f"{name} made no calls")
        expect(samples(families["halo_call_out_seconds"], "_count", name)[0].value > 0, f"{name} was not measured")
        # Read call by call, so they may be from different moments, but not far apart.
        expect(samples(families["halo_exits_per_call_out"], "_count", name)[0].value
               >= samples(families["halo_calls_out_answered"], "_total", name)[0].value - 1000, f"{name}: exits")


def main():
    each, total = read(sys.argv[1]), read(sys.argv[2])
    check(each, TENANTS)
    check(total, {None})
    expect(samples(total["halo_sandboxes"], "")[0].value == 3, "a sum of how many sandboxes")
    # The sum was asked for later, and numbers only grow.
    for name in ("halo_exits", "halo_calls_out", "halo_calls"):
        expect(samples(total[name], "_total")[0].value >= sum(samples(each[name], "_total", t)[0].value for t in TENANTS),
               f"{name}: a sum that is less than its parts")
    try:
        list(text_string_to_metric_families(open(sys.argv[1]).read().replace("# EOF\n", "")))
        wrong.append("the parser takes anything")
    except ValueError:
        pass
    print("\n".join(wrong))
    sys.exit(bool(wrong))


main()
