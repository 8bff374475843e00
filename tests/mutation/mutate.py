"""Break the ring, the pools and the queue in one place at a time and see whether a test notices: mutate.py [OPTIONS]

    --list            print the mutants, run nothing
    --only FILE       mutate this file alone; may be repeated
    --function NAME   mutate this function alone; may be repeated
    --sample N        every Nth mutant
    --jobs N          at a time; as many as there are processors
    --walk            without the ring's plain paths; what changes no machine code then is no mutant

A mutant is one operator, constant, condition, statement, result or memory order changed. A test that
fails, crashes or does not end kills it. A mutant that does not compile is no mutant. Those that
survive must stand in `survivors` with a reason: `file | function | code | change | reason`.

The last line is `N passed, N failed, N skipped`: 1 test, that at least 95 of 100 are killed and each
survivor is explained; and 1 for the memory orders, all of which must be killed. Of a sample, which may have one
that is explained among very few, only the others count.
"""
import argparse
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading

HALVES = 'src/ring/halves.c'
FILES = ['include/halo/shm.h', 'include/halo/ring.h', 'include/halo/driver.h', 'include/halo/device.h',
         'include/halo/draft.h', 'src/ring/ring.c', 'src/ring/driver.c', 'src/ring/device.c', 'src/pool/pool.c',
         'include/halo/sender.h', 'include/halo/receiver.h', 'src/queue/sender.h', 'src/queue/send.c',
         'src/queue/answer.c', 'src/queue/receiver.c', 'src/queue/parked.c', HALVES]
# Test programs, those that notice most and soonest first; then commands, which take longer.
PROGRAMS = ['unit/test_device', 'unit/test_driver', 'unit/test_batch', 'unit/test_event', 'unit/test_reject', 'unit/test_rewind',
            'unit/test_giving_up', 'unit/test_ring', 'unit/test_span', 'unit/test_place_at', 'unit/test_draft',
            'unit/test_extension', 'unit/test_halves', 'unit/test_pool', 'unit/test_buffers', 'unit/test_slots', 'unit/test_answers', 'unit/test_receiver',
            'unit/test_answer_writing', 'unit/test_plain_request', 'model/test_accesses', 'unit/test_life_cycle', 'model/test_small_scope',
            'model/test_against_model', 'model/test_plain', 'model/test_arm_after', 'unit/test_resume', 'model/test_state_space', 'model/test_every_load',
            'model/test_interleavings']
# The same for the files of the queue alone, which has no memory orders of its own.
QUEUE_PROGRAMS = ['unit/test_' + name for name in (
    'slots', 'answers', 'receiver', 'answer_writing', 'plain_request', 'sender', 'sender_end', 'sender_waits', 'policy',
    'parked', 'buffers')] + ['model/test_queue_random']
COMMANDS = [['tests/binaries/run', '--sources'], ['tests/relacy/run', '--sources']]
TEST_FLAVOUR = ('accesses', 'every_load', 'interleavings')
NEEDS_QUEUE = ('slots', 'answers', 'receiver', 'answer_writing', 'plain_request', 'sender', 'sender_end', 'sender_waits',
               'policy', 'parked', 'queue_random')
NEEDS_MODEL = ('arm_after', 'small_scope', 'against_model', 'every_load')

TOKEN = re.compile(r'[A-Za-z_]\w*|0x[0-9a-fA-F]+[uUlL]*|\d+[uUlL]*|->|\+\+|--|<<=|>>=|<<|>>|[<>=!+\-*/%&|^]=|&&|\|\||.')
SWAPS = {'<': ['<='], '<=': ['<'], '>': ['>='], '>=': ['>'], '==': ['!='], '!=': ['=='], '&&': ['||'],
         '||': ['&&'], '+=': ['-='], '-=': ['+='], '++': ['--'], '--': ['++'], '|=': ['&='], '^=': ['|='],
         '<<': ['>>'], '>>': ['<<'], '^': ['|'], '|': ['&'], '%': ['*']}
BINARY = {'+': ['-'], '-': ['+'], '&': ['|'], '*': ['+']}
NAMES = {'true': 'false', 'false': 'true', '__ATOMIC_ACQUIRE': '__ATOMIC_RELAXED',
         '__ATOMIC_RELEASE': '__ATOMIC_RELAXED', '__ATOMIC_SEQ_CST': '__ATOMIC_ACQ_REL',
         'halo_shm_publish_meta': 'halo_shm_stage_meta', 'UINT32_MAX': '(UINT32_MAX - 1)',
         'halo_cursor_available': 'halo_cursor_used', 'halo_cursor_used': 'halo_cursor_available'}
# The code and the change may hold a bar.
SURVIVOR = re.compile(r'(\S+) \| (\w+) \| (.*) \| (\S+ -> (?:\S+|\(UINT32_MAX - 1\))|dropped|negated) \| (.*)')
DECLARATION = re.compile(r'\s*(const|struct|uint\w*|int|bool|size_t|static|enum|HALO_SHARED|return|for|if|while|case)\b')


def without_comments(text):
    """The text with every comment, string and preprocessor line blanked, so that columns stay."""
    text = re.sub(r'/\*.*?\*/|//[^\n]*|"(\\.|[^"\\])*"', lambda m: re.sub(r'[^\n]', ' ', m.group()), text, flags=re.S)
    return re.sub(r'^#.*$', lambda m: ' ' * len(m.group()), text, flags=re.M)


def changes(line):
    """(column, end, new text, what) for each way to change this line."""
    tokens = [(m.start(), m.group()) for m in TOKEN.finditer(line) if not m.group().isspace()]
    for i, (at, token) in enumerate(tokens):
        before = tokens[i - 1][1] if i else ''
        operand = before in (')', ']') or re.match(r'\w', before) and before not in ('return', 'case')
        end = at + len(token)
        new = []
        if token in SWAPS:
            new = SWAPS[token]
        elif token in BINARY and operand:
            new = BINARY[token]
        elif token == '!' and not operand:
            new = ['']
        elif re.match(r'\d', token):
            number = int(token.rstrip('uUlL'), 0)
            new = ['1'] if number == 0 else ['0', '2'] if number == 1 else [str(number + 1)]
        elif token in NAMES:
            new = [NAMES[token]]
        elif re.match(r'HALO_(DESC|PHASE|MAY)_', token):
            new = ['0']
        elif re.match(r'HALO_E[A-Z]+$', token) and not token.startswith('HALO_EVENT'):
            new = ['HALO_EIO']
        elif re.match(r'HALO_BROKEN_', token):
            new = ['HALO_BROKEN_TORN' if token != 'HALO_BROKEN_TORN' else 'HALO_BROKEN_ORDER']
        elif re.match(r'HALO_REJECT_', token):
            new = ['HALO_REJECT_RANGE' if token != 'HALO_REJECT_RANGE' else 'HALO_REJECT_LENGTH']
        elif re.match(r'HALO_EVENT_', token):
            new = ['3']
        for text in new:
            yield at, end, text, '%s -> %s' % (token, text or 'nothing')


def mutants(file, text):
    """(number of the line, its new text, function, code, what) of every mutant of a file."""
    code = without_comments(text).split('\n')
    lines = text.split('\n')
    function = None
    name = ''
    for number, line in enumerate(code):
        match = re.match(r'(?=[^\s#]).*?\b(\w+)\(', re.sub(r'__attribute__\(\(\w+\)\)\s*', '', line))
        if match and not line.rstrip().endswith(';'):
            name = match.group(1)
        if line.startswith('{'):
            function = name
            continue
        if line.startswith('}'):
            function = None
        if not function or not line.strip():
            continue
        if re.match(r'\s*halo_(device|driver|pool|sender|receiver|submitter|reaper)_check\([\w>-]+\);', line):  # nothing, but in a checking build
            continue
        shown = ' '.join(line.split())
        for at, end, new, what in changes(line):
            yield number, lines[number][:at] + new + lines[number][end:], function, shown, what
        previous = next((l.rstrip() for l in reversed(code[:number]) if l.strip()), '')
        if re.match(r'\s+[a-z_*(].*;\s*$', line) and previous[-1:] in ';{}:)' and not DECLARATION.match(line):
            yield number, re.match(r'\s*', line).group() + ';', function, shown, 'dropped'
        match = re.match(r'(\s*)if \((.*)\)( \{)?\s*$', line)
        if match and match.group(2).count('(') == match.group(2).count(')'):
            yield (number, '%sif (!(%s))%s' % (match.group(1), match.group(2), match.group(3) or ''), function, shown,
                   'negated')


SOURCES = ['src/ring/ring.c', 'src/ring/driver.c', 'src/ring/device.c', 'src/ring/error.c', HALVES, 'src/pool/pool.c']
QUEUE = ['src/queue/%s.c' % name for name in ('send', 'answer', 'receiver', 'parked')]
MODEL = ['tests/model/%s.c' % name for name in ('model', 'model_device', 'model_driver')]


def is_queue(file):
    return file.startswith('src/queue/') or file in ('include/halo/sender.h', 'include/halo/receiver.h')


def programs_of(file):
    return ['unit/test_halves'] if file == HALVES else QUEUE_PROGRAMS if is_queue(file) else PROGRAMS


OPTIONS = ['-O1', '-w', '-std=gnu11'] # and more, by those of the command line


def compile_object(tree, source, flavour, out):
    command = ['gcc'] + OPTIONS + ['-I' + tree + '/include', '-c', source, '-o', out]
    return subprocess.run(command + flavour, capture_output=True).returncode == 0


def compiled(tree, program, file, store):
    """The test program with the sources in `tree`, of which `file` differs; None where it does not compile.

    What a change in `file` does not touch is taken from `store`.
    """
    name = os.path.basename(program)[5:]
    flavour = ['-DHALO_SHM_TEST'] if name in TEST_FLAVOUR else []
    sources = {'tests/%s.c' % program: None}
    sources.update({source: None for source in MODEL} if name in NEEDS_MODEL else {})
    sources.update({source: None for source in SOURCES})
    sources.update({source: None for source in QUEUE} if name in NEEDS_QUEUE else {})
    objects = []
    for source in sources:
        changed = source == file or file.endswith('.h') and source not in MODEL
        stored = os.path.join(store, source.replace('/', '_') + ''.join(flavour) + '.o')
        out = os.path.join(tree, os.path.basename(stored)) if changed else stored
        path = os.path.join(tree, source) if source in SOURCES + QUEUE else source
        if not os.path.exists(out):
            part = out + '.%d' % threading.get_ident()
            if not compile_object(tree, path, flavour, part):
                return None
            os.rename(part, out)
        objects.append(out)
    test = os.path.join(tree, 'test')
    done = subprocess.run(['gcc', '-o', test] + objects + ['-lcmocka'], capture_output=True)
    return test if done.returncode == 0 else None


def is_dead(tree, file, store):
    """Whether the objects with the sources in `tree`, of which `file` differs, are those of before."""
    for source in SOURCES + QUEUE:
        if source != file and not file.endswith('.h'):
            continue
        stored = os.path.join(store, source.replace('/', '_') + '.o')
        part = stored + '.%d' % threading.get_ident()
        out = os.path.join(tree, 'dead.o')
        if not os.path.exists(stored) and compile_object('.', source, [], part):
            os.rename(part, stored)
        if not compile_object(tree, os.path.join(tree, source), [], out):
            return True
        if open(out, 'rb').read() != open(stored, 'rb').read():
            return False
    return True


def killer(job):
    """Which test kills this mutant: its name, '' for none, None where it is no mutant."""
    file, number, new, commands, store = job
    tree = tempfile.mkdtemp(prefix='mutant')
    try:
        for part in ('include', 'src'):
            shutil.copytree(part, os.path.join(tree, part))
        path = os.path.join(tree, file)
        lines = open(path).read().split('\n')
        lines[number] = new
        open(path, 'w').write('\n'.join(lines))
        if '-DHALO_NO_PLAIN_PATH' in OPTIONS and is_dead(tree, file, store):
            return None
        for program in programs_of(file):
            test = compiled(tree, program, file, store)
            if not test:
                return None
            try:
                done = subprocess.run(['prlimit', '--as=4000000000', test], capture_output=True, timeout=30)
            except subprocess.TimeoutExpired:
                return program
            if done.returncode != 0:
                return program
        for command in [] if is_queue(file) else commands:
            if subprocess.run(command + [tree], capture_output=True).returncode != 0:
                return command[0]
        return ''
    finally:
        shutil.rmtree(tree, ignore_errors=True)


def main():
    options = argparse.ArgumentParser()
    options.add_argument('--list', action='store_true')
    options.add_argument('--only', action='append')
    options.add_argument('--function', action='append')
    options.add_argument('--sample', type=int, default=1)
    options.add_argument('--jobs', type=int, default=os.cpu_count())
    options.add_argument('--walk', action='store_true')
    options = options.parse_args()
    if options.walk:
        OPTIONS.append('-DHALO_NO_PLAIN_PATH')
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), '../..'))

    explained = {}
    for line in open('tests/mutation/survivors'):
        if line.strip() and not line.startswith('#'):
            file, function, code, what, reason = SURVIVOR.match(line).groups()
            explained[file, function, code, what] = reason
    found = [(file,) + mutant for file in options.only or FILES for mutant in mutants(file, open(file).read())]
    found = [mutant for mutant in found if not options.function or mutant[3] in options.function]
    found = found[::options.sample]
    if options.sample > 1 and not options.list:
        # What is explained takes longest, for nothing kills it, and of a sample does not count.
        found = [mutant for mutant in found if (mutant[0],) + tuple(mutant[3:6]) not in explained]
    if options.list:
        for file, number, new, function, code, what in found:
            print('%s:%d %s | %s | %s' % (file, number + 1, function, code, what))
        print(len(found))
        return 0

    killed = alive = orders = orders_alive = still = 0
    by = {}
    bad = []
    commands = [command for command in COMMANDS if os.path.exists(command[0])]
    with tempfile.TemporaryDirectory() as store, concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        jobs = [(file, number, new, commands, store) for file, number, new, *_ in found]
        for (file, number, new, function, code, what), by_whom in zip(found, pool.map(killer, jobs)):
            order = 'ATOMIC' in what or 'fence' in code and what == 'dropped' or what.startswith('halo_shm_publish')
            if by_whom is None:
                still += 1
                continue
            orders += order
            if by_whom:
                killed += 1
                by[by_whom] = by.get(by_whom, 0) + 1
                continue
            alive += 1
            orders_alive += order
            reason = explained.get((file, function, code, what))
            print('%s %s:%d | %s | %s | %s%s' % ('explained' if reason else 'ALIVE', file, number + 1, function, code,
                                                what, ' | ' + reason if reason else ''), flush=True)
            if not reason:
                bad.append((file, number))
    for name, count in sorted(by.items(), key=lambda item: -item[1]):
        print('%5d killed by %s' % (count, name))
    total = killed + alive
    print('%d mutants (and %d that do not compile, or change nothing): %d killed, %.1f %%; %d alive, %d of them unexplained' %
          (total, still, killed, 100.0 * killed / max(total, 1), alive, len(bad)))
    print('%d of memory orders and fences: %d alive' % (orders, orders_alive))
    counted = total if options.sample == 1 else killed + len(bad)
    failures = (killed < 0.95 * counted or len(bad) > 0) + (orders_alive > 0)
    print('%d passed, %d failed, 0 skipped' % (2 - failures, failures))
    return failures > 0


sys.exit(main())
