#!/usr/bin/env python3
"""Is it true for all arguments? symbolic.py CODE.ll FUNCTION...

Follows each function of LLVM's intermediate code, which returns a bool, on every path that any arguments
can take, with z3 as the judge of what can be: arguments are symbols, memory is exact, addresses are numbers
(one that depends on an argument is taken for each value that it can have). Prints how many paths there are,
or arguments for which the function returns false. What code it does not know, it refuses.
"""
import re
import subprocess
import sys


class Solver:
    def __init__(self):
        self.z3 = subprocess.Popen(['z3', '-in'], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def tell(self, words):
        self.z3.stdin.write(words + '\n')

    def ask(self, words):
        self.tell(words)
        self.z3.stdin.flush()
        return self.z3.stdout.readline().strip()


class Term:
    """A value that depends on arguments: the name of a definition, and how many bits it has."""
    __slots__ = ('name', 'bits')

    def __init__(self, name, bits):
        self.name, self.bits = name, bits


def text(value, bits):
    return value.name if isinstance(value, Term) else '(_ bv%d %d)' % (value & (1 << bits) - 1, bits)


def split(words):
    """At commas outside of all brackets."""
    parts, depth, part = [], 0, ''
    for letter in words:
        depth += letter in '([{<'
        depth -= letter in ')]}>'
        if letter == ',' and depth == 0:
            parts.append(part.strip())
            part = ''
        else:
            part += letter
    return parts + [part.strip()] if part.strip() else parts


TYPE = re.compile(r'\s*(\{[^{}]*\}|\[\d+ x [^\[\]]*\]|\[\d+ x \[[^\[\]]*\]\]|%[\w.]+|i\d+|ptr|void)')
NOISE = re.compile(r'\b(noundef|nonnull|zeroext|signext|noalias|nocapture|readonly|writeonly|returned|inreg|immarg|dead_on_unwind|writable'
                   r'|dereferenceable\(\d+\)|dereferenceable_or_null\(\d+\)|align \d+|sret\([^)]*\)|range\([^)]*\))\s*')


class Code:
    def __init__(self, path):
        self.types, self.functions, self.globals = {}, {}, {}
        name = None
        for line in open(path):
            line = re.sub(r',? ![\w.]+( ![\w.]+)?|,? #\d+', '', line.rstrip('\n')).split(' ; ')[0].rstrip()
            if line.startswith(';') or not line.strip():
                continue
            if match := re.match(r'(%[\w.]+) = type (.*)', line):
                self.types[match.group(1)] = match.group(2)
            elif match := re.match(r'(@[\w.]+) = .*?\b(?:global|constant) (.*)', line):
                kind, rest = self.type_of(match.group(2))
                self.globals[match.group(1)] = (kind, rest.split(', align')[0].strip())
            elif match := re.match(r'define .*?(@[\w.]+)\((.*?)\)(?: local_unnamed_addr)?(?: unnamed_addr)?.*\{$', line):
                name = match.group(1)
                arguments = [self.type_of(NOISE.sub('', part)) for part in split(match.group(2))]
                self.functions[name] = ([(kind, rest.strip()) for kind, rest in arguments], {})
                block = str(len(arguments))
                self.functions[name][1][block] = []
                if 'byval' in line:
                    sys.exit('symbolic: %s has an argument of bytes' % name)
            elif name and line == '}':
                name = None
            elif name and (match := re.match(r'"?([\w.]+)"?:', line)):
                block = match.group(1)
                self.functions[name][1][block] = []
            elif name:
                if line.strip().startswith(('i', ']')) and self.functions[name][1][block] and 'switch' in self.functions[name][1][block][-1]:
                    self.functions[name][1][block][-1] += ' ' + line.strip()
                else:
                    self.functions[name][1][block].append(line.strip())

    def type_of(self, words):
        match = TYPE.match(words)
        if not match:
            sys.exit('symbolic: no type in: ' + words)
        return match.group(1), words[match.end():].strip()

    def members(self, kind):
        kind = self.types.get(kind, kind)
        if kind.startswith('['):
            count, inner = re.match(r'\[(\d+) x (.*)\]', kind).groups()
            return [inner] * int(count)
        return split(kind.strip('{ }'))

    def align(self, kind):
        if kind[0] == 'i':
            return max(1, int(kind[1:]) // 8)
        return 8 if kind == 'ptr' else max(self.align(member) for member in self.members(kind))

    def size(self, kind):
        if kind[0] == 'i' or kind == 'ptr':
            return self.align(kind)
        if kind.startswith('['):
            members = self.members(kind)
            return len(members) * self.size(members[0]) if members else 0
        return self.offset(kind, len(self.members(kind)))

    def offset(self, kind, index):
        at, members = 0, self.members(kind)
        for i, member in enumerate(members):
            at = -(-at // self.align(member)) * self.align(member)
            if i == index:
                return at
            at += self.size(member)
        return -(-at // self.align(kind)) * self.align(kind)

    def bits(self, kind):
        return 64 if kind == 'ptr' else int(kind[1:])


class Unknown(Exception):
    pass


class Path:
    """One run: where it can go either way, `decided` says where it goes, and what is new goes to `open`."""
    SIGNED = {'slt': 'bvslt', 'sle': 'bvsle', 'sgt': 'bvsgt', 'sge': 'bvsge'}
    UNSIGNED = {'ult': 'bvult', 'ule': 'bvule', 'ugt': 'bvugt', 'uge': 'bvuge'}
    OPERATIONS = {'add': 'bvadd', 'sub': 'bvsub', 'mul': 'bvmul', 'and': 'bvand', 'or': 'bvor', 'xor': 'bvxor',
                  'shl': 'bvshl', 'lshr': 'bvlshr', 'ashr': 'bvashr', 'udiv': 'bvudiv', 'urem': 'bvurem', 'sdiv': 'bvsdiv'}

    def __init__(self, code, solver, decided, todo):
        self.code, self.solver, self.decided, self.todo = code, solver, decided, todo
        self.steps = self.names = 0
        self.bytes, self.places, self.top = {}, {}, 1 << 20
        solver.tell('(reset)(set-option :print-success false)')
        for name, (kind, value) in code.globals.items():
            self.places[name] = self.allocate(code.size(kind))
            if value in ('zeroinitializer', 'null', '0'):
                for i in range(code.size(kind)):
                    self.bytes[self.places[name] + i] = (0, 0, 8)

    def allocate(self, size):
        at = self.top
        self.top += (size + 0xffff) // 0x10000 * 0x10000 + 0x10000
        return at

    # --- values

    def define(self, words, bits):
        self.names += 1
        name = 'v%d' % self.names
        self.solver.tell('(define-fun %s () (_ BitVec %d) %s)' % (name, bits, words))
        return Term(name, bits)

    def symbol(self, name, bits):
        self.solver.tell('(declare-const %s (_ BitVec %d))' % (name, bits))
        return Term(name, bits)

    def can(self, condition):
        return self.solver.ask('(push)(assert %s)(check-sat)(pop)' % condition) == 'sat'

    def decide(self, condition):
        """Whether the condition holds on this path."""
        if self.steps == len(self.decided):
            yes, no = self.can(condition), self.can('(not %s)' % condition)
            if yes and no:
                self.todo.append(self.decided + [False])
            self.decided = self.decided + [yes]
        holds = self.decided[self.steps]
        self.steps += 1
        self.solver.tell('(assert %s)' % (condition if holds else '(not %s)' % condition))
        return holds

    def number(self, value):
        """One that depends on an argument: each in its turn."""
        if not isinstance(value, Term):
            return value
        while True:
            if self.steps == len(self.decided):
                self.solver.ask('(check-sat)')
                answer = self.solver.ask('(get-value (%s))' % value.name)
                found = re.search(r'#x([0-9a-f]+)|#b([01]+)', answer)
                self.decided = self.decided + [int(found.group(1), 16) if found.group(1) else int(found.group(2), 2)]
            guess = self.decided[self.steps]
            self.steps += 1
            if self.decide('(= %s %s)' % (value.name, text(guess, value.bits))):
                return guess

    def value(self, words, kind, local):
        words = words.strip()
        if words in local:
            return local[words]
        if re.match(r'-?\d+$', words):
            return int(words) & (1 << self.code.bits(kind)) - 1
        if words in ('true', 'false'):
            return int(words == 'true')
        if words in ('null', 'zeroinitializer'):
            return 0
        if words in self.places:
            return self.places[words]
        if words in ('undef', 'poison'):
            if kind[0] in '{[%':
                return [0] * len(self.code.members(kind))
            self.names += 1
            return self.symbol('u%d' % self.names, self.code.bits(kind))
        if match := re.match(r'getelementptr (?:inbounds |nuw |nusw )*\((.*)\)$', words):
            return self.element(match.group(1), local)
        if match := re.match(r'(\w+) (?:nuw |nsw |exact )*\((.*)\)$', words):
            verb, inside = match.groups()
            if verb in ('ptrtoint', 'inttoptr'):
                kind, rest = self.code.type_of(inside)
                return self.value(rest.rpartition(' to ')[0], kind, local)
            (kind, a), (_, b) = (self.code.type_of(part) for part in split(inside))
            return self.operation(verb, self.value(a, kind, local), self.value(b, kind, local), self.code.bits(kind))
        raise Unknown('value: ' + words)

    def operation(self, name, a, b, bits):
        if not isinstance(a, Term) and not isinstance(b, Term):
            mask = (1 << bits) - 1
            if name in ('add', 'sub', 'mul', 'and', 'or', 'xor'):
                return {'add': a + b, 'sub': a - b, 'mul': a * b, 'and': a & b, 'or': a | b, 'xor': a ^ b}[name] & mask
            if name == 'shl':
                return a << b & mask if b < bits else 0
            if name == 'lshr':
                return a >> b if b < bits else 0
        if name == 'ashr' and not isinstance(b, Term) and b == 0:
            return a
        return self.define('(%s %s %s)' % (self.OPERATIONS[name], text(a, bits), text(b, bits)), bits)

    def condition(self, how, a, b, bits):
        if not isinstance(a, Term) and not isinstance(b, Term):
            sign = 1 << bits - 1
            if how in self.SIGNED:
                a, b, how = a ^ sign, b ^ sign, 'u' + how[1:]
            return int({'eq': a == b, 'ne': a != b, 'ult': a < b, 'ule': a <= b, 'ugt': a > b, 'uge': a >= b}[how])
        words = {'eq': '(= %s %s)', 'ne': '(distinct %s %s)'}.get(how) or '(%s %%s %%s)' % {**self.SIGNED, **self.UNSIGNED}[how]
        return self.define('(ite %s #b1 #b0)' % (words % (text(a, bits), text(b, bits))), 1)

    def choose(self, condition, a, b, bits):
        if not isinstance(condition, Term):
            return a if condition else b
        if isinstance(a, list) or a is b:
            raise Unknown('a choice of structures')
        return self.define('(ite (= %s #b1) %s %s)' % (condition.name, text(a, bits), text(b, bits)), bits)

    # --- memory: of each byte, whose it is and which of its bytes

    def store(self, at, value, bits):
        if isinstance(value, list):
            raise Unknown('a structure is stored')
        for i in range((bits + 7) // 8):
            self.bytes[at + i] = (value, i, bits)

    def load(self, at, bits):
        count = (bits + 7) // 8
        try:
            parts = [self.bytes[at + i] for i in range(count)]
        except KeyError:
            raise Unknown('%d is read and was not written' % at) from None
        first, index, wide = parts[0]
        if index == 0 and wide == bits and all(part[0] is first and part[1] == i for i, part in enumerate(parts)):
            return first
        if not any(isinstance(part[0], Term) for part in parts):
            return sum((part[0] >> 8 * part[1] & 255) << 8 * i for i, part in enumerate(parts)) & (1 << bits) - 1
        words = []
        for value, which, wide in reversed(parts):
            if not isinstance(value, Term):
                words.append(text(value >> 8 * which & 255, 8))
            elif wide < 8:
                words.append('((_ zero_extend %d) %s)' % (8 - wide, value.name))
            else:
                words.append('((_ extract %d %d) %s)' % (8 * which + 7, 8 * which, value.name))
        whole = words[0] if count == 1 else '(concat %s)' % ' '.join(words)
        return self.define(whole if bits % 8 == 0 else '((_ extract %d 0) %s)' % (bits - 1, whole), bits)

    def element(self, words, local):
        kind, *rest = split(words)
        at = self.value(rest[0].split(' ', 1)[1], 'ptr', local)
        for i, index in enumerate(rest[1:]):
            wide, name = self.code.type_of(index)
            index = self.value(name, wide, local)
            if i == 0:
                step = self.code.size(kind)
            elif self.code.types.get(kind, kind).startswith('['):
                kind = self.code.members(kind)[0]
                step = self.code.size(kind)
            else:
                at = self.operation('add', at, self.code.offset(kind, index), 64)
                kind = self.code.members(kind)[index]
                continue
            if isinstance(index, Term) and index.bits < 64:
                index = self.define('((_ sign_extend %d) %s)' % (64 - index.bits, index.name), 64)
            elif not isinstance(index, Term):
                bits = self.code.bits(wide)
                index = index - (1 << bits) if index >> bits - 1 else index
            at = self.operation('add', at, self.operation('mul', index, step, 64), 64)
        return at

    # --- instructions

    def run(self, name, arguments):
        formal, blocks = self.code.functions[name]
        local = {'%' + str(i) if not which.startswith('%') else which: value
                 for i, ((_, which), value) in enumerate(zip(formal, arguments))}
        block, before = next(iter(blocks)), None
        while True:
            fresh = {}
            for line in blocks[block]:
                match = re.match(r'(%[\w.]+) = phi (.*)', line)
                if not match:
                    break
                kind, rest = self.code.type_of(match.group(2))
                for value, source in re.findall(r'\[ (.*?), %"?([\w.]+)"? \]', rest):
                    if source == before:
                        fresh[match.group(1)] = self.value(value, kind, local)
            local.update(fresh)
            for line in blocks[block]:
                if ' = phi ' in line:
                    continue
                target, _, words = line.partition(' = ') if line.startswith('%') else ('', '', line)
                verb = words.split()[0]
                if verb == 'ret':
                    if words == 'ret void':
                        return None
                    kind, rest = self.code.type_of(words[4:])
                    return self.value(rest, kind, local)
                if verb in ('br', 'switch'):
                    before, block = block, self.jump(words, local)
                    break
                result = self.step(words, local)
                if target:
                    local[target] = result
            else:
                raise Unknown('a block without an end')

    def jump(self, words, local):
        if match := re.match(r'br label %"?([\w.]+)', words):
            return match.group(1)
        if match := re.match(r'br i1 (.*?), label %"?([\w.]+)"?, label %"?([\w.]+)', words):
            value = self.value(match.group(1), 'i1', local)
            holds = self.decide('(= %s #b1)' % value.name) if isinstance(value, Term) else value
            return match.group(2 if holds else 3)
        kind, value, other = re.match(r'switch (i\d+) (\S+), label %"?([\w.]+)', words).groups()
        value = self.value(value, kind, local)
        for case, where in re.findall(r'i\d+ (-?\d+), label %"?([\w.]+)', words[words.index('['):]):
            case = int(case) & (1 << self.code.bits(kind)) - 1
            if self.decide('(= %s %s)' % (value.name, text(case, value.bits))) if isinstance(value, Term) else value == case:
                return where
        return other

    def step(self, words, local):
        code = self.code
        words = re.sub(r'^(\w+) (?:(?:nsw|nuw|exact|disjoint|inbounds|nneg|samesign|nusw) )+', r'\1 ', words)
        verb, rest = words.split(' ', 1)
        if verb in self.OPERATIONS:
            kind, rest = code.type_of(rest)
            a, b = split(rest)
            return self.operation(verb, self.value(a, kind, local), self.value(b, kind, local), code.bits(kind))
        if verb == 'icmp':
            how, rest = rest.split(' ', 1)
            kind, rest = code.type_of(rest)
            a, b = split(rest)
            return self.condition(how, self.value(a, kind, local), self.value(b, kind, local), code.bits(kind))
        if verb == 'select':
            condition, a, b = split(rest)
            kind, a = code.type_of(a)
            return self.choose(self.value(condition.split(' ', 1)[1], 'i1', local), self.value(a, kind, local),
                               self.value(code.type_of(b)[1], kind, local), code.bits(kind))
        if verb in ('zext', 'sext', 'trunc', 'ptrtoint', 'inttoptr', 'freeze'):
            kind, rest = code.type_of(rest)
            name, _, to = rest.partition(' to ')
            value, had = self.value(name, kind, local), code.bits(kind)
            bits = code.bits(to) if to else had
            if not isinstance(value, Term):
                if verb == 'sext' and value >> had - 1:
                    value -= 1 << had
                return value & (1 << bits) - 1
            if bits == had:
                return value
            if bits < had:
                return self.define('((_ extract %d 0) %s)' % (bits - 1, value.name), bits)
            return self.define('((_ %s %d) %s)' % ('sign_extend' if verb == 'sext' else 'zero_extend', bits - had, value.name), bits)
        if verb == 'alloca':
            return self.allocate(code.size(code.type_of(rest)[0]))
        if verb == 'load':
            kind, rest = code.type_of(re.sub(r'^(volatile|atomic) ', '', rest))
            at = self.number(self.value(split(rest.lstrip(', '))[0].split(' ', 1)[1], 'ptr', local))
            return self.load(at, code.bits(kind))
        if verb == 'store':
            value, at, *_ = split(rest)
            kind, value = code.type_of(value)
            self.store(self.number(self.value(at.split(' ', 1)[1], 'ptr', local)), self.value(value, kind, local), code.bits(kind))
            return None
        if verb == 'getelementptr':
            return self.element(rest, local)
        if verb in ('extractvalue', 'insertvalue'):
            whole, *more = split(rest)
            kind, whole = code.type_of(whole)
            whole = list(self.value(whole, kind, local))
            if verb == 'extractvalue':
                return whole[int(more[0])]
            inner, value = code.type_of(more[0])
            whole[int(more[1])] = self.value(value, inner, local)
            return whole
        if verb in ('call', 'tail', 'musttail', 'notail'):
            return self.call(words, local)
        raise Unknown(words)

    def call(self, words, local):
        name, inside = re.search(r'(@[\w.]+)\((.*)\)', words).groups()
        arguments = []
        for part in split(inside):
            kind, value = self.code.type_of(NOISE.sub('', part))
            arguments.append((kind, self.value(value, kind, local)))
        values = [value for _, value in arguments]
        if name.startswith(('@llvm.lifetime', '@llvm.assume', '@llvm.prefetch', '@llvm.experimental')):
            return None
        if name.startswith('@llvm.memset'):
            for i in range(self.number(values[2])):
                self.bytes[self.number(values[0]) + i] = (values[1], 0, 8)
            return None
        if name.startswith(('@llvm.memcpy', '@llvm.memmove')):
            to, source = self.number(values[0]), self.number(values[1])
            copy = {i: self.bytes[source + i] for i in range(self.number(values[2])) if source + i in self.bytes}
            for i in range(self.number(values[2])):
                self.bytes.pop(to + i, None)
            self.bytes.update({to + i: byte for i, byte in copy.items()})
            return None
        if match := re.match(r'@llvm\.(u|s)(min|max)\.', name):
            bits = self.code.bits(arguments[0][0])
            less = self.condition(match.group(1) + 'lt', *values[:2], bits)
            return self.choose(less, *(values[:2] if match.group(2) == 'min' else values[1::-1]), bits)
        if name.startswith('@llvm.usub.sat.'):
            bits = self.code.bits(arguments[0][0])
            return self.choose(self.condition('ult', *values, bits), 0, self.operation('sub', *values, bits), bits)
        if name in self.code.functions:
            return self.run(name, values)
        raise Unknown(words)


def prove(code, name):
    """None where it is always true, else what its arguments are; and how many paths there were."""
    solver, todo, paths = Solver(), [[]], 0
    formal = code.functions['@' + name][0]
    while todo:
        path = Path(code, solver, todo.pop(), todo)
        symbols = [path.symbol('argument%d' % i, code.bits(kind)) for i, (kind, _) in enumerate(formal)]
        result = path.run('@' + name, symbols)
        paths += 1
        wrong = '(= %s #b0)' % result.name if isinstance(result, Term) else 'false' if result else 'true'
        answer = solver.ask('(assert %s)(check-sat)' % wrong)
        if answer == 'sat':
            return [solver.ask('(get-value (%s))' % symbol.name) for symbol in symbols], paths
        if answer != 'unsat':
            raise Unknown('z3 says ' + answer)
    return None, paths


def main():
    if len(sys.argv) < 3:
        sys.exit('usage: symbolic.py CODE.ll FUNCTION...')
    code, bad = Code(sys.argv[1]), False
    for name in sys.argv[2:]:
        try:
            found, paths = prove(code, name)
        except Unknown as what:
            found, paths = [str(what)], 0
        print('%s: %s' % (name, 'false: ' + ' '.join(found) if found else '%d paths' % paths), flush=True)
        bad = bad or bool(found)
    sys.exit(bad)


main()
