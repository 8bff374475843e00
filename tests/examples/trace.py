"""Whether a file is a trace that Perfetto and Chrome can open: trace.py FILE [ROW]...

Looks at it as their format says: every slice and flow is of a row that has a name, times rise along a row
and slices nest there, each flow begins once and ends once, later, and both are at a slice. Each ROW that is
named has to be there, with a flow where it begins with a +. Prints what is wrong.
"""

import collections
import json
import sys

wrong = []


def expect(holds, what):
    if not holds and len(wrong) < 20:
        wrong.append(what)


def check_rows(slices):
    for tid, row in slices.items():
        open_until, before = [], -1
        for ts, end, name in row:
            expect(ts >= before, f"{tid}: {name} at {ts} is before the one above it")
            before = ts
            while open_until and open_until[-1] <= ts:
                open_until.pop()
            expect(not open_until or end <= open_until[-1], f"{tid}: {name} at {ts} ends behind what it is in")
            open_until.append(end)


def check_flow(number, steps, slices, names):
    phases = [phase for phase, _, _ in steps]
    expect(phases.count("s") == 1 and phases[0] == "s", f"flow {number} begins {phases.count('s')} times")
    expect(phases.count("f") == 1 and phases[-1] == "f", f"flow {number} ends {phases.count('f')} times")
    expect([ts for _, ts, _ in steps] == sorted(ts for _, ts, _ in steps), f"flow {number} goes back in time")
    for _, ts, tid in steps:
        expect(any(begin <= ts <= end for begin, end, _ in slices[tid]), f"flow {number} is at no slice of {names.get(tid)}")


def main():
    with open(sys.argv[1]) as file:
        trace = json.load(file)
    names, slices, flows, rows_of_flows = {}, collections.defaultdict(list), collections.defaultdict(list), set()
    processes = set()
    for event in trace["traceEvents"]:
        phase = event["ph"]
        if phase == "M":
            if event["name"] == "thread_name":
                names[event["tid"]] = event["args"]["name"]
            if event["name"] == "process_name":
                processes.add(event["pid"])
            continue
        expect(event["pid"] in processes and isinstance(event["ts"], float) and event["ts"] >= 0, f"{event}")
        if phase == "X":
            # As whole nanoseconds: sums of fractions are not exact.
            begin = round(event["ts"] * 1000)
            expect(event["dur"] >= 0 and event["name"], f"{event}")
            slices[event["tid"]].append((begin, begin + round(event["dur"] * 1000), event["name"]))
        elif phase in "stf":
            expect(event["name"] and event["cat"] and (phase != "f" or event["bp"] == "e"), f"{event}")
            flows[event["id"]].append((phase, round(event["ts"] * 1000), event["tid"]))
            rows_of_flows.add(names.get(event["tid"]))
        else:
            expect(False, f"an event of phase {phase}")
    for tid in slices:
        expect(names.get(tid), f"row {tid} has no name")
    expect(len(set(names.values())) == len(names), "two rows of one name")
    check_rows(slices)
    expect(flows or len(sys.argv) == 2, "there is no flow")
    for number, steps in list(flows.items())[:3000]:
        check_flow(number, steps, {t: r if len(r) < 3000 else [(b, e, n) for b, e, n in r] for t, r in slices.items()}, names)
    for row in sys.argv[2:]:
        expect(row.lstrip("+") in names.values(), f"there is no row '{row.lstrip('+')}' among {sorted(names.values())}")
        expect(not row.startswith("+") or row[1:] in rows_of_flows, f"no flow comes to '{row[1:]}'")
    print("\n".join(wrong))
    sys.exit(bool(wrong))


main()
