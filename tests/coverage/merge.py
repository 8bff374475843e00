"""What the tests did not reach: merge.py EXPORT.json EXCUSES FILE...

Reads what `llvm-cov export` says of many programs. An inline function has a copy in each program;
here their counts are added up, because a test that is anywhere counts. Prints, per FILE, the
regions (stretches of code), branches (each condition, both ways) and MC/DC conditions (shown to
decide on their own), then each that is missing and not in EXCUSES: `file | code | reason`.
"""
import collections
import json
import sys

KINDS = ('regions', 'branches', 'conditions')
export, excuses_file, *files = sys.argv[1:]
seen = {kind: collections.defaultdict(int) for kind in KINDS}
for function in json.load(open(export))['data'][0]['functions']:
    names = function['filenames']
    for l1, c1, l2, c2, count, file, _, kind in function['regions']:
        if kind == 0:
            seen['regions'][names[file], l1, c1, l2, c2] += count
    for l1, c1, l2, c2, true, false, file, *_ in function['branches']:
        seen['branches'][names[file], l1, c1, l2, c2, 'true'] += true
        seen['branches'][names[file], l1, c1, l2, c2, 'false'] += false
    for record in function.get('mcdc_records', []):
        l1, c1, l2, c2 = record[:4] # of the function's own file: no macro of ours has a decision
        for number, covered in enumerate(next(x for x in record if isinstance(x, list))):
            seen['conditions'][names[0], l1, c1, l2, c2, 'condition %d' % (number + 1)] += covered

excuses = {}
for line in open(excuses_file):
    if line.strip() and not line.startswith('#'):
        file, code, reason = (part.strip() for part in line.split('|', 2))
        excuses[file, code] = reason

missing = used = total = 0
for file in files:
    lines = open(file).read().split('\n')
    texts = []
    for kind in KINDS:
        mine = {key: count for key, count in seen[kind].items() if key[0].endswith('/' + file)}
        gone = []
        for key in sorted(key for key, count in mine.items() if not count):
            code = lines[key[1] - 1].strip()
            if 'HALO_PLAIN_PATH' in code and key[5:] == ('condition 1',):
                continue # a constant of the build: tests run without it, too
            if (file, code) in excuses:
                used += 1
            else:
                gone.append('%s:%d:%d %s %s: %s' % (file, key[1], key[2], kind, ' '.join(key[5:]), code))
        total += 1
        missing += bool(gone)
        texts.append('%d/%d %s' % (len(mine) - len(gone), len(mine), kind))
        for text in gone:
            print('MISSING', text)
    print('%s: %s' % (file, ', '.join(texts)))
print('%d excused, of %d excuses' % (used, len(excuses)))
print('%d passed, %d failed, 0 skipped' % (total - missing, missing))
sys.exit(missing > 0)
