"""The envelope against Google's own protobuf: oracle.py LINES PB2_DIR CORPUS

Random calls are written by both and must be the same bytes. Each of them, and each of many that
were changed or cut, is read by both: what Halo reads, protobuf reads as the same call. (Halo refuses
more: fields out of order, twice, unknown, or of another type than the signature's.) The inputs of
the fuzzer's corpus are read by both in the same way.

The last line is `N passed, N failed, N skipped`.
"""
import random
import struct
import subprocess
import sys

sys.path.insert(0, sys.argv[2])
import call_pb2  # noqa: E402

TYPES = ['i32', 'u32', 'i64', 'u64', 'f32', 'f64', 'bool', 'str', 'bytes']
FIELD = {'bool': 'boolean'}
SHORT = 256
random.seed(1)


def edge(low, high):
    near = [n for n in (0, 1, -1, 63, 64, -64, -65, 127, 128, 255, 256, low, high) if low <= n <= high]
    return random.choice(near) if random.random() < .3 else random.randint(low, high) >> random.choice((0, 0, 8, 24))


def any_value(kind):
    """A value as protobuf has it, and as a line of ours says it."""
    if kind == 'bool':
        value = random.random() < .5
        return value, '%d' % value
    if kind in ('str', 'bytes'):
        n = random.choice((0, 1, 5, 127, 128, 255, 256, 257, 300, random.randint(0, 400)))
        value = bytes(random.randint(1 if kind == 'str' else 0, 255) for _ in range(n))
        return value, value.hex()
    if kind in ('f32', 'f64'):
        value = random.choice((0.0, 1.5, -2.25, random.uniform(-1e30, 1e30)))
        size = 'f' if kind == 'f32' else 'd'
        value = struct.unpack('<' + size, struct.pack('<' + size, value))[0]
        return value, '%0*x' % (8 if kind == 'f32' else 16,
                                int.from_bytes(struct.pack('<' + size, value), 'little'))
    bits = int(kind[1:])
    value = edge(-2 ** (bits - 1), 2 ** (bits - 1) - 1) if kind[0] == 'i' else edge(0, 2 ** bits - 1)
    return value, str(value)


def any_call():
    kinds = [random.choice(TYPES) for _ in range(random.randint(0, 8))]
    call = call_pb2.Call(function=random.choice((1, 127, 128, 2 ** 32 - 1, random.randint(1, 10000))))
    words = ['call', str(call.function)]
    shown = [str(call.function)]
    for kind in kinds:
        value, text = any_value(kind)
        argument = call.arguments.add()
        words.append('%s=%s' % (kind, text))
        if kind in ('str', 'bytes') and len(value) > SHORT:
            argument.raw = len(value)
            shown.append('raw=%d' % len(value))
        else:
            setattr(argument, FIELD.get(kind, kind), value)
            shown.append('%s=%s' % (kind, text))
    return kinds, call.SerializeToString(), ' '.join(words), ' '.join(shown)


def shown_by_protobuf(data):
    """What protobuf reads, as our lines say it; None where it cannot."""
    call = call_pb2.Call()
    try:
        call.ParseFromString(data)
    except Exception:
        return None
    words = [str(call.function)]
    for argument in call.arguments:
        field = argument.WhichOneof('kind')
        if field is None:
            return None
        value = getattr(argument, field)
        if field == 'raw':
            words.append('raw=%d' % value)
        elif field in ('str', 'bytes'):
            words.append('%s=%s' % (field, value.hex()))
        elif field in ('f32', 'f64'):
            size = 'f' if field == 'f32' else 'd'
            words.append('%s=%0*x' % (field, 8 if size == 'f' else 16,
                                      int.from_bytes(struct.pack('<' + size, value), 'little')))
        elif field == 'boolean':
            words.append('bool=%d' % value)
        else:
            words.append('%s=%d' % (field, value))
    return ' '.join(words)


def changed(data):
    data = bytearray(data)
    if data and random.random() < .7:
        for _ in range(random.choice((1, 1, 2))):
            data[random.randrange(len(data))] ^= 1 << random.randrange(8)
    else:
        data = data[:random.randint(0, len(data))]
    return bytes(data)


def ask(questions):
    done = subprocess.run([sys.argv[1]], input='\n'.join(questions) + '\n', capture_output=True, text=True)
    answers = done.stdout.split('\n')[:-1]
    assert done.returncode == 0 and len(answers) == len(questions), 'lines failed: ' + done.stderr
    return answers


def has_nan(shown):
    return any(w.startswith('f') and '=' in w and struct.unpack('<' + 'fd'[w[1] == '6'], int(w[4:], 16).to_bytes(
        8 if w[1] == '6' else 4, 'little'))[0] != struct.unpack('<' + 'fd'[w[1] == '6'], int(w[4:], 16).to_bytes(
            8 if w[1] == '6' else 4, 'little'))[0] for w in shown.split())


def main():
    failures = []
    calls = [any_call() for _ in range(5000)]
    for (kinds, data, question, _), answer in zip(calls, ask([call[2] for call in calls])):
        if answer != data.hex():
            failures.append('written: %s: %s, protobuf %s' % (question, answer, data.hex()))
    written = len(failures)

    for (kinds, data, _, shown), answer in zip(
            calls, ask(['read %s %s' % (','.join(call[0]) or '-', call[1].hex()) for call in calls])):
        if answer != shown:
            failures.append('read: %s: %s, not %s' % (data.hex(), answer, shown))
    read = len(failures) - written

    inputs = [(kinds, changed(data)) for kinds, data, _, _ in calls for _ in range(4)]
    for line in open(sys.argv[3]):
        data = bytes.fromhex(line)
        inputs.append(([TYPES[b % 9] for b in data[1:1 + data[0] % 9]], data[1 + data[0] % 9:]) if data else ([], b''))
    accepted = 0
    for (kinds, data), answer in zip(
            inputs, ask(['read %s %s' % (','.join(kinds) or '-', data.hex()) for kinds, data in inputs])):
        if answer.startswith('HALO_E'):
            continue
        accepted += 1
        theirs = shown_by_protobuf(data)
        if answer != theirs and not (theirs and has_nan(answer)):
            failures.append('changed: %s: %s, protobuf %s' % (data.hex(), answer, theirs))
    changes = len(failures) - written - read
    for failure in failures[:10]:
        print('FAILED: ' + failure)
    print('%d calls written and read by both; %d inputs changed, %d of them still calls' %
          (len(calls), len(inputs), accepted))
    results = (written, read, changes, not 500 < accepted < len(inputs))
    print('%d passed, %d failed, 0 skipped' % (sum(not r for r in results), sum(bool(r) for r in results)))
    return 1 if failures else 0


sys.exit(main())
